#ifndef LEARNER_LIMITER_H
#define LEARNER_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The global rate limiter (DESIGN.md, section 4, "Backpressure, not loss"):
 * pure, no clock, signed 64-bit. With du = updates - u0, di = inserted - i0:
 *
 *   an update may start   iff warm and du < ratio * di
 *   an insert may be stored iff not warm or di < du / ratio + slack
 *
 * inserted sums, over all ring ids ever seen, the highest stored total
 * reported. ratio 0: only warm-up applies.
 */
enum { LIMITER_MAX_RINGS = 1024 };

struct limiter_ring {
    uint64_t id;
    int64_t stored;        /* highest total reported */
    int64_t present;       /* last report */
    int64_t capacity;
    bool listed;           /* counts for warm-up */
    bool reported;         /* in this generation */
};

struct limiter {
    /* settings */
    double ratio;
    int64_t warmup, slack, minibatch;
    /* state; u0, i0, warm, ratio and rings' id and stored are kept on disk */
    bool warm;
    int64_t updates, u0, i0;
    size_t n;
    struct limiter_ring rings[LIMITER_MAX_RINGS];
};

struct limiter_settings {
    double ratio;
    uint64_t warmup, slack, minibatch;
};

void limiter_init(struct limiter *limiter, const struct limiter_settings *s);

/* After a checkpoint was read: the base and totals it held; a changed ratio rebases. */
struct limiter_base {
    double ratio;
    bool warm;
    int64_t updates, u0, i0;
};
struct limiter_base limiter_base(const struct limiter *limiter);
void limiter_restore(struct limiter *limiter, const struct limiter_base *base);
/* A ring known from RUN/state, before its first report. */
void limiter_known_ring(struct limiter *limiter, uint64_t id, uint64_t stored);

/* A shard's report. -ENOSPC past LIMITER_MAX_RINGS. */
int limiter_report(struct limiter *limiter, uint64_t id, uint64_t stored,
                   uint64_t present, uint64_t capacity);
/* The ring's shard was declared dead or listed. */
void limiter_list(struct limiter *limiter, uint64_t id, bool listed);

bool limiter_may_update(const struct limiter *limiter);
/* An update starts: count it. Only when limiter_may_update(). */
void limiter_updated(struct limiter *limiter);
bool limiter_may_insert(const struct limiter *limiter);

/* The absolute store_until of a listed ring; UINT64_MAX: no limit. */
uint64_t limiter_grant(const struct limiter *limiter, uint64_t id);

int64_t limiter_inserted(const struct limiter *limiter);

#endif
