#ifndef COMMON_POOL_H
#define COMMON_POOL_H

#include <stddef.h>

/*
 * Worker threads for fork-join: slices of a minibatch, environments. They sleep
 * between jobs; every signal is blocked in them.
 */
struct pool;

/* threads >= 1 counts the caller, so 1 starts none. NULL when memory or
 * threads are lacking. */
struct pool *pool_new(size_t threads);
void pool_free(struct pool *pool); /* joins them; NULL is fine */

size_t pool_threads(const struct pool *pool);

/*
 * Call job(arg, slice) once for each slice in [0, threads), slice 0 in the
 * caller, and return when all have. One caller at a time.
 */
void pool_run(struct pool *pool, void (*job)(void *arg, size_t slice),
              void *arg);

#endif
