#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "actor/rollout.h"
#include "tests/unit/test.h"

enum { E = 5, UNITS = 12 };

/* Acts with phi and fresh noise. */
static void set_policy(struct rollout *r, const float *phi, uint64_t version) {
    const struct policy policy = {.shape = r->shape, .phi = phi, .alpha = 1.0f};
    assert_int_equal(rollout_set_policy(r, &policy, version), 0);
}

static struct config settings(const char *task) {
    struct config config = {
        .seed = 4, .units = UNITS, .environments = E, .horizon = 7};
    strcpy(config.task, task);
    strcpy(config.multigoal_reward, "goals");
    return config;
}

static void start(struct rollout *r, const struct config *config, uint64_t rank,
                  uint64_t epoch) {
    char why[256] = "";
    assert_int_equal(
        rollout_init(r, config, RNG_TEST, rank, epoch, why, sizeof(why)), 0);
}

/* A sampler that moves; larger scale, bolder moves. Freed by the caller. */
static float *some_policy(const struct rollout *r, float scale) {
    const size_t P = mlp_parameters(&r->shape);
    float *phi = malloc(P * sizeof(*phi));
    assert_non_null(phi);
    test_fill_normal(phi, P, 9);
    for (size_t i = 0; i < P; i++) phi[i] *= scale;
    return phi;
}

static void fill_batch(struct batch *batch, const struct rollout *r,
                       size_t rows) {
    assert_int_equal(batch_init(batch, rows, r->spec.obs_dim, r->spec.act_dim),
                     0);
    test_fill_nan(batch->s, rows * batch->S);
    test_fill_nan(batch->a, rows * batch->A);
    test_fill_nan(batch->r, rows);
    test_fill_nan(batch->next, rows * batch->S);
}

static void run(struct rollout *r, struct batch *batch, size_t steps) {
    char why[256] = "";
    for (size_t i = 0; i < steps; i++)
        assert_int_equal(rollout_step(r, batch, why, sizeof(why)), 0);
}

/* Every step appends one row an environment, in index order, and s' of a row
 * is s of the environment's next row, unless its episode ended there. */
static void rows_chain_within_an_episode(void **unused) {
    (void)unused;
    const struct config config = settings("multigoal");
    struct rollout r;
    struct batch batch;
    start(&r, &config, 0, 0);
    float *phi = some_policy(&r, 0.3f);
    set_policy(&r, phi, 1);
    fill_batch(&batch, &r, 40 * E);
    run(&r, &batch, 40);

    assert_int_equal(batch.n, 40 * E);
    assert_int_equal(batch_first_non_finite(&batch), batch.n);
    size_t ends = 0;
    for (size_t i = 0; i + E < batch.n; i++) {
        const float *next = batch.next + 2 * i, *s = batch.s + 2 * (i + E);
        if (batch.flags[i] == 0) {
            assert_memory_equal(next, s, 2 * sizeof(float));
        } else {
            ends++;
            // a new episode begins near the origin
            assert_true(fabsf(s[0]) < 0.7f && fabsf(s[1]) < 0.7f);
        }
    }
    assert_true(ends >= E * 4);
    batch_finish(&batch);
    rollout_finish(&r);
    free(phi);
}

/* The last row of a truncated episode holds the position before the reset:
 * where the action led. */
static void the_last_row_is_before_the_reset(void **unused) {
    (void)unused;
    const struct config config = settings("multigoal");
    struct rollout r;
    struct batch batch;
    start(&r, &config, 0, 0);
    rollout_set_policy(&r, NULL, 0);
    fill_batch(&batch, &r, 7 * E);
    run(&r, &batch, 7);
    for (size_t i = 6 * E; i < 7 * E; i++) {
        assert_int_equal(batch.flags[i], BATCH_TRUNCATED);
        for (size_t k = 0; k < 2; k++)
            assert_close(batch.next[2 * i + k],
                         batch.s[2 * i + k] + batch.a[2 * i + k], 1e-5f);
    }
    batch_finish(&batch);
    rollout_finish(&r);
}

