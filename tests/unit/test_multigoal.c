#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env.h"
#include "tests/unit/test.h"

/* The task with one environment, which never starts where it pleases: each
 * case walks to its own start. */
struct fixture {
    const struct env_class *class;
    struct env_spec spec;
    void *model, *state;
};

static struct fixture load_from(const char *reward, uint64_t horizon,
                                double start_sd) {
    struct fixture f = {.class = env_find("multigoal")};
    char why[128] = "";
    assert_non_null(f.class);
    const struct env_options options = {
        .horizon = horizon, .reward = reward, .start_sd = start_sd};
    assert_int_equal(
        f.class->load(f.class, &f.model, &f.spec, &options, why, sizeof(why)),
        0);
    f.state = f.class->create(f.model);
    assert_non_null(f.state);
    return f;
}

static struct fixture load(const char *reward, uint64_t horizon) {
    return load_from(reward, horizon, 0.1);
}

static void unload(struct fixture *f) {
    f->class->destroy(f->state);
    f->class->unload(f->model);
}

static struct rng stream(uint64_t seed) {
    struct rng rng;
    rng_init(&rng, seed, RNG_TEST, 0, 0, 0);
    return rng;
}

static struct env_result step(struct fixture *f, double x, double y,
                              float obs[2]) {
    struct env_result result = {.reward = (double)NAN};
    test_fill_nan(obs, 2);
    f->class->step(f->state, (double[]){x, y}, obs, &result);
    return result;
}

/* A reward counts the squared speed 30 times and the squared distance to the
 * nearest goal, from where the move has led. */
static void reward_uses_the_position_after_the_move(void **unused) {
    (void)unused;
    struct fixture f = load("goals", 0);
    struct rng rng = stream(1);
    float at[2], obs[2];
    f.class->reset(f.state, &rng, at);

    struct env_result result = step(&f, 0.5, -0.25, obs);

    const float x = at[0] + 0.5f, y = at[1] - 0.25f;
    assert_close(obs[0], x, 1e-6f);
    assert_close(obs[1], y, 1e-6f);
    const float cost = 30.0f * (0.25f + 0.0625f);
    assert_close((float)result.reward, -cost - ((5 - x) * (5 - x) + y * y),
                 1e-4f);
    assert_false(result.terminal || result.truncated || result.unstable);
    unload(&f);
}

/* Four or five full steps along an axis end at its goal: 10 more, terminal. */
static void reaching_a_goal_is_terminal_and_counted(void **unused) {
    (void)unused;
    static const double ways[4][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}};
    for (int g = 0; g < 4; g++) {
        struct fixture f = load("goals", 0);
        struct rng rng = stream(7);
        float at[2], obs[2];
        f.class->reset(f.state, &rng, at);
        const double off = (double)at[g < 2]; // sideways, stays
        struct env_result result = {0};
        double stat = (double)NAN, along = 0;
        int steps = 0;
        while (!result.terminal && steps < 6) {
            f.class->statistics(f.state, &stat);
            assert_true(stat == -1.0);
            result = step(&f, ways[g][0], ways[g][1], obs);
            steps++;
        }
        along = (double)fabsf(obs[g >= 2]);
        assert_true(result.terminal && !result.truncated);
        assert_in_range(steps, 4, 5);
        assert_close(
            (float)result.reward,
            (float)(-30.0 - (5 - along) * (5 - along) - off * off + 10.0),
            1e-4f);
        f.class->statistics(f.state, &stat);
        assert_true(stat == (double)g);
        unload(&f);
    }
}

/* An action beyond +-1 costs and moves like +-1; the plane ends at +-7. */
static void actions_and_positions_are_clipped(void **unused) {
    (void)unused;
    struct fixture f = load("gaussian", 0);
    struct rng rng = stream(3);
    float at[2], obs[2];
    f.class->reset(f.state, &rng, at);
    step(&f, 40.0, -3.0, obs);
    assert_close(obs[0], at[0] + 1, 1e-6f);
    assert_close(obs[1], at[1] - 1, 1e-6f);
    for (int i = 0; i < 12; i++) step(&f, 1.0, -1.0, obs);
    assert_true(obs[0] == 7.0f && obs[1] == -7.0f);
    unload(&f);
}

