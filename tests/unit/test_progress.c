#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "learner/progress.h"
#include "tests/unit/test.h"

static struct progress progress;
static struct config config;
static char path[128];

static int set_up(void **state) {
    (void)state;
    config_defaults(&config);
    snprintf(config.run_dir, sizeof(config.run_dir),
             "/tmp/softq-progress-XXXXXX");
    config.progress = PROGRESS_NONE;
    config.tensorboard = false;
    if (mkdtemp(config.run_dir) == NULL) return -1;
    snprintf(path, sizeof(path), "%.64s/progress.csv", config.run_dir);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    progress_finish(&progress);
    return unlink(path) == 0 && rmdir(config.run_dir) == 0 ? 0 : -1;
}

static void start(uint64_t updates, uint64_t steps) {
    assert_int_equal(progress_start(&progress, &config, 3, updates, steps), 0);
}

static void row(double seconds, uint64_t updates, uint64_t steps) {
    progress_row(&progress, &(struct progress_now){.seconds = seconds,
                                                   .updates = updates,
                                                   .steps = steps});
}

/* Of the file. */
static const char *line(int number) {
    return test_line(path, number);
}

/* Rates and means are those since the row before; nothing is an empty field. */
static void a_row_holds_what_happened_since_the_last(void **state) {
    (void)state;
    start(0, 0);
    row(1.0, 0, 100);
    assert_string_equal(
        line(1),
        "1.000,0,100,0.00,100.00,0,,,,,,,,0,0,,,,,,,,,3,0.000,0,,,,,,,,,");
    progress_figures(&progress,
                     &(struct algorithm_figures){.q_loss = 1,
                                                 .q_mean = -4,
                                                 .alpha = 1,
                                                 .entropy = (double)NAN,
                                                 .value_sampler = (double)NAN,
                                                 .repulsion_norm = 8,
                                                 .negative = 0.5});
    progress_figures(&progress,
                     &(struct algorithm_figures){.q_loss = 2,
                                                 .q_mean = -8,
                                                 .alpha = 3,
                                                 .entropy = (double)NAN,
                                                 .value_sampler = (double)NAN,
                                                 .repulsion_norm = (double)NAN,
                                                 .negative = 0.25});
    progress_age(&progress, 0), progress_age(&progress, 30);
    progress_age(&progress, 0), progress_age(&progress, 0);
    progress_episode(&progress, -3.0);
    progress_statistic(&progress, -0.5);
    progress_statistic(&progress, 0.25);
    row(3.0, 2, 110);
    assert_string_equal(
        line(2), "3.000,2,110,1.00,5.00,1,-3,1.5,-6,0,0,0,0,0,0,7.5,2,,"
                 "0.375,0,-0.125,-0.5,0.25,3,0.000,0.2,0,0,0,,0,8,0,0,0");
}

/* A resumed run forgets the rows after its checkpoint and goes on from there.
 */
static void the_file_is_cut_back_to_the_checkpoint(void **state) {
    (void)state;
    start(0, 0);
    row(2.0, 10, 20);
    row(4.0, 20, 40);
    row(6.0, 30, 60);
    progress_finish(&progress);
    FILE *torn = fopen(path, "a"); // as a kill -9 leaves it
    assert_non_null(torn);
    fputs("8.000,15", torn);
    fclose(torn);

    start(20, 45);
    assert_true(progress.seconds_before == 4.0);
    row(5.0, 25, 50);
    assert_memory_equal(line(2), "4.000,20,40,", 12);
    assert_string_equal(
        line(3),
        "5.000,25,50,5.00,5.00,0,,,,,,,,0,0,,,,,,,,,3,0.000,1,,,,,,,,,");
    assert_string_equal(line(4), "");
}

/* Without a checkpoint everything begins again. */
static void a_fresh_start_leaves_only_the_header(void **state) {
    (void)state;
    start(0, 0);
    row(2.0, 10, 20);
    progress_finish(&progress);
    start(0, 0);
    assert_memory_equal(line(0), "seconds,updates,steps,", 22);
    assert_string_equal(line(1), "");
    assert_true(progress.seconds_before == 0.0);
}

