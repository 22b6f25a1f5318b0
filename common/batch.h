#ifndef COMMON_BATCH_H
#define COMMON_BATCH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Transitions as a struct of arrays, row-major.
 *
 *   n rows   S observation dimensions   A action dimensions
 */
enum { BATCH_TERMINAL = 1, BATCH_TRUNCATED = 2 }; /* bits of flags */

struct batch {
    size_t capacity, n, S, A;
    float *s;          /* (n, S) observation */
    float *a;          /* (n, A) executed action in [-1, 1] */
    float *r;          /* (n)    reward, unscaled */
    float *next;       /* (n, S) s': before any reset */
    uint8_t *flags;    /* (n)    BATCH_* */
    uint64_t *version; /* (n)    policy that acted: generation << 40 | updates */
    void *block;       /* private: one allocation behind all of them */
};

/* Where columns of rows go, as in struct batch but anywhere: not aligned. */
struct batch_columns {
    uint8_t *s, *a, *r, *next, *flags, *version;
};

/* Returns 0 or -ENOMEM. A zeroed batch may be finished. */
int batch_init(struct batch *batch, size_t capacity, size_t S, size_t A);
void batch_finish(struct batch *batch);

/* Copy rows [from, from + n) of src behind dst's rows; there must be room. */
void batch_append(struct batch *dst, const struct batch *src, size_t from,
                  size_t n);

/* Make it n rows longer, there must be room: where they are to be written. */
struct batch_columns batch_extend(struct batch *batch, size_t n);

/* The first row with a non-finite number, or n when all are finite. */
size_t batch_first_non_finite(const struct batch *batch);

#endif
