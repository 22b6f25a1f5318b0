#ifndef LEARNER_FEED_H
#define LEARNER_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/histogram.h"
#include "common/rng.h"
#include "proto/wire.h"

/*
 * Minibatches on their way from the shards (DESIGN.md, section 4, "Uniform
 * over the union"): which parts were asked of whom, which are still awaited.
 * Pure bookkeeping: asking is a callback, time comes in as microseconds of a
 * clock that never goes back.
 *
 * A slot is one minibatch: free, then awaited part by part, then complete,
 * then lent to the trainer, then free again. All are allocated at the start.
 */
enum { FEED_MAX_SOURCES = WIRE_MAX_SHARDS, FEED_MAX_PARTS = 512 };

/* A shard that can be asked now. */
struct feed_source {
    uint64_t key;  /* who, for the caller */
    uint64_t size; /* rows present, as last reported */
};

struct feed_ask {
    uint64_t key; /* whom to ask */
    uint64_t id, update;
    uint32_t part, n;
};

enum feed_state { FEED_FREE, FEED_AWAITED, FEED_COMPLETE, FEED_LENT };

struct feed_slot {
    uint64_t id;
    uint64_t asked_us; /* when it began */
    enum feed_state state;
    struct batch rows; /* complete: exactly a minibatch */
    size_t n_parts;
    struct feed_part {
        uint64_t key, asked_us;
        uint32_t n;
        bool awaited;
    } parts[FEED_MAX_PARTS];
};

struct feed {
    size_t n_slots, minibatch;
    struct feed_slot *slots;
    uint64_t next_id;
    struct rng *rng; /* borrowed */
    /* keys of those that owed a part for too long, unheard since */
    uint64_t silent[FEED_MAX_SOURCES];
    size_t n_silent;
    /* Ask for a part. Losing it is legal: it is asked again. Borrowed. */
    void (*ask)(void *data, const struct feed_ask *ask);
    void *data;
    /* counters */
    uint64_t redrawn, asked_again, late;
    struct histogram latency; /* microseconds from first asked to complete */
};

/* n_slots: minibatches in all states together. 0 or -ENOMEM. A zeroed feed may
 * be finished. The caller sets rng, ask and data. */
int feed_init(struct feed *feed, size_t n_slots, size_t minibatch, size_t S,
              size_t A);
void feed_finish(struct feed *feed);

/*
 * Start every free slot: parts drawn multinomially in the sources' sizes. Does
 * nothing while the sources hold no row. Silent ones are left out while there
 * are others. sources (n <= FEED_MAX_SOURCES).
 */
void feed_fill(struct feed *feed, const struct feed_source *sources, size_t n,
               uint64_t now_us);

/*
 * An answer came; its rows are copied. Returns 0, -ESTALE (no longer awaited:
 * counted), or -EBADMSG (not the rows that were asked for; still awaited).
 */
int feed_answer(struct feed *feed, uint64_t key,
                const struct wire_minibatch *answer, uint64_t now_us);

/*
 * Whom a part was asked of timeout_us ago or more is silent until
 * feed_heard(). Parts of those, and of a source that is not among sources:
 * redraw them from the others, or ask again where there is no other. So a
 * source that falls silent costs all minibatches together one timeout.
 */
void feed_expire(struct feed *feed, const struct feed_source *sources, size_t n,
                 uint64_t now_us, uint64_t timeout_us);

/* The source has sent something, whatever it was. */
void feed_heard(struct feed *feed, uint64_t key);

/* The oldest complete minibatch, lent until feed_give_back(); NULL: none. */
struct feed_slot *feed_take(struct feed *feed);
bool feed_has_complete(const struct feed *feed);
void feed_give_back(struct feed *feed, struct feed_slot *slot);

#endif
