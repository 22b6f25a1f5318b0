#include "learner/algorithm.h"
#include "learner/algorithm_state.h"
#include "tests/unit/test.h"
#include "tests/unit/training.h"

#include <errno.h>
#include <string.h>

enum { S = TRAINING_S, A = TRAINING_A };
enum { ROWS = TRAINING_ROWS, UNITS = TRAINING_UNITS };

/* The same arguments give the same bits. */
static void an_update_is_a_function_of_its_arguments(void **state) {
    (void)state;
    const struct config config = training_config();
    for (size_t threads = 1; threads <= 2; threads++) {
        struct training x, y;
        training_init(&x, &config, threads);
        training_init(&y, &config, threads);
        training_run(&x, 20);
        training_run(&y, 20);
        assert_close(training_difference(&x, &y), 0.0f, 0.0f);
        assert_memory_equal(&x.figures, &y.figures, sizeof(x.figures));
        training_finish(&x);
        training_finish(&y);
    }
}

/* How the minibatch is split changes rounding only. */
static void threads_agree_to_rounding(void **state) {
    (void)state;
    struct config config = training_config();
    for (size_t i = 0; i < 4; i++) {
        const size_t threads = 2 + i / 2;
        struct training x, y;
        config.twin_q = i % 2 == 1;
        training_init(&x, &config, 1);
        training_init(&y, &config, threads);
        training_run(&x, 3);
        training_run(&y, 3);
        // Adam's first steps turn the sign of a tiny gradient into a whole
        // step, so a few weights may differ by more than the sums do
        assert_close(training_difference(&x, &y), 0.0f, 1e-4f);
        assert_close((float)y.figures.q_loss, (float)x.figures.q_loss, 1e-4f);
        assert_close((float)y.figures.stein_norm, (float)x.figures.stein_norm,
                     1e-4f);
        training_finish(&x);
        training_finish(&y);
    }
}

/* The first step of Adam: Q's output bias goes the rate's length downhill. */
static void the_first_q_step_goes_downhill(void **state) {
    (void)state;
    struct config config = training_config();
    config.gamma = 0.0;
    struct training x;
    struct tensors_entry entries[ALGORITHM_MAX_TENSORS];
    training_init(&x, &config, 1);
    training_run(&x, 1);
    const size_t n = algorithm_tensors(x.alg, entries);
    const float b3 = *(const float *)training_find(entries, n, "q.b3")->data;
    // gamma 0: the target is the scaled reward
    double r = 0.0;
    for (size_t b = 0; b < ROWS; b++) r += 2.0 * (double)x.batch.r[b] / ROWS;
    assert_close((float)x.figures.target_mean, (float)r, 1e-5f);
    const float sign = x.figures.target_mean > x.figures.q_mean ? 1.0f : -1.0f;
    assert_close(b3, sign * 1e-3f, 1e-6f);
    training_finish(&x);
}

/* With gamma 0 and one reward for all, Q learns that number. */
static void q_learns_the_reward(void **state) {
    (void)state;
    struct config config = training_config();
    config.gamma = 0.0;
    struct training x;
    const char *what = NULL;
    training_init(&x, &config, 1);
    x.batch.n = ROWS;
    for (size_t i = 0; i < 1500; i++) {
        rng_fill_normal(&x.rng, x.batch.s, (size_t)ROWS * S);
        rng_fill_uniform(&x.rng, x.batch.a, (size_t)ROWS * A, -1, 1);
        for (size_t b = 0; b < ROWS; b++) {
            x.batch.r[b] = x.batch.a[b * A]; // the first action
            x.batch.flags[b] = 0;
        }
        memset(x.batch.next, 0, sizeof(float) * ROWS * S);
        algorithm_noise_draw(&x.noise, x.alg, &x.rng);
        assert_int_equal(
            algorithm_update(x.alg, &x.batch, &x.noise, &x.figures, &what), 0);
    }
    assert_true(x.figures.q_loss < 0.02);
    training_finish(&x);
}

/* Qbar is Q as it was at the last multiple of target_every. */
static void the_target_is_copied_on_time(void **state) {
    (void)state;
    const struct config config = training_config();
    struct training x;
    struct tensors_entry entries[ALGORITHM_MAX_TENSORS];
    float initial[UNITS * UNITS];
    training_init(&x, &config, 1);
    const size_t n = algorithm_tensors(x.alg, entries);
    const float *q = training_find(entries, n, "q.w2")->data;
    const float *target = training_find(entries, n, "q_target.w2")->data;
    memcpy(initial, q, sizeof(initial));
    training_run(&x, 6);
    assert_memory_equal(target, initial, sizeof(initial));
    assert_true(memcmp(q, initial, sizeof(initial)) != 0);
    training_run(&x, 1);
    assert_memory_equal(target, q, sizeof(initial));
    training_run(&x, 1);
    assert_true(memcmp(target, q, sizeof(initial)) != 0);
    training_finish(&x);
}

