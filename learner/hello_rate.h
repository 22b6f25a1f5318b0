#ifndef LEARNER_HELLO_RATE_H
#define LEARNER_HELLO_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire.h"

/*
 * A Hello costs the learner more than it costs its sender: a Welcome of some
 * kilobytes, a new name a line in RUN/state. So each source, a key or without
 * keys a host, may say HELLO_RATE_BURST at once and HELLO_RATE_SECOND a second;
 * what comes over it is not answered, and an honest peer asks again.
 *
 * Pure: time comes in. Zeroed is ready. Sources beyond HELLO_RATE_SOURCES at
 * once share the place of the one that was silent longest.
 */
enum {
    HELLO_RATE_SOURCES = 64,
    HELLO_RATE_BURST = 512,
    HELLO_RATE_SECOND = 256,
};

struct hello_rate {
    struct hello_rate_source {
        char who[WIRE_KEY_LEN]; /* a key or an address; "" unused */
        double left;            /* Hellos it may say now */
        uint64_t ms;            /* when that was so */
    } sources[HELLO_RATE_SOURCES];
    uint64_t over; /* Hellos not answered */
};

/* May this Hello be answered? */
bool hello_rate_take(struct hello_rate *rate, const char *who, uint64_t now_ms);

#endif
