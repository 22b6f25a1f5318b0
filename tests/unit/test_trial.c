#include <stdlib.h>
#include <string.h>

#include "actor/trial.h"
#include "tests/unit/test.h"

/* What an evaluation plays: actor/trial.c. */

static struct config settings(const char *task) {
    struct config config;
    config_defaults(&config);
    strcpy(config.task, task);
    config.units = 12;
    config.horizon = 20;
    return config;
}

static void start(struct trial *trial, const struct config *config,
                  uint64_t episodes) {
    char why[256] = "";
    struct rollout *rollout = calloc(1, sizeof(*rollout));
    assert_non_null(rollout);
    assert_int_equal(
        trial_init(trial, rollout, config, episodes, why, sizeof(why)), 0);
    const size_t P = mlp_parameters(&rollout->shape);
    float *phi = malloc(P * sizeof(*phi));
    assert_non_null(phi);
    test_fill_normal(phi, P, 9);
    const struct policy policy = {
        .shape = rollout->shape, .phi = phi, .alpha = 1.0f};
    assert_int_equal(rollout_set_policy(rollout, &policy, 7), 0);
    free(phi);
}

static void finish(struct trial *trial) {
    rollout_finish(trial->rollout);
    free(trial->rollout);
}

static struct summary play(struct trial *trial) {
    char why[256] = "";
    while (!trial_done(trial))
        assert_int_equal(trial_step(trial, why, sizeof(why)), 0);
    return trial->summary;
}

/* However often and by whom it is played: the same states, the same noise. */
static void every_trial_is_the_same(void **unused) {
    (void)unused;
    static const char *const tasks[] = {"multigoal", "swimmer", "reacher"};
    for (size_t i = 0; i < 3; i++) {
        const struct config config = settings(tasks[i]);
        struct trial one, other;
        start(&one, &config, 70);
        start(&other, &config, 70);
        const struct summary first = play(&one), by_other = play(&other);
        assert_int_equal(first.ret.n, 70);
        assert_memory_equal(&first.ret, &by_other.ret, sizeof(first.ret));
        // nobody is right in the middle of an episode when it begins again
        char why[256];
        for (int k = 0; k < 3; k++)
            assert_int_equal(trial_step(&one, why, sizeof(why)), 0);
        assert_int_equal(trial_again(&one), 0);
        assert_false(trial_done(&one));
        const struct summary second = play(&one);
        assert_memory_equal(&first.ret, &second.ret, sizeof(first.ret));
        assert_memory_equal(&first.length, &second.length,
                            sizeof(first.length));
        finish(&one), finish(&other);
    }
}

/* Whatever the run's options say, nothing is added to the sampler's actions. */
static void nothing_explores(void **unused) {
    (void)unused;
    struct config config = settings("multigoal");
    struct trial plain, loud;
    start(&plain, &config, 10);
    config.exploration = EXPLORATION_GAUSSIAN;
    config.exploration_scale = 2.0;
    config.environments = 3; // nor do they set how many play
    start(&loud, &config, 10);
    const struct summary first = play(&plain), second = play(&loud);
    assert_memory_equal(&first.ret, &second.ret, sizeof(first.ret));
    finish(&plain), finish(&loud);
}

/* Of few episodes the first of each environment count, short and long ones. */
static void the_first_of_each_environment_count(void **unused) {
    (void)unused;
    const struct config config = settings("multigoal");
    struct trial trial;
    start(&trial, &config, 65); // environment 0 plays two
    play(&trial);
    assert_int_equal(trial.rollout->E, 64);
    assert_int_equal(trial.summary.ret.n, 65);
    uint64_t least = UINT64_MAX;
    for (size_t e = 0; e < 64; e++)
        least = trial.played[e] < least ? trial.played[e] : least;
    assert_true(least >= 1 && trial.played[0] >= 2);
    finish(&trial);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_trial_is_the_same),
        cmocka_unit_test(nothing_explores),
        cmocka_unit_test(the_first_of_each_environment_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
