#include "learner/svgd.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

enum { B = 3, K = 4, M = 5, A = 2, FIXED = B * K * A, MOVED = B * M * A };
enum { PAIRS = B * K * M, SCRATCH = 64 };
static const struct svgd_dims dims = {.B = B, .K = K, .M = M, .A = A};

/* mean_j kappa(x_j, y) weight_j. x (K, A), y (A), weight every A. */
static double mean_kernel(const float *x, const float *y, float h,
                          const float *weight) {
    double sum = 0.0;
    for (size_t j = 0; j < K; j++) {
        double d2 = 0.0;
        for (size_t d = 0; d < A; d++) {
            const double diff = (double)x[j * A + d] - (double)y[d];
            d2 += diff * diff;
        }
        sum += exp(-d2 / (double)h) * (weight ? (double)weight[j * A] : 1.0);
    }
    return sum / K;
}

/* D = mean kernel-weighted g - alpha * slope of the mean kernel along y. */
static void direction_matches_finite_differences(void **state) {
    (void)state;
    const float h[B] = {0.3f, 0.7f, 2.0f}, alpha = 0.5f, eps = 1e-3f;
    float x[FIXED], g[FIXED], y[MOVED], d2[PAIRS], D[MOVED], scratch[SCRATCH];
    test_fill_normal(x, FIXED, 1);
    test_fill_normal(g, FIXED, 2);
    test_fill_normal(y, MOVED, 3);
    test_fill_nan(d2, PAIRS);
    test_fill_nan(D, MOVED);
    assert_true(svgd_scratch_len(dims) <= SCRATCH);

    svgd_distances(d2, x, y, dims, scratch);
    svgd_direction(D, x, y, g, d2, h, alpha, dims, scratch);

    for (size_t i = 0; i < MOVED; i++) {
        const size_t b = i / A / M, d = i % A;
        const float *x_b = x + b * K * A, kept = y[i];
        float *y_i = y + i - d;
        const double pull = mean_kernel(x_b, y_i, h[b], g + b * K * A + d);
        y[i] = kept + eps;
        const double up = mean_kernel(x_b, y_i, h[b], NULL);
        y[i] = kept - eps;
        const double down = mean_kernel(x_b, y_i, h[b], NULL);
        y[i] = kept;
        const double slope = (up - down) / (2.0 * (double)eps);
        assert_close(D[i], (float)(pull - (double)alpha * slope), 1e-3f);
    }
}

/* Only differences between particles matter. */
static void direction_is_translation_invariant(void **state) {
    (void)state;
    float x[FIXED], g[FIXED], y[MOVED], d2[PAIRS];
    float h[B], here[MOVED], there[MOVED], scratch[SCRATCH];
    test_fill_normal(x, FIXED, 3);
    test_fill_normal(g, FIXED, 4);
    test_fill_normal(y, MOVED, 5);

    svgd_distances(d2, x, y, dims, scratch);
    svgd_bandwidth(h, d2, dims);
    svgd_direction(here, x, y, g, d2, h, 0.5f, dims, scratch);
    for (size_t i = 0; i < FIXED; i++) x[i] += 2.0f;
    for (size_t i = 0; i < MOVED; i++) y[i] += 2.0f;
    svgd_distances(d2, x, y, dims, scratch);
    svgd_bandwidth(h, d2, dims);
    svgd_direction(there, x, y, g, d2, h, 0.5f, dims, scratch);

    for (size_t i = 0; i < MOVED; i++) assert_close(here[i], there[i], 1e-4f);
}

/* One particle far from all others is only repelled by nothing: D is 0. */
static void far_particles_do_not_interact(void **state) {
    (void)state;
    const struct svgd_dims n = {.B = 1, .K = 2, .M = 1, .A = 1};
    const float x[] = {100.0f, -100.0f}, y[] = {0.0f}, g[] = {1.0f, 1.0f};
    const float h = 1.0f;
    float d2[2], D = NAN, scratch[8];
    svgd_distances(d2, x, y, n, scratch);
    svgd_direction(&D, x, y, g, d2, &h, 1.0f, n, scratch);
    assert_close(D, 0.0f, 1e-30f);
}

