#include "common/batch.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int batch_init(struct batch *batch, size_t capacity, size_t S, size_t A) {
    *batch = (struct batch){.capacity = capacity, .S = S, .A = A};
    const size_t row = sizeof(uint64_t) + (2 * S + A + 1) * sizeof(float) + 1;
    if (S > SIZE_MAX / 64 || A > SIZE_MAX / 64 || capacity > SIZE_MAX / row) {
        return -ENOMEM;
    }
    // calloc, and at least one byte: an empty batch is no failure
    char *at = calloc(1, capacity * row + 1);
    if (at == NULL) return -ENOMEM;

    // widest first, so that every column is aligned
    batch->block = at;
    batch->version = (uint64_t *)(void *)at;
    at += capacity * sizeof(uint64_t);
    batch->s = (float *)(void *)at;
    batch->next = batch->s + capacity * S;
    batch->a = batch->next + capacity * S;
    batch->r = batch->a + capacity * A;
    batch->flags = (uint8_t *)(batch->r + capacity);
    return 0;
}

void batch_finish(struct batch *batch) {
    free(batch->block);
    *batch = (struct batch){0};
}

void batch_append(struct batch *dst, const struct batch *src, size_t from,
                  size_t n) {
    assert(dst->S == src->S && dst->A == src->A);
    assert(from <= src->n && n <= src->n - from);
    assert(dst->n <= dst->capacity && n <= dst->capacity - dst->n);
    if (n == 0) return; // columns may be NULL then
    const size_t S = dst->S, A = dst->A, to = dst->n;

    memcpy(dst->s + to * S, src->s + from * S, n * S * sizeof(float));
    memcpy(dst->a + to * A, src->a + from * A, n * A * sizeof(float));
    memcpy(dst->r + to, src->r + from, n * sizeof(float));
    memcpy(dst->next + to * S, src->next + from * S, n * S * sizeof(float));
    memcpy(dst->flags + to, src->flags + from, n);
    memcpy(dst->version + to, src->version + from, n * sizeof(uint64_t));
    dst->n += n;
}

struct batch_columns batch_extend(struct batch *batch, size_t n) {
    assert(batch->n <= batch->capacity && n <= batch->capacity - batch->n);
    const size_t at = batch->n;
    batch->n += n;
    return (struct batch_columns){.s = (uint8_t *)(batch->s + at * batch->S),
                                  .a = (uint8_t *)(batch->a + at * batch->A),
                                  .r = (uint8_t *)(batch->r + at),
                                  .next =
                                      (uint8_t *)(batch->next + at * batch->S),
                                  .flags = batch->flags + at,
                                  .version = (uint8_t *)(batch->version + at)};
}

/* x (n, width): the first row that holds NaN or infinity, or n. Whether there
 * is one is asked by bits first, which is vector code. */
static size_t first_non_finite(const float *x, size_t n, size_t width) {
    uint32_t any = 0;
    for (size_t i = 0; i < n * width; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof(bits));
        any |= (uint32_t)((bits & 0x7F800000u) == 0x7F800000u);
    }
    if (!any) return n;
    for (size_t i = 0; i < n * width; i++) {
        if (!isfinite(x[i])) return i / width;
    }
    return n;
}

size_t batch_first_non_finite(const struct batch *batch) {
    // each column needs looking at only above the row found so far
    size_t first = first_non_finite(batch->s, batch->n, batch->S);
    first = first_non_finite(batch->a, first, batch->A);
    first = first_non_finite(batch->r, first, 1);
    return first_non_finite(batch->next, first, batch->S);
}
