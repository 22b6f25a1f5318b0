#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config.h"
#include "common/config_table.h"
#include "common/log.h"

static char folder[64], why[256];

/* A file of this text in the suite's folder; its path. */
static const char *write_file(const char *name, const char *text) {
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* config_load() with these arguments, NULL-terminated after the first. */
static int load(struct config *config, enum config_program program, ...) {
    char *argv[16] = {"program"};
    int argc = 1;
    va_list arguments;
    va_start(arguments, program);
    for (char *arg; (arg = va_arg(arguments, char *)) != NULL; argc++) {
        argv[argc] = arg;
    }
    va_end(arguments);
    // the refusals under test are not news
    fflush(stderr);
    const int loud = dup(STDERR_FILENO), quiet = open("/dev/null", O_WRONLY);
    dup2(quiet, STDERR_FILENO);
    const int rc = config_load(config, program, NULL, argc, argv);
    dup2(loud, STDERR_FILENO);
    close(loud);
    close(quiet);
    return rc;
}

/* Every default is inside its own range, and together they pass the rules. */
static void defaults_pass_their_own_checks(void **state) {
    (void)state;
    struct config config;
    config_defaults(&config);
    assert_int_equal(config_check(&config, why, sizeof(why)), 0);
    assert_string_equal(config.task, "multigoal");
    assert_true(config.gamma == 0.99);
    assert_true(config.learning_rate_q == 3e-4);
    assert_int_equal(config.replay_size, 1000000);
    assert_int_equal(config.lifeline, -1);
    assert_false(config.lockstep);
}

/* The table covers the struct: fields in order, without a gap of a field. */
static void every_field_has_an_option(void **state) {
    (void)state;
    size_t end = 0;
    for (size_t i = 0; i < config_table_len; i++) {
        assert_true(config_table[i].offset >= end);
        assert_true(config_table[i].offset - end < sizeof(uint64_t));
        end = config_table[i].offset + config_table[i].size;
        assert_non_null(config_table[i].help);
    }
    assert_true(sizeof(struct config) - end < sizeof(uint64_t));
}

/* What config_print() writes reads back as the same struct, to the bit. */
static void printed_configuration_reads_back(void **state) {
    (void)state;
    struct config config, back;
    config_defaults(&config);
    config.gamma = 1.0 / 3.0;
    config.learning_rate_q = 1.2345678901234567e-5;
    config.alpha = 0.1 + 0.2;
    config.seed = UINT64_MAX;
    config.lockstep = true;
    config.transport = TRANSPORT_TCP;
    strcpy(config.multigoal_reward, "gaussian");
    strcpy(config.models, "/home/a user/models");

    char path[128];
    snprintf(path, sizeof(path), "%s", write_file("printed.ini", ""));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    config_print(&config, file);
    assert_int_equal(fclose(file), 0);
    config_defaults(&back);
    assert_int_equal(config_read_file(&back, path, why, sizeof(why)), 0);
    assert_memory_equal(&back, &config, sizeof(config));
}

/* What belongs to one process is not inherited by way of a file. */
static void own_options_are_not_printed(void **state) {
    (void)state;
    struct config config;
    char *text = NULL;
    size_t len = 0;
    config_defaults(&config);
    strcpy(config.run_dir, "here");
    config.lifeline = 7;
    FILE *file = open_memstream(&text, &len);
    assert_non_null(file);
    config_print(&config, file);
    assert_int_equal(fclose(file), 0);
    assert_null(strstr(text, "run_dir"));
    assert_null(strstr(text, "lifeline"));
    assert_non_null(strstr(text, "\nseed = 1\n"));
    free(text);
}

/* Both ends of a range are as the table says: closed, or open. */
static void ranges_are_kept_to_the_end(void **state) {
    (void)state;
    static const struct {
        const char *name, *value;
        int rc;
    } cases[] = {
        {"gamma", "0", 0},
        {"gamma", "1", -EINVAL},
        {"gamma", "0.999999", 0},
        {"gamma", "nan", -EINVAL},
        {"gamma", "-0.1", -EINVAL},
        {"gamma", "", -EINVAL},
        {"gamma", "0.5x", -EINVAL},
        {"alpha", "0", -EINVAL},
        {"alpha", "inf", -EINVAL},
        {"alpha", "1e-9", 0},
        {"window", "64", 0},
        {"window", "65", -EINVAL},
        {"window", "0", -EINVAL},
        {"window", "1.5", -EINVAL},
        {"window", "-1", -EINVAL},
        {"window", " ", -EINVAL},
        {"window", "0x10", -EINVAL},
        {"seed", "18446744073709551615", 0},
        {"seed", "18446744073709551616", -EINVAL},
        {"max_steps", "1e6", 0},
        {"max_steps", "1e-1", -EINVAL},
        {"lifeline", "-1", 0},
        {"lifeline", "-2", -EINVAL},
        {"lifeline", "99999999999999999999", -EINVAL},
        {"lockstep", "true", 0},
        {"lockstep", "yes", -EINVAL},
        {"algorithm", "sql", 0},
        {"algorithm", "dqn", -EINVAL},
        {"log_level", "debug", 0},
        {"log_level", "chatty", -EINVAL},
        {"task", "half-cheetah", 0},
        {"task", "../x", -EINVAL},
        {"run_dir", "a\nb", -EINVAL},
        {"models", "/m ; rm", -EINVAL},
    };
    struct config config;
    config_defaults(&config);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int rc = config_set(&config, cases[i].name, cases[i].value, why,
                            sizeof(why));
        if (rc != cases[i].rc) {
            fail_msg("%s = '%s' gave %d", cases[i].name, cases[i].value, rc);
        }
    }
    assert_int_equal(config.seed, UINT64_MAX);
    assert_int_equal(config.max_steps, 1000000);
    assert_int_equal(config.window, 64);
    assert_true(config.lockstep);
}