/* A row carries the version that acted, from the step after it was set. */
static void rows_carry_the_policy_that_acted(void **unused) {
    (void)unused;
    const struct config config = settings("multigoal");
    struct rollout r;
    struct batch batch;
    start(&r, &config, 0, 0);
    float *phi = some_policy(&r, 0.1f);
    fill_batch(&batch, &r, 4 * E);
    set_policy(&r, phi, ((uint64_t)3 << 40) | 17);
    run(&r, &batch, 2);
    set_policy(&r, phi, ((uint64_t)3 << 40) | 18);
    run(&r, &batch, 2);
    for (size_t i = 0; i < batch.n; i++)
        assert_true(batch.version[i] ==
                    (((uint64_t)3 << 40) | (i < 2 * E ? 17 : 18)));
    batch_finish(&batch);
    rollout_finish(&r);
    free(phi);
}

/* The same (seed, rank, epoch) repeats every byte; another one does not. */
static void a_rollout_is_a_function_of_its_keys(void **unused) {
    (void)unused;
    struct config config = settings("multigoal");
    struct batch batch[5];
    for (int i = 0; i < 5; i++) {
        struct rollout r;
        config.seed = i == 2 ? 5 : 4;
        start(&r, &config, i == 3, i == 4);
        float *phi = some_policy(&r, 0.2f);
        set_policy(&r, phi, 1);
        fill_batch(&batch[i], &r, 20 * E);
        run(&r, &batch[i], 20);
        rollout_finish(&r);
        free(phi);
    }
    const size_t bytes = batch[0].n * 2 * sizeof(float);
    assert_memory_equal(batch[0].s, batch[1].s, bytes);
    assert_memory_equal(batch[0].a, batch[1].a, bytes);
    for (int i = 2; i < 5; i++)
        assert_true(memcmp(batch[0].a, batch[i].a, bytes) != 0);
    for (int i = 0; i < 5; i++) batch_finish(&batch[i]);
}

/* An environment's random numbers do not depend on how many others there are:
 * with random actions the rows are the same. */
static void environments_have_streams_of_their_own(void **unused) {
    (void)unused;
    struct config config = settings("multigoal");
    struct batch many, one;
    struct rollout r;
    start(&r, &config, 0, 0);
    fill_batch(&many, &r, 20 * E);
    run(&r, &many, 20);
    rollout_finish(&r);
    config.environments = 1;
    start(&r, &config, 0, 0);
    fill_batch(&one, &r, 20);
    run(&r, &one, 20);
    rollout_finish(&r);
    for (size_t i = 0; i < 20; i++)
        assert_memory_equal(one.s + 2 * i, many.s + 2 * E * i,
                            2 * sizeof(float));
    batch_finish(&many);
    batch_finish(&one);
}

/* Returns, with gamma or without, lengths and ends of the list agree with the
 * rows. */
static void episodes_sum_the_rows(void **unused) {
    (void)unused;
    struct config config = settings("multigoal");
    config.environments = 1;
    config.gamma = 0.9;
    struct rollout r;
    struct batch batch;
    struct rollout_episode episodes[64];
    start(&r, &config, 0, 0);
    float *phi = some_policy(&r, 0.6f); // bold enough to reach goals
    set_policy(&r, phi, 3);
    fill_batch(&batch, &r, 200);
    run(&r, &batch, 200);
    const size_t n = rollout_take(&r, episodes, 64);

    assert_true(n >= 200 / 7 && n == r.episodes);
    assert_int_equal(r.steps, 200);
    size_t row = 0;
    for (size_t i = 0; i < n; i++) {
        double sum = 0.0, discounted = 0.0;
        uint64_t length = 0;
        do {
            sum += (double)batch.r[row];
            discounted += pow(0.9, (double)length) * (double)batch.r[row];
            length++;
        } while (batch.flags[row++] == 0);
        assert_true(episodes[i].number == i && episodes[i].version == 3);
        assert_true(episodes[i].length == length);
        assert_close((float)episodes[i].ret, (float)sum, 1e-2f);
        assert_close((float)episodes[i].discounted, (float)discounted, 1e-2f);
        const bool terminal = batch.flags[row - 1] & BATCH_TERMINAL;
        assert_true(episodes[i].terminal == terminal);
        assert_true((episodes[i].stats[0] >= 0.0) == terminal);
    }
    batch_finish(&batch);
    rollout_finish(&r);
    free(phi);
}

