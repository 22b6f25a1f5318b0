#include "common/fastmath.h"
#include "common/policy.h"
#include "tests/unit/test.h"

#include <string.h>

/* exp within 1e-6 relative over its whole range, and clamped outside. */
static void fast_exp_is_accurate(void **state) {
    (void)state;
    for (float x = -87.0f; x <= 88.0f; x += 0.00137f) {
        const double exact = exp((double)x);
        const double got = (double)fastmath_exp(x);
        if (fabs(got / exact - 1.0) > 1e-6) fail_msg("exp(%g)", (double)x);
    }
    assert_close(fastmath_exp(0.0f), 1.0f, 0.0f);
    assert_true(fastmath_exp(-1e30f) > 0.0f && fastmath_exp(-1e30f) < 1e-37f);
    assert_true(isfinite(fastmath_exp(1e30f)));
}

/* tanh within 2e-7 absolute; odd; exactly 1 far out. */
static void fast_tanh_is_accurate(void **state) {
    (void)state;
    for (float x = -12.0f; x <= 12.0f; x += 0.00037f) {
        assert_close(fastmath_tanh(x), (float)tanh((double)x), 2e-7f);
        assert_close(fastmath_tanh(-x), -fastmath_tanh(x), 0.0f);
    }
    assert_close(fastmath_tanh(1e6f), 1.0f, 0.0f);
}

/* a = tanh f(s, xi), with and without u. */
static void action_is_the_squashed_network(void **state) {
    (void)state;
    enum { B = 2, N = 3, A = 2, S = 3, H = 8, P = 256 };
    const struct mlp_shape shape = {.S = S, .X = A, .H = H, .Y = A};
    float phi[P], s[B * S], xi[B * N * A], f[B * N * A], u[B * N * A];
    float a[B * N * A], alone[B * N * A];
    struct mlp_work work;
    assert_true(mlp_parameters(&shape) <= P);
    assert_int_equal(mlp_work_init(&work, &shape, B * N, B), 0);
    test_fill_normal(phi, P, 1);
    test_fill_normal(s, B * S, 2);
    test_fill_normal(xi, B * N * A, 3);
    test_fill_nan(u, B * N * A);
    test_fill_nan(a, B * N * A);
    test_fill_nan(alone, B * N * A);
    mlp_forward(&shape, f, phi, s, xi, B, N, 0, &work);
    policy_act(&shape, a, u, phi, s, xi, B, N, &work);
    policy_act(&shape, alone, NULL, phi, s, xi, B, N, &work);
    for (size_t i = 0; i < B * N * A; i++) {
        assert_close(u[i], f[i], 0.0f);
        assert_close(a[i], tanhf(f[i]), 3e-7f);
        assert_close(alone[i], a[i], 0.0f);
    }
    mlp_work_finish(&work);
}

/* sum log(1 - tanh^2 u), also where tanh has reached 1 in floats. */
static void log_squash_is_stable(void **state) {
    (void)state;
    const float u[] = {0.5f, -1.25f, 0.0f};
    float expected = 0.0f;
    for (size_t i = 0; i < 3; i++) {
        const double t = tanh((double)u[i]);
        expected += (float)log(1.0 - t * t);
    }
    assert_close(policy_log_squash(u, 3), expected, 1e-6f);
    // for large |u| it tends to 2 log 2 - 2 |u|
    const float far[] = {40.0f}, below[] = {-40.0f};
    assert_close(policy_log_squash(far, 1), 2.0f * logf(2.0f) - 80.0f, 1e-4f);
    assert_close(policy_log_squash(below, 1), 2.0f * logf(2.0f) - 80.0f, 1e-4f);
}

/* g = d/du [ q(tanh u) + alpha log_squash(u) ], for q(a) = sum c a + a^2 / 2.
 */
static void squash_score_matches_finite_differences(void **state) {
    (void)state;
    enum { n = 24 };
    const float alpha = 0.7f, c = 1.5f, eps = 1e-2f;
    float u[n], g[n];
    test_fill_normal(u, n, 5);
    for (size_t i = 0; i < n; i++) g[i] = c + tanhf(u[i]); // dq/da
    policy_squash_score(g, u, alpha, n);
    for (size_t i = 0; i < n; i++) {
        float value[2];
        for (int k = 0; k < 2; k++) {
            const float v = u[i] + (k ? eps : -eps), a = tanhf(v);
            value[k] = c * a + 0.5f * a * a + alpha * policy_log_squash(&v, 1);
        }
        assert_close(g[i], (value[1] - value[0]) / (2.0f * eps), 1e-3f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_exp_is_accurate),
        cmocka_unit_test(fast_tanh_is_accurate),
        cmocka_unit_test(action_is_the_squashed_network),
        cmocka_unit_test(log_squash_is_stable),
        cmocka_unit_test(squash_score_matches_finite_differences),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
