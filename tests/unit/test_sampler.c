/*
 * What the sampler's law becomes when the project's own SVGD trains it on a Q
 * whose policy is known in closed form.
 */
#include "common/policy.h"
#include "common/rng.h"
#include "learner/adam.h"
#include "learner/svgd.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 8, K = 32, M = 32, H = 64, A_MAX = 8, SAMPLES = 10000 };

/* dQ/da at n actions: g out (n, A), a (n, A). */
typedef void action_gradient(float *g, const float *a, size_t n, size_t A);

struct sampler {
    struct mlp_shape shape;
    struct mlp_work work;
    struct rng rng;
    size_t P;
    float *phi, *m, *v, *mean, *gradient;
    float s[ROWS], xi[ROWS * K * A_MAX], x[ROWS * K * A_MAX];
    float a[ROWS * K * A_MAX], g[ROWS * K * A_MAX], y[ROWS * M * A_MAX];
    float D[ROWS * M * A_MAX], d2[ROWS * K * M], h[ROWS], scratch[4096];
};

static struct sampler *sampler_new(size_t A) {
    struct sampler *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    f->shape = (struct mlp_shape){.S = 1, .X = A, .H = H, .Y = A};
    f->P = mlp_parameters(&f->shape);
    f->phi = calloc(5 * f->P, sizeof(float));
    assert_non_null(f->phi);
    f->m = f->phi + f->P;
    f->v = f->m + f->P;
    f->mean = f->v + f->P;
    f->gradient = f->mean + f->P;
    assert_int_equal(mlp_work_init(&f->work, &f->shape, SAMPLES, ROWS), 0);
    rng_init(&f->rng, 5, RNG_TEST, 0, 0, 0);
    mlp_init(&f->shape, f->phi, &f->rng);
    return f;
}

static void sampler_free(struct sampler *f) {
    mlp_work_finish(&f->work);
    free(f->phi);
    free(f);
}

/* One step of the learner's f_slice(), with an analytic Q in place of the
 * network's. The averaged weights are in mean. */
static void sampler_step(struct sampler *f, action_gradient *q, float alpha,
                         uint64_t step, float rate) {
    const size_t A = f->shape.Y;
    const struct svgd_dims dims = {.B = ROWS, .K = K, .M = M, .A = A};
    rng_fill_normal(&f->rng, f->xi, A * ROWS * K);
    policy_act(&f->shape, f->a, f->x, f->phi, f->s, f->xi, ROWS, K, &f->work);
    q(f->g, f->a, (size_t)ROWS * K, A);
    policy_squash_score(f->g, f->x, alpha, A * ROWS * K);

    rng_fill_normal(&f->rng, f->xi, A * ROWS * M);
    mlp_forward(&f->shape, f->y, f->phi, f->s, f->xi, ROWS, M, 0, &f->work);
    svgd_distances(f->d2, f->x, f->y, dims, f->scratch);
    svgd_bandwidth(f->h, f->d2, dims, f->scratch);
    svgd_direction(f->D, f->x, f->y, f->g, f->d2, f->h, alpha, dims,
                   f->scratch);
    for (size_t i = 0; i < A * ROWS * M; i++) f->D[i] /= -(float)(ROWS * M);
    memset(f->gradient, 0, sizeof(float) * f->P);
    mlp_backward(&f->shape, f->gradient, NULL, f->D, f->phi, f->s, f->xi, ROWS,
                 M, &f->work);
    adam_step(f->phi, f->m, f->v, f->gradient, f->P, step, rate);
    const float share = fmaxf(2e-3f, 1.0f / (float)step);
    for (size_t i = 0; i < f->P; i++)
        f->mean[i] += share * (f->phi[i] - f->mean[i]);
}

/* actions out (SAMPLES, A) of a sampler trained on q. */
static float *trained_actions(size_t A, action_gradient *q, float alpha,
                              uint64_t steps) {
    struct sampler *f = sampler_new(A);
    assert_true(svgd_scratch_len((struct svgd_dims){ROWS, K, M, A, false}) <= 4096);
    for (uint64_t step = 1; step <= steps; step++)
        sampler_step(f, q, alpha, step, adam_rate(2e-3, 0.02, step, steps));
    float *xi = calloc(2 * SAMPLES * A, sizeof(*xi)), *a = xi + SAMPLES * A;
    float *actions = malloc(SAMPLES * A * sizeof(*actions));
    assert_true(xi && actions);
    rng_fill_normal(&f->rng, xi, SAMPLES * A);
    policy_act(&f->shape, a, NULL, f->mean, f->s, xi, 1, SAMPLES, &f->work);
    memcpy(actions, a, SAMPLES * A * sizeof(*actions));
    free(xi);
    sampler_free(f);
    return actions;
}

static int compare_floats(const void *x, const void *y) {
    const float a = *(const float *)x, b = *(const float *)y;
    return (a > b) - (a < b);
}

/* Kolmogorov-Smirnov distance of one axis to the uniform law on [-1, 1]. */
static float distance_to_uniform(const float *actions, size_t A, size_t axis) {
    static float x[SAMPLES];
    float most = 0.0f;
    for (size_t i = 0; i < SAMPLES; i++) x[i] = actions[i * A + axis];
    qsort(x, SAMPLES, sizeof(*x), compare_floats);
    for (size_t i = 0; i < SAMPLES; i++) {
        const float exact = 0.5f * (x[i] + 1.0f);
        const float below = exact - (float)i / SAMPLES;
        const float above = (float)(i + 1) / SAMPLES - exact;
        most = fmaxf(most, fmaxf(below, above));
    }
    return most;
}

