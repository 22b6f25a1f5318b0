#ifndef LEARNER_WHY_H
#define LEARNER_WHY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/config.h"
#include "learner/feed.h"
#include "learner/limiter.h"
#include "learner/registry.h"

/*
 * Why is it stuck? Who waits for whom, in words: for the progress line, for
 * deploy/status.sh and for the learner's page. Pure: it looks at the learner's
 * books, and time comes in as milliseconds.
 */
enum { WHY_AGES = 16 };

struct why {
    const struct config *config;
    const struct registry *registry;
    const struct limiter *limiter;
    const struct feed *feed;
    const char *address;            /* what others join */
    uint64_t now_ms, progressed_ms; /* now; the last update */
    double updates_per_second, steps_per_second;
    uint64_t version;     /* of the newest parameters, 0: none yet */
    const uint64_t *ages; /* (WHY_AGES) rows learned from: bucket i of ages in
                             [2^(i-1), 2^i) updates, the first of 0 */
    uint64_t aged_out;    /* rows of an earlier generation */
    uint64_t refused;     /* messages answered with Refused */
    const char *refusal;  /* the last one: who and why; "": none */
    uint64_t bad;         /* messages that were not valid */
    uint64_t keys_refused, keys_messages; /* handshakes of unknown keys;
                                             messages beyond a key's role */
    int checkpoint_rc; /* of the last one; negative errno: not written */
    uint64_t checkpoint_updates; /* of the newest on disk */
};

/* In a few words what updates wait for, or NULL while they go on. */
const char *why_waiting(const struct why *why, char *text, size_t n);

/*
 * Line after line, each a sentence: what updates wait for or which side is the
 * slower one, then all that is not as it should be (silent shards and actors,
 * full windows, refusals, a full disk), then how old the acting policies are.
 */
void why_print(const struct why *why, FILE *out, const char *before);

#endif
