#include "common/histogram.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

/* An octave is [2^e, 2^(e+1)), e >= 3: its three bits below the highest one
 * say which of its eight buckets. */
enum { BITS = 3, EIGHT = 1 << BITS };

size_t histogram_bucket(uint64_t value) {
    if (value < EIGHT) return (size_t)value;
    if (value > UINT32_MAX) value = UINT32_MAX;
    const unsigned e = 63 - (unsigned)__builtin_clzll(value);
    return (size_t)(e - BITS + 1) * EIGHT + (value >> (e - BITS) & (EIGHT - 1));
}

uint64_t histogram_top(size_t bucket) {
    assert(bucket < HISTOGRAM_BUCKETS);
    if (bucket < EIGHT) return bucket;
    const unsigned shift = (unsigned)(bucket / EIGHT) - 1;
    const uint64_t low = (uint64_t)(EIGHT + bucket % EIGHT) << shift;
    return low + (((uint64_t)1 << shift) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t value) {
    histogram_add_bucket(histogram, histogram_bucket(value), 1);
}

void histogram_add_bucket(struct histogram *histogram, size_t bucket,
                          uint64_t n) {
    assert(bucket < HISTOGRAM_BUCKETS);
    histogram->counts[bucket] += n;
    histogram->n += n;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        into->counts[i] += from->counts[i];
    }
    into->n += from->n;
}

uint64_t histogram_quantile(const struct histogram *histogram, double q) {
    assert(q >= 0.0 && q <= 1.0);
    if (histogram->n == 0) return 0;
    uint64_t rank = (uint64_t)ceil(q * (double)histogram->n), seen = 0;
    if (rank < 1) rank = 1;
    size_t i = 0;
    while (i + 1 < HISTOGRAM_BUCKETS && (seen += histogram->counts[i]) < rank) {
        i++;
    }
    return histogram_top(i);
}

size_t histogram_pack(const struct histogram *histogram, uint32_t *pairs) {
    const uint64_t most = ((uint64_t)1 << 24) - 1;
    size_t n = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t count = histogram->counts[i];
        if (count == 0) continue;
        pairs[n++] =
            (uint32_t)i << 24 | (uint32_t)(count < most ? count : most);
    }
    return n;
}

int histogram_unpack(struct histogram *histogram, const uint32_t *pairs,
                     size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (pairs[i] >> 24 >= HISTOGRAM_BUCKETS ||
            (i > 0 && pairs[i] >> 24 <= pairs[i - 1] >> 24)) {
            return -EINVAL;
        }
    }
    for (size_t i = 0; i < n; i++) {
        histogram_add_bucket(histogram, pairs[i] >> 24, pairs[i] & 0xFFFFFF);
    }
    return 0;
}
