/*
 * Every gradient of an update against central differences of the loss that it
 * is of, in float32: along its own direction and along random ones.
 */
#include "common/policy.h"
#include "learner/algorithm_state.h"
#include "tests/unit/test.h"
#include "tests/unit/training.h"

#include <stdlib.h>
#include <string.h>

/* So many rows that those whose ReLU switches within a step do not count. */
enum { S = TRAINING_S, A = TRAINING_A, ROWS = 1024, K = 4, M = 4 };
enum { FIXED = ROWS * K, FIXED_A = FIXED * A };
enum { DIRECTIONS = 5 }; // the first is the gradient's own
static const float step = 1e-3f;

/* What is differentiated, and of what. */
struct loss {
    struct training *training;
    double (*value)(const struct loss *loss);
    float *x;              /* (n) it is a function of */
    const float *gradient; /* (n) as the algorithm has it */
    size_t n;
    bool of_actions; /* x is (n / A, A): each pair has a loss of its own */
    struct mlp_work work;
    float *u, *a, *q, *other; /* (FIXED_A) scratch */
};

static void start(struct training *x, const char *options, size_t n_sources) {
    struct config config = training_config();
    config.minibatch = ROWS;
    config.particles_fixed = K;
    config.particles_moved = M;
    training_set(&config, options);
    if (n_sources > 0) {
        training_init_composed(x, &config, 1, n_sources, 10);
    } else {
        training_init(x, &config, 1);
    }
}

static void loss_init(struct loss *loss, struct training *training) {
    const struct mlp_shape widest = {.S = S, .X = A, .H = 64, .Y = A};
    *loss = (struct loss){.training = training};
    assert_int_equal(mlp_work_init(&loss->work, &widest, FIXED, ROWS), 0);
    loss->u = calloc((size_t)4 * FIXED_A, sizeof(float));
    assert_non_null(loss->u);
    test_fill_nan(loss->u, (size_t)4 * FIXED_A);
    loss->a = loss->u + FIXED_A;
    loss->q = loss->a + FIXED_A;
    loss->other = loss->q + FIXED_A;
}

static void loss_finish(struct loss *loss) {
    mlp_work_finish(&loss->work);
    free(loss->u);
}

static double length(const float *x, size_t n) {
    double squares = 0.0;
    for (size_t i = 0; i < n; i++) squares += (double)x[i] * (double)x[i];
    return sqrt(squares);
}

/* The slope along a direction, by two values of the loss. */
static double slope(const struct loss *loss, const float *direction) {
    double value[2];
    float *kept = malloc(sizeof(*kept) * loss->n);
    assert_non_null(kept);
    memcpy(kept, loss->x, sizeof(*kept) * loss->n);
    for (size_t side = 0; side < 2; side++) {
        const float far = side ? step : -step;
        for (size_t i = 0; i < loss->n; i++)
            loss->x[i] = kept[i] + far * direction[i];
        value[side] = loss->value(loss);
    }
    memcpy(loss->x, kept, sizeof(*kept) * loss->n);
    free(kept);
    return (value[1] - value[0]) / (2.0 * (double)step);
}

/* The gradient's own direction, then random ones: of parameters one of all
 * numbers; of actions one way for a random half of them. All of length 1, or 1
 * an action. */
static void point(const struct loss *loss, size_t k, float *direction) {
    const size_t n = loss->n;
    float way[A];
    test_fill_normal(direction, n, k);
    test_fill_normal(way, A, k);
    for (size_t i = 0; k > 0 && loss->of_actions && i < n; i += A) {
        const bool moved = direction[i] > 0.0f;
        for (size_t d = 0; d < A; d++) direction[i + d] = moved ? way[d] : 0.0f;
    }
    if (k == 0) memcpy(direction, loss->gradient, sizeof(*direction) * n);
    const size_t rows = loss->of_actions ? n / A : 1;
    const double scale = sqrt((double)rows) / length(direction, n);
    for (size_t i = 0; i < n; i++) direction[i] *= (float)scale;
}

/* Within 2 % along the gradient, and of the random slopes' size along those. */
static void check_slopes(const char *what, const struct loss *loss) {
    float *direction = malloc(sizeof(*direction) * loss->n);
    double own = 0.0, squares = 0.0, worst = 0.0;
    assert_non_null(direction);
    for (size_t k = 0; k < DIRECTIONS; k++) {
        double expected = 0.0;
        point(loss, k, direction);
        for (size_t i = 0; i < loss->n; i++)
            expected += (double)direction[i] * (double)loss->gradient[i];
        const double error = fabs(slope(loss, direction) - expected);
        if (k == 0) {
            assert_true(expected > 0.0);
            own = error / expected;
        } else {
            squares += expected * expected / (DIRECTIONS - 1);
            worst = fmax(worst, error);
        }
    }
    free(direction);
    worst /= sqrt(squares);
    print_message("# %s: off by %.2g along the gradient, at most %.2g along "
                  "others\n",
                  what, own, worst);
    if (!(own <= 0.02 && worst <= 0.02)) fail_msg("%s: over 0.02", what);
}

