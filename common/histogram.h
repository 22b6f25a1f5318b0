#ifndef COMMON_HISTOGRAM_H
#define COMMON_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/*
 * How long things took: counts in buckets of fixed, logarithmic width, eight
 * an octave, so that a percentile is off by at most 1/8 of itself wherever it
 * lies. Two histograms add up bucket by bucket. Pure; no clock.
 *
 * Values are microseconds by convention: 0 to 7 have a bucket each, 2^32 - 1
 * (71 minutes) and all above share the last one's octave.
 */
enum { HISTOGRAM_BUCKETS = 240 };

struct histogram {
    uint64_t n;                         /* values counted */
    uint64_t counts[HISTOGRAM_BUCKETS]; /* by histogram_bucket() */
};

/* The bucket that value falls into, below HISTOGRAM_BUCKETS. */
size_t histogram_bucket(uint64_t value);
/* The greatest value of that bucket. */
uint64_t histogram_top(size_t bucket);

void histogram_add(struct histogram *histogram, uint64_t value);
/* n values of one bucket. */
void histogram_add_bucket(struct histogram *histogram, size_t bucket,
                          uint64_t n);
void histogram_merge(struct histogram *into, const struct histogram *from);

/*
 * The top of the bucket that holds the smallest value with a share of at least
 * q of all values at or below it, q in [0, 1]; 0 when nothing was counted.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double q);

/*
 * For a message: each bucket that holds something as bucket << 24 | count, in
 * order, a count above 2^24 - 1 as that. Returns how many. pairs out
 * (HISTOGRAM_BUCKETS).
 */
size_t histogram_pack(const struct histogram *histogram, uint32_t *pairs);
/* Add n pairs. -EINVAL: no such bucket, or not in order; nothing is added. */
int histogram_unpack(struct histogram *histogram, const uint32_t *pairs,
                     size_t n);

#endif
