#include "common/batch.h"
#include "learner/soft_value.h"
#include "tests/unit/test.h"

#include <stdlib.h>

/* VHAT where every proposal has one density. */
static void with_density(float *v, const float *q, float log_q, float alpha,
                         size_t B, size_t V) {
    float *densities = malloc(sizeof(float) * B * V);
    assert_non_null(densities);
    for (size_t i = 0; i < B * V; i++) densities[i] = log_q;
    soft_value(v, q, densities, 0.0f, alpha, B, V);
    free(densities);
}

#include <stdlib.h>

/* Two proposals worth 1 and 3 at alpha 2: alpha log mean exp(Q / alpha) / q. */
static void soft_value_matches_hand_computation(void **state) {
    (void)state;
    const float q[] = {1.0f, 3.0f, -5.0f, -5.0f}, log_q = -0.7f;
    float v[2] = {NAN, NAN};
    with_density(v, q, log_q, 2.0f, 2, 2);
    const double mean = (exp(0.5) + exp(1.5)) / 2.0;
    assert_close(v[0], (float)(2.0 * (log(mean) + 0.7)), 1e-5f);
    assert_close(v[1], -5.0f + 1.4f, 1e-5f); // equal values: no spread
}

/* V is at least (max - alpha log V) + entropy and at most max + entropy. */
static void soft_value_lies_between_its_bounds(void **state) {
    (void)state;
    enum { B = 50, V = 23 };
    float q[B * V], v[B];
    test_fill_normal(q, B * V, 1);
    for (size_t i = 0; i < B * V; i++) q[i] *= 30.0f;
    test_fill_nan(v, B);
    with_density(v, q, 0.0f, 0.5f, B, V);
    for (size_t b = 0; b < B; b++) {
        float largest = -INFINITY;
        for (size_t j = 0; j < V; j++) largest = fmaxf(largest, q[b * V + j]);
        assert_true(v[b] <= largest + 1e-4f);
        assert_true(v[b] >= largest - 0.5f * logf(V) - 1e-4f);
    }
}

/* Values of +-1e6 neither overflow nor vanish. */
static void soft_value_survives_large_values(void **state) {
    (void)state;
    const float q[] = {1e6f, 1e6f, -1e6f, -1e6f};
    float v[2] = {NAN, NAN};
    with_density(v, q, 0.0f, 0.1f, 2, 2);
    assert_close(v[0], 1e6f, 0.1f);
    assert_close(v[1], -1e6f, 0.1f);
}

/* Adding c to every Q adds c to V. */
static void soft_value_follows_a_shift(void **state) {
    (void)state;
    enum { V = 16 };
    float q[V], before = NAN, after = NAN;
    test_fill_normal(q, V, 2);
    with_density(&before, q, -1.0f, 0.7f, 1, V);
    for (size_t j = 0; j < V; j++) q[j] += 8.0f;
    with_density(&after, q, -1.0f, 0.7f, 1, V);
    assert_close(after, before + 8.0f, 1e-5f);
}

/* Against the integral of exp(-|a|^2 / alpha) over [-1,1]^2, in closed form. */
static void uniform_proposals_estimate_the_integral(void **state) {
    (void)state;
    enum { SIDE = 400, V = SIDE * SIDE };
    const float alpha = 0.5f;
    float *q = malloc(sizeof(*q) * V), v = NAN;
    assert_non_null(q);
    for (size_t j = 0; j < V; j++) {
        const float x = ((float)(j / SIDE) + 0.5f) * 2.0f / SIDE - 1.0f;
        const float y = ((float)(j % SIDE) + 0.5f) * 2.0f / SIDE - 1.0f;
        q[j] = -(x * x + y * y);
    }
    with_density(&v, q, soft_value_uniform_log_density(2), alpha, 1, V);
    const double root = sqrt(0.5), one = sqrt(M_PI) * root * erf(1.0 / root);
    assert_close(v, (float)(0.5 * 2.0 * log(one)), 1e-3f);
    free(q);
}

/* Terminal rows do not bootstrap, truncated ones do. */
static void target_bootstraps_unless_terminal(void **state) {
    (void)state;
    const float r[] = {1, 1, 1, 1}, v[] = {10, 10, 10, 10};
    const uint8_t flags[] = {0, BATCH_TERMINAL, BATCH_TRUNCATED,
                             BATCH_TERMINAL | BATCH_TRUNCATED};
    float target[4] = {NAN, NAN, NAN, NAN};
    soft_value_target(target, r, flags, v, 3.0f, 0.9f, 4);
    assert_close(target[0], 12.0f, 1e-5f);
    assert_close(target[1], 3.0f, 1e-5f);
    assert_close(target[2], 12.0f, 1e-5f);
    assert_close(target[3], 3.0f, 1e-5f);
}