/* ---- JQ by theta ---- */

/* JQ of the minibatch, the targets as they were. */
static double jq(const struct loss *loss) {
    const struct training *x = loss->training;
    const struct mlp_shape *shape = &x->alg->q[0].shape;
    const float *target = x->alg->slices[0].target;
    double sum = 0.0;
    mlp_forward(shape, loss->q, loss->x, x->alg->s, x->batch.a, ROWS, 1, 0,
                (struct mlp_work *)&loss->work);
    for (size_t b = 0; b < ROWS; b++) {
        const double error = (double)loss->q[b] - (double)target[b];
        sum += 0.5 * error * error / ROWS;
    }
    return sum;
}

/* Parameters p as they are, before the update; the gradient afterwards is ten
 * times Adam's mean, whose first value is 0.1 of it. */
static float *copy_of(const float *x, size_t n, float scale) {
    float *copy = malloc(sizeof(*copy) * n);
    assert_non_null(copy);
    for (size_t i = 0; i < n; i++) copy[i] = x[i] * scale;
    return copy;
}

static void check_q(const char *options) {
    static const char *const adam[] = {"adam.q.m", "adam.q2.m"};
    struct training x;
    float *theta[2] = {NULL, NULL};
    start(&x, options, 0);
    const size_t P = x.alg->q[0].P, n_q = x.alg->n_q;
    for (size_t i = 0; i < n_q; i++) theta[i] = copy_of(x.alg->q[i].p, P, 1.0f);
    training_update(&x);
    for (size_t i = 0; i < n_q; i++) {
        struct loss loss;
        loss_init(&loss, &x);
        float *gradient = copy_of(training_vector(&x, adam[i]), P, 10.0f);
        loss.value = jq;
        loss.x = theta[i];
        loss.gradient = gradient;
        loss.n = P;
        check_slopes("JQ by theta", &loss);
        loss_finish(&loss);
        free(gradient);
        free(theta[i]);
    }
    training_finish(&x);
}

/* d JQ / d theta, of one Q and of each of twins. */
static void the_gradient_of_q_is_that_of_jq(void **state) {
    (void)state;
    check_q("");
    check_q("twin_q=true observation_normalisation=true");
    check_q("value_proposals=sampler proposal_switch=0");
    check_q("algorithm=ddpg");
}

/* ---- Q by the action ---- */

/* sum over rows of the Q that f sees: the mean over sources of the smaller of
 * twins, by each one's own view of the states. */
static double q_sum(const struct loss *loss) {
    const struct algorithm *alg = loss->training->alg;
    double sum = 0.0;
    for (size_t k = 0; k < alg->n_sources; k++) {
        const struct algorithm_source *source = &alg->sources[k];
        struct mlp_work *work = (struct mlp_work *)&loss->work;
        mlp_forward(&source->q.shape, loss->q, source->q.theta[0], source->s,
                    loss->x, ROWS, K, 0, work);
        mlp_forward(&source->q.shape, loss->other, source->q.theta[source->q.n - 1],
                    source->s, loss->x, ROWS, K, 0, work);
        for (size_t j = 0; j < FIXED; j++)
            sum += (double)fminf(loss->q[j], loss->other[j]) /
                   (double)alg->n_sources;
    }
    return sum;
}

static void check_action(const char *options, size_t n_sources) {
    static float a[FIXED_A];
    struct training x;
    struct loss loss;
    struct rng rng;
    rng_init(&rng, 8, RNG_TEST, 0, 0, 0);
    start(&x, options, n_sources);
    training_run(&x, 3);
    loss_init(&loss, &x);
    struct algorithm_slice *at = &x.alg->slices[0];
    rng_fill_uniform(&rng, a, FIXED_A, -1.0f, 1.0f);
    test_fill_nan(at->g, FIXED_A);
    critic_slope(x.alg, at, a, K);
    loss.value = q_sum;
    loss.x = a;
    loss.gradient = at->g;
    loss.n = FIXED_A;
    loss.of_actions = true;
    check_slopes("Q by the action", &loss);
    loss_finish(&loss);
    training_finish(&x);
}

/* dQ/da of one Q, of the smaller of twins, of the mean over sources. */
static void the_slope_of_q_is_by_the_action(void **state) {
    (void)state;
    check_action("", 0);
    check_action("seed=3 twin_q=true", 0);
    check_action("observation_normalisation=true", 0);
    check_action("algorithm=compose", 2);
    check_action("algorithm=compose observation_normalisation=true", 3);
}

