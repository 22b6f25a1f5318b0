/*
 * The sampler's step under each of the options that change it: where noise
 * comes from, the score and the direction, the temperature, what acts.
 */
#include "common/policy.h"
#include "learner/algorithm_state.h"
#include "learner/svgd.h"
#include "tests/unit/test.h"
#include "tests/unit/training.h"

#include <errno.h>
#include <string.h>

enum { S = TRAINING_S, A = TRAINING_A, H = TRAINING_UNITS };
enum { ROWS = TRAINING_ROWS, K = 5, M = 7, V = 9, W = 6 };
enum { FIXED = ROWS * K, MOVED = ROWS * M, PROPOSED = ROWS * W };
enum { FIXED_A = FIXED * A, MOVED_A = MOVED * A, ROWS_S = ROWS * S };
enum { PROPOSALS_A = V * A };

static void start(struct training *x, const char *options) {
    struct config config = training_config();
    training_set(&config, options);
    training_init(x, &config, 1);
}

/* ---- noise ---- */

/* One set: both particles are the same numbers, and fewer are drawn. */
static void one_set_draws_no_second_noise(void **state) {
    (void)state;
    struct training x;
    float proposals[PROPOSALS_A], xi[FIXED_A];
    start(&x, "one_set=true particles_moved=5");
    struct rng rng = x.rng;
    algorithm_noise_draw(&x.noise, x.alg, &x.rng);
    assert_ptr_equal(x.noise.xi_moved, x.noise.xi_fixed);
    rng_fill_uniform(&rng, proposals, PROPOSALS_A, -1.0f, 1.0f);
    rng_fill_normal(&rng, xi, FIXED_A);
    assert_memory_equal(x.noise.proposals, proposals, sizeof(proposals));
    assert_memory_equal(x.noise.xi_fixed, xi, sizeof(xi));
    assert_int_equal(x.rng.counter, rng.counter);
    training_update(&x);
    const struct algorithm_slice *at = &x.alg->slices[0];
    assert_memory_equal(at->moved_u, at->fixed_u, sizeof(xi));
    training_finish(&x);
}

/* Two sets differ. */
static void two_sets_are_drawn_apart(void **state) {
    (void)state;
    struct training x;
    start(&x, "value_proposals=sampler");
    training_update(&x);
    const struct algorithm_noise *noise = &x.noise;
    for (size_t i = 0; i < FIXED_A; i++) {
        assert_true(noise->xi_fixed[i] != noise->xi_moved[i]);
        assert_true(noise->xi_fixed[i] != noise->xi_value[i]);
    }
    training_finish(&x);
}

/* Which of the first `rows` rows of the set xi (A) is; rows: none. */
static size_t row_of(const float *xi, const float *set, size_t rows) {
    size_t row = 0;
    while (row < rows && memcmp(xi, set + row * A, sizeof(float) * A) != 0)
        row++;
    return row;
}

/* Particles come from the rows in use and no others; proposals, whose density
 * is that of all noise, do not. The set falls from 20 to 1. */
static void particles_come_from_the_noise_set(void **state) {
    (void)state;
    const char *options = "noise_set=20 noise_set_span=10 "
                          "value_proposals=sampler proposal_switch=0";
    struct training x;
    size_t before = 20;
    start(&x, options);
    const float *set = training_vector(&x, "noise.set");
    for (size_t t = 0; t <= 12; t++) {
        const struct policy policy = algorithm_policy(x.alg);
        const size_t size = policy.n_noise;
        bool seen[20] = {0};
        assert_ptr_equal(policy.noise, set);
        assert_int_equal(size, t < 10 ? 20 - 19 * t / 10 : 1);
        assert_true(size <= before);
        training_update(&x);
        for (size_t j = 0; j < FIXED; j++) {
            const size_t row = row_of(x.noise.xi_fixed + j * A, set, size);
            assert_true(row < size);
            seen[row] = true;
        }
        for (size_t j = 0; j < MOVED; j++) {
            const size_t row = row_of(x.noise.xi_moved + j * A, set, size);
            assert_true(row < size);
            seen[row] = true;
        }
        for (size_t row = 0; row < size; row++) assert_true(seen[row]);
        for (size_t j = 0; j < PROPOSED; j++)
            assert_int_equal(row_of(x.noise.xi_value + j * A, set, 20), 20);
        before = size;
    }
    training_finish(&x);
}