/* Whoever does not take episodes keeps the newest 256; the others are
 * counted. */
static void the_list_of_episodes_is_bounded(void **unused) {
    (void)unused;
    struct config config = settings("multigoal");
    config.horizon = 1;
    struct rollout r;
    struct rollout_episode episodes[ROLLOUT_EPISODES];
    start(&r, &config, 0, 0);
    run(&r, NULL, 60);
    assert_int_equal(r.episodes, 60 * E);
    assert_int_equal(r.episodes_lost, 60 * E - ROLLOUT_EPISODES);
    assert_int_equal(rollout_take(&r, episodes, 10), 10);
    assert_true(episodes[0].number == 60 * E - ROLLOUT_EPISODES);
    assert_int_equal(rollout_take(&r, episodes, ROLLOUT_EPISODES),
                     ROLLOUT_EPISODES - 10);
    assert_int_equal(rollout_take(&r, episodes, 1), 0);
    rollout_finish(&r);
}

/* However many end at one step, none of them is lost. */
static void episodes_of_one_step_are_all_there(void **unused) {
    (void)unused;
    enum { MANY = ROLLOUT_EPISODES + 50 };
    struct config config = settings("multigoal");
    config.environments = MANY;
    config.horizon = 1;
    struct rollout r;
    static struct rollout_episode episodes[MANY];
    start(&r, &config, 0, 0);
    for (uint64_t i = 0; i < 3; i++) {
        run(&r, NULL, 1);
        assert_int_equal(rollout_take(&r, episodes, MANY), MANY);
        assert_int_equal(episodes[MANY - 1].number, (i + 1) * MANY - 1);
    }
    assert_int_equal(r.episodes_lost, 0);
    rollout_finish(&r);
}

/* A policy that has left the numbers stops the actor, in words. */
static void a_non_finite_action_is_an_error(void **unused) {
    (void)unused;
    const struct config config = settings("multigoal");
    struct rollout r;
    char why[256] = "";
    start(&r, &config, 2, 0);
    float *phi = some_policy(&r, 1.0f);
    phi[mlp_parameters(&r.shape) - 1] = NAN;
    set_policy(&r, phi, 1);
    assert_int_equal(rollout_step(&r, NULL, why, sizeof(why)), -EDOM);
    assert_non_null(strstr(why, "rank 2"));
    rollout_finish(&r);
    free(phi);
}

/* The same rows, episodes and counters, bit for bit, whoever steps them. */
static void threads_change_nothing(void **unused) {
    (void)unused;
    const char *const tasks[] = {"multigoal", "half-cheetah"};
    for (size_t t = 0; t < 2; t++) {
        struct rollout r[2];
        struct batch batch[2];
        struct rollout_episode episodes[2][ROLLOUT_EPISODES];
        size_t n[2];
        for (size_t i = 0; i < 2; i++) {
            struct config config = settings(tasks[t]);
            config.actor_threads = i == 0 ? 1 : 3;
            start(&r[i], &config, 0, 0);
            assert_true((r[i].pool != NULL) == (i == 1));
            float *phi = some_policy(&r[i], 0.4f);
            set_policy(&r[i], phi, 1);
            free(phi);
            fill_batch(&batch[i], &r[i], 60 * E);
            run(&r[i], &batch[i], 60);
            n[i] = rollout_take(&r[i], episodes[i], ROLLOUT_EPISODES);
        }
        const size_t S = batch[0].S, A = batch[0].A, rows = batch[0].n;
        assert_true(rows == 60 * E && batch[1].n == rows);
        assert_memory_equal(batch[0].s, batch[1].s, rows * S * sizeof(float));
        assert_memory_equal(batch[0].a, batch[1].a, rows * A * sizeof(float));
        assert_memory_equal(batch[0].next, batch[1].next,
                            rows * S * sizeof(float));
        assert_memory_equal(batch[0].r, batch[1].r, rows * sizeof(float));
        assert_memory_equal(batch[0].flags, batch[1].flags, rows);
        assert_true(n[0] >= E * 8 && n[1] == n[0]);
        for (size_t i = 0; i < n[0]; i++) {
            assert_true(episodes[0][i].env == episodes[1][i].env);
            assert_true(episodes[0][i].ret == episodes[1][i].ret);
        }
        for (size_t i = 0; i < 2; i++) {
            batch_finish(&batch[i]);
            rollout_finish(&r[i]);
        }
    }
}

