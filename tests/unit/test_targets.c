/*
 * The Q step's targets under each of the options that change them: proposals,
 * measure, DDPG's backup.
 */
#include "common/policy.h"
#include "learner/algorithm_state.h"
#include "tests/unit/test.h"
#include "tests/unit/training.h"

#include <string.h>

enum { S = TRAINING_S, A = TRAINING_A, H = TRAINING_UNITS };
enum { ROWS = TRAINING_ROWS, V = 9, W = 6 };
enum { PROPOSED = ROWS * W, PROPOSED_A = PROPOSED * A, ROWS_A = ROWS * A };

static void start(struct training *x, const char *options) {
    struct config config = training_config();
    training_set(&config, options);
    training_init(x, &config, 1);
}

/* Targets of the update that was made last. */
static const float *targets_of(const struct training *x) {
    return x->alg->slices[0].target;
}

static const float *slice_of(const struct network *net, const char *name) {
    struct mlp_slice slices[MLP_TENSORS];
    mlp_slices(&net->shape, slices);
    for (size_t i = 0; i < MLP_TENSORS; i++)
        if (strcmp(slices[i].name, name) == 0) return net->p + slices[i].offset;
    fail_msg("no slice %s", name);
    return NULL;
}

/* f no longer sees its noise. */
static void deafen(struct training *x) {
    float *wx = (float *)slice_of(&x->alg->f, "wx");
    memset(wx, 0, sizeof(float) * A * H);
}

/* f(s, xi) = xi: biases keep the first units on. */
static void make_identity(struct training *x) {
    struct network *f = &x->alg->f;
    const float big = 16.0f;
    memset(f->p, 0, sizeof(float) * f->P);
    for (size_t i = 0; i < A; i++) {
        ((float *)slice_of(f, "wx"))[i * H + i] = 1.0f;
        ((float *)slice_of(f, "b1"))[i] = big;
        ((float *)slice_of(f, "w2"))[i * H + i] = 1.0f;
        ((float *)slice_of(f, "w3"))[i * A + i] = 1.0f;
        ((float *)slice_of(f, "b3"))[i] = -big;
    }
}

/* Qbar(s', a) of the minibatch by network i: q out (ROWS, N). */
static void q_of(float *q, const struct training *x, size_t i, const float *a,
                 size_t N, int shared) {
    struct mlp_work work;
    const struct network *net = &x->alg->q[i];
    assert_int_equal(mlp_work_init(&work, &net->shape, ROWS * N, ROWS), 0);
    test_fill_nan(q, ROWS * N);
    mlp_forward(&net->shape, q, net->target, x->batch.next, a, ROWS, N, shared,
                &work);
    mlp_work_finish(&work);
}

/* Row b's target from its V. */
static float target_of(const struct training *x, size_t b, double v) {
    const struct config *config = &x->alg->config;
    double target = config->reward_scale * (double)x->batch.r[b];
    if (!(x->batch.flags[b] & BATCH_TERMINAL)) target += config->gamma * v;
    return (float)target;
}

/* ---- uniform proposals ---- */

/* shared_proposals = false: each state has its own row of proposals. */
static void states_may_have_their_own_proposals(void **state) {
    (void)state;
    struct training x;
    float q[ROWS * V];
    start(&x, "shared_proposals=false");
    training_update(&x);
    q_of(q, &x, 0, x.noise.proposals, V, 0);
    for (size_t b = 0; b < ROWS; b++) {
        double sum = 0.0;
        for (size_t j = 0; j < V; j++)
            sum += exp((double)q[b * V + j] / 0.5) * 4.0 / V;
        assert_close(targets_of(&x)[b], target_of(&x, b, 0.5 * log(sum)),
                     1e-5f);
    }
    for (size_t i = A; i < (size_t)ROWS * V * A; i++) { // no two are alike
        assert_true(x.noise.proposals[i] != x.noise.proposals[i - A]);
        assert_true(x.noise.proposals[i] != x.noise.proposals[i % A]);
    }
    training_finish(&x);
}

/* value_measure = uniform takes gamma alpha A log 2 off every row that
 * bootstraps and nothing off the others. */
static void check_measure(const char *options) {
    char uniform[128];
    struct training x, y;
    const float shift = 0.9f * 0.5f * A * logf(2.0f);
    snprintf(uniform, sizeof(uniform), "value_measure=uniform %s", options);
    start(&x, options);
    start(&y, uniform);
    training_update(&x);
    training_update(&y);
    for (size_t b = 0; b < ROWS; b++) {
        const bool terminal = x.batch.flags[b] & BATCH_TERMINAL;
        assert_close(targets_of(&y)[b] - targets_of(&x)[b],
                     terminal ? 0.0f : -shift, 1e-6f);
    }
    training_finish(&x);
    training_finish(&y);
}