/* The set is a function of the seed, and N(0, 1). */
static void the_noise_set_is_drawn_from_the_seed(void **state) {
    (void)state;
    struct training x, y, z;
    double mean = 0.0, square = 0.0;
    start(&x, "noise_set=2000");
    start(&y, "noise_set=2000");
    start(&z, "noise_set=2000 seed=5");
    const float *set = training_vector(&x, "noise.set");
    const size_t bytes = sizeof(float) * 2000 * A;
    assert_memory_equal(set, training_vector(&y, "noise.set"), bytes);
    assert_true(memcmp(set, training_vector(&z, "noise.set"), bytes) != 0);
    for (size_t i = 0; i < (size_t)2000 * A; i++) {
        mean += (double)set[i] / (2000 * A);
        square += (double)set[i] * (double)set[i] / (2000 * A);
    }
    assert_close((float)mean, 0.0f, 0.08f); // 5 deviations
    assert_close((float)square, 1.0f, 0.12f);
    training_finish(&x);
    training_finish(&y);
    training_finish(&z);
}

/* ---- the score and the direction ---- */

/* dQ/da at the fixed particles by the Q that f saw, which is Q now. */
static void slope_now(struct training *x, float *slope) {
    struct mlp_work work;
    float q[FIXED], ones[FIXED];
    const struct network *net = &x->alg->q[0];
    const float *a = x->alg->slices[0].fixed_a;
    for (size_t i = 0; i < FIXED; i++) ones[i] = 1.0f;
    assert_int_equal(mlp_work_init(&work, &net->shape, FIXED, ROWS), 0);
    test_fill_nan(slope, FIXED_A);
    mlp_forward(&net->shape, q, net->p, x->alg->s, a, ROWS, K, 0, &work);
    mlp_backward(&net->shape, NULL, slope, ones, net->p, x->alg->s, a, ROWS, K,
                 &work);
    mlp_work_finish(&work);
}

/* g in u: the slope through the squash, and that of alpha log(1 - tanh^2 u);
 * in actions, as released: dQ/da - 2 alpha a / (1 - a^2 + 1e-6). Q sees the
 * states as the rest of the update does. */
static void check_score(const char *options, bool of_actions) {
    struct training x;
    float slope[FIXED_A];
    start(&x, options);
    training_run(&x, 3);
    slope_now(&x, slope);
    const struct algorithm_slice *at = &x.alg->slices[0];
    for (size_t i = 0; i < FIXED_A; i++) {
        const double a = (double)at->fixed_a[i], dq = (double)slope[i];
        const double g = of_actions ? dq - 2 * 0.5 * a / (1 - a * a + 1e-6)
                                    : dq * (1 - a * a) - 2 * 0.5 * a;
        assert_close(at->g[i], (float)g, 1e-4f);
    }
    training_finish(&x);
}

static void the_score_is_of_u_or_of_the_action(void **state) {
    (void)state;
    check_score("", false);
    check_score("observation_normalisation=true", false);
    check_score("svgd_space=action", true);
    check_score("svgd_space=action observation_normalisation=true", true);
}

/* g is divided by 10, 5.5 and then 1, both its Q and its squash. */
static void the_ramp_divides_the_score(void **state) {
    (void)state;
    const uint64_t done[] = {0, 2, 4, 9};
    const float factor[] = {10.0f, 5.5f, 1.0f, 1.0f};
    for (size_t i = 0; i < 4; i++) {
        struct training x, y;
        start(&x, "svgd_alpha_ramp=10,4");
        start(&y, "");
        x.alg->updates = y.alg->updates = done[i];
        training_update(&x);
        training_update(&y);
        const float *ramped = x.alg->slices[0].g, *g = y.alg->slices[0].g;
        for (size_t j = 0; j < FIXED_A; j++)
            assert_close(ramped[j] * factor[i], g[j], 1e-6f);
        training_finish(&x);
        training_finish(&y);
    }
}

/* at->D is -D / (rows M) of the particles at hand, in action space through
 * the squash too; the figure is D's own size. */
