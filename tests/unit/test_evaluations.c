#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "learner/evaluations.h"
#include "tests/unit/test.h"

/* Whose turn it is, and what is written down: learner/evaluations.c. */

static struct evaluations evaluations;
static struct registry registry;
static struct config config;
static char path[128];

static int set_up(void **unused) {
    (void)unused;
    config_defaults(&config);
    snprintf(config.run_dir, sizeof(config.run_dir),
             "/tmp/softq-evaluations-XXXXXX");
    if (mkdtemp(config.run_dir) == NULL) return -1;
    snprintf(path, sizeof(path), "%.64s/evaluations.csv", config.run_dir);
    return registry_init(&registry, 1);
}

static int tear_down(void **unused) {
    (void)unused;
    evaluations_finish(&evaluations);
    registry_finish(&registry);
    unlink(path);
    return rmdir(config.run_dir);
}

static void start(uint64_t updates) {
    assert_int_equal(evaluations_start(&evaluations, &config, updates), 0);
}

static struct registry_peer *join(const char *name, uint64_t incarnation) {
    struct wire_message hello = {.incarnation = incarnation,
                                 .type = WIRE_HELLO,
                                 .hello = {.role = WIRE_EVALUATOR}};
    struct registry_peer *peer;
    snprintf(hello.name, sizeof(hello.name), "%s", name);
    assert_int_equal(registry_heard(&registry, &hello,
                                    &(struct link_route){.len = 1}, &peer),
                     REGISTRY_NEW);
    return peer;
}

static uint64_t version(uint64_t generation, uint64_t updates) {
    return generation << 40 | updates;
}

static bool due(const struct registry_peer *peer, uint64_t have, uint64_t now) {
    return evaluations_due(&evaluations, &registry, peer, have, now);
}

static void give(struct registry_peer *peer, uint64_t newest) {
    const struct progress_now now = {.seconds = 1e-3 * (double)newest,
                                     .steps = 2 * evaluations_updates(newest)};
    evaluations_given(&registry, peer, newest, &now);
}

static bool tell(struct registry_peer *peer, uint64_t played) {
    const struct wire_evaluation found = {.version = played,
                                          .episodes = 20,
                                          .unstable = 1,
                                          .mean_return = -5.25,
                                          .std_return = 2,
                                          .mean_length = 10,
                                          .has_goals = true,
                                          .reached = 15};
    return evaluations_told(&evaluations, peer, &found, 1e9);
}

/* Of the file. */
static const char *line(int number) {
    return test_line(path, number);
}

/* The first parameters, then the first after each 1000 updates, once each. */
static void a_turn_comes_every_so_many_updates(void **unused) {
    (void)unused;
    start(0);
    struct registry_peer *peer = join("evaluator-0", 1);
    assert_false(due(peer, 0, 0)); // nothing is published yet
    assert_true(due(peer, 0, version(1, 0)));
    give(peer, version(1, 0));
    assert_false(due(peer, version(1, 0), version(1, 1500))); // it plays
    assert_true(tell(peer, version(1, 0)));
    assert_true(due(peer, version(1, 0), version(1, 1500)));
    give(peer, version(1, 1500));
    assert_true(tell(peer, version(1, 1500)));
    assert_false(due(peer, version(1, 1500), version(1, 1999)));
    assert_true(due(peer, version(1, 1500), version(1, 2000)));
    assert_int_equal(evaluations.n, 2);
    assert_string_equal(line(0),
                        "seconds,updates,steps,generation,episodes,"
                        "mean_return,std_return,mean_length,success_rate,"
                        "unstable,evaluator,wall");
    assert_memory_equal(strchr(line(2), ','),
                        ",1500,3000,1,20,-5.25,2,10,0.75,1,evaluator-0,"
                        "1000000000.000",
                        60);
    assert_string_equal(line(3), "");
}

/* Two of them: each turn is one's, also of the one that takes longer. */
static void no_turn_is_given_twice(void **unused) {
    (void)unused;
    start(0);
    struct registry_peer *a = join("a", 1), *b = join("b", 2);
    give(a, version(1, 0));
    assert_false(due(b, 0, version(1, 999)));
    assert_true(due(b, 0, version(1, 1000)));
    give(b, version(1, 1000));
    assert_true(tell(b, version(1, 1000)));
    assert_false(due(b, version(1, 1000), version(1, 1900)));
    assert_true(tell(a, version(1, 0))); // late, and counts
    assert_false(due(a, version(1, 0), version(1, 1900)));
    assert_int_equal(evaluations.n, 2);
}