static void the_uniform_measure_shifts_targets(void **state) {
    (void)state;
    check_measure("");
    check_measure("shared_proposals=false twin_q=true");
    check_measure("value_proposals=sampler proposal_switch=0");
}

/* ---- the sampler's proposals ---- */

/* log q of identity f's action, in double. xi (A) */
static double identity_density(const float *xi) {
    double log_q = 0.0;
    for (size_t i = 0; i < A; i++) {
        const double u = (double)xi[i], t = tanh(u);
        log_q -= 0.5 * u * u + 0.5 * log(2.0 * acos(-1.0));
        log_q -= log(1.0 - t * t);
    }
    return log_q;
}

/* With f(s, xi) = xi all of VHAT can be written down; twins by the smaller. */
static void check_sampler_targets(const char *options) {
    struct training x;
    float a[PROPOSED_A], q[2][PROPOSED];
    start(&x, options);
    make_identity(&x);
    training_update(&x);
    for (size_t i = 0; i < PROPOSED_A; i++)
        a[i] = (float)tanh((double)x.noise.xi_value[i]);
    q_of(q[0], &x, 0, a, W, 0);
    q_of(q[1], &x, x.alg->n_q - 1, a, W, 0);
    for (size_t b = 0; b < ROWS; b++) {
        double sum = 0.0;
        for (size_t j = b * W; j < (b + 1) * W; j++) {
            const double log_q = identity_density(x.noise.xi_value + j * A);
            sum += exp((double)fminf(q[0][j], q[1][j]) / 0.5 - log_q) / W;
        }
        assert_close(targets_of(&x)[b], target_of(&x, b, 0.5 * log(sum)),
                     2e-5f);
    }
    assert_true(x.figures.negative == 0.0);
    assert_true(x.figures.degenerate == 0.0);
    training_finish(&x);
}

static void the_samplers_actions_are_weighted_by_density(void **state) {
    (void)state;
    check_sampler_targets("value_proposals=sampler proposal_switch=0");
    check_sampler_targets(
        "value_proposals=sampler proposal_switch=0 twin_q=true");
}

/* A sampler that does not see its noise has no density: uniform proposals
 * stand in, state by state, to the bit. */
static void check_degenerate(const char *options) {
    char sampler[128];
    struct training x, y;
    snprintf(sampler, sizeof(sampler),
             "value_proposals=sampler proposal_switch=0 %s", options);
    start(&x, sampler);
    start(&y, options);
    deafen(&x);
    deafen(&y);
    training_update(&x);
    training_update(&y);
    assert_memory_equal(x.batch.next, y.batch.next, sizeof(float) * ROWS * S);
    for (size_t b = 0; b < ROWS; b++)
        assert_close(targets_of(&x)[b], targets_of(&y)[b], 0.0f);
    assert_true(x.figures.degenerate == 1.0);
    assert_true(x.figures.negative == 0.0);
    assert_true(y.figures.degenerate == 0.0);
    training_finish(&x);
    training_finish(&y);
}

static void degenerate_states_take_uniform_proposals(void **state) {
    (void)state;
    check_degenerate("");
    check_degenerate("shared_proposals=false");
    check_degenerate("shared_proposals=false twin_q=true");
    check_degenerate("value_measure=uniform");
}

/* An f that mirrors one axis folds everything over: all determinants are
 * negative, and with mirrored noise the value is what it was. */
static void a_mirror_is_seen_and_changes_nothing(void **state) {
    (void)state;
    const char *options = "value_proposals=sampler proposal_switch=0";
    struct training x, y;
    const char *what = NULL;
    start(&x, options);
    start(&y, options);
    make_identity(&x);
    make_identity(&y);
    ((float *)slice_of(&y.alg->f, "wx"))[0] = -1.0f;
    training_update(&x);
    training_draw(&y);
    for (size_t j = 0; j < PROPOSED; j++) y.noise.xi_value[j * A] *= -1.0f;
    assert_int_equal(
        algorithm_update(y.alg, &y.batch, &y.noise, &y.figures, &what), 0);
    for (size_t b = 0; b < ROWS; b++)
        assert_close(targets_of(&y)[b], targets_of(&x)[b], 0.0f);
    assert_true(x.figures.negative == 0.0);
    assert_true(y.figures.negative == 1.0);
    assert_true(y.figures.degenerate == 0.0);
    training_finish(&x);
    training_finish(&y);
}

