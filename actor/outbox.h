#ifndef ACTOR_OUTBOX_H
#define ACTOR_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

/*
 * Ended episodes on their way to the learner (DESIGN.md, section 3, Episodes):
 * numbered from 0, kept until it has told that it received them. Pure.
 */
struct outbox {
    uint64_t first; /* number of the oldest kept one */
    size_t n;       /* kept */
    uint64_t lost;  /* dropped: the learner was away for too long */

    /* private */
    size_t capacity, slots;    /* slots grow to capacity as they are needed */
    size_t start;              /* the slot of number first */
    struct wire_episode *ring; /* (slots) */
};

/* 0 or -ENOMEM. A zeroed outbox may be finished. */
int outbox_init(struct outbox *outbox, size_t capacity);
void outbox_finish(struct outbox *outbox);

/* The next number's episode; drops the oldest when full, or without memory for
 * more. */
void outbox_push(struct outbox *outbox, const struct wire_episode *episode);

/* Copy up to max from number `from` on (not before `first`). Returns how many;
 * *number is that of list[0]. list out (max). */
size_t outbox_list(const struct outbox *outbox, uint64_t from,
                   struct wire_episode *list, size_t max, uint64_t *number);

/* All before number next have arrived. Numbers never pushed are ignored. */
void outbox_received(struct outbox *outbox, uint64_t next);

#endif