static void check_direction(const char *options) {
    struct training x;
    start(&x, options);
    training_run(&x, 3);
    const struct algorithm *alg = x.alg;
    const struct algorithm_slice *at = &alg->slices[0];
    const bool squashed = alg->config.svgd_space == SPACE_ACTION;
    const struct svgd_dims dims = {
        .B = ROWS, .K = K, .M = alg->M, .A = A, .one_set = alg->config.one_set};
    const float *from = squashed ? at->fixed_a : at->fixed_u;
    const float *to = squashed ? at->moved_a : at->moved_u;
    float d2[FIXED * M], h[ROWS], D[MOVED_A], scratch[256];
    double squares = 0.0;
    assert_true(svgd_scratch_len(dims) <= 256);
    test_fill_nan(D, MOVED_A);
    svgd_distances(d2, from, to, dims, scratch);
    svgd_bandwidth(h, d2, dims);
    svgd_direction(D, from, to, at->g, d2, h, 0.5f, dims, scratch);
    for (size_t i = 0; i < ROWS * alg->M * A; i++) {
        const float a = tanhf(at->moved_u[i]);
        const float da_du = squashed ? 1.0f - a * a : 1.0f;
        const float n = (float)(ROWS * alg->M);
        squares += (double)D[i] * (double)D[i];
        assert_close(at->D[i] * n, -D[i] * da_du, 1e-5f);
    }
    squares /= (double)(ROWS * alg->M * A);
    assert_close((float)x.figures.stein_norm, (float)sqrt(squares), 1e-5f);
    training_finish(&x);
}

static void the_direction_is_svgds(void **state) {
    (void)state;
    check_direction("");
    check_direction("svgd_space=action");
    check_direction("one_set=true particles_moved=5");
    check_direction("one_set=true particles_moved=5 svgd_space=action");
}

/* ---- the temperature ---- */

/* f(s, xi) = xi: biases keep the first units on. */
static void make_identity(struct training *x) {
    struct network *f = &x->alg->f;
    struct mlp_slice w[MLP_TENSORS]; // ws wx b1 w2 b2 w3 b3
    mlp_slices(&f->shape, w);
    memset(f->p, 0, sizeof(float) * f->P);
    for (size_t i = 0; i < A; i++) {
        f->p[w[1].offset + i * H + i] = 1.0f;
        f->p[w[2].offset + i] = 16.0f;
        f->p[w[3].offset + i * H + i] = 1.0f;
        f->p[w[5].offset + i * A + i] = 1.0f;
        f->p[w[6].offset + i] = -16.0f;
    }
}

/* H = -mean log q of the fixed particles' actions, in nats over both
 * dimensions; with f(s, xi) = xi it is known. */
static void the_entropy_is_of_the_actions(void **state) {
    (void)state;
    struct training x;
    double entropy = 0.0;
    start(&x, "temperature=auto");
    make_identity(&x);
    training_update(&x);
    for (size_t i = 0; i < FIXED_A; i++) {
        const double u = (double)x.noise.xi_fixed[i], t = tanh(u);
        entropy += 0.5 * u * u + 0.5 * log(2.0 * acos(-1.0));
        entropy += log(1.0 - t * t);
    }
    entropy /= FIXED;
    assert_close((float)x.figures.entropy, (float)entropy, 1e-5f);
    training_finish(&x);
}

/* log alpha moves by eta (A target - H): down when there is entropy enough.
 * The update itself is made at the alpha before. */
static void check_automatic(double target, bool falls) {
    struct training x;
    char options[128];
    double before = 0.5;
    snprintf(options, sizeof(options),
             "temperature=auto alpha_rate=0.01 entropy_target=%g", target);
    start(&x, options);
    for (size_t t = 0; t < 5; t++) {
        training_update(&x);
        const double now = *(const double *)training_vector(&x, "temperature");
        const double step = 0.01 * (A * target - x.figures.entropy);
        assert_true(x.figures.alpha == before);
        assert_close((float)log(now / before), (float)step, 1e-6f);
        assert_true(falls ? now < before : now > before);
        assert_close(algorithm_policy(x.alg).alpha, (float)now, 0.0f);
        before = now;
    }
    training_finish(&x);
}

static void the_automatic_temperature_seeks_the_target(void **state) {
    (void)state;
    check_automatic(-20.0, true);
    check_automatic(0.6931, false);
}

/* Lost dimensions have no entropy: nothing is measured, alpha stays. */
static void without_a_density_alpha_stays(void **state) {
    (void)state;
    struct training x;
    start(&x, "temperature=auto alpha_rate=0.1");
    memset(training_vector(&x, "f_train.wx"), 0, sizeof(float) * A * H);
    training_update(&x);
    assert_true(isnan(x.figures.entropy));
    assert_true(x.figures.degenerate == 1.0);
    assert_true(*(const double *)training_vector(&x, "temperature") == 0.5);
    training_finish(&x);
}

/* Annealing: the figure, the policy and the checkpoint say the alpha of the
 * update, and so did the update. */