/* proposal_switch = 3: three updates by uniform proposals, then the
 * sampler's; only those have determinants. */
static void proposals_switch_on_time(void **state) {
    (void)state;
    struct training x, y;
    start(&x, "value_proposals=sampler proposal_switch=3");
    start(&y, "");
    for (size_t t = 0; t < 5; t++) {
        deafen(&x);
        training_update(&x);
        assert_true(x.figures.degenerate == (t < 3 ? 0.0 : 1.0));
    }
    training_update(&y);
    training_finish(&x);
    start(&x, "value_proposals=sampler proposal_switch=3");
    training_update(&x); // before the switch: as if there were none
    for (size_t b = 0; b < ROWS; b++)
        assert_close(targets_of(&x)[b], targets_of(&y)[b], 0.0f);
    training_finish(&x);
    training_finish(&y);
}

/* ---- DDPG ---- */

/* target = r + gamma Qbar(s', tanh mubar(s')), of twins the smaller; mubar is
 * the delayed copy. */
static void check_ddpg(const char *options, size_t updates) {
    struct training x;
    struct mlp_work work;
    float a[ROWS_A], q[2][ROWS], zeros[ROWS_A] = {0}, mubar[2048];
    start(&x, options);
    training_run(&x, updates);
    const struct network *mu = &x.alg->f;
    assert_true(mu->P <= 2048);
    memcpy(mubar, mu->target, sizeof(float) * mu->P);
    assert_int_equal(mlp_work_init(&work, &mu->shape, ROWS, ROWS), 0);
    test_fill_nan(a, ROWS_A);
    training_draw(&x);
    policy_act(&mu->shape, a, NULL, mubar, x.batch.next, zeros, ROWS, 1, &work);
    q_of(q[0], &x, 0, a, 1, 0);
    q_of(q[1], &x, x.alg->n_q - 1, a, 1, 0);
    const char *what = NULL;
    assert_int_equal(
        algorithm_update(x.alg, &x.batch, &x.noise, &x.figures, &what), 0);
    for (size_t b = 0; b < ROWS; b++) {
        const double v = (double)fminf(q[0][b], q[1][b]);
        assert_close(targets_of(&x)[b], target_of(&x, b, v), 1e-6f);
    }
    mlp_work_finish(&work);
    training_finish(&x);
}

static void ddpg_has_the_hard_backup(void **state) {
    (void)state;
    check_ddpg("algorithm=ddpg", 0);
    check_ddpg("algorithm=ddpg", 4); // mu has moved, mubar has not
    check_ddpg("algorithm=ddpg twin_q=true target_rate=0.1", 4);
    check_ddpg("algorithm=ddpg value_measure=uniform", 2);
}

/* mubar is a hard copy at the seventh update, or goes a tenth of the way. */
static void ddpgs_actor_has_a_target(void **state) {
    (void)state;
    struct training x;
    float before[2048];
    start(&x, "algorithm=ddpg");
    const size_t bytes = sizeof(float) * x.alg->f.P;
    const float *mu = x.alg->f.p, *mubar = x.alg->f.target;
    assert_true(x.alg->f.P <= 2048);
    memcpy(before, mu, bytes);
    training_run(&x, 6);
    assert_memory_equal(mubar, before, bytes);
    training_run(&x, 1);
    assert_memory_equal(mubar, mu, bytes);
    training_finish(&x);
    start(&x, "algorithm=ddpg target_rate=0.1");
    mu = x.alg->f.p, mubar = x.alg->f.target;
    for (size_t t = 0; t < 3; t++) {
        memcpy(before, mubar, bytes);
        training_run(&x, 1);
        for (size_t i = 0; i < x.alg->f.P; i++)
            assert_close(mubar[i], before[i] + 0.1f * (mu[i] - before[i]),
                         1e-6f);
        assert_true(memcmp(mubar, before, bytes) != 0);
    }
    training_finish(&x);
}

int main(void) {
    mlp_blas_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_may_have_their_own_proposals),
        cmocka_unit_test(the_uniform_measure_shifts_targets),
        cmocka_unit_test(the_samplers_actions_are_weighted_by_density),
        cmocka_unit_test(degenerate_states_take_uniform_proposals),
        cmocka_unit_test(a_mirror_is_seen_and_changes_nothing),
        cmocka_unit_test(proposals_switch_on_time),
        cmocka_unit_test(ddpg_has_the_hard_backup),
        cmocka_unit_test(ddpgs_actor_has_a_target),
    };
    return cmocka_run_group_tests_name("targets", tests, NULL, NULL);
}