/* Squared distances 1, 4, 9 and 16: the lower median is 4. */
static void bandwidth_matches_hand_computation(void **state) {
    (void)state;
    const struct svgd_dims n = {.B = 1, .K = 4, .M = 1, .A = 1};
    const float x[] = {0.0f, 3.0f, -2.0f, 5.0f}, y[] = {1.0f};
    float h = NAN, d2[4], scratch[4];
    svgd_distances(d2, x, y, n, scratch);
    svgd_bandwidth(&h, d2, n);
    assert_close(h, 4.0f / logf(4.0f), 1e-6f);
}

static int compare_floats(const void *x, const void *y) {
    const float a = *(const float *)x, b = *(const float *)y;
    return (a > b) - (a < b);
}

/* The median is the sorted one for random, tied and ordered distances. */
static void bandwidth_is_the_sorted_median(void **state) {
    (void)state;
    enum { MOST = 16 };
    float d2[MOST * MOST];
    for (size_t round = 0; round < 3000; round++) {
        const struct svgd_dims n = {
            .B = 1, .K = 2 + round % 15, .M = 1 + round / 15 % 16, .A = 1};
        const size_t pairs = n.K * n.M;
        float h = NAN;
        test_fill_normal(d2, pairs, round + 1);
        for (size_t p = 0; p < pairs; p++) {
            d2[p] = d2[p] * d2[p];
            if (round % 3 == 1) d2[p] = floorf(4.0f * d2[p]) + 1.0f;
            if (round % 3 == 2) d2[p] = (float)p + 1.0f;
        }
        svgd_bandwidth(&h, d2, n);
        qsort(d2, pairs, sizeof(*d2), compare_floats);
        const float median = d2[(pairs - 1) / 2];
        assert_close(h, fmaxf(median / logf((float)n.K), 1e-3f), 1e-6f * h);
    }
}

/* Coincident particles must not divide by a zero median. */
static void bandwidth_has_a_floor(void **state) {
    (void)state;
    float x[FIXED] = {0}, y[MOVED] = {0}, d2[PAIRS], h[B], scratch[SCRATCH];
    svgd_distances(d2, x, y, dims, scratch);
    svgd_bandwidth(h, d2, dims);
    for (size_t b = 0; b < B; b++) assert_close(h[b], 1e-3f, 1e-9f);
}

/* NaN distances give some answer: no loop without end, no wild read. */
static void bandwidth_survives_nan(void **state) {
    (void)state;
    float d2[PAIRS], h[B];
    test_fill_nan(d2, PAIRS);
    svgd_bandwidth(h, d2, dims);
    test_fill_normal(d2, PAIRS, 1);
    for (size_t p = 0; p < PAIRS; p += 3) d2[p] = NAN;
    svgd_bandwidth(h, d2, dims);
}

/* The two-set formula in double with j = i left out, one state. D out (K, A).
 */
static void one_set_in_double(double *D, const float *x, const float *g,
                              double h, double alpha, size_t n) {
    for (size_t i = 0; i < n; i++) {
        D[i * A] = D[i * A + 1] = 0.0;
        for (size_t j = 0; j < n; j++) {
            double d2 = 0.0;
            if (j == i) continue;
            for (size_t d = 0; d < A; d++) {
                const double apart =
                    (double)x[j * A + d] - (double)x[i * A + d];
                d2 += apart * apart;
            }
            for (size_t d = 0; d < A; d++) {
                const double apart =
                    (double)x[j * A + d] - (double)x[i * A + d];
                D[i * A + d] += exp(-d2 / h) *
                                ((double)g[j * A + d] - alpha * 2 / h * apart) /
                                (double)(n - 1);
            }
        }
    }
}

