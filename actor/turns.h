#ifndef ACTOR_TURNS_H
#define ACTOR_TURNS_H

#include <stddef.h>
#include <stdint.h>

#include "common/rng.h"

/*
 * Rests of an actor whose host it shares with many more, all of idle priority.
 * To the kernel a thread under SCHED_IDLE that wants to run weighs 3 to the
 * learner's 1024, so that 128 a core take a quarter of it. Here about
 * TURNS_A_CORE a core want to at a time: who has stepped, or waited for a core
 * to step on, for a time t rests
 *
 *     t (n / (TURNS_A_CORE cores) - 1)
 *
 * in the mean: by chance (exponential), or all would rest at once, as they
 * begin at once. Cores that nobody else wants stay busy. Pure: the caller has
 * the clock.
 */
enum { TURNS_A_CORE = 8 };

struct turns {
    /* private */
    double rest;    /* ns of rest a ns of steps; 0: never */
    uint64_t began; /* when steps began or could have; 0: none to make */
    uint64_t taken; /* ns of steps before that, since the last rest */
};

/* n actors on so many cores. */
void turns_init(struct turns *turns, uint64_t n, size_t cores);

/* n / (TURNS_A_CORE cores), or 1 where that is less. */
double turns_crowd(const struct turns *turns);

/* Steps can be made from now (ns) on; nothing new while they could already. */
void turns_begin(struct turns *turns, uint64_t now);
/* None can be made any more, for another reason than a rest. */
void turns_end(struct turns *turns, uint64_t now);

/* Rows went away: ms to rest now, at most 10000, 0: go on. Steps can be made
 * again from the end of the rest on, unless turns_end() says otherwise. */
uint64_t turns_rest(struct turns *turns, uint64_t now, struct rng *chance);

#endif
