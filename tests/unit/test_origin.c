#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/rundir.h"
#include "learner/origin.h"
#include "tests/unit/test.h"

static char folder[64];
static char run_a[96], run_b[96];

static int set_up(void **state) {
    (void)state;
    log_init("test", LOG_ERROR);
    snprintf(folder, sizeof(folder), "/tmp/softq-origin-XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(run_a, sizeof(run_a), "%s/a", folder);
    snprintf(run_b, sizeof(run_b), "%s/b", folder);
    return 0;
}

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *where) {
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static int tear_down(void **state) {
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* What a run directory holds of a run, as the learner writes it. */
struct run {
    const char *options; /* "name = value" lines on top of the defaults */
    uint64_t S, A, units;
    double temperature; /* of the checkpoint; 0: has none */
    uint64_t updates;
};

static const struct run plain = {
    .options = "alpha = 0.5\n", .S = 3, .A = 2, .units = 24, .updates = 7};

static void write_options(const char *path, const char *options) {
    assert_int_equal(rundir_create(path), 0);
    assert_int_equal(rundir_write(path, "config.ini", options, strlen(options)),
                     0);
}

static void write_checkpoint(const char *path, const struct run *run) {
    float weight = 1.0f;
    double temperature = run->temperature;
    const struct tensors_entry entries[] = {
        {.name = "f.b3", .type = TENSORS_F32, .data = &weight},
        {.name = "temperature", .type = TENSORS_F64, .data = &temperature},
    };
    struct checkpoint *checkpoint =
        checkpoint_copy(entries, run->temperature > 0.0 ? 2 : 1);
    assert_non_null(checkpoint);
    snprintf(checkpoint->task, sizeof(checkpoint->task), "multigoal");
    checkpoint->S = run->S, checkpoint->A = run->A;
    checkpoint->units = run->units;
    checkpoint->counters = (struct checkpoint_counters){
        .generation = 1, .updates = run->updates, .limiter = {.ratio = 1.0}};
    assert_int_equal(checkpoint_write(checkpoint, path, 3, 0), 0);
    checkpoint_free(checkpoint);
}

static void write_run(const char *path, struct run run) {
    write_options(path, run.options);
    write_checkpoint(path, &run);
}

/* A composition of a and b at alpha 0.5, all else by default. */
static struct config composition(void) {
    struct config config;
    config_defaults(&config);
    config.algorithm = ALGORITHM_COMPOSE;
    config.alpha = 0.5;
    snprintf(config.compose, sizeof(config.compose), "%s:%s", run_a, run_b);
    return config;
}

/* Refused with these words; %s stands for run b. */
static void assert_refused(const struct config *config, const char *words) {
    struct origin origin = {0};
    char why[512] = "", expected[512];
    const char *mark = strstr(words, "%s");
    if (mark != NULL) {
        snprintf(expected, sizeof(expected), "%.*s%s%s", (int)(mark - words),
                 words, run_b, mark + 2);
    } else {
        snprintf(expected, sizeof(expected), "%s", words);
    }
    assert_int_equal(origin_open(&origin, config, why, sizeof(why)), -EINVAL);
    assert_string_equal(why, expected);
    origin_close(&origin);
    assert_null(origin.sources[0]);
}

static void assert_opens(const struct config *config, size_t n) {
    struct origin origin = {0};
    char why[512] = "";
    if (origin_open(&origin, config, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    assert_int_equal(origin.n_sources, n);
    for (size_t i = 0; i < n; i++) {
        assert_non_null(origin.sources[i]);
        assert_int_equal(origin.sources[i]->counters.updates, 7);
    }
    assert_null(origin.init);
    assert_null(origin.resume);
    origin_close(&origin);
}

/* ---- compose ---- */

/* Runs of one shape and one objective; empty names between colons are none. */
static void equal_runs_open(void **state) {
    (void)state;
    struct config config = composition();
    struct run other = plain;
    write_run(run_a, plain);
    other.units = 40; // a Q's own affair
    write_run(run_b, other);
    assert_opens(&config, 2);
    snprintf(config.compose, sizeof(config.compose), ":%s::%s:%s:", run_a,
             run_a, run_b);
    assert_opens(&config, 3);
    snprintf(config.compose, sizeof(config.compose), "%s", run_b);
    assert_opens(&config, 1);
}

/* Of several checkpoints the newest counts. */
static void the_newest_checkpoint_counts(void **state) {
    (void)state;
    struct config config = composition();
    struct run old = plain;
    old.updates = 6;
    old.S = 9;
    write_run(run_a, old);
    write_checkpoint(run_a, &plain);
    write_run(run_b, plain);
    assert_opens(&config, 2);
}

/* Any of the numbers that a soft Q is made of. */
static void unequal_objectives_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *options, *words;
    } cases[] = {
        {"alpha = 0.25\n",
         "%s was trained with alpha = 0.25, and this composition has 0.5: only "
         "Q functions of one alpha have a mean that means something (if all "
         "runs have it, give --alpha=0.25)"},
        {"alpha = 0.5\ngamma = 0.95\n",
         "%s was trained with gamma = 0.95, and this composition has 0.99: "
         "only Q functions of one gamma have a mean that means something (if "
         "all runs have it, give --gamma=0.95)"},
        {"alpha = 0.5\nreward_scale = 3\n",
         "%s was trained with reward_scale = 3, and this composition has 1: "
         "only Q functions of one reward_scale have a mean that means "
         "something (if all runs have it, give --reward_scale=3)"},
        {"alpha = 0.5\nvalue_measure = uniform\n",
         "%s was trained with value_measure = uniform, and this composition "
         "has lebesgue: give the same"},
        {"alpha = 0.5\nalgorithm = ddpg\n",
         "%s was trained by algorithm = ddpg: only soft Q functions (sql) can "
         "be composed"},
        {"alpha = 0.5\nalgorithm = compose\n",
         "%s was trained by algorithm = compose: only soft Q functions (sql) "
         "can be composed"},
    };
    const struct config config = composition();
    write_run(run_a, plain);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct run other = plain;
        other.options = cases[i].options;
        write_run(run_b, other);
        assert_refused(&config, cases[i].words);
    }
}

/* The composition's own options count, not only that the runs agree. */
static void the_composition_itself_must_agree(void **state) {
    (void)state;
    struct config config = composition();
    write_run(run_a, plain);
    write_run(run_b, plain);
    config.gamma = 0.9;
    snprintf(config.compose, sizeof(config.compose), "%s", run_b);
    assert_refused(&config, "%s was trained with gamma = 0.99, and this "
                            "composition has 0.9: only Q functions of one "
                            "gamma have a mean that means something (if all "
                            "runs have it, give --gamma=0.99)");
}

/* Of a run whose temperature moved it is the last that counts, as far as it
 * is printed: that is what a user can give. */
static void the_last_temperature_counts(void **state) {
    (void)state;
    struct config config = composition();
    struct run moved = plain;
    write_run(run_a, plain);
    moved.options = "alpha = 10\ntemperature = anneal\nalpha_end = 0.5\n";
    moved.temperature = 0.50000000000000011;
    write_run(run_b, moved);
    assert_opens(&config, 2);
    moved.options = "alpha = 0.5\ntemperature = auto\n";
    moved.temperature = 0.0123456789;
    write_run(run_b, moved);
    assert_refused(&config,
                   "%s was trained with alpha = 0.0123457, and this "
                   "composition has 0.5: only Q functions of one alpha have a "
                   "mean that means something (if all runs have it, give "
                   "--alpha=0.0123457)");
    config.alpha = 0.0123457;
    write_run(run_a, moved);
    assert_opens(&config, 2);
    config.alpha = 0.01234;
    snprintf(config.compose, sizeof(config.compose), "%s", run_b);
    assert_refused(&config,
                   "%s was trained with alpha = 0.0123457, and this "
                   "composition has 0.01234: only Q functions of one alpha "
                   "have a mean that means something (if all runs have it, "
                   "give --alpha=0.0123457)");
}

/* Observations or actions of another size. */
static void unequal_shapes_are_refused(void **state) {
    (void)state;
    const struct config config = composition();
    struct run other = plain;
    write_run(run_a, plain);
    other.S = 4;
    write_run(run_b, other);
    assert_refused(&config, "%s has observations of 4 and actions of 2, the "
                            "first run has 3 and 2: runs of one shape can be "
                            "composed");
    other.S = 3, other.A = 1, other.updates = 8;
    write_run(run_b, other);
    assert_refused(&config, "%s has observations of 3 and actions of 1, the "
                            "first run has 3 and 2: runs of one shape can be "
                            "composed");
}

/* No folder; no checkpoint in it; none that can be read; a bad config.ini. */
static void a_run_that_is_not_there_is_refused(void **state) {
    (void)state;
    const struct config config = composition();
    char words[512], path[256];
    write_run(run_a, plain);
    snprintf(words, sizeof(words),
             "%s is no run that softq wrote: configuration file "
             "'%s/config.ini': No such file or directory",
             run_b, run_b);
    assert_refused(&config, words);
    write_options(run_b, plain.options);
    assert_refused(&config, "%s has no checkpoint that can be read");
    snprintf(path, sizeof(path),
             "%s/checkpoints/0000000001-000000000007.safetensors", run_b);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("no tensors", file);
    fclose(file);
    assert_refused(&config, "%s has no checkpoint that can be read: Bad "
                            "message");
    write_options(run_b, "alpha = -1\n");
    struct origin origin = {0};
    char why[512] = "";
    assert_int_equal(origin_open(&origin, &config, why, sizeof(why)), -EINVAL);
    assert_non_null(strstr(why, run_b));
    assert_non_null(strstr(why, "alpha"));
    origin_close(&origin);
}

/* None named, or too many. */
static void the_number_of_runs_has_bounds(void **state) {
    (void)state;
    struct config config = composition();
    static const char *const none[] = {"", ":", "::"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(config.compose, sizeof(config.compose), "%s", none[i]);
        assert_refused(&config,
                       "algorithm is compose: name the runs whose Q functions "
                       "are averaged, as --compose=RUN:RUN (deploy/compose.sh "
                       "does)");
    }
    write_run(run_a, plain);
    config.compose[0] = '\0';
    for (size_t i = 0; i < 9; i++) {
        if (i == 8) assert_opens(&config, 8);
        const size_t used = strlen(config.compose);
        snprintf(config.compose + used, sizeof(config.compose) - used,
                 "%s:", run_a);
    }
    assert_refused(&config, "compose names more than 8 runs");
}

/* ---- init_from ---- */

static struct config beginning(void) {
    struct config config;
    config_defaults(&config);
    config.units = 24;
    snprintf(config.task, sizeof(config.task), "multigoal");
    snprintf(config.init_from, sizeof(config.init_from), "%s", run_b);
    return config;
}

/* Without a name nothing is read; with one the newest checkpoint is, whatever
 * its alpha. */
static void init_from_opens_a_run(void **state) {
    (void)state;
    struct config config = beginning();
    struct origin origin = {0};
    char why[512] = "";
    write_run(run_b, plain);
    assert_int_equal(origin_open(&origin, &config, why, sizeof(why)), 0);
    assert_non_null(origin.init);
    assert_int_equal(origin.n_sources, 0);
    assert_int_equal(origin_check(&origin, &config, 3, 2, why, sizeof(why)), 0);
    origin_close(&origin);
    assert_null(origin.init);
    config.init_from[0] = '\0';
    assert_int_equal(origin_open(&origin, &config, why, sizeof(why)), 0);
    assert_null(origin.init);
    assert_int_equal(origin_check(&origin, &config, 9, 9, why, sizeof(why)), 0);
    origin_close(&origin);
    origin_close(&origin); // a zeroed one
}

/* A composition takes both: Q functions and a sampler to begin with. */
static void a_composition_may_begin_from_a_run(void **state) {
    (void)state;
    struct config config = composition();
    struct origin origin = {0};
    char why[512] = "";
    write_run(run_a, plain);
    write_run(run_b, plain);
    snprintf(config.init_from, sizeof(config.init_from), "%s", run_b);
    assert_int_equal(origin_open(&origin, &config, why, sizeof(why)), 0);
    assert_int_equal(origin.n_sources, 2);
    assert_non_null(origin.init);
    origin_close(&origin);
}

/* Another task's sizes or other units are named, with what to do. */
static void a_beginning_that_does_not_fit_is_refused(void **state) {
    (void)state;
    struct config config = beginning();
    struct origin origin = {0};
    char why[512] = "", words[512];
    write_run(run_b, plain);
    assert_int_equal(origin_open(&origin, &config, why, sizeof(why)), 0);
    assert_int_equal(origin_check(&origin, &config, 5, 2, why, sizeof(why)),
                     -EINVAL);
    snprintf(words, sizeof(words),
             "init_from = %s has observations of 3 and actions of 2, but the "
             "task multigoal has 5 and 2: give a run of a task of the same "
             "shape",
             run_b);
    assert_string_equal(why, words);
    config.units = 32;
    assert_int_equal(origin_check(&origin, &config, 3, 2, why, sizeof(why)),
                     -EINVAL);
    snprintf(words, sizeof(words),
             "init_from = %s has units = 24, this run 32: give units = 24",
             run_b);
    assert_string_equal(why, words);
    config.units = 24;
    snprintf(origin.init->algorithm, sizeof(origin.init->algorithm), "compose");
    assert_int_equal(origin_check(&origin, &config, 3, 2, why, sizeof(why)),
                     -EINVAL);
    snprintf(words, sizeof(words),
             "init_from = %s is a composition, which has no Q of its own: give "
             "init_parts = f",
             run_b);
    assert_string_equal(why, words);
    config.init_parts = PARTS_F;
    assert_int_equal(origin_check(&origin, &config, 3, 2, why, sizeof(why)), 0);
    origin_close(&origin);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(equal_runs_open),
        CASE(the_newest_checkpoint_counts),
        CASE(unequal_objectives_are_refused),
        CASE(the_composition_itself_must_agree),
        CASE(the_last_temperature_counts),
        CASE(unequal_shapes_are_refused),
        CASE(a_run_that_is_not_there_is_refused),
        CASE(the_number_of_runs_has_bounds),
        CASE(init_from_opens_a_run),
        CASE(a_composition_may_begin_from_a_run),
        CASE(a_beginning_that_does_not_fit_is_refused),
    };
#undef CASE
    return cmocka_run_group_tests_name("origin", tests, NULL, NULL);
}
