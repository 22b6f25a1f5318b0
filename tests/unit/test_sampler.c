/*
 * What the sampler's law becomes when the project's own SVGD trains it on a Q
 * whose policy is known in closed form.
 */
#include "common/policy.h"
#include "common/rng.h"
#include "learner/algorithm.h"
#include "learner/soft_value.h"
#include "tests/system/toy_sampler.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 10000, A_MAX = 8 };

/* Whose particles pull at whom. */
enum sets { TWO_SETS, ONE_SET, KEPT_DIAGONAL };
static const char *const set_names[] = {"two sets", "one set",
                                        "one set with its diagonal"};

static struct toy_sampler_options options_of(size_t A, toy_sampler_slope *slope,
                                             enum sets sets, uint64_t steps) {
    return (struct toy_sampler_options){
        .slope = slope,
        .alpha = 1.0f,
        .A = A,
        .units = 64,
        .rows = 8,
        .K = 32,
        .M = 32,
        .steps = steps,
        .seed = 5,
        .rate = 2e-3f,
        .one_set = sets == ONE_SET,
        .kept_diagonal = sets == KEPT_DIAGONAL,
    };
}

/* actions out (SAMPLES, A) of a sampler trained so. */
static float *trained_actions(const struct toy_sampler_options *options) {
    struct toy_sampler sampler;
    float *actions = malloc(SAMPLES * options->A * sizeof(*actions));
    assert_non_null(actions);
    assert_int_equal(toy_sampler_train(&sampler, options), 0);
    assert_int_equal(toy_sampler_act(&sampler, actions, SAMPLES, 1), 0);
    toy_sampler_finish(&sampler);
    return actions;
}

static int compare_floats(const void *x, const void *y) {
    const float a = *(const float *)x, b = *(const float *)y;
    return (a > b) - (a < b);
}

/* P(a_i <= a) of a law on [-1, 1]. */
static float uniform_law(float a) {
    return 0.5f * (a + 1.0f);
}

/* ... with density 3/4 (1 - a^2). */
static float domed_law(float a) {
    return 0.25f * (2.0f + 3.0f * a - a * a * a);
}

/* Kolmogorov-Smirnov distance of one axis to a law. */
static float distance_to(float (*law)(float), const float *actions, size_t A,
                         size_t axis) {
    static float x[SAMPLES];
    float most = 0.0f;
    for (size_t i = 0; i < SAMPLES; i++) x[i] = actions[i * A + axis];
    qsort(x, SAMPLES, sizeof(*x), compare_floats);
    for (size_t i = 0; i < SAMPLES; i++) {
        const float below = law(x[i]) - (float)i / SAMPLES;
        const float above = (float)(i + 1) / SAMPLES - law(x[i]);
        most = fmaxf(most, fmaxf(below, above));
    }
    return most;
}

static void constant_q(float *g, const float *a, size_t n, size_t A) {
    (void)a;
    memset(g, 0, sizeof(*g) * n * A);
}

static void check_uniform(size_t A, enum sets sets, uint64_t steps) {
    const struct toy_sampler_options options =
        options_of(A, constant_q, sets, steps);
    float *actions = trained_actions(&options);
    for (size_t d = 0; d < A; d++) {
        const float distance = distance_to(uniform_law, actions, A, d);
        print_message("d = %zu, %s, axis %zu: KS distance %.3f\n", A,
                      set_names[sets], d, (double)distance);
        assert_close(distance, 0.0f, 0.05f);
    }
    free(actions);
}

/* Constant Q: every action is as good, the law is uniform in one dimension. */
static void constant_q_gives_uniform_actions_in_1_d(void **state) {
    (void)state;
    check_uniform(1, TWO_SETS, 3000);
    check_uniform(1, ONE_SET, 3000);
}

/* ... in two */
static void constant_q_gives_uniform_actions_in_2_d(void **state) {
    (void)state;
    check_uniform(2, TWO_SETS, 2000);
    check_uniform(2, ONE_SET, 2000);
}

/* ... and in eight. */
static void constant_q_gives_uniform_actions_in_8_d(void **state) {
    (void)state;
    check_uniform(8, TWO_SETS, 2000);
    check_uniform(8, ONE_SET, 2000);
}

/* The learner's own update where every action earns the same. */
enum { BANDIT_ROWS = 8 };