static const void *broken_state;

static void broken_step(void *state, const double *action, float *obs,
                        struct env_result *result) {
    env_find("multigoal")->step(state, action, obs, result);
    if (state == broken_state) obs[1] = NAN;
}

/* An environment's error is told as without threads: the rows before it are
 * there, and it is named. */
static void threads_tell_the_first_error(void **unused) {
    (void)unused;
    struct config config = settings("multigoal");
    for (config.actor_threads = 1; config.actor_threads <= 3;
         config.actor_threads++) {
        struct rollout r;
        struct batch batch;
        char why[256] = "";
        start(&r, &config, 0, 0);
        fill_batch(&batch, &r, 2 * E);
        run(&r, &batch, 1);
        struct env_class broken = *r.class;
        broken.step = broken_step;
        r.class = &broken;
        broken_state = r.states[2];
        assert_int_equal(rollout_step(&r, &batch, why, sizeof(why)), -EDOM);
        assert_int_equal(batch.n, E + 2);
        assert_non_null(strstr(why, "an observation is not finite"));
        assert_non_null(strstr(why, "environment 2"));
        batch_finish(&batch);
        rollout_finish(&r);
    }
}

static void unstable_step(void *state, const double *action, float *obs,
                          struct env_result *result) {
    (void)state, (void)action;
    test_fill_nan(obs, 2);
    *result = (struct env_result){.truncated = true, .unstable = true};
}

/* A step that the simulator gave up on leaves no row and no episode. */
static void unstable_steps_are_left_out(void **unused) {
    (void)unused;
    const struct env_class *real = env_find("multigoal");
    const struct config config = settings("multigoal");
    struct rollout r;
    struct batch batch;
    start(&r, &config, 0, 0);
    fill_batch(&batch, &r, 3 * E);
    run(&r, &batch, 2);
    struct env_class broken = *real;
    broken.step = unstable_step;
    r.class = &broken;
    run(&r, &batch, 1);
    assert_int_equal(batch.n, 2 * E);
    assert_int_equal(r.discarded, E);
    assert_int_equal(r.episodes, 0);
    r.class = real;
    run(&r, &batch, 1);
    assert_int_equal(batch.n, 3 * E);
    // the episodes had begun again
    for (size_t e = 0; e < E; e++)
        assert_true(fabsf(batch.s[2 * (2 * E + e)]) < 0.7f);
    batch_finish(&batch);
    rollout_finish(&r);
}

/* An unknown task is refused with the names there are. */
static void an_unknown_task_is_refused(void **unused) {
    (void)unused;
    const struct config config = settings("multigaol");
    struct rollout r = {0};
    char why[256] = "";
    assert_int_equal(
        rollout_init(&r, &config, RNG_TEST, 0, 0, why, sizeof(why)), -EINVAL);
    assert_non_null(strstr(why, "multigoal, point-x"));
    rollout_finish(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_chain_within_an_episode),
        cmocka_unit_test(the_last_row_is_before_the_reset),
        cmocka_unit_test(rows_carry_the_policy_that_acted),
        cmocka_unit_test(a_rollout_is_a_function_of_its_keys),
        cmocka_unit_test(environments_have_streams_of_their_own),
        cmocka_unit_test(episodes_sum_the_rows),
        cmocka_unit_test(the_list_of_episodes_is_bounded),
        cmocka_unit_test(episodes_of_one_step_are_all_there),
        cmocka_unit_test(a_non_finite_action_is_an_error),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(threads_tell_the_first_error),
        cmocka_unit_test(unstable_steps_are_left_out),
        cmocka_unit_test(an_unknown_task_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
