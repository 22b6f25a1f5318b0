#ifndef LEARNER_LATENCY_H
#define LEARNER_LATENCY_H

#include <stdint.h>
#include <stdio.h>

#include "common/histogram.h"
#include "proto/wire.h"

/*
 * How long all actors together waited for one kind of answer, since this
 * learner started and lately. Pure. The actors count, and tell with their
 * heartbeats: one that is lost takes a second's counts with it.
 */
enum { LATENCY_TURN_MS = 5000 };

struct latency {
    struct histogram all;       /* microseconds */
    struct histogram now, last; /* of this turn so far, of the one before */
    uint64_t turned_ms;
};

/* What an actor told (validated by wire). */
void latency_take(struct latency *latency, const struct wire_latencies *told);

/* Call often: every LATENCY_TURN_MS a turn is over. */
void latency_turn(struct latency *latency, uint64_t now_ms);

/*
 * Lines for Status: NAMEs, then NAME_us_p50, _p95, _p99, _p999 of all and
 * recent_NAME_us_p50, _p99 of the last 5 to 10 s.
 */
void latency_print(const struct latency *latency, const char *name, FILE *out);
/* NAMEs and NAME_us_... of all, as above. */
void latency_print_histogram(const struct histogram *histogram,
                             const char *name, FILE *out);

#endif