static struct config bandit(bool one_set, enum config_space space) {
    struct config config;
    config_defaults(&config);
    config.units = 64;
    config.minibatch = BANDIT_ROWS;
    config.particles_fixed = config.particles_moved = 32;
    config.value_particles = 8;
    config.learning_rate_q = config.learning_rate_f = 2e-3;
    config.learning_rate_end = 0.02;
    config.sampler_average = 0.998;
    config.gamma = 0.0;
    config.max_updates = 4000;
    config.one_set = one_set;
    config.svgd_space = (int)space;
    return config;
}

/* Q comes to be constant. actions out (SAMPLES, 1) */
static float *learned_actions(const struct config *config) {
    struct batch batch;
    struct algorithm_noise noise;
    struct algorithm_figures figures;
    struct mlp_work work;
    struct rng rng;
    const char *what;
    struct algorithm *alg = algorithm_new(config, 1, 1, 1);
    float *xi = malloc(SAMPLES * sizeof(*xi));
    float *actions = malloc(SAMPLES * sizeof(*actions));
    assert_true(alg && xi && actions);
    assert_int_equal(batch_init(&batch, BANDIT_ROWS, 1, 1), 0);
    assert_int_equal(algorithm_noise_init(&noise, alg), 0);
    rng_init(&rng, 5, RNG_TEST, 0, 0, 0);
    batch.n = BANDIT_ROWS; // zeros: one state, reward 0
    for (uint64_t update = 0; update < config->max_updates; update++) {
        rng_fill_uniform(&rng, batch.a, BANDIT_ROWS, -1.0f, 1.0f);
        algorithm_noise_draw(&noise, alg, &rng);
        assert_int_equal(algorithm_update(alg, &batch, &noise, &figures, &what),
                         0);
    }
    const struct policy policy = algorithm_policy(alg);
    assert_int_equal(mlp_work_init(&work, &policy.shape, SAMPLES, 1), 0);
    rng_fill_normal(&rng, xi, SAMPLES);
    policy_act(&policy.shape, actions, NULL, policy.phi, batch.s, xi, 1,
               SAMPLES, &work);
    mlp_work_finish(&work);
    algorithm_noise_finish(&noise);
    batch_finish(&batch);
    algorithm_free(alg);
    free(xi);
    return actions;
}

/*
 * Its law is the uniform one too, but for svgd_space = action: the released
 * code mixes the density of u with gradient and kernel in a, which gives
 * (1 - a^2).
 */