static void constant_q(float *g, const float *a, size_t n, size_t A) {
    (void)a;
    memset(g, 0, sizeof(*g) * n * A);
}

static void check_uniform(size_t A, uint64_t steps) {
    float *actions = trained_actions(A, constant_q, 1.0f, steps);
    for (size_t d = 0; d < A; d++) {
        const float distance = distance_to_uniform(actions, A, d);
        print_message("d = %zu, axis %zu: KS distance %.3f\n", A, d,
                      (double)distance);
        assert_close(distance, 0.0f, 0.05f);
    }
    free(actions);
}

/* Constant Q: every action is as good, the law is uniform in one dimension. */
static void constant_q_gives_uniform_actions_in_1_d(void **state) {
    (void)state;
    check_uniform(1, 5000);
}

/* ... in two */
static void constant_q_gives_uniform_actions_in_2_d(void **state) {
    (void)state;
    check_uniform(2, 2000);
}

/* ... and in eight. */
static void constant_q_gives_uniform_actions_in_8_d(void **state) {
    (void)state;
    check_uniform(8, 3000);
}

/*
 * Q = -1/2 (a - c)' W (a - c) with alpha: the law is normal with mean c and
 * covariance alpha W^-1, well inside the bounds. Here A = 2, W^-1 has the
 * correlation 0.6.
 */
enum { QUADRATIC_A = 2 };
static const float centre[QUADRATIC_A] = {0.2f, -0.1f};
static const float sd[QUADRATIC_A] = {0.2f, 0.12f}, correlation = 0.6f;

static void quadratic_q(float *g, const float *a, size_t n, size_t A) {
    const float one = 1.0f / (1.0f - correlation * correlation);
    for (size_t i = 0; i < n; i++) {
        const float x = (a[i * A] - centre[0]) / sd[0];
        const float y = (a[i * A + 1] - centre[1]) / sd[1];
        g[i * A] = -one * (x - correlation * y) / sd[0];
        g[i * A + 1] = -one * (y - correlation * x) / sd[1];
    }
}

/* Q = -1/2 sum ((a - c) / sd)^2: independent axes. */
static void separable_q(float *g, const float *a, size_t n, size_t A) {
    for (size_t i = 0; i < n * A; i++) {
        const size_t k = i % A % 2;
        g[i] = -(a[i] - centre[k]) / (sd[k] * sd[k]);
    }
}

static void check_normal(size_t A, action_gradient *q, float expected,
                         uint64_t steps) {
    float *actions = trained_actions(A, q, 1.0f, steps);
    double mean[A_MAX] = {0}, cov[A_MAX][A_MAX] = {{0}};
    for (size_t i = 0; i < SAMPLES * A; i++)
        mean[i % A] += (double)actions[i] / SAMPLES;
    for (size_t i = 0; i < SAMPLES; i++) {
        for (size_t d = 0; d < A; d++) {
            for (size_t e = 0; e < A; e++)
                cov[d][e] += ((double)actions[i * A + d] - mean[d]) *
                             ((double)actions[i * A + e] - mean[e]) / SAMPLES;
        }
    }
    for (size_t d = 0; d < A; d++) {
        const double s = (double)sd[d % 2], c = (double)centre[d % 2];
        print_message("d = %zu, axis %zu: mean off by %.3f sd, variance by "
                      "%.1f %%",
                      A, d, (mean[d] - c) / s,
                      100.0 * (cov[d][d] / (s * s) - 1.0));
        assert_close((float)((mean[d] - c) / s), 0.0f, 0.1f);
        assert_close((float)(cov[d][d] / (s * s)), 1.0f, 0.2f);
        for (size_t e = 0; e < d; e++) {
            const double r = cov[d][e] / sqrt(cov[d][d] * cov[e][e]);
            print_message(", correlation %.3f", r);
            assert_close((float)r, expected, 0.08f);
        }
        print_message("\n");
    }
    free(actions);
}

/* Quadratic Q with correlated axes. */
static void correlated_quadratic_q_gives_its_normal_law(void **state) {
    (void)state;
    check_normal(2, quadratic_q, correlation, 3000);
}

/* Quadratic Q in one dimension. */
static void quadratic_q_gives_its_normal_law_in_1_d(void **state) {
    (void)state;
    check_normal(1, separable_q, 0.0f, 5000);
}

/* Quadratic Q in eight: variances and 28 correlations at most 0.08. */
static void quadratic_q_gives_its_normal_law_in_8_d(void **state) {
    (void)state;
    check_normal(8, separable_q, 0.0f, 6000);
}

int main(void) {
    mlp_blas_setup(); // its own threads would only fight over these sizes
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_q_gives_uniform_actions_in_1_d),
        cmocka_unit_test(constant_q_gives_uniform_actions_in_2_d),
        cmocka_unit_test(constant_q_gives_uniform_actions_in_8_d),
        cmocka_unit_test(quadratic_q_gives_its_normal_law_in_1_d),
        cmocka_unit_test(correlated_quadratic_q_gives_its_normal_law),
        cmocka_unit_test(quadratic_q_gives_its_normal_law_in_8_d),
    };
    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