/* A text that is too long is refused, never cut. */
static void long_texts_are_refused(void **state) {
    (void)state;
    struct config config;
    char text[CONFIG_PATH_LEN + 1];
    config_defaults(&config);
    memset(text, 'x', CONFIG_PATH_LEN);
    text[CONFIG_PATH_LEN] = '\0';
    assert_int_equal(config_set(&config, "run_dir", text, why, sizeof(why)),
                     -EINVAL);
    text[CONFIG_PATH_LEN - 1] = '\0';
    assert_int_equal(config_set(&config, "run_dir", text, why, sizeof(why)), 0);
    text[65] = '\0';
    assert_int_equal(config_set(&config, "task", text, why, sizeof(why)),
                     -EINVAL);
    assert_non_null(strstr(why, "at most 64"));
}

/* A refusal names option, value, range and default; a typo its neighbour. */
static void refusals_say_what_to_do(void **state) {
    (void)state;
    struct config config;
    config_defaults(&config);
    config_set(&config, "gamma", "1.5", why, sizeof(why));
    assert_non_null(strstr(why, "gamma"));
    assert_non_null(strstr(why, "1.5"));
    assert_non_null(strstr(why, "[0, 1)"));
    assert_non_null(strstr(why, "0.99"));
    config_set(&config, "mini-bath", "64", why, sizeof(why));
    assert_non_null(strstr(why, "did you mean 'minibatch'"));
    config_set(&config, "qqqqqqqqqqqq", "64", why, sizeof(why));
    assert_null(strstr(why, "did you mean"));
    assert_non_null(strstr(why, "--help"));
}

