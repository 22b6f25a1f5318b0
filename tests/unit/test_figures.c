/* What is told of an update beside its losses. */
#include <string.h>

#include "learner/algorithm_state.h"
#include "tests/unit/test.h"
#include "tests/unit/training.h"

enum { A = TRAINING_A, H = TRAINING_UNITS, ROWS = TRAINING_ROWS };

static void start(struct training *x, const char *options, size_t threads) {
    struct config config = training_config();
    training_set(&config, options);
    training_init(x, &config, threads);
}

/* Mean and deviation of x (n), in double. */
static void moments_of(const float *x, size_t n, double *mean,
                       double *deviation) {
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i];
    *mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += ((double)x[i] - *mean) * ((double)x[i] - *mean);
    *deviation = sqrt(squares / (double)n);
}

static double rms(const float *x, size_t n) {
    double squares = 0.0;
    for (size_t i = 0; i < n; i++) squares += (double)x[i] * (double)x[i];
    return sqrt(squares / (double)n);
}

/* Of Q(s, a), and of its error. */
static void spreads_are_those_of_the_minibatch(void **state) {
    (void)state;
    struct training x;
    float error[ROWS];
    double mean, deviation;
    start(&x, "", 1);
    training_run(&x, 3);
    const struct algorithm_slice *at = &x.alg->slices[0];
    moments_of(at->q, ROWS, &mean, &deviation);
    assert_close((float)x.figures.q_mean, (float)mean, 1e-5f);
    assert_close((float)x.figures.q_deviation, (float)deviation, 1e-5f);
    for (size_t b = 0; b < ROWS; b++) error[b] = at->q[b] - at->target[b];
    moments_of(error, ROWS, &mean, &deviation);
    assert_close((float)x.figures.td_deviation, (float)deviation, 1e-5f);
    assert_true(x.figures.td_deviation > 0.01);
    training_finish(&x);
}

/* Each kind of proposals has its own mean V, and nothing stands for none. */
static void values_are_told_apart_by_proposals(void **state) {
    (void)state;
    const char *sampler = "value_proposals=sampler proposal_switch=1";
    struct training x;
    double mean, deviation;
    start(&x, sampler, 1);
    for (int t = 0; t < 3; t++) {
        if (t == 2) { // no row sees its noise: uniform proposals stand in
            memset(x.alg->f.p + TRAINING_S * H, 0, sizeof(float) * A * H);
        }
        training_update(&x);
        moments_of(x.alg->slices[0].v, ROWS, &mean, &deviation);
        const double uniform = x.figures.value_uniform;
        const double own = x.figures.value_sampler;
        assert_true(isnan(t == 1 ? uniform : own));
        assert_close((float)(t == 1 ? own : uniform), (float)mean, 1e-4f);
    }
    training_finish(&x);
}

/* The size of what repels: 1/K sum_j alpha 2/h (y_i - x_j) kappa, by libm. */
static double repulsion(const struct training *x) {
    const struct algorithm *alg = x->alg;
    const struct algorithm_slice *at = &alg->slices[0];
    double squares = 0.0;
    for (size_t b = 0; b < ROWS; b++) {
        for (size_t i = 0; i < alg->M; i++) {
            const float *y = at->moved_u + (b * alg->M + i) * A;
            double sum[A] = {0};
            for (size_t j = 0; j < alg->K; j++) {
                const float *x_j = at->fixed_u + (b * alg->K + j) * A;
                double d2 = 0.0;
                for (size_t d = 0; d < A; d++)
                    d2 += pow((double)y[d] - (double)x_j[d], 2.0);
                const double h = (double)at->h[b];
                for (size_t d = 0; d < A; d++)
                    sum[d] += (double)alg->alpha * 2.0 / h *
                              ((double)y[d] - (double)x_j[d]) * exp(-d2 / h);
            }
            for (size_t d = 0; d < A; d++)
                squares += pow(sum[d] / (double)alg->K, 2.0);
        }
    }
    return sqrt(squares / (double)(ROWS * alg->M * A));
}

/* Score and bandwidth with every update, repulsion with every sixteenth. */
static void particles_are_measured(void **state) {
    (void)state;
    struct training x;
    double mean, deviation;
    start(&x, "", 1);
    const struct algorithm_slice *at = &x.alg->slices[0];
    for (uint64_t t = 0; t <= ALGORITHM_LOOK; t++) {
        training_update(&x);
        moments_of(at->h, ROWS, &mean, &deviation);
        assert_close((float)x.figures.bandwidth, (float)mean, 1e-5f);
        assert_close((float)x.figures.score_norm,
                     (float)rms(at->g, ROWS * x.alg->K * A), 1e-5f);
        if (t % ALGORITHM_LOOK == 0)
            assert_close((float)x.figures.repulsion_norm, (float)repulsion(&x),
                         1e-5f);
        else
            assert_true(isnan(x.figures.repulsion_norm));
    }
    training_finish(&x);
}

static void shift(float *bias, size_t from, size_t n, float by) {
    for (size_t i = from; i < from + n; i++) bias[i] += by;
}

/* A unit is dead when nothing in the whole minibatch turns it on, however many
 * threads share it. */
static void check_dead(const char *options, size_t threads) {
    struct training x;
    start(&x, options, threads);
    struct network *nets[] = {&x.alg->q[0], &x.alg->f};
    for (size_t k = 0; k < 2; k++) {
        struct mlp_slice slices[MLP_TENSORS];
        mlp_slices(&nets[k]->shape, slices);
        float *b1 = nets[k]->p + slices[2].offset;
        float *b2 = nets[k]->p + slices[4].offset;
        shift(b1, 0, H, 1e3f);
        shift(b2, 0, H, 1e5f);
        shift(b1, 2, 5 + k, -1e6f);
        shift(b2, 4, 2, -1e7f);
    }
    training_update(&x);
    assert_close((float)x.figures.q_dead, 7.0f / (2 * H), 1e-6f);
    assert_close((float)x.figures.f_dead, 8.0f / (2 * H), 1e-6f);
    training_update(&x);
    assert_true(isnan(x.figures.q_dead) && isnan(x.figures.f_dead));
    training_finish(&x);
}

static void dead_units_are_counted(void **state) {
    (void)state;
    check_dead("", 1);
    check_dead("", 3);
    check_dead("twin_q=true", 2);
    check_dead("algorithm=ddpg", 2);
}

/* DDPG has neither particles nor proposals. */
static void ddpg_has_no_particles(void **state) {
    (void)state;
    struct training x;
    start(&x, "algorithm=ddpg", 1);
    training_update(&x);
    const struct algorithm_figures *f = &x.figures;
    assert_true(isnan(f->score_norm) && isnan(f->repulsion_norm));
    assert_true(isnan(f->bandwidth) && isnan(f->value_uniform));
    assert_true(isnan(f->value_sampler) && isfinite(f->td_deviation));
    training_finish(&x);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(spreads_are_those_of_the_minibatch),
        cmocka_unit_test(values_are_told_apart_by_proposals),
        cmocka_unit_test(particles_are_measured),
        cmocka_unit_test(dead_units_are_counted),
        cmocka_unit_test(ddpg_has_no_particles),
    };
    return cmocka_run_group_tests_name("figures", cases, NULL, NULL);
}