static void the_learners_update_gives_its_laws(void **state) {
    (void)state;
    const struct {
        const char *name;
        bool one_set;
        enum config_space space;
        float (*is)(float), (*is_not)(float);
    } cases[] = {
        {"two sets", false, SPACE_PRESQUASH, uniform_law, domed_law},
        {"one set", true, SPACE_PRESQUASH, uniform_law, domed_law},
        {"svgd_space = action", false, SPACE_ACTION, domed_law, uniform_law},
    };
    for (size_t i = 0; i < 3; i++) {
        const struct config config = bandit(cases[i].one_set, cases[i].space);
        float *actions = learned_actions(&config);
        const float near = distance_to(cases[i].is, actions, 1, 0);
        const float far = distance_to(cases[i].is_not, actions, 1, 0);
        print_message("%s: KS distance %.3f, to the other law %.3f\n",
                      cases[i].name, (double)near, (double)far);
        assert_close(near, 0.0f, 0.04f);
        assert_true(far >= 0.08f);
        free(actions);
    }
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

struct moments {
    double mean[A_MAX], cov[A_MAX][A_MAX];
};

static struct moments moments_of(const float *actions, size_t A) {
    struct moments m = {0};
    for (size_t i = 0; i < SAMPLES * A; i++)
        m.mean[i % A] += (double)actions[i] / SAMPLES;
    for (size_t i = 0; i < SAMPLES; i++) {
        for (size_t d = 0; d < A; d++) {
            for (size_t e = 0; e < A; e++)
                m.cov[d][e] += ((double)actions[i * A + d] - m.mean[d]) *
                               ((double)actions[i * A + e] - m.mean[e]) /
                               SAMPLES;
        }
    }
    return m;
}

static void check_normal(size_t A, toy_sampler_slope *q, float expected,
                         enum sets sets, uint64_t steps) {
    const struct toy_sampler_options options = options_of(A, q, sets, steps);
    float *actions = trained_actions(&options);
    const struct moments m = moments_of(actions, A);
    for (size_t d = 0; d < A; d++) {
        const double s = (double)sd[d % 2], c = (double)centre[d % 2];
        print_message("d = %zu, %s, axis %zu: mean off by %.3f sd, variance "
                      "by %.1f %%",
                      A, set_names[sets], d, (m.mean[d] - c) / s,
                      100.0 * (m.cov[d][d] / (s * s) - 1.0));
        assert_close((float)((m.mean[d] - c) / s), 0.0f, 0.1f);
        assert_close((float)(m.cov[d][d] / (s * s)), 1.0f, 0.2f);
        for (size_t e = 0; e < d; e++) {
            const double r = m.cov[d][e] / sqrt(m.cov[d][d] * m.cov[e][e]);
            print_message(", correlation %.3f", r);
            assert_close((float)r, expected, 0.08f);
        }
        print_message("\n");
    }
    free(actions);
}

/* Quadratic Q in one dimension. */
static void quadratic_q_gives_its_normal_law_in_1_d(void **state) {
    (void)state;
    check_normal(1, separable_q, 0.0f, TWO_SETS, 3000);
    check_normal(1, separable_q, 0.0f, ONE_SET, 3000);
}

/* Quadratic Q with correlated axes. */
static void correlated_quadratic_q_gives_its_normal_law(void **state) {
    (void)state;
    check_normal(2, quadratic_q, correlation, TWO_SETS, 3000);
    check_normal(2, quadratic_q, correlation, ONE_SET, 3000);
}

/* Quadratic Q in eight: variances and 28 correlations at most 0.08. */
static void quadratic_q_gives_its_normal_law_in_8_d(void **state) {
    (void)state;
    check_normal(8, separable_q, 0.0f, TWO_SETS, 9000);
    check_normal(8, separable_q, 0.0f, ONE_SET, 9000);
}

/*
 * One set whose particles also see themselves: each own term pulls uphill and
 * pushes nowhere. The variances above see it: least and most of the truth.
 */
static void check_collapse(size_t A, double least, double most) {
    struct toy_sampler_options options =
        options_of(A, separable_q, KEPT_DIAGONAL, 2000);
    options.K = options.M = 16;
    float *actions = trained_actions(&options);
    const struct moments m = moments_of(actions, A);
    double share = 0.0;
    for (size_t d = 0; d < A; d++) {
        const double s = (double)sd[d % 2];
        share += m.cov[d][d] / (s * s) / (double)A;
    }
    print_message("d = %zu, %s: variance %.2f of the truth\n", A,
                  set_names[KEPT_DIAGONAL], share);
    assert_true(least <= share && share <= most);
    free(actions);
}

static void the_kept_diagonal_collapses_the_variance(void **state) {
    (void)state;
    check_collapse(1, 0.3, 0.7);
    check_collapse(2, 0.2, 0.6);
    check_collapse(8, 0.05, 0.4);
}

/*
 * VHAT in eight dimensions, Q = -1/2 sum ((a - centre) / sd)^2 with sd from 0.1
 * to 0.3, where V is known: estimates of K_V proposals each.
 */
enum { V_A = 8, K_V = 50, ESTIMATES = 400, PROPOSALS = K_V * ESTIMATES };

static float narrow_centre(size_t i) {
    return i % 2 ? 0.2f : -0.1f;
}

static float narrow_sd(size_t i) {
    return 0.1f + 0.2f * (float)i / (V_A - 1);
}

static void narrow_q(float *g, const float *a, size_t n, size_t A) {
    for (size_t i = 0; i < n * A; i++) {
        const float sd_i = narrow_sd(i % A);
        g[i] = -(a[i] - narrow_centre(i % A)) / (sd_i * sd_i);
    }
}

/* log Integral exp(Q) da over [-1, 1]^8. */
static double narrow_value(void) {
    double sum = 0.0;
    for (size_t i = 0; i < V_A; i++) {
        const double s = (double)narrow_sd(i), c = (double)narrow_centre(i);
        sum += log(
            s * sqrt(M_PI / 2.0) *
            (erf((1.0 - c) / (s * M_SQRT2)) + erf((1.0 + c) / (s * M_SQRT2))));
    }
    return sum;
}

/* Root mean square error of the estimates by these proposals. */
static double value_error(double *bias, const float *a, const float *log_q) {
    static float q[PROPOSALS], v[ESTIMATES];
    double sum = 0.0, squares = 0.0;
    memset(q, 0, sizeof(q));
    for (size_t k = 0; k < (size_t)PROPOSALS * V_A; k++) {
        const float z = (a[k] - narrow_centre(k % V_A)) / narrow_sd(k % V_A);
        q[k / V_A] -= 0.5f * z * z;
    }
    test_fill_nan(v, ESTIMATES);
    soft_value(v, q, log_q, 0.0f, 1.0f, ESTIMATES, K_V);
    for (size_t b = 0; b < ESTIMATES; b++) {
        const double error = (double)v[b] - narrow_value();
        sum += error;
        squares += error * error;
    }
    *bias = sum / ESTIMATES;
    return sqrt(squares / ESTIMATES);
}

/* The sampler's actions and densities. a (n, A), log_q (n) out. */
static struct policy_determinants propose(float *a, float *log_q,
                                          const struct toy_sampler *sampler) {
    const size_t A = V_A, N = PROPOSALS;
    const float s = 0.0f;
    struct policy_determinants seen = {0};
    struct mlp_work work;
    struct rng rng;
    float *xi = malloc(sizeof(*xi) * N * A * (2 + A));
    assert_non_null(xi);
    float *u = xi + N * A, *jacobian = u + N * A;
    assert_int_equal(mlp_work_init(&work, &sampler->shape, N, 1), 0);
    rng_init(&rng, 6, RNG_TEST, 0, 0, 0);
    rng_fill_normal(&rng, xi, N * A);
    policy_act(&sampler->shape, a, u, sampler->phi, &s, xi, 1, N, &work);
    mlp_jacobian(&sampler->shape, jacobian, sampler->phi, 1, N, &work);
    policy_log_density(log_q, &seen, xi, u, jacobian, N, A);
    mlp_work_finish(&work);
    free(xi);
    return seen;
}

/* Fifty of a trained sampler's actions against fifty uniform ones. */
static void the_samplers_proposals_see_a_narrow_q(void **state) {
    (void)state;
    static float a[PROPOSALS * V_A], log_q[PROPOSALS];
    struct toy_sampler sampler;
    struct rng rng;
    double bias, uniform_bias;
    const struct toy_sampler_options options =
        options_of(V_A, narrow_q, TWO_SETS, 4000);
    assert_int_equal(toy_sampler_train(&sampler, &options), 0);
    const struct policy_determinants seen = propose(a, log_q, &sampler);
    const double error = value_error(&bias, a, log_q);
    toy_sampler_finish(&sampler);

    rng_init(&rng, 7, RNG_TEST, 0, 0, 0);
    rng_fill_uniform(&rng, a, (size_t)PROPOSALS * V_A, -1.0f, 1.0f);
    for (size_t k = 0; k < PROPOSALS; k++)
        log_q[k] = soft_value_uniform_log_density(V_A);
    const double uniform = value_error(&uniform_bias, a, log_q);
    print_message("RMS error %.2f alpha (bias %.2f), of uniform proposals "
                  "%.2f (%.2f); %zu negative, %zu degenerate of %d\n",
                  error, bias, uniform, uniform_bias, seen.negative,
                  seen.degenerate, PROPOSALS);
    assert_true(error <= 0.2 * uniform);
}

int main(void) {
    mlp_blas_setup(); // its own threads would only fight over these sizes
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_q_gives_uniform_actions_in_1_d),
        cmocka_unit_test(constant_q_gives_uniform_actions_in_2_d),
        cmocka_unit_test(constant_q_gives_uniform_actions_in_8_d),
        cmocka_unit_test(the_learners_update_gives_its_laws),
        cmocka_unit_test(quadratic_q_gives_its_normal_law_in_1_d),
        cmocka_unit_test(correlated_quadratic_q_gives_its_normal_law),
        cmocka_unit_test(quadratic_q_gives_its_normal_law_in_8_d),
        cmocka_unit_test(the_kept_diagonal_collapses_the_variance),
        cmocka_unit_test(the_samplers_proposals_see_a_narrow_q),
    };
    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