/* Files come first wherever they stand, then the command line in order. */
static void later_sources_win(void **state) {
    (void)state;
    struct config config;
    char first[160], second[160];
    snprintf(first, sizeof(first), "--config=%s",
             write_file("first.ini", "[anything]\nseed = 7 ; a comment\n"
                                     "  gamma: 0.5\n# alpha = 9\nunits=32"));
    snprintf(second, sizeof(second), "%s",
             write_file("second.ini", "\xEF\xBB\xBFwarm-up = 0\n"));
    assert_int_equal(load(&config, CONFIG_LEARNER, "--seed=9", first,
                          "--max-updates", "5", "--lockstep", "--seed=8",
                          "--insecure=false", NULL),
                     0);
    assert_int_equal(config.seed, 8);
    assert_int_equal(config.max_updates, 5);
    assert_int_equal(config.units, 32);
    assert_true(config.gamma == 0.5);
    assert_true(config.alpha == 1);
    assert_true(config.lockstep);
    assert_false(config.insecure);
    assert_int_equal(load(&config, CONFIG_ACTOR, "--config", second, NULL),
                     -EINVAL);
}

/* Names must be whole, values must follow, and nothing else may stand there. */
static void wrong_command_lines_are_refused(void **state) {
    (void)state;
    struct config config;
    static char *const wrong[] = {"--see=1",   "--seed",      "seed=1",   "-s1",
                                  "--",        "--config",    "--=1",     "-",
                                  "--gamma=2", "--lockstep=", "---seed=1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        if (load(&config, CONFIG_LEARNER, wrong[i], NULL) != -EINVAL) {
            fail_msg("'%s' was taken", wrong[i]);
        }
    }
    assert_int_equal(load(&config, CONFIG_LEARNER, "--lockstep", "true", NULL),
                     -EINVAL);
    assert_int_equal(
        load(&config, CONFIG_LEARNER, "--config=/proc/nowhere", NULL), -EINVAL);
    assert_int_equal(load(&config, CONFIG_LEARNER, "--config=/", NULL),
                     -EINVAL);
}

/* A wrong line is named by file and number, and nothing of it is applied. */
static void wrong_files_change_nothing(void **state) {
    (void)state;
    static const char *const texts[] = {
        "seed = 5\n\ngamma = 2\n",
        "seed = 5\n\nnonsense\n",
        "seed = 5\n\nsede = 6\n",
        "seed = 5\n\ntask = xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    };
    struct config config, before;
    config_defaults(&config);
    before = config;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        const char *path = write_file("wrong.ini", texts[i]);
        assert_int_equal(config_read_file(&config, path, why, sizeof(why)),
                         -EINVAL);
        assert_non_null(strstr(why, "wrong.ini:3: "));
        assert_memory_equal(&config, &before, sizeof(config));
    }
}

/* [robot] describes a task: it may say what is no option, and sets none. */
static void the_robot_section_holds_no_options(void **state) {
    (void)state;
    struct config config;
    config_defaults(&config);
    const char *path = write_file(
        "robot.ini", "seed = 5\n[robot]\nhorizon = 7\nreward = 1 alive\n"
                     "[more]\nalpha = 3\n");
    assert_int_equal(config_read_file(&config, path, why, sizeof(why)), 0);
    assert_int_equal(config.seed, 5);
    assert_int_equal(config.horizon, 0);
    assert_true(config.alpha == 3.0);
}

/* Welcome carries the shared options and nothing else, to the bit. */
static void shared_text_carries_shared_options_only(void **state) {
    (void)state;
    struct config from, to;
    char text[4096];
    config_defaults(&from);
    config_defaults(&to);
    from.gamma = 1.0 / 7.0;
    from.shards = 3;
    strcpy(from.task, "swimmer");
    strcpy(from.run_dir, "elsewhere");
    from.port = 1234;
    strcpy(to.run_dir, "mine");
    long len = config_shared_text(&from, text, sizeof(text));
    assert_true(len > 0);
    assert_int_equal(
        config_apply_shared(&to, text, (size_t)len, why, sizeof(why)), 0);
    assert_true(to.gamma == from.gamma);
    assert_int_equal(to.shards, 3);
    assert_string_equal(to.task, "swimmer");
    assert_string_equal(to.run_dir, "mine");
    assert_int_equal(to.port, 5550);
    assert_int_equal(config_shared_text(&from, text, 100), -ENOSPC);
    for (size_t size = 0; size < (size_t)len; size++) { // never past its end
        text[size] = '#';
        assert_int_equal(config_shared_text(&from, text, size), -ENOSPC);
        assert_int_equal(text[size], '#');
    }
}

