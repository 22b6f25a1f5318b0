#include "common/fastmath.h"
#include "common/policy.h"
#include "tests/unit/test.h"

#include <stdlib.h>
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

/* log within 2e-7 of the larger of 1 and itself, over all normal floats. */
static void fast_log_is_accurate(void **state) {
    (void)state;
    for (float x = 1.2e-38f; x < 3e38f; x *= 1.00013f) {
        const double exact = log((double)x);
        const double off = fabs((double)fastmath_log(x) - exact);
        if (off > 2e-7 * fmax(1.0, fabs(exact))) fail_msg("log(%g)", (double)x);
    }
    assert_close(fastmath_log(1.0f), 0.0f, 0.0f);
}

/* Sine and cosine of a turn's parts within 2e-7, quarters too. */
static void fast_turn_is_accurate(void **state) {
    (void)state;
    for (int i = 0; i <= 1 << 20; i++) {
        const float x = (float)i * 0x1p-20f;
        const double angle = 6.283185307179586 * (double)x;
        float sine = NAN, cosine = NAN;
        fastmath_turn(x, &sine, &cosine);
        assert_close(sine, (float)sin(angle), 2e-7f);
        assert_close(cosine, (float)cos(angle), 2e-7f);
    }
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

/* log(1 - tanh^2 u), also where tanh has reached 1 in floats. */
static void log_squash_is_stable(void **state) {
    (void)state;
    enum { n = 2001 };
    static float u[n], out[n];
    for (size_t i = 0; i < n; i++) u[i] = 6.0f * (float)i / (n - 1) - 3.0f;
    policy_log_squash(out, u, n);
    for (size_t i = 0; i < n; i++) {
        const double t = tanh((double)u[i]);
        assert_close(out[i], (float)log(1.0 - t * t), 1e-6f);
    }
    // for large |u| it tends to 2 log 2 - 2 |u|
    const float far[] = {40.0f, -40.0f};
    policy_log_squash(out, far, 2);
    assert_close(out[0], 2.0f * logf(2.0f) - 80.0f, 1e-4f);
    assert_close(out[1], 2.0f * logf(2.0f) - 80.0f, 1e-4f);
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
            policy_log_squash(&value[k], &v, 1);
            value[k] = c * a + 0.5f * a * a + alpha * value[k];
        }
        assert_close(g[i], (value[1] - value[0]) / (2.0f * eps), 1e-3f);
    }
}

/* From a set: its rows and no others, each about as often. */
static void noise_comes_from_the_set(void **state) {
    (void)state;
    enum { A = 3, SET = 7, DRAWS = 7000 };
    static float xi[DRAWS * A];
    float set[(SET + 1) * A]; // one row more, not in use
    const struct policy policy = {.shape = {.S = 1, .X = A, .H = 1, .Y = A},
                                  .n_noise = SET,
                                  .noise = set};
    size_t times[SET] = {0};
    struct rng rng;
    rng_init(&rng, 5, RNG_TEST, 0, 0, 0);
    test_fill_normal(set, (size_t)(SET + 1) * A, 1);
    test_fill_nan(xi, (size_t)DRAWS * A);
    policy_draw_noise(&policy, xi, DRAWS, &rng);
    for (size_t i = 0; i < DRAWS; i++) {
        size_t row = 0;
        while (row < SET &&
               memcmp(xi + i * A, set + row * A, sizeof(float) * A) != 0)
            row++;
        assert_true(row < SET);
        times[row]++;
    }
    // 1000 each, standard deviation 29
    for (size_t row = 0; row < SET; row++)
        assert_in_range(times[row], 850, 1150);
}

/* One row is the only noise: the deterministic policy. */
static void one_row_is_no_choice(void **state) {
    (void)state;
    const float zeros[2] = {0};
    const struct policy policy = {.shape = {.S = 1, .X = 2, .H = 1, .Y = 2},
                                  .n_noise = 1,
                                  .noise = zeros};
    float xi[20];
    struct rng rng;
    rng_init(&rng, 5, RNG_TEST, 0, 0, 0);
    test_fill_nan(xi, 20);
    policy_draw_noise(&policy, xi, 10, &rng);
    for (size_t i = 0; i < 20; i++) assert_close(xi[i], 0.0f, 0.0f);
}

/* Without a set noise is N(0, 1). */
static void noise_is_fresh_without_a_set(void **state) {
    (void)state;
    enum { A = 2, DRAWS = 5000 };
    static float xi[DRAWS * A], expected[DRAWS * A];
    const struct policy policy = {.shape = {.S = 1, .X = A, .H = 1, .Y = A}};
    struct rng rng, same;
    rng_init(&rng, 5, RNG_TEST, 0, 0, 0);
    same = rng;
    test_fill_nan(xi, (size_t)DRAWS * A);
    policy_draw_noise(&policy, xi, DRAWS, &rng);
    rng_fill_normal(&same, expected, (size_t)DRAWS * A);
    assert_memory_equal(xi, expected, sizeof(xi));
}

/* (s - mean) scale, within 10 deviations; without a mean s itself. */
static void observations_are_normalised(void **state) {
    (void)state;
    const float s[] = {3.0f, 1.0f, -1e6f, 7.0f, 1.0f, 1e6f};
    const float mean[] = {1.0f, 1.0f, 2.0f}, scale[] = {0.5f, 1e4f, 0.1f};
    const float expected[] = {1.0f, 0.0f, -10.0f, 3.0f, 0.0f, 10.0f};
    const struct policy plain = {.shape = {.S = 3}};
    const struct policy policy = {
        .shape = {.S = 3}, .mean = mean, .scale = scale};
    float x[6], observed[6];
    test_fill_nan(x, 6);
    test_fill_nan(observed, 6);
    policy_normalise(x, s, mean, scale, 2, 3);
    policy_observe(&policy, observed, s, 2);
    for (size_t i = 0; i < 6; i++) {
        assert_close(x[i], expected[i], 0.0f);
        assert_close(observed[i], expected[i], 0.0f);
    }
    policy_normalise(x, s, NULL, NULL, 2, 3);
    assert_memory_equal(x, s, sizeof(s)); // not clipped either
    policy_observe(&plain, observed, s, 2);
    assert_memory_equal(observed, s, sizeof(s));
}