/* Polyak: Qbar goes a share of the way to Q every update. */
static void the_target_may_follow_smoothly(void **state) {
    (void)state;
    struct config config = training_config();
    config.target_rate = 0.1;
    struct training x;
    struct tensors_entry entries[ALGORITHM_MAX_TENSORS];
    training_init(&x, &config, 1);
    const size_t n = algorithm_tensors(x.alg, entries);
    const float *q = training_find(entries, n, "q.w2")->data;
    const float *target = training_find(entries, n, "q_target.w2")->data;
    double expected = (double)q[5];
    for (size_t i = 0; i < 10; i++) {
        training_run(&x, 1);
        expected += 0.1 * ((double)q[5] - expected);
        assert_close(target[5], (float)expected, 1e-6f);
    }
    assert_true(fabsf(target[5] - q[5]) > 1e-4f);
    training_finish(&x);
}

/* sum_t decay^(n-t) phi_t over sum_t decay^(n-t), for the first 5 updates. */
static void the_acting_sampler_is_the_unbiased_mean(void **state) {
    (void)state;
    struct config config = training_config();
    config.sampler_average = 0.8;
    struct training x;
    struct tensors_entry entries[ALGORITHM_MAX_TENSORS];
    double sum = 0.0, weights = 0.0;
    training_init(&x, &config, 1);
    const size_t n = algorithm_tensors(x.alg, entries);
    const float *phi = training_find(entries, n, "f_train.w2")->data;
    const float *acting = training_find(entries, n, "f.w2")->data;
    assert_close(acting[3], phi[3], 0.0f); // untrained: the same
    for (size_t i = 0; i < 5; i++) {
        training_run(&x, 1);
        sum = 0.8 * sum + (double)phi[3];
        weights = 0.8 * weights + 1.0;
        assert_close(acting[3], (float)(sum / weights), 1e-6f);
    }
    training_finish(&x);
}

/* sampler_average 0: what acts is what trains. */
static void without_averaging_the_sampler_itself_acts(void **state) {
    (void)state;
    const struct config config = training_config();
    struct training x;
    struct tensors_entry entries[ALGORITHM_MAX_TENSORS];
    training_init(&x, &config, 1);
    training_run(&x, 3);
    const size_t n = algorithm_tensors(x.alg, entries);
    const float *phi = training_find(entries, n, "f_train.ws")->data;
    assert_memory_equal(algorithm_policy(x.alg).phi, phi,
                        sizeof(float) *
                            mlp_parameters(algorithm_sampler_shape(x.alg)));
    training_finish(&x);
}

static void check_continuing(bool twin_q) {
    struct config config = training_config();
    config.twin_q = twin_q;
    config.sampler_average = 0.9;
    config.max_updates = 50;
    config.learning_rate_end = 0.1;
    struct training x, y;
    struct tensors saved;
    char why[200] = "";
    training_init(&x, &config, 2);
    training_run(&x, 17);
    training_copy(&saved, &x);
    config.seed = 99; // everything must come from the file
    training_init(&y, &config, 2);
    assert_int_equal(algorithm_load(y.alg, &saved, why, sizeof(why)), 0);
    assert_int_equal(algorithm_updates(y.alg), 17);
    y.rng = x.rng;
    training_run(&x, 17);
    training_run(&y, 17);
    assert_close(training_difference(&x, &y), 0.0f, 0.0f);
    assert_int_equal(algorithm_updates(y.alg), 34);
    training_free_copy(&saved);
    training_finish(&x);
    training_finish(&y);
}

/* Saved and loaded into a fresh learner, training goes on bit for bit. */
static void a_checkpoint_continues_bit_for_bit(void **state) {
    (void)state;
    check_continuing(false);
    check_continuing(true);
}

/* A file of one Q does not start twins; a file of twins starts one Q. */
static void twins_need_a_checkpoint_of_twins(void **state) {
    (void)state;
    struct config config = training_config();
    struct training one, two;
    struct tensors of_one, of_two;
    char why[200] = "";
    training_init(&one, &config, 1);
    config.twin_q = true;
    training_init(&two, &config, 1);
    training_copy(&of_one, &one);
    training_copy(&of_two, &two);
    assert_int_equal(of_two.n, of_one.n + 2 * MLP_TENSORS + 2);
    assert_int_equal(algorithm_load(two.alg, &of_one, why, sizeof(why)),
                     -EINVAL);
    assert_string_equal(why, "no tensor q2.ws (3, 24)");
    assert_int_equal(algorithm_load(one.alg, &of_two, why, sizeof(why)), 0);
    training_free_copy(&of_one);
    training_free_copy(&of_two);
    training_finish(&one);
    training_finish(&two);
}

