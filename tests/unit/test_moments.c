#include "common/moments.h"
#include "tests/unit/test.h"

#include <string.h>

enum { S = 3, MANY = 1000 };

/* Mean and sum of squared deviations of one column, in two passes. */
static void two_passes(const float *s, size_t n, size_t column, double *mean,
                       double *m2) {
    *mean = *m2 = 0.0;
    for (size_t b = 0; b < n; b++) *mean += (double)s[b * S + column];
    *mean /= (double)n;
    for (size_t b = 0; b < n; b++) {
        const double off = (double)s[b * S + column] - *mean;
        *m2 += off * off;
    }
}

/* Columns of very different size; the second has a mean of 1e4 deviations. */
static void fill(float *s, size_t n) {
    test_fill_normal(s, n * S, 3);
    for (size_t b = 0; b < n; b++) {
        s[b * S + 1] = 1000.0f + 0.1f * s[b * S + 1];
        s[b * S + 2] = 1e-3f * s[b * S + 2] - 5.0f;
    }
}

/* 1, 2, 6 have mean 3 and deviations whose squares sum to 14. */
static void a_hand_computed_case(void **state) {
    (void)state;
    const float s[] = {1.0f, 2.0f, 6.0f};
    struct moments moments;
    assert_int_equal(moments_init(&moments, 1), 0);
    moments_add(&moments, s, 3);
    assert_true(moments.count == 3.0);
    assert_close((float)moments.mean[0], 3.0f, 1e-6f);
    assert_close((float)moments.m2[0], 14.0f, 1e-5f);
    assert_close(moments.shift[0], 3.0f, 1e-6f);
    assert_close(moments.scale[0], 1.0f / sqrtf(14.0f / 3.0f), 1e-6f);
    moments_finish(&moments);
}

/* Piece by uneven piece gives what two passes over all of it give. */
static void pieces_merge_to_the_whole(void **state) {
    (void)state;
    static float s[MANY * S];
    const size_t pieces[] = {1, 2, 64, 7, 500, 1, 425};
    struct moments moments;
    size_t done = 0;
    fill(s, MANY);
    assert_int_equal(moments_init(&moments, S), 0);
    for (size_t i = 0; i < 7; i++) {
        moments_add(&moments, s + done * S, pieces[i]);
        done += pieces[i];
        assert_true(moments.count == (double)done);
        for (size_t c = 0; c < S; c++) {
            double mean, m2;
            two_passes(s, done, c, &mean, &m2);
            assert_true(fabs(moments.mean[c] - mean) <=
                        1e-12 * fabs(mean) + 1e-14);
            assert_true(fabs(moments.m2[c] - m2) <= 1e-9 * m2 + 1e-14);
        }
    }
    assert_int_equal(done, MANY);
    moments_finish(&moments);
}

/* The networks then see mean 0 and deviation 1. */
static void what_is_seen_is_standard(void **state) {
    (void)state;
    static float s[MANY * S];
    struct moments moments;
    fill(s, MANY);
    assert_int_equal(moments_init(&moments, S), 0);
    moments_add(&moments, s, MANY);
    for (size_t c = 0; c < S; c++) {
        double mean = 0.0, square = 0.0;
        for (size_t b = 0; b < MANY; b++) {
            const double z =
                (double)((s[b * S + c] - moments.shift[c]) * moments.scale[c]);
            mean += z / MANY;
            square += z * z / MANY;
        }
        assert_close((float)mean, 0.0f, 1e-3f);
        assert_close((float)square, 1.0f, 1e-2f);
    }
    moments_finish(&moments);
}

/* A column that never moves is seen as 0, not as 0 / 0. */
static void a_constant_column_is_zero(void **state) {
    (void)state;
    float s[64 * S];
    struct moments moments;
    assert_int_equal(moments_init(&moments, S), 0);
    for (size_t round = 0; round < 20; round++) {
        for (size_t b = 0; b < 64; b++) {
            s[b * S] = 0.1f;
            s[b * S + 1] = -1234.567f;
            s[b * S + 2] = 0.0f;
        }
        moments_add(&moments, s, 64);
        for (size_t c = 0; c < S; c++) {
            assert_true(isfinite(moments.scale[c]));
            assert_close((s[c] - moments.shift[c]) * moments.scale[c], 0.0f,
                         0.0f);
        }
    }
    moments_finish(&moments);
}

/* Before the first observation nothing is changed. */
static void nothing_seen_changes_nothing(void **state) {
    (void)state;
    struct moments moments;
    assert_int_equal(moments_init(&moments, S), 0);
    for (size_t c = 0; c < S; c++) {
        assert_close(moments.shift[c], 0.0f, 0.0f);
        assert_close(moments.scale[c], 1.0f, 1e-6f);
    }
    moments_finish(&moments);
    moments_finish(&moments); // a zeroed one
}

/* count, mean and m2 are all there is: copied, counting goes on bit for bit. */
static void a_copy_goes_on(void **state) {
    (void)state;
    static float s[MANY * S];
    struct moments x, y;
    fill(s, MANY);
    assert_int_equal(moments_init(&x, S), 0);
    assert_int_equal(moments_init(&y, S), 0);
    moments_add(&x, s, 333);
    y.count = x.count;
    memcpy(y.mean, x.mean, sizeof(double) * S);
    memcpy(y.m2, x.m2, sizeof(double) * S);
    moments_refresh(&y);
    assert_memory_equal(y.shift, x.shift, sizeof(float) * S);
    assert_memory_equal(y.scale, x.scale, sizeof(float) * S);
    moments_add(&x, s + (size_t)333 * S, MANY - 333);
    moments_add(&y, s + (size_t)333 * S, MANY - 333);
    assert_memory_equal(y.mean, x.mean, sizeof(double) * S);
    assert_memory_equal(y.m2, x.m2, sizeof(double) * S);
    assert_memory_equal(y.scale, x.scale, sizeof(float) * S);
    moments_finish(&x);
    moments_finish(&y);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hand_computed_case),
        cmocka_unit_test(pieces_merge_to_the_whole),
        cmocka_unit_test(what_is_seen_is_standard),
        cmocka_unit_test(a_constant_column_is_zero),
        cmocka_unit_test(nothing_seen_changes_nothing),
        cmocka_unit_test(a_copy_goes_on),
    };
    return cmocka_run_group_tests_name("moments", tests, NULL, NULL);
}
