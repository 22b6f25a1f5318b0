#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actor/rollout.h"
#include "actor/tasks/tasks.h"
#include "tests/unit/test.h"

static char why[1024];

/* plugin_env.c's shared objects lie beside this program. */
static const char *library(const char *variant) {
    static char path[CONFIG_PATH_LEN];
    char self[CONFIG_PATH_LEN - 64] = "";
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    *strrchr(self, '/') = '\0';
    snprintf(path, sizeof(path), "%s/plugin_%s.so", self, variant);
    return path;
}

struct fixture {
    const struct env_class *class;
    struct env_spec spec;
    void *model, *state;
    struct rng rng;
};

static int try(struct fixture *f, const char *file, uint64_t horizon) {
    *f = (struct fixture){.class = &tasks_plugin};
    const struct env_options options = {.horizon = horizon, .file = file};
    why[0] = '\0';
    return f->class->load(f->class, &f->model, &f->spec, &options, why,
                          sizeof(why));
}

static struct fixture load(const char *variant, uint64_t horizon) {
    struct fixture f;
    if (try(&f, library(variant), horizon) != 0) fail_msg("%s", why);
    f.state = f.class->create(f.model);
    rng_init(&f.rng, 1, RNG_TEST, 0, 0, 0);
    return f;
}

static void unload(struct fixture *f) {
    if (f->state) f->class->destroy(f->state);
    f->class->unload(f->model);
}

static struct env_result step(struct fixture *f, double action, float obs[2]) {
    struct env_result result = {.reward = (double)NAN};
    test_fill_nan(obs, 2);
    f->class->step(f->state, &action, obs, &result);
    return result;
}

/* What the user's code says arrives, the action clipped before. */
static void a_plugin_is_a_task(void **unused) {
    (void)unused;
    struct fixture f = load("good", 0);
    float obs[2];
    double stats[1], xy[2];
    assert_int_equal(f.spec.obs_dim, 2);
    assert_int_equal(f.spec.act_dim, 1);
    assert_int_equal(f.spec.horizon, 10);
    assert_string_equal(f.spec.stat_names[0], "at");
    assert_string_equal(f.spec.rewarded, "staying near 0");
    test_fill_nan(obs, 2);
    f.class->reset(f.state, &f.rng, obs);
    const float seed = obs[1];
    assert_close(obs[0], 0.0f, 0.0f);
    assert_close(step(&f, 5.0, obs).reward, -1.0f, 0.0f);
    assert_close(obs[0], 1.0f, 0.0f);
    assert_close(obs[1], seed, 0.0f);
    f.class->statistics(f.state, stats);
    assert_close((float)stats[0], 1.0f, 0.0f);
    f.class->position(f.state, xy);
    assert_close((float)xy[0], 1.0f, 0.0f);
    assert_close((float)xy[1], seed, 0.0f);
    f.class->reset(f.state, &f.rng, obs);
    assert_true(obs[1] != seed); // another episode, another seed
    unload(&f);
}

/* Terminal, truncated by the task, truncated by the horizon. */
static void episodes_end_in_three_ways(void **unused) {
    (void)unused;
    struct fixture f = load("good", 4);
    float obs[2];
    for (int way = 0; way < 3; way++) {
        f.class->reset(f.state, &f.rng, obs);
        struct env_result result = {0};
        int steps = 0;
        while (!result.terminal && !result.truncated) {
            result = step(&f, way == 0 ? 1.0 : way == 1 ? -1.0 : 0.0, obs);
            steps++;
        }
        assert_int_equal(steps, way < 2 ? 3 : 4);
        assert_true(result.terminal == (way == 0));
        assert_true(result.truncated == (way != 0));
    }
    unload(&f);
}

/* Whatever is wrong with a library is one line that names it. */
static void a_wrong_library_is_refused_in_words(void **unused) {
    (void)unused;
    static const char *const wrong[][2] = {
        {"version", "version 99"},       {"zero", "obs_dim is 0"},
        {"million", "act_dim 1000000"},  {"horizon", "horizon is 0"},
        {"many_stats", "n_stats is 9"},  {"no_name", "stat_names[0]"},
        {"no_step", "step is NULL"},     {"no_statistics", "statistics"},
        {"null", "returned NULL"},       {"no_symbol", "softq_env()"},
        {"nowhere", "no shared object"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct fixture f;
        const char *path = library(wrong[i][0]);
        assert_true(try(&f, path, 0) < 0);
        if (!strstr(why, wrong[i][1]) || !strstr(why, path) ||
            strchr(why, '\n'))
            fail_msg("%s: %s", wrong[i][0], why);
    }
    struct fixture f;
    assert_int_equal(try(&f, "/etc/passwd", 0), -EBADMSG);
    assert_non_null(strstr(why, "/etc/passwd"));
    assert_int_equal(try(&f, "/tmp", 0), -EBADMSG);
}

/* The file is compared between actors, or what its author calls it. */
static void the_hash_is_of_the_file_or_its_revision(void **unused) {
    (void)unused;
    struct fixture a = load("good", 0), b = load("good", 0),
                   c = load("unwritten", 0), d = load("revised", 0),
                   e = load("revised_too", 0);
    assert_int_not_equal(a.spec.hash, 0);
    assert_int_equal(a.spec.hash, b.spec.hash);
    assert_int_not_equal(a.spec.hash, c.spec.hash);
    assert_int_not_equal(a.spec.hash, d.spec.hash);
    assert_int_equal(d.spec.hash, e.spec.hash);
    unload(&a), unload(&b), unload(&c), unload(&d), unload(&e);
}

/* A NaN or an observation that was not written stops the rollout with the
 * task, the step and the seed. */
static void a_number_that_is_none_stops_the_rollout(void **unused) {
    (void)unused;
    static const char *const wrong[][3] = {
        {"nan", "a reward", "step 3"},
        {"unwritten", "a first observation", "step 0"}};
    for (size_t i = 0; i < 2; i++) {
        struct config config = {.seed = 42,
                                .units = 4,
                                .environments = 2,
                                .task = "my-task",
                                .actor_threads = 2};
        snprintf(config.env, sizeof(config.env), "%s", library(wrong[i][0]));
        struct rollout r;
        assert_int_equal(
            rollout_init(&r, &config, RNG_TEST, 0, 0, why, sizeof(why)), 0);
        assert_null(r.pool); // its author was promised one thread
        int err = 0;
        for (int t = 0; t < 5 && !err; t++)
            err = rollout_step(&r, NULL, why, sizeof(why));
        assert_int_equal(err, -EDOM);
        if (!strstr(why, wrong[i][1]) || !strstr(why, wrong[i][2]) ||
            !strstr(why, "seed 42") || !strstr(why, "my-task"))
            fail_msg("%s", why);
        rollout_finish(&r);
    }
}

/* An environment that cannot be made is as out of memory. */
static void no_environment_is_no_crash(void **unused) {
    (void)unused;
    struct fixture f = load("no_memory", 0);
    assert_null(f.state);
    unload(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plugin_is_a_task),
        cmocka_unit_test(episodes_end_in_three_ways),
        cmocka_unit_test(a_wrong_library_is_refused_in_words),
        cmocka_unit_test(the_hash_is_of_the_file_or_its_revision),
        cmocka_unit_test(a_number_that_is_none_stops_the_rollout),
        cmocka_unit_test(no_environment_is_no_crash),
    };
    return cmocka_run_group_tests_name("plugin", tests, NULL, NULL);
}