/* A peer's text is checked like a file: local, unknown or wild is refused. */
static void hostile_shared_text_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {
        {"run_dir = /etc\n", 15},
        {"gamma = 2\n", 10},
        {"gamma\n", 6},
        {"hello = 1\n", 10},
        {"seed = \0\n", 9},
        {"seed = 1\0 2\n", 12},
        {"=\n", 2},
        {"[", 1},
    };
    struct config config, before;
    config_defaults(&config);
    before = config;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int rc = config_apply_shared(&config, cases[i].text, cases[i].len, why,
                                     sizeof(why));
        if (rc != -EINVAL) fail_msg("'%s' gave %d", cases[i].text, rc);
        assert_memory_equal(&config, &before, sizeof(config));
    }
    assert_int_equal(config_apply_shared(&config, "", 0, why, sizeof(why)), 0);
}

/* Options that exclude each other are refused with both numbers. */
static void rules_between_options_hold(void **state) {
    (void)state;
    static const struct {
        const char *name, *value, *says;
    } cases[] = {
        {"warmup", "63", "minibatch"},
        {"slack", "31", "batch"},
        {"replay_size", "63", "shards"},
        {"task", "", "task"},
        {"port", "65530", "65535"},
        {"bind", "0.0.0.0", "--insecure"},
        {"on_full", "drop", "lockstep"},
        {"actors", "2", "lockstep"},
        {"shards", "2", "lockstep"},
        {"ratio", "0", "lockstep"},
        {"environments", "33", "lockstep"},
        {"bind", "::1", "as [::1]"},
        {"advertise", "fd77::1", "[fd77::1]"},
        {"evaluators", "1", "lockstep"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct config config;
        config_defaults(&config);
        config.lockstep = true;
        config.transport = TRANSPORT_TCP;
        assert_int_equal(config_check(&config, why, sizeof(why)), 0);
        assert_int_equal(config_set(&config, cases[i].name, cases[i].value, why,
                                    sizeof(why)),
                         0);
        assert_int_equal(config_check(&config, why, sizeof(why)), -EINVAL);
        if (strstr(why, cases[i].says) == NULL) fail_msg("%s", why);
    }
}

/* Options of the method that contradict each other are refused in words. */
static void rules_of_the_method_hold(void **state) {
    (void)state;
    static const struct {
        const char *name, *value, *with, *with_value, *says;
    } cases[] = {
        {"one_set", "true", "particles_moved", "7",
         "particles_fixed is 16 but particles_moved 7"},
        {"temperature", "auto", "noise_set", "5", "entropy"},
        {"temperature", "anneal", "alpha", "1e-4", "alpha_end = 0.0001"},
        {"algorithm", "compose", "ratio", "1", "ratio = 0"},
        {"svgd_alpha_ramp", "10", NULL, NULL, "FACTOR,UPDATES"},
        {"svgd_alpha_ramp", "0.5,10", NULL, NULL, "[1, 1e6]"},
        {"svgd_alpha_ramp", "10,-5", NULL, NULL, "FACTOR,UPDATES"},
        {"svgd_alpha_ramp", "10,5x", NULL, NULL, "FACTOR,UPDATES"},
        {"svgd_alpha_ramp", "nan,5", NULL, NULL, "FACTOR,UPDATES"},
        {"svgd_alpha_ramp", "10,1099511627776", NULL, NULL, "1099511627775"},
        {"svgd_alpha_ramp", "10,99999999999999999999", NULL, NULL, "[0, "},
        {"svgd_alpha_ramp", "", NULL, NULL, "FACTOR,UPDATES"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct config config;
        config_defaults(&config);
        assert_int_equal(config_set(&config, cases[i].name, cases[i].value, why,
                                    sizeof(why)),
                         0);
        if (cases[i].with != NULL) {
            assert_int_equal(config_set(&config, cases[i].with,
                                        cases[i].with_value, why, sizeof(why)),
                             0);
        }
        assert_int_equal(config_check(&config, why, sizeof(why)), -EINVAL);
        if (strstr(why, cases[i].says) == NULL) fail_msg("%s", why);
    }
}

/* The ramp's two numbers. */
static void the_ramp_is_read(void **state) {
    (void)state;
    struct config config;
    double factor = 0.0;
    uint64_t updates = 1;
    config_defaults(&config);
    assert_int_equal(config_alpha_ramp(&config, &factor, &updates), 0);
    assert_true(factor == 1.0 && updates == 0);
    assert_int_equal(
        config_set(&config, "svgd_alpha_ramp", "12.5,4000", why, sizeof(why)),
        0);
    assert_int_equal(config_alpha_ramp(&config, &factor, &updates), 0);
    assert_true(factor == 12.5 && updates == 4000);
    assert_string_equal(config_word(&config, "algorithm"), "sql");
}

/* A run that is there already brings its own configuration along. */
static void existing_runs_bring_their_configuration(void **state) {
    (void)state;
    struct config config;
    char run[160], evaluate[160], join[160];
    snprintf(run, sizeof(run), "--run_dir=%s", folder);
    snprintf(evaluate, sizeof(evaluate), "--evaluate=%s", folder);
    snprintf(join, sizeof(join), "--join=%s", folder);
    write_file("config.ini", "seed = 77\nunits = 200\n");

    assert_int_equal(load(&config, CONFIG_LEARNER, run, NULL), 0);
    assert_int_equal(config.seed, 1); // no state: a fresh run
    write_file("state", "");
    assert_int_equal(load(&config, CONFIG_LEARNER, run, "--units=64", NULL), 0);
    assert_int_equal(config.seed, 77);
    assert_int_equal(config.units, 64);
    assert_int_equal(load(&config, CONFIG_ACTOR, evaluate, NULL), 0);
    assert_int_equal(config.seed, 77);
    assert_string_equal(config.run_dir, folder);
    assert_int_equal(load(&config, CONFIG_REPLAY, join, NULL), 0);
    assert_int_equal(config.seed, 1);
    assert_string_equal(config.run_dir, folder);
    assert_int_equal(
        load(&config, CONFIG_ACTOR, "--join=tcp://127.0.0.1:5550", NULL), 0);
    assert_string_equal(config.run_dir, "");
}

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/softq-test-config-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
    (void)state;
    static const char *const names[] = {
        "printed.ini", "first.ini", "second.ini", "wrong.ini",
        "config.ini",  "state",     "robot.ini"};
    char path[128];
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(defaults_pass_their_own_checks),
        cmocka_unit_test(every_field_has_an_option),
        cmocka_unit_test(printed_configuration_reads_back),
        cmocka_unit_test(own_options_are_not_printed),
        cmocka_unit_test(ranges_are_kept_to_the_end),
        cmocka_unit_test(long_texts_are_refused),
        cmocka_unit_test(refusals_say_what_to_do),
        cmocka_unit_test(later_sources_win),
        cmocka_unit_test(wrong_command_lines_are_refused),
        cmocka_unit_test(wrong_files_change_nothing),
        cmocka_unit_test(the_robot_section_holds_no_options),
        cmocka_unit_test(shared_text_carries_shared_options_only),
        cmocka_unit_test(hostile_shared_text_is_refused),
        cmocka_unit_test(rules_between_options_hold),
        cmocka_unit_test(rules_of_the_method_hold),
        cmocka_unit_test(the_ramp_is_read),
        cmocka_unit_test(existing_runs_bring_their_configuration),
    };
    return cmocka_run_group_tests_name("config", cases, make_folder,
                                       remove_folder);
}