/* A file of another shape is refused by name and both shapes; nothing changes.
 */
static void a_wrong_checkpoint_is_refused_in_words(void **state) {
    (void)state;
    struct config config = training_config();
    struct training x, y;
    struct tensors saved;
    char why[200] = "";
    training_init(&x, &config, 1);
    training_copy(&saved, &x);
    config.units = 25;
    training_init(&y, &config, 1);
    assert_int_equal(algorithm_load(y.alg, &saved, why, sizeof(why)), -EINVAL);
    assert_string_equal(why, "tensor f.ws is (3, 24), not (3, 25)");
    saved.n--; // "updates", the last
    assert_int_equal(algorithm_load(x.alg, &saved, why, sizeof(why)), -EINVAL);
    assert_string_equal(why, "no tensor updates ()");
    saved.n++;
    training_free_copy(&saved);
    training_finish(&x);
    training_finish(&y);
}

/* A NaN in the reward or in the parameters ends the update with its name. */
static void non_finite_numbers_are_found(void **state) {
    (void)state;
    const struct config config = training_config();
    struct training x;
    struct tensors_entry entries[ALGORITHM_MAX_TENSORS];
    const char *what = NULL;
    training_init(&x, &config, 2);
    training_run(&x, 1);
    x.batch.r[ROWS - 1] = INFINITY;
    assert_int_equal(
        algorithm_update(x.alg, &x.batch, &x.noise, &x.figures, &what), -EDOM);
    assert_string_equal(what, "the gradient of Q or its parameters");
    training_finish(&x);

    training_init(&x, &config, 2);
    training_run(&x, 1);
    const size_t n = algorithm_tensors(x.alg, entries);
    ((float *)training_find(entries, n, "f_train.b3")->data)[0] = NAN;
    assert_int_equal(
        algorithm_update(x.alg, &x.batch, &x.noise, &x.figures, &what), -EDOM);
    assert_string_equal(what, "the sampler's gradient or its parameters");
    training_finish(&x);
}

/* Mean target of the last minibatch from (ROWS, 9) values of the proposals. */
static double mean_target(const struct training *x, const struct config *config,
                          const float *values) {
    const size_t V = config->value_particles;
    double sum = 0.0;
    for (size_t b = 0; b < ROWS; b++) {
        double mean = 0.0; // of exp(Qbar / alpha) / (1/2)^A
        for (size_t j = 0; j < V; j++)
            mean += 4.0 * exp((double)values[b * V + j] / config->alpha) /
                    (double)V;
        sum += config->reward_scale * (double)x->batch.r[b];
        if (!(x->batch.flags[b] & BATCH_TERMINAL))
            sum += config->gamma * config->alpha * log(mean);
    }
    return sum / ROWS;
}

/* V takes the smaller Qbar of each proposal, before the exponent. */
static void the_target_of_twins_is_of_the_minimum(void **state) {
    (void)state;
    enum { V = 9 };
    struct config config = training_config();
    config.seed = 3; // at 4 one Q is the smaller everywhere
    config.twin_q = true;
    struct training x;
    struct mlp_work work = {0};
    float q1[ROWS * V], q2[ROWS * V], least[ROWS * V];
    test_fill_nan(q1, ROWS * V);
    test_fill_nan(q2, ROWS * V);
    training_init(&x, &config, 1);
    training_run(&x, 3); // the targets are the first Q still
    const struct mlp_shape *shape = algorithm_q_shape(x.alg);
    assert_int_equal(mlp_work_init(&work, shape, ROWS * V, ROWS), 0);
    mlp_forward(shape, q1, training_vector(&x, "q_target.ws"), x.batch.next,
                x.noise.proposals, ROWS, V, 1, &work);
    mlp_forward(shape, q2, training_vector(&x, "q2_target.ws"), x.batch.next,
                x.noise.proposals, ROWS, V, 1, &work);
    for (size_t i = 0; i < ROWS * V; i++) least[i] = fminf(q1[i], q2[i]);
    const float expected = (float)mean_target(&x, &config, least);
    assert_close((float)x.figures.target_mean, expected, 1e-5f);
    assert_true(mean_target(&x, &config, q1) > (double)expected + 1e-3);
    assert_true(mean_target(&x, &config, q2) > (double)expected + 1e-3);
    mlp_work_finish(&work);
    training_finish(&x);
}