/* The mean return is that of the last hundred episodes. */
static void the_mean_return_forgets_old_episodes(void **state) {
    (void)state;
    start(0, 0);
    assert_true(isnan(progress_mean_return(&progress)));
    for (int i = 0; i < 50; i++) progress_episode(&progress, 1000.0);
    assert_close((float)progress_mean_return(&progress), 1000.0f, 1e-3f);
    for (int i = 1; i <= 100; i++) progress_episode(&progress, i);
    assert_close((float)progress_mean_return(&progress), 50.5f, 1e-4f);
}

/* Rows and what was learned from go to TensorBoard too: histograms with the
 * first row that has any, and not with every one. */
static void rows_are_events(void **state) {
    (void)state;
    char command[128];
    struct batch batch;
    config.tensorboard = true;
    start(0, 0);
    const uint64_t begun = progress.events.size;
    assert_true(begun > 0);
    row(2.0, 10, 20);
    const uint64_t without = progress.events.size - begun;
    assert_int_equal(batch_init(&batch, 4, 1, 20), 0);
    batch.n = 4;
    memset(batch.a, 0, sizeof(*batch.a) * 4 * 20);
    progress_actions(&progress, &batch);
    assert_true(progress.actions[PROGRESS_ACTIONS - 1].n == 4.0);
    const uint64_t before = progress.events.size;
    row(4.0, 20, 40);
    assert_true(progress.events.size - before > without + 16 * 300);
    assert_true(progress.actions[0].n == 0.0);
    progress_actions(&progress, &batch);
    const uint64_t again = progress.events.size;
    row(6.0, 30, 60);
    assert_true(progress.events.size - again < without + 100);
    batch_finish(&batch);
    snprintf(command, sizeof(command), "rm -r '%.64s/tensorboard'",
             config.run_dir);
    assert_int_equal(system(command), 0);
}

/* Percent and time left are those of the limit that is reached first. */
static void the_line_tells_the_nearest_limit(void **state) {
    (void)state;
    char text[256];
    config.max_updates = 15000;
    config.max_seconds = 100.0;
    start(0, 0);
    struct progress_now now = {.seconds = 50.0, .updates = 6000, .steps = 6000};
    progress_line(&progress, &now, NULL);
    now.seconds = 52.0, now.updates = 6300, now.steps = 6312;
    progress_episode(&progress, -123.4);
    progress_format(&progress, &now, NULL, text, sizeof(text));
    assert_string_equal(
        text, "52 % | updates 6300/15000 | steps 6312 | 150 updates/s | "
              "156 steps/s | return -123.4 | 48 s left");
    progress_format(&progress, &now, "waiting for a shard", text, sizeof(text));
    assert_non_null(strstr(text, "| waiting for a shard"));
    assert_null(strstr(text, "left"));
}

static size_t commas_of(const char *text) {
    size_t commas = 0;
    for (; *text != '\0'; text++) commas += *text == ',';
    return commas;
}

/* The file may not grow, as on a full disk, for longer than any buffer lasts:
 * those rows are lost, the next ones are whole. */
static void a_full_disk_costs_rows_and_garbles_none(void **state) {
    (void)state;
    struct rlimit was, full;
    start(0, 0);
    row(1.0, 1, 100);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    full = was;
    signal(SIGXFSZ, SIG_IGN);
    for (int room = 0; room < 60; room += 7) { // also in the midst of a row
        FILE *in = fopen(path, "r");
        fseek(in, 0, SEEK_END);
        full.rlim_cur = (rlim_t)(ftell(in) + room);
        fclose(in);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
        for (int i = 0; i < 300; i++) row(2.0, 2, 200);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
        row(3.0, 3, 300);
    }
    const size_t fields = commas_of(line(0)); // the header
    for (int i = 1; i < 400; i++) {
        const char *text = line(i);
        const size_t commas = commas_of(text);
        if (*text != '\0' && commas != fields)
            fail_msg("line %d has %zu commas: %s", i, commas, text);
    }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_row_holds_what_happened_since_the_last),
        CASE(the_file_is_cut_back_to_the_checkpoint),
        CASE(a_fresh_start_leaves_only_the_header),
        CASE(the_mean_return_forgets_old_episodes),
        CASE(rows_are_events),
        CASE(the_line_tells_the_nearest_limit),
        CASE(a_full_disk_costs_rows_and_garbles_none),
    };
#undef CASE
    return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