static void annealing_is_what_the_update_used(void **state) {
    (void)state;
    struct training x;
    const float expected[] = {0.5f, 0.05f, 0.005f, 0.005f};
    start(&x, "temperature=anneal alpha_end=0.005 alpha_span=2");
    for (size_t t = 0; t < 4; t++) {
        training_update(&x);
        assert_close((float)x.figures.alpha, expected[t], 1e-7f);
        assert_close(x.alg->alpha, expected[t], 1e-7f);
        assert_close(algorithm_policy(x.alg).alpha, expected[t], 1e-7f);
    }
    assert_true(*(const double *)training_vector(&x, "temperature") == 0.005);
    training_finish(&x);
}

/* Outside the floats there is no update: an error, not an abort. */
static void a_vanished_temperature_is_an_error(void **state) {
    (void)state;
    struct training x;
    const char *what = NULL;
    start(&x, "alpha=1e-60");
    training_draw(&x);
    assert_int_equal(
        algorithm_update(x.alg, &x.batch, &x.noise, &x.figures, &what), -EDOM);
    assert_string_equal(what, "the temperature");
    training_finish(&x);
    start(&x, "temperature=auto");
    x.alg->temperature = 1e39; // beyond the floats
    training_draw(&x);
    assert_int_equal(
        algorithm_update(x.alg, &x.batch, &x.noise, &x.figures, &what), -EDOM);
    assert_string_equal(what, "the temperature");
    training_finish(&x);
}

/* ---- what acts ---- */

/* DDPG acts without noise: one row of zeros, and its updates draw none. */
static void ddpgs_policy_is_deterministic(void **state) {
    (void)state;
    struct training x;
    enum { TWO_A = 2 * A };
    float s[S], xi[TWO_A], a[TWO_A];
    struct mlp_work work;
    start(&x, "algorithm=ddpg");
    const uint64_t counter = x.rng.counter;
    algorithm_noise_draw(&x.noise, x.alg, &x.rng);
    assert_int_equal(x.rng.counter, counter);
    training_run(&x, 3);
    const struct policy policy = algorithm_policy(x.alg);
    assert_int_equal(policy.n_noise, 1);
    test_fill_nan(xi, TWO_A);
    test_fill_nan(a, TWO_A);
    test_fill_normal(s, S, 1);
    policy_draw_noise(&policy, xi, 2, &x.rng);
    for (size_t i = 0; i < TWO_A; i++) assert_close(xi[i], 0.0f, 0.0f);
    assert_int_equal(mlp_work_init(&work, &policy.shape, 2, 1), 0);
    policy_act(&policy.shape, a, NULL, policy.phi, s, xi, 1, 2, &work);
    assert_memory_equal(a, a + A, sizeof(float) * A);
    mlp_work_finish(&work);
    training_finish(&x);
}

/* A normalised policy carries mean and scale of what was seen so far. */
static void the_policy_carries_the_normalisation(void **state) {
    (void)state;
    struct training x;
    float seen[ROWS_S];
    start(&x, "observation_normalisation=true");
    training_run(&x, 4);
    const struct policy policy = algorithm_policy(x.alg);
    assert_true(*(const double *)training_vector(&x, "normal.count") ==
                4.0 * ROWS);
    test_fill_nan(seen, ROWS_S);
    policy_observe(&policy, seen, x.batch.s, ROWS);
    assert_memory_equal(seen, x.alg->s, sizeof(seen)); // as the update saw it
    policy_observe(&policy, seen, x.batch.next, ROWS);
    assert_memory_equal(seen, x.alg->next, sizeof(seen));
    training_finish(&x);
    start(&x, "");
    assert_null(algorithm_policy(x.alg).mean);
    assert_null(algorithm_policy(x.alg).scale);
    assert_int_equal(algorithm_policy(x.alg).n_noise, 0);
    training_finish(&x);
}

int main(void) {
    mlp_blas_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_set_draws_no_second_noise),
        cmocka_unit_test(two_sets_are_drawn_apart),
        cmocka_unit_test(particles_come_from_the_noise_set),
        cmocka_unit_test(the_noise_set_is_drawn_from_the_seed),
        cmocka_unit_test(the_score_is_of_u_or_of_the_action),
        cmocka_unit_test(the_ramp_divides_the_score),
        cmocka_unit_test(the_direction_is_svgds),
        cmocka_unit_test(the_entropy_is_of_the_actions),
        cmocka_unit_test(the_automatic_temperature_seeks_the_target),
        cmocka_unit_test(without_a_density_alpha_stays),
        cmocka_unit_test(annealing_is_what_the_update_used),
        cmocka_unit_test(a_vanished_temperature_is_an_error),
        cmocka_unit_test(ddpgs_policy_is_deterministic),
        cmocka_unit_test(the_policy_carries_the_normalisation),
    };
    return cmocka_run_group_tests_name("particles", tests, NULL, NULL);
}