/* dq is the slope of the returned sum over all rows of the minibatch. */
static void error_matches_finite_differences(void **state) {
    (void)state;
    enum { B = 5, ROWS = 20 };
    const float eps = 1e-2f;
    float q[B], target[B], dq[B], unused[B];
    test_fill_normal(q, B, 3);
    test_fill_normal(target, B, 4);
    test_fill_nan(dq, B);
    soft_value_error(dq, q, target, B, ROWS);
    for (size_t b = 0; b < B; b++) {
        const float kept = q[b];
        q[b] = kept + eps;
        const double up = soft_value_error(unused, q, target, B, ROWS) / ROWS;
        q[b] = kept - eps;
        const double down = soft_value_error(unused, q, target, B, ROWS) / ROWS;
        q[b] = kept;
        assert_close(dq[b], (float)((up - down) / 0.02), 1e-5f);
    }
}

/* A degenerate proposal weighs nothing, whatever its Q, and still counts. */
static void degenerate_proposals_weigh_nothing(void **state) {
    (void)state;
    const float q[] = {1.0f, 50.0f, 2.0f, 1.0f, 2.0f, -7.0f};
    const float log_q[] = {-1.0f, INFINITY, -2.0f, -1.0f, -2.0f, INFINITY};
    float v[2] = {NAN, NAN};
    soft_value(v, q, log_q, 0.0f, 0.5f, 2, 3);
    const double exact =
        0.5 * log((exp(1.0 / 0.5 + 1.0) + exp(2.0 / 0.5 + 2.0)) / 3.0);
    assert_close(v[0], (float)exact, 1e-5f);
    assert_close(v[1], (float)exact, 1e-5f);
}

/* Without any weight V is below everything, which the caller looks for. */
static void nothing_but_degenerate_proposals_is_minus_infinity(void **state) {
    (void)state;
    const float q[] = {1.0f, 50.0f}, log_q[] = {INFINITY, INFINITY};
    float v = NAN;
    soft_value(&v, q, log_q, 0.0f, 0.5f, 1, 2);
    assert_true(v == -INFINITY);
}

/* Densities are divided out: a proposal twice as likely weighs half. */
static void each_proposal_keeps_its_own_density(void **state) {
    (void)state;
    const float q[] = {3.0f, -1.0f, 0.5f};
    const float log_q[] = {0.7f, -3.0f, 40.0f};
    double sum = 0.0;
    float v = NAN;
    soft_value(&v, q, log_q, 0.0f, 2.0f, 1, 3);
    for (size_t j = 0; j < 3; j++)
        sum += exp((double)q[j] / 2.0 - (double)log_q[j]) / 3.0;
    assert_close(v, (float)(2.0 * log(sum)), 1e-5f);
}

/* The uniform measure takes alpha A log 2 off: constant Q is then V itself. */
static void uniform_measure_takes_the_volume_off(void **state) {
    (void)state;
    const float q[] = {4.0f, 4.0f}, volume = soft_value_uniform_log_density(3);
    const float log_q[] = {volume, volume};
    float v = NAN;
    soft_value(&v, q, log_q, volume, 1.5f, 1, 2);
    assert_close(v, 4.0f, 1e-5f);
}

/* A NaN among the Q is not lost on the way. */
static void a_nan_comes_through(void **state) {
    (void)state;
    const float q[] = {1.0f, NAN, 2.0f}, log_q[] = {0.0f, 0.0f, 0.0f};
    float v = 0.0f;
    soft_value(&v, q, log_q, 0.0f, 1.0f, 1, 3);
    assert_false(isfinite(v));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(soft_value_matches_hand_computation),
        cmocka_unit_test(soft_value_lies_between_its_bounds),
        cmocka_unit_test(soft_value_survives_large_values),
        cmocka_unit_test(soft_value_follows_a_shift),
        cmocka_unit_test(uniform_proposals_estimate_the_integral),
        cmocka_unit_test(target_bootstraps_unless_terminal),
        cmocka_unit_test(error_matches_finite_differences),
        cmocka_unit_test(degenerate_proposals_weigh_nothing),
        cmocka_unit_test(nothing_but_degenerate_proposals_is_minus_infinity),
        cmocka_unit_test(each_proposal_keeps_its_own_density),
        cmocka_unit_test(uniform_measure_takes_the_volume_off),
        cmocka_unit_test(a_nan_comes_through),
    };
    return cmocka_run_group_tests_name("soft_value", tests, NULL, NULL);
}
