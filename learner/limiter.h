#ifndef LEARNER_LIMITER_H
#define LEARNER_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The global rate limiter (DESIGN.md, section 4, "Backpressure, not loss"):
 * pure, no clock, signed 64-bit. With du = updates - u0, di = inserted - i0:
 *
 *   an update may start     iff warm and du < ratio * di
 *   an insert may be stored iff not warm or di < du / ratio + slack
 *
 * inserted sums, over all ring ids ever seen, the highest stored total
 * reported. ratio 0: only warm-up applies. It is warm from when present rows of
 * listed rings reach min(warmup, listed capacity) until they fall below
 * minibatch; the base (u0, i0) is set when warm-up completes and when ratio
 * changes. The first report of a ring in a generation (a life of the learner)
 * raises i0 by whatever it adds to inserted.
 */
enum { LIMITER_MAX_RINGS = 1024 };

struct limiter_ring {
    uint64_t id;
    int64_t stored;   /* highest total reported, over all generations */
    int64_t reported; /* last total reported; stored may be above it when a
                         power loss took rows */
    int64_t present;  /* last report */
    int64_t capacity; /* last report */
    bool listed;      /* its shard takes part */
    bool known;       /* reported in this generation */
};

struct limiter {
    /* settings */
    double ratio;
    int64_t warmup, slack, minibatch;
    /* state, read-only for others */
    bool warm;
    bool resumed; /* warm in the checkpoint; no ring has come back yet */
    int64_t updates, inserted, u0, i0;
    size_t n;
    struct limiter_ring rings[LIMITER_MAX_RINGS];
};

struct limiter_settings {
    double ratio;                      /* >= 0, finite */
    uint64_t warmup, slack, minibatch; /* slack >= rows of an insert >= 1 */
};

void limiter_init(struct limiter *limiter, const struct limiter_settings *s);

/*
 * What a checkpoint keeps. limiter_restore() keeps the checkpoint's du and di
 * whatever RUN/state knows of the rings; a ratio that changed sets the base
 * anew. Once, after limiter_init(), before the first report; before or after
 * limiter_known_ring().
 */
struct limiter_base {
    double ratio;
    bool warm;
    int64_t updates, inserted, u0, i0;
};
struct limiter_base limiter_base(const struct limiter *limiter);
void limiter_restore(struct limiter *limiter, const struct limiter_base *base);

/*
 * A ring known from RUN/state, before its first report; its rows are owed no
 * updates. Returns 0 or -ENOSPC past LIMITER_MAX_RINGS.
 */
int limiter_known_ring(struct limiter *limiter, uint64_t id, uint64_t stored);

/* A shard's report: totals of its ring. -ENOSPC past LIMITER_MAX_RINGS. */
int limiter_report(struct limiter *limiter, uint64_t id, uint64_t stored,
                   uint64_t present, uint64_t capacity);

/*
 * The ring's shard was listed or declared dead (or has another ring now). Only
 * rings that are listed and were reported count. An unknown id is ignored.
 */
void limiter_list(struct limiter *limiter, uint64_t id, bool listed);

bool limiter_may_update(const struct limiter *limiter);
/* An update starts: count it. Only when limiter_may_update(). */
void limiter_updated(struct limiter *limiter);
bool limiter_may_insert(const struct limiter *limiter);

/*
 * The absolute store_until of a ring: a shard stores an insert only while its
 * total after it is at most this. UINT64_MAX: no limit. A ring that is not
 * listed gets what it reported, an unknown one 0. The bound on drift needs a
 * shard to drop the grant of an earlier learner when it sends its ShardReady.
 */
uint64_t limiter_grant(const struct limiter *limiter, uint64_t id);

/* inserted: rows ever stored, in all rings ever seen; never falls. */
int64_t limiter_inserted(const struct limiter *limiter);

#endif