/* One set: the sum over the others, by K - 1; also for the least set, two. */
static void one_set_leaves_out_the_diagonal(void **state) {
    (void)state;
    enum { MOST = 6, STATES = 3 };
    const float h[STATES] = {0.3f, 0.9f, 2.0f}, alpha = 0.6f;
    for (size_t k = 2; k <= MOST; k++) {
        const struct svgd_dims n = {
            .B = STATES, .K = k, .M = k, .A = A, .one_set = true};
        float x[STATES * MOST * A], g[STATES * MOST * A];
        float D[STATES * MOST * A], d2[STATES * MOST * MOST], scratch[SCRATCH];
        assert_true(svgd_scratch_len(n) <= SCRATCH);
        test_fill_normal(x, STATES * k * A, k);
        test_fill_normal(g, STATES * k * A, 10 + k);
        test_fill_nan(D, STATES * MOST * A);
        test_fill_nan(d2, STATES * MOST * MOST);
        test_fill_nan(scratch, SCRATCH);
        svgd_distances(d2, x, x, n, scratch);
        svgd_direction(D, x, x, g, d2, h, alpha, n, scratch);
        for (size_t b = 0; b < STATES; b++) {
            double expected[MOST * A];
            one_set_in_double(expected, x + b * k * A, g + b * k * A,
                              (double)h[b], (double)alpha, k);
            for (size_t i = 0; i < k * A; i++)
                assert_close(D[b * k * A + i], (float)expected[i], 2e-5f);
        }
    }
}

/* Points 0, 1, 3, 7: pairs 1, 4, 9, 16, 36, 49, each twice. The median is 9;
 * with the four zeros of the diagonal it would be 4. */
static void one_set_has_a_median_without_zeros(void **state) {
    (void)state;
    const struct svgd_dims n = {
        .B = 1, .K = 4, .M = 4, .A = 1, .one_set = true};
    const float x[] = {0.0f, 1.0f, 3.0f, 7.0f};
    float h = NAN, d2[16], scratch[16];
    assert_true(svgd_scratch_len(n) <= 16);
    test_fill_nan(scratch, 16);
    svgd_distances(d2, x, x, n, scratch);
    svgd_bandwidth(&h, d2, n);
    assert_close(h, 9.0f / logf(4.0f), 1e-5f);
}

/* Two particles 1 apart: the median is 1, and D is the other one's pull and
 * push alone, not halved. */
static void a_set_of_two_by_hand(void **state) {
    (void)state;
    const struct svgd_dims n = {
        .B = 1, .K = 2, .M = 2, .A = 1, .one_set = true};
    const float x[] = {0.0f, 1.0f}, g[] = {3.0f, -1.0f};
    float h = NAN, d2[4], D[2] = {NAN, NAN}, scratch[8];
    svgd_distances(d2, x, x, n, scratch);
    svgd_bandwidth(&h, d2, n);
    assert_close(h, 1.0f / logf(2.0f), 1e-6f);
    svgd_direction(D, x, x, g, d2, &h, 0.5f, n, scratch);
    // kappa = exp(-log 2) = 1/2, 2 alpha / h = log 2
    assert_close(D[0], 0.5f * (-1.0f - logf(2.0f)), 1e-6f);
    assert_close(D[1], 0.5f * (3.0f + logf(2.0f)), 1e-6f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(direction_matches_finite_differences),
        cmocka_unit_test(direction_is_translation_invariant),
        cmocka_unit_test(far_particles_do_not_interact),
        cmocka_unit_test(bandwidth_matches_hand_computation),
        cmocka_unit_test(bandwidth_is_the_sorted_median),
        cmocka_unit_test(bandwidth_has_a_floor),
        cmocka_unit_test(bandwidth_survives_nan),
        cmocka_unit_test(one_set_leaves_out_the_diagonal),
        cmocka_unit_test(one_set_has_a_median_without_zeros),
        cmocka_unit_test(a_set_of_two_by_hand),
    };
    return cmocka_run_group_tests_name("svgd", tests, NULL, NULL);
}
