#ifndef ACTOR_WINDOW_H
#define ACTOR_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"

/*
 * The window of unacknowledged batches (DESIGN.md, section 3, Insert), over all
 * shards together. Pure: no sockets; the caller passes the time in ms.
 *
 * Batches are numbered from 0. At every moment
 *
 *   seq < oldest unanswered seq + W        W = span <= 64
 *
 * a span, not a count: no shard can ever have seen a number 64 above one that
 * is still unanswered, so its mask of the last 64 decides every case. Batch
 * seq lives in slot seq mod W. A batch is "placed" at the shard it was last
 * sent to and leaves it only by window_abandon(): that shard was declared dead.
 */
enum { WINDOW_MAX_SPAN = 64 };

struct window_batch {
    uint64_t seq;
    struct batch rows;    /* owned by the window, never changed once pushed */
    bool waiting;         /* unanswered; read-only for the caller */
    bool placed;          /* the last three hold */
    bool busy;            /* the last answer was Busy */
    bool sent;            /* at least once */
    uint32_t shard;       /* that it was last sent to */
    uint64_t incarnation; /* of the shard when it was last sent */
    unsigned asked;       /* times, of this incarnation, since it said Busy */
    uint64_t sent_ms;     /* last sent, or told Busy */
    uint64_t pushed_us;   /* the caller's: when it was first sent */
};

struct window {
    size_t span;     /* W */
    uint64_t oldest; /* oldest unanswered seq; next when there is none */
    uint64_t next;   /* seq of the next batch */
    struct window_batch slots[WINDOW_MAX_SPAN];
};

/*
 * span: W in [1, 64]. rows: the most of a batch. Returns 0 or -ENOMEM; a zeroed
 * window, or one whose init failed, may be finished.
 */
int window_init(struct window *window, size_t span, size_t rows, size_t S,
                size_t A);
void window_finish(struct window *window);

/* No further batch may be pushed before the oldest one is answered. */
bool window_full(const struct window *window);

/* Batches without an answer. */
size_t window_outstanding(const struct window *window);

/* Copy rows [from, from + n) of src as batch `next`, not placed. Not when
 * full. */
struct window_batch *window_push(struct window *window, const struct batch *src,
                                 size_t from, size_t n);

/* The batch went to this shard, for the first time or again. */
void window_sent(struct window_batch *batch, uint32_t shard,
                 uint64_t incarnation, uint64_t now_ms);

/* Inserted, or refused for good: seq is done. The batch that this answers
 * (its rows stay until the next push), or NULL when it was answered before. */
const struct window_batch *window_answer(struct window *window, uint64_t seq);

/* Busy from this shard. Ignored unless seq waits there. */
void window_busy(struct window *window, uint64_t seq, uint32_t shard,
                 uint64_t now_ms);

/* The shard is dead: its batches are placed nowhere. Returns how many. */
size_t window_abandon(struct window *window, uint32_t shard);

/* The oldest unanswered batch that is placed nowhere, or NULL. */
struct window_batch *window_unplaced(struct window *window);

/* The oldest unanswered batch at shard with seq >= from, or NULL. */
struct window_batch *window_at(struct window *window, uint32_t shard,
                               uint64_t from);

/*
 * The oldest unanswered batch at shard when it is time to send it again:
 * resend_ms after it was sent, twice that after the second time and four times
 * from the third on (a shard that is behind must not get the more to do),
 * busy_ms after it was told Busy. Else NULL.
 */
struct window_batch *window_due(struct window *window, uint32_t shard,
                                uint64_t now_ms, uint64_t resend_ms,
                                uint64_t busy_ms);

#endif