/* The other reward is ten bumps of unit width, without terminal or cost. */
static void gaussian_reward_never_ends(void **unused) {
    (void)unused;
    struct fixture f = load("gaussian", 8);
    struct rng rng = stream(3);
    float at[2], obs[2];
    f.class->reset(f.state, &rng, at);
    for (int i = 1; i <= 8; i++) {
        struct env_result result = step(&f, 0.75, 0.0, obs);
        float sum = 0.0f;
        static const float goals[4][2] = {{5, 0}, {-5, 0}, {0, 5}, {0, -5}};
        for (int g = 0; g < 4; g++) {
            const float dx = obs[0] - goals[g][0], dy = obs[1] - goals[g][1];
            sum += 10.0f * expf(-0.5f * (dx * dx + dy * dy));
        }
        assert_close((float)result.reward, sum, 1e-4f);
        assert_false(result.terminal);
        assert_int_equal(result.truncated, i == 8);
    }
    unload(&f);
}

/* The time limit truncates, and is no end of the task. */
static void the_horizon_truncates(void **unused) {
    (void)unused;
    struct fixture f = load("goals", 0);
    assert_int_equal(f.spec.horizon, 30);
    struct rng rng = stream(5);
    float obs[2];
    f.class->reset(f.state, &rng, obs);
    for (int i = 1; i <= 30; i++) {
        struct env_result result = step(&f, 0.0, 0.0, obs);
        assert_false(result.terminal);
        assert_int_equal(result.truncated, i == 30);
    }
    unload(&f);
}

/* Starts are N(0, 0.1^2), and a seed repeats them. */
static void starts_repeat_from_a_seed(void **unused) {
    (void)unused;
    struct fixture f = load("goals", 0);
    struct rng one = stream(11), two = stream(11);
    float a[2], b[2];
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < 4000; i++) {
        f.class->reset(f.state, &one, a);
        f.class->reset(f.state, &two, b);
        assert_memory_equal(a, b, sizeof(a));
        for (int k = 0; k < 2; k++) {
            sum += (double)a[k];
            squares += (double)(a[k] * a[k]);
        }
    }
    assert_close((float)(sum / 8000), 0.0f, 0.005f);
    assert_close((float)sqrt(squares / 8000), 0.1f, 0.004f);
    unload(&f);
}

/* The start's deviation is an option: 0 is exactly the origin, and a wide one
 * stays on the plane. */
static void the_start_has_its_deviation(void **unused) {
    (void)unused;
    struct fixture f = load_from("goals", 0, 0.0);
    struct rng rng = stream(13);
    float at[2];
    for (int i = 0; i < 100; i++) {
        test_fill_nan(at, 2);
        f.class->reset(f.state, &rng, at);
        assert_true(at[0] == 0.0f && at[1] == 0.0f);
    }
    unload(&f);
    f = load_from("goals", 0, 2.5);
    double squares = 0.0;
    for (int i = 0; i < 4000; i++) {
        f.class->reset(f.state, &rng, at);
        assert_true(fabsf(at[0]) <= 7.0f && fabsf(at[1]) <= 7.0f);
        squares += (double)(at[0] * at[0] + at[1] * at[1]);
    }
    // a normal of deviation 2.5, clipped at 2.8 of them
    assert_close((float)sqrt(squares / 8000), 2.48f, 0.07f);
    unload(&f);
    const struct env_options options = {.start_sd = 7.5};
    char why[128] = "";
    assert_int_equal(
        f.class->load(f.class, &f.model, &f.spec, &options, why, sizeof(why)),
        -EINVAL);
    assert_non_null(strstr(why, "multigoal_start_sd is 7.5"));
}

/* A wrong reward is refused in words, an unknown task is not found. */
static void wrong_names_are_refused(void **unused) {
    (void)unused;
    const struct env_class *class = env_find("multigoal");
    struct env_spec spec;
    void *model = NULL;
    char why[128] = "";
    const struct env_options options = {.reward = "none"};
    assert_int_equal(
        class->load(class, &model, &spec, &options, why, sizeof(why)), -EINVAL);
    assert_non_null(strstr(why, "gaussian"));
    assert_null(env_find("multigoals"));
    env_names(why, sizeof(why));
    assert_non_null(strstr(why, "multigoal"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reward_uses_the_position_after_the_move),
        cmocka_unit_test(reaching_a_goal_is_terminal_and_counted),
        cmocka_unit_test(actions_and_positions_are_clipped),
        cmocka_unit_test(gaussian_reward_never_ends),
        cmocka_unit_test(the_horizon_truncates),
        cmocka_unit_test(starts_repeat_from_a_seed),
        cmocka_unit_test(the_start_has_its_deviation),
        cmocka_unit_test(wrong_names_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