/* A copy is alike and depends on none of the arrays that it was made of. */
static void a_copy_is_deep(void **state) {
    (void)state;
    enum { S = 3, A = 2, H = 4, P = 64, SET = 5 };
    float phi[P], set[SET * A], mean[S], scale[S];
    float kept[P], kept_set[SET * A], kept_mean[S], kept_scale[S];
    const struct policy policy = {.shape = {.S = S, .X = A, .H = H, .Y = A},
                                  .phi = phi,
                                  .alpha = 0.25f,
                                  .n_noise = SET,
                                  .noise = set,
                                  .mean = mean,
                                  .scale = scale};
    const size_t n = mlp_parameters(&policy.shape);
    assert_true(n <= P);
    test_fill_normal(phi, P, 1), memcpy(kept, phi, sizeof(phi));
    test_fill_normal(set, SET * A, 2), memcpy(kept_set, set, sizeof(set));
    test_fill_normal(mean, S, 3), memcpy(kept_mean, mean, sizeof(mean));
    test_fill_normal(scale, S, 4), memcpy(kept_scale, scale, sizeof(scale));
    struct policy *copy = policy_copy(&policy);
    assert_non_null(copy);
    test_fill_nan(phi, P);
    test_fill_nan(set, SET * A);
    test_fill_nan(mean, S);
    test_fill_nan(scale, S);
    assert_memory_equal(copy->phi, kept, sizeof(float) * n);
    assert_memory_equal(copy->noise, kept_set, sizeof(kept_set));
    assert_memory_equal(copy->mean, kept_mean, sizeof(kept_mean));
    assert_memory_equal(copy->scale, kept_scale, sizeof(kept_scale));
    assert_int_equal(copy->n_noise, SET);
    assert_close(copy->alpha, 0.25f, 0.0f);
    assert_memory_equal(&copy->shape, &policy.shape, sizeof(copy->shape));
    assert_true(policy_most_floats(&policy.shape, SET) >=
                n + (size_t)SET * A + 2 * S);
    free(copy);
}

/* What a policy lacks its copy lacks. */
static void a_copy_keeps_what_is_absent(void **state) {
    (void)state;
    float phi[64] = {0};
    const struct policy policy = {.shape = {.S = 3, .X = 2, .H = 4, .Y = 2},
                                  .phi = phi};
    struct policy *copy = policy_copy(&policy);
    assert_non_null(copy);
    assert_null(copy->noise);
    assert_null(copy->mean);
    assert_null(copy->scale);
    assert_int_equal(copy->n_noise, 0);
    free(copy);
}

/*
 * d = 1: xi = 1, u = 0, du/dxi = 1/2: log N(1) = -1/2 - log sqrt(2 pi), less
 * log 1/2. d = 2: the same with du/dxi of determinant -3, by a swap of rows.
 */
static void densities_by_hand(void **state) {
    (void)state;
    const float log_sqrt_2pi = 0.5f * logf(2.0f * 3.14159265f);
    const float xi[] = {1.0f, 0.5f}, u[] = {0.0f, 0.3f};
    float half[] = {0.5f}, folded[] = {0.0f, 1.5f, 2.0f, 7.0f};
    float flat[] = {1.0f, 2.0f, 2.0f, 4.0f}, lost[] = {NAN, 1.0f, 1.0f, 1.0f};
    struct policy_determinants seen = {0};
    float log_q = NAN;
    policy_log_density(&log_q, &seen, xi, u, half, 1, 1);
    assert_close(log_q, -0.5f - log_sqrt_2pi + logf(2.0f), 1e-6f);
    assert_int_equal(seen.negative, 0);
    policy_log_density(&log_q, &seen, xi, u, folded, 1, 2);
    const float t = tanhf(0.3f);
    assert_close(
        log_q, -0.625f - 2.0f * log_sqrt_2pi - logf(3.0f) - logf(1.0f - t * t),
        1e-5f);
    assert_int_equal(seen.negative, 1);
    assert_int_equal(seen.degenerate, 0);
    policy_log_density(&log_q, &seen, xi, u, flat, 1, 2);
    assert_true(log_q == INFINITY);
    policy_log_density(&log_q, NULL, xi, u, lost, 1, 2);
    assert_true(log_q == INFINITY);
    assert_int_equal(seen.degenerate, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_exp_is_accurate),
        cmocka_unit_test(fast_log_is_accurate),
        cmocka_unit_test(fast_turn_is_accurate),
        cmocka_unit_test(fast_tanh_is_accurate),
        cmocka_unit_test(action_is_the_squashed_network),
        cmocka_unit_test(log_squash_is_stable),
        cmocka_unit_test(squash_score_matches_finite_differences),
        cmocka_unit_test(noise_comes_from_the_set),
        cmocka_unit_test(one_row_is_no_choice),
        cmocka_unit_test(noise_is_fresh_without_a_set),
        cmocka_unit_test(observations_are_normalised),
        cmocka_unit_test(a_copy_is_deep),
        cmocka_unit_test(a_copy_keeps_what_is_absent),
        cmocka_unit_test(densities_by_hand),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