/* Said again with each heartbeat, and by whom it was not asked: no row. */
static void only_what_was_asked_for_is_written(void **unused) {
    (void)unused;
    start(0);
    struct registry_peer *a = join("a", 1), *b = join("b", 2);
    assert_false(tell(a, version(1, 0)));
    give(a, version(1, 0));
    assert_false(tell(b, version(1, 0)));
    assert_false(tell(a, version(1, 5)));
    assert_true(tell(a, version(1, 0)));
    for (int i = 0; i < 3; i++) assert_false(tell(a, version(1, 0)));
    assert_memory_not_equal(line(1), "", 1);
    assert_string_equal(line(2), "");
}

/* Parameters that never arrived are asked for again. */
static void lost_parameters_are_given_again(void **unused) {
    (void)unused;
    start(0);
    struct registry_peer *peer = join("a", 1);
    give(peer, version(1, 3000));
    assert_true(due(peer, version(1, 2000), version(1, 3100)));
    assert_false(due(peer, version(1, 3000), version(1, 3100)));
}

/* kill -9 in the middle: its new process, or another, takes the turn. */
static void a_dead_evaluators_turn_is_open_again(void **unused) {
    (void)unused;
    start(0);
    struct registry_peer *a = join("a", 1), *b = join("b", 2);
    give(a, version(1, 0));
    assert_false(due(b, 0, version(1, 10)));
    assert_ptr_equal(join("a", 3), a);
    assert_true(due(a, 0, version(1, 10)));
    give(a, version(1, 10));
    // it stands still for so long that it is forgotten
    registry_tick(&registry, 500, 5000, 60000);
    b->silent_ms = 0;
    registry_tick(&registry, 59500, 5000, 60000);
    assert_false(a->here);
    assert_true(due(b, 0, version(1, 20)));
    give(b, version(1, 20));
    a->here = true;
    assert_false(tell(a, version(1, 10))); // another one plays that now
    assert_true(tell(b, version(1, 20)));
    assert_int_equal(evaluations.n, 1);
}

/* A learner goes on from update 2000: what came after is played again, what was
 * before is not. */
static void a_resumed_run_goes_on_with_its_file(void **unused) {
    (void)unused;
    start(0);
    struct registry_peer *peer = join("a", 1);
    for (uint64_t updates = 0; updates <= 3000; updates += 1000) {
        give(peer, version(1, updates));
        assert_true(tell(peer, version(1, updates)));
    }
    evaluations_finish(&evaluations);
    FILE *torn = fopen(path, "a"); // as a power cut may leave it
    assert_non_null(torn);
    fputs("8.000,15", torn);
    fclose(torn);

    start(2000);
    peer = join("a", 2);
    assert_memory_equal(strchr(line(3), ','), ",2000,", 6);
    assert_string_equal(line(4), "");
    assert_false(due(peer, 0, version(2, 2000)));
    assert_true(due(peer, 0, version(2, 3000)));
    give(peer, version(2, 3000));
    assert_true(tell(peer, version(2, 3000)));
    assert_memory_equal(strchr(line(4), ','), ",3000,6000,2,20,", 16);
}

/* A run without evaluators has no such file. */
static void without_evaluators_there_is_no_file(void **unused) {
    (void)unused;
    start(0);
    assert_int_not_equal(access(path, F_OK), 0);
    evaluations_finish(&evaluations);
    start(500);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* A policy that the simulator gave up on has empty fields, and had its turn. */
static void an_evaluation_of_nothing_is_a_row_too(void **unused) {
    (void)unused;
    start(0);
    struct registry_peer *peer = join("a", 1);
    give(peer, version(1, 0));
    assert_true(evaluations_told(
        &evaluations, peer,
        &(struct wire_evaluation){.version = version(1, 0), .unstable = 700},
        1.0));
    assert_memory_equal(strchr(line(1), ','), ",0,0,1,0,,,,,700,a,1.000", 25);
    assert_false(due(peer, 0, version(1, 5)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_turn_comes_every_so_many_updates,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_turn_is_given_twice, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_what_was_asked_for_is_written,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(lost_parameters_are_given_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_dead_evaluators_turn_is_open_again,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_resumed_run_goes_on_with_its_file,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_evaluators_there_is_no_file,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_evaluation_of_nothing_is_a_row_too,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
