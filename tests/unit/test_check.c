#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor/check.h"
#include "actor/env.h"
#include "common/exit_status.h"
#include "common/log.h"
#include "tests/unit/test.h"

static char output[65536];

/* status and output of a check, with what stdout got. */
static int capture(int (*run)(const struct config *config),
                   const struct config *config) {
    char path[] = "/tmp/softq-check-XXXXXX";
    const int file = mkstemp(path), old = dup(STDOUT_FILENO);
    assert_true(file >= 0 && old >= 0);
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    const int status = run(config);
    fflush(stdout);
    dup2(old, STDOUT_FILENO);
    close(old);
    const ssize_t n = pread(file, output, sizeof(output) - 1, 0);
    assert_true(n >= 0);
    output[n] = '\0';
    close(file);
    unlink(path);
    return status;
}

static struct config settings(const char *check) {
    struct config config;
    config_defaults(&config);
    config.episodes = 20;
    config.units = 4;
    snprintf(config.check, sizeof(config.check), "%s", check);
    return config;
}

/* plugin_env.c's shared objects lie beside this program. */
static struct config of_plugin(const char *variant) {
    char self[300] = "", path[512];
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    *strrchr(self, '/') = '\0';
    snprintf(path, sizeof(path), "%s/plugin_%s.so", self, variant);
    return settings(path);
}

static int check(const struct config *config) {
    return capture(check_task, config);
}

static bool says(const char *text) {
    return strstr(output, text) != NULL;
}

/* A sound task gets its figures and no warning. */
static void a_sound_task_passes(void **unused) {
    (void)unused;
    struct config config = of_plugin("good");
    assert_int_equal(check(&config), EXIT_FINISHED);
    assert_true(says("task       plugin_good"));
    assert_true(says("observation 2   action 1   horizon 10"));
    assert_true(says("actions    [-1, 1]\n"));
    assert_true(says("staying near 0"));
    assert_true(says("obs 1 ") && says("reward     mean"));
    assert_true(says("nothing to warn about") && !says("warning"));
    config = settings("multigoal");
    assert_int_equal(check(&config), EXIT_FINISHED);
}

/* The ranges that actions are scaled to, neighbours that are alike in one. */
static void motors_are_told(void **unused) {
    (void)unused;
    struct config config = settings("humanoid");
    config.max_seconds = 0.1;
    assert_int_equal(check(&config), EXIT_FINISHED);
    assert_true(says("actions    [-0.4, 0.4] x 17\n"));
    snprintf(config.check, sizeof(config.check), "inverted-pendulum");
    assert_int_equal(check(&config), EXIT_FINISHED);
    assert_true(says("actions    [-3, 3]\n"));
}

/* What a task of ours observes is laid down: noted, not warned about. */
static void softqs_own_tasks_pass(void **unused) {
    (void)unused;
    for (const struct env_class *const *at = env_list(); *at; at++) {
        struct config config = settings((*at)->name);
        config.max_seconds = 0.5;
        if (check(&config) != EXIT_FINISHED || says("warning"))
            fail_msg("%s\n%s", (*at)->name, output);
    }
    struct config config = settings("inverted-double-pendulum");
    assert_int_equal(check(&config), EXIT_FINISHED);
    assert_true(says("note       1 of 9 observations never move: 8"));
}

/* Each kind of flaw has its own words, and the status tells. */
static void a_flaw_is_warned_about(void **unused) {
    (void)unused;
    static const struct {
        const char *variant, *words;
        int status;
    } flaws[] = {
        {"nan", "a reward is not finite: plugin_nan", EXIT_NON_FINITE},
        {"unwritten", "a first observation is not finite", EXIT_NON_FINITE},
        {"unstable", "steps were unstable", EXIT_REFUSED},
        {"still", "1 of 2 observations never move: 1", EXIT_REFUSED},
        {"large", "1 of 2 observations are large", EXIT_REFUSED},
        {"flat", "every reward is 1", EXIT_REFUSED},
        {"short", "end at their first step", EXIT_REFUSED},
        {"deaf", "action 0 changes neither", EXIT_REFUSED},
        {"fickle", "seeds will not repeat", EXIT_REFUSED},
    };
    for (size_t i = 0; i < sizeof(flaws) / sizeof(*flaws); i++) {
        struct config config = of_plugin(flaws[i].variant);
        const int status = check(&config);
        if (status != flaws[i].status || !says(flaws[i].words))
            fail_msg("%s: status %d\n%s", flaws[i].variant, status, output);
    }
}

/* What does not load is refused, and nothing is printed about it. */
static void what_does_not_load_is_refused(void **unused) {
    (void)unused;
    log_init("test", LOG_ERROR);
    struct config config = of_plugin("version");
    assert_int_equal(check(&config), EXIT_REFUSED);
    assert_string_equal(output, "");
    config = settings("no-such-task");
    assert_int_equal(check(&config), EXIT_REFUSED);
    config = settings("/nowhere/my robot.ini");
    assert_int_equal(check(&config), EXIT_REFUSED);
}

/* A name of one's own beside --env, and a time that ends the look. */
static void a_name_may_stand_beside_a_file(void **unused) {
    (void)unused;
    struct config config = of_plugin("good");
    snprintf(config.env, sizeof(config.env), "%s", config.check);
    strcpy(config.check, "counting");
    config.episodes = 1000000000;
    config.max_seconds = 0.05;
    assert_int_equal(check(&config), EXIT_FINISHED);
    assert_true(says("task       counting"));
}

/* Every task has its line; one whose model is not there says so on it. */
static void the_list_has_every_task(void **unused) {
    (void)unused;
    struct config config = settings("");
    assert_int_equal(capture(check_list, &config), EXIT_FINISHED);
    for (const struct env_class *const *at = env_list(); *at; at++)
        assert_true(says((*at)->name) && says((*at)->rewarded));
    assert_false(says("does not load"));
    strcpy(config.models, "/nowhere");
    assert_int_equal(capture(check_list, &config), EXIT_FINISHED);
    assert_true(says("swimmer                    does not load: "));
    assert_true(says("multigoal                  observation 2"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_task_passes),
        cmocka_unit_test(motors_are_told),
        cmocka_unit_test(softqs_own_tasks_pass),
        cmocka_unit_test(a_flaw_is_warned_about),
        cmocka_unit_test(what_does_not_load_is_refused),
        cmocka_unit_test(a_name_may_stand_beside_a_file),
        cmocka_unit_test(the_list_has_every_task),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
