/* Counts in logarithmic buckets, and what percentiles they tell. */

#include <errno.h>
#include <stdlib.h>

#include "common/histogram.h"
#include "common/rng.h"
#include "tests/unit/test.h"

/* Every value falls between the top of the bucket below and its own's, which
 * is at most 1/8 above it. */
static void buckets_hold_their_values(void **state) {
    (void)state;
    for (uint64_t value = 0; value <= UINT32_MAX; value += value / 1000 + 1) {
        size_t bucket = histogram_bucket(value);
        assert_true(bucket < HISTOGRAM_BUCKETS);
        assert_true(value <= histogram_top(bucket));
        assert_true(histogram_top(bucket) - value <= value / 8);
        if (bucket > 0) assert_true(value > histogram_top(bucket - 1));
    }
}

/* Neighbouring buckets leave no gap, and the last one ends at 2^32 - 1. */
static void buckets_tile_the_line(void **state) {
    (void)state;
    for (size_t i = 0; i + 1 < HISTOGRAM_BUCKETS; i++) {
        assert_int_equal(histogram_bucket(histogram_top(i)), i);
        assert_int_equal(histogram_bucket(histogram_top(i) + 1), i + 1);
    }
    assert_int_equal(histogram_top(HISTOGRAM_BUCKETS - 1), UINT32_MAX);
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

/* 1 to 7, once each. */
static void quantiles_by_hand(void **state) {
    (void)state;
    struct histogram h = {0};
    assert_int_equal(histogram_quantile(&h, 0.5), 0);
    for (uint64_t value = 1; value <= 7; value++) histogram_add(&h, value);
    assert_int_equal(histogram_quantile(&h, 0.0), 1);
    assert_int_equal(histogram_quantile(&h, 0.5), 4);
    assert_int_equal(histogram_quantile(&h, 6.0 / 7), 6);
    assert_int_equal(histogram_quantile(&h, 0.99), 7);
    assert_int_equal(histogram_quantile(&h, 1.0), 7);
}

static int by_value(const void *x, const void *y) {
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

/* Beside a sorted list, over six decades. */
static void quantiles_are_near_the_sorted_ones(void **state) {
    (void)state;
    enum { N = 20000 };
    static uint64_t values[N];
    struct histogram h = {0};
    struct rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < N; i++) {
        values[i] = rng_below(&rng, (uint64_t)1 << (1 + rng_below(&rng, 20)));
        histogram_add(&h, values[i]);
    }
    qsort(values, N, sizeof values[0], by_value);
    const double qs[] = {0.1, 0.5, 0.95, 0.99, 0.999};
    for (size_t i = 0; i < sizeof qs / sizeof qs[0]; i++) {
        uint64_t exact = values[(size_t)(qs[i] * N + 0.5) - 1];
        uint64_t told = histogram_quantile(&h, qs[i]);
        assert_true(told >= exact && told - exact <= exact / 8);
    }
}

/* Two that are merged are one that saw all of it. */
static void merging_is_counting_all(void **state) {
    (void)state;
    struct histogram one = {0}, other = {0}, both = {0};
    for (uint64_t i = 0; i < 1000; i++) {
        histogram_add(i % 3 == 0 ? &one : &other, i * i);
        histogram_add(&both, i * i);
    }
    histogram_merge(&one, &other);
    assert_memory_equal(&one, &both, sizeof both);
}

/* A heartbeat's form: pairs of the buckets that hold something, and back. */
static void pairs_bring_it_back(void **state) {
    (void)state;
    struct histogram h = {0}, back = {0};
    uint32_t pairs[HISTOGRAM_BUCKETS];
    assert_int_equal(histogram_pack(&h, pairs), 0);
    for (uint64_t i = 0; i < 300; i++) histogram_add(&h, i * i * i);
    size_t n = histogram_pack(&h, pairs);
    assert_true(n > 10 && n < HISTOGRAM_BUCKETS);
    assert_int_equal(histogram_unpack(&back, pairs, n), 0);
    assert_memory_equal(&h, &back, sizeof h);
    /* a count that does not fit is told as the greatest that does */
    histogram_add_bucket(&h, 239, (uint64_t)1 << 40);
    n = histogram_pack(&h, pairs);
    assert_int_equal(pairs[n - 1], 239u << 24 | 0xFFFFFF);
}

/* Pairs come from outside: nothing is added of a list that cannot be. */
static void wrong_pairs_add_nothing(void **state) {
    (void)state;
    const struct {
        size_t n;
        uint32_t pairs[3];
    } wrong[] = {
        {1, {240u << 24 | 1}},                      /* no such bucket */
        {2, {5u << 24 | 1, 5u << 24 | 1}},          /* twice */
        {3, {1u << 24 | 1, 9u << 24, 8u << 24 | 1}} /* not in order */
    };
    struct histogram h = {0};
    const struct histogram empty = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(histogram_unpack(&h, wrong[i].pairs, wrong[i].n),
                         -EINVAL);
        assert_memory_equal(&h, &empty, sizeof h);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_hold_their_values),
        cmocka_unit_test(buckets_tile_the_line),
        cmocka_unit_test(quantiles_by_hand),
        cmocka_unit_test(quantiles_are_near_the_sorted_ones),
        cmocka_unit_test(merging_is_counting_all),
        cmocka_unit_test(pairs_bring_it_back),
        cmocka_unit_test(wrong_pairs_add_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