/* g is the slope of whichever Q is the smaller at that particle. */
static void the_score_of_twins_is_the_smaller_ones(void **state) {
    (void)state;
    enum { K = 5, N = ROWS * K };
    struct config config = training_config();
    config.seed = 3; // at 4 one Q is the smaller everywhere
    config.twin_q = true;
    struct training x;
    struct mlp_work work = {0};
    float q[2][N], slope[2][N * A], ones[N];
    size_t taken[2] = {0};
    for (size_t i = 0; i < N; i++) ones[i] = 1.0f;
    training_init(&x, &config, 1);
    training_run(&x, 1);
    const struct mlp_shape *shape = algorithm_q_shape(x.alg);
    const struct algorithm_slice *at = &x.alg->slices[0];
    assert_int_equal(mlp_work_init(&work, shape, N, ROWS), 0);
    for (size_t i = 0; i < 2; i++) { // the Q that was just moved, as f saw it
        const float *p = training_vector(&x, i == 0 ? "q.ws" : "q2.ws");
        test_fill_nan(q[i], N);
        test_fill_nan(slope[i], (size_t)N * A);
        mlp_forward(shape, q[i], p, x.batch.s, at->fixed_a, ROWS, K, 0, &work);
        mlp_backward(shape, NULL, slope[i], ones, p, x.batch.s, at->fixed_a,
                     ROWS, K, &work);
    }
    for (size_t j = 0; j < N; j++) {
        const size_t least = q[1][j] < q[0][j] ? 1 : 0;
        taken[least]++;
        for (size_t d = j * A; d < (j + 1) * A; d++) {
            const float a = tanhf(at->fixed_u[d]);
            const float g = slope[least][d] * (1.0f - a * a) - 2 * 0.5f * a;
            assert_close(at->g[d], g, 1e-5f);
        }
    }
    assert_true(taken[0] > 0 && taken[1] > 0);
    mlp_work_finish(&work);
    training_finish(&x);
}

/* Each twin has a start, an Adam and a target copy of its own. */
static void twins_learn_side_by_side(void **state) {
    (void)state;
    enum { BYTES = UNITS * UNITS * sizeof(float) };
    struct config config = training_config();
    config.twin_q = true;
    struct training x, one;
    training_init(&x, &config, 1);
    config.twin_q = false;
    training_init(&one, &config, 1);
    const float *q = training_vector(&x, "q.w2"),
                *q2 = training_vector(&x, "q2.w2");
    const float *target = training_vector(&x, "q2_target.w2");
    assert_memory_equal(q, training_vector(&one, "q.w2"), BYTES);
    assert_memory_equal(training_vector(&x, "f.w2"),
                        training_vector(&one, "f.w2"), BYTES);
    assert_true(memcmp(q, q2, BYTES) != 0);
    assert_memory_equal(target, q2, BYTES);
    training_run(&x, 1);
    assert_close(fabsf(training_vector(&x, "q.b3")[0]), 1e-3f, 1e-6f);
    assert_close(fabsf(training_vector(&x, "q2.b3")[0]), 1e-3f, 1e-6f);
    assert_true(memcmp(target, q2, BYTES) != 0);
    training_run(&x, 6);
    assert_memory_equal(target, q2, BYTES);
    training_finish(&x);
    training_finish(&one);
}

/* More threads than rows still gives every slice a row. */
static void more_threads_than_rows_work(void **state) {
    (void)state;
    const struct config config = training_config();
    struct training x;
    training_init(&x, &config, 3 * ROWS);
    training_run(&x, 2);
    assert_true(isfinite(x.figures.q_loss));
    training_finish(&x);
}

int main(void) {
    mlp_blas_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_is_a_function_of_its_arguments),
        cmocka_unit_test(threads_agree_to_rounding),
        cmocka_unit_test(the_first_q_step_goes_downhill),
        cmocka_unit_test(q_learns_the_reward),
        cmocka_unit_test(the_target_is_copied_on_time),
        cmocka_unit_test(the_target_may_follow_smoothly),
        cmocka_unit_test(the_acting_sampler_is_the_unbiased_mean),
        cmocka_unit_test(without_averaging_the_sampler_itself_acts),
        cmocka_unit_test(a_checkpoint_continues_bit_for_bit),
        cmocka_unit_test(twins_need_a_checkpoint_of_twins),
        cmocka_unit_test(a_wrong_checkpoint_is_refused_in_words),
        cmocka_unit_test(non_finite_numbers_are_found),
        cmocka_unit_test(the_target_of_twins_is_of_the_minimum),
        cmocka_unit_test(the_score_of_twins_is_the_smaller_ones),
        cmocka_unit_test(twins_learn_side_by_side),
        cmocka_unit_test(more_threads_than_rows_work),
    };
    return cmocka_run_group_tests_name("algorithm", tests, NULL, NULL);
}