/* ---- JF by phi ---- */

/* JF: sum D^T y, D as it was. at->D is -D / (rows M), so this is its negative:
 * what Adam descends. */
static double jf(const struct loss *loss) {
    const struct training *x = loss->training;
    const struct algorithm *alg = x->alg;
    const size_t n = ROWS * alg->M;
    double sum = 0.0;
    mlp_forward(&alg->f.shape, loss->u, loss->x, alg->s, x->noise.xi_moved,
                ROWS, alg->M, 0, (struct mlp_work *)&loss->work);
    for (size_t i = 0; i < n * A; i++)
        sum += (double)alg->slices[0].D[i] * (double)loss->u[i];
    return sum;
}

/* DDPG: what Adam descends is -mean Q(s, tanh mu(s)), with the new Q. */
static double minus_mean_q(const struct loss *loss) {
    const struct training *x = loss->training;
    const struct algorithm *alg = x->alg;
    static const float zeros[ROWS * A];
    struct mlp_work *work = (struct mlp_work *)&loss->work;
    double sum = 0.0;
    policy_act(&alg->f.shape, loss->a, loss->u, loss->x, alg->s, zeros, ROWS, 1,
               work);
    mlp_forward(&alg->q[0].shape, loss->q, alg->q[0].p, alg->s, loss->a, ROWS,
                1, 0, work);
    mlp_forward(&alg->q[0].shape, loss->other, alg->q[alg->n_q - 1].p, alg->s,
                loss->a, ROWS, 1, 0, work);
    for (size_t b = 0; b < ROWS; b++)
        sum -= (double)fminf(loss->q[b], loss->other[b]) / ROWS;
    return sum;
}

static void check_f(const char *options, size_t n_sources, const char *what,
                    double (*value)(const struct loss *loss)) {
    struct training x;
    struct loss loss;
    start(&x, options, n_sources);
    const size_t P = x.alg->f.P;
    float *phi = copy_of(x.alg->f.p, P, 1.0f);
    training_update(&x);
    float *gradient = copy_of(training_vector(&x, "adam.f.m"), P, 10.0f);
    loss_init(&loss, &x);
    loss.value = value;
    loss.x = phi;
    loss.gradient = gradient;
    loss.n = P;
    check_slopes(what, &loss);
    loss_finish(&loss);
    free(phi);
    free(gradient);
    training_finish(&x);
}

/* d JF / d phi with D held constant. */
static void the_gradient_of_f_is_that_of_jf(void **state) {
    (void)state;
    check_f("", 0, "JF by phi", jf);
    check_f("svgd_space=action", 0, "JF by phi, in actions", jf);
    check_f("one_set=true", 0, "JF by phi, one set", jf);
    check_f("temperature=auto noise_set=0", 0, "JF by phi, with densities", jf);
    check_f("noise_set=5 observation_normalisation=true", 0,
            "JF by phi, normalised", jf);
    check_f("algorithm=compose", 3, "JF by phi, composed", jf);
}

/* d mean Q(s, tanh mu(s)) / d phi. */
static void ddpgs_gradient_is_that_of_mean_q(void **state) {
    (void)state;
    check_f("algorithm=ddpg", 0, "mean Q by phi", minus_mean_q);
    check_f("algorithm=ddpg twin_q=true", 0, "mean Q by phi, twins",
            minus_mean_q);
    check_f("algorithm=ddpg observation_normalisation=true", 0,
            "mean Q by phi, normalised", minus_mean_q);
}

/* The updates go uphill: repeated on one minibatch with a Q that stays, mean
 * Q(s, tanh mu(s)) rises every time. */
static void ddpgs_actor_climbs(void **state) {
    (void)state;
    struct training x;
    struct loss loss;
    const char *what = NULL;
    start(&x, "algorithm=ddpg learning_rate_q=1e-12", 0);
    training_update(&x);
    loss_init(&loss, &x);
    loss.x = x.alg->f.p;
    double before = minus_mean_q(&loss);
    for (size_t t = 0; t < 20; t++) {
        assert_int_equal(
            algorithm_update(x.alg, &x.batch, &x.noise, &x.figures, &what), 0);
        const double now = minus_mean_q(&loss);
        assert_true(now < before);
        before = now;
    }
    loss_finish(&loss);
    training_finish(&x);
}

int main(void) {
    mlp_blas_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gradient_of_q_is_that_of_jq),
        cmocka_unit_test(the_slope_of_q_is_by_the_action),
        cmocka_unit_test(the_gradient_of_f_is_that_of_jf),
        cmocka_unit_test(ddpgs_gradient_is_that_of_mean_q),
        cmocka_unit_test(ddpgs_actor_climbs),
    };
    return cmocka_run_group_tests_name("gradients", tests, NULL, NULL);
}
