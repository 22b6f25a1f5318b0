#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learner/why.h"
#include "tests/unit/test.h"

/* A learner's books, and what is said of them. */
static struct config config;
static struct registry registry;
static struct limiter limiter;
static struct feed_slot slot;
static struct feed feed;
static uint64_t ages[WHY_AGES];
static struct why why;
static char text[4096];

static int set_up(void **unused) {
    (void)unused;
    config_defaults(&config);
    limiter_init(&limiter, &(struct limiter_settings){.ratio = 1.0,
                                                      .warmup = config.warmup,
                                                      .slack = 1024,
                                                      .minibatch = 64});
    slot = (struct feed_slot){0};
    feed = (struct feed){.n_slots = 1, .slots = &slot};
    memset(ages, 0, sizeof(ages));
    why = (struct why){.config = &config,
                       .registry = &registry,
                       .limiter = &limiter,
                       .feed = &feed,
                       .address = "tcp://here:5550",
                       .now_ms = 60000,
                       .progressed_ms = 50000,
                       .ages = ages,
                       .refusal = ""};
    return registry_init(&registry, 1);
}

static int tear_down(void **unused) {
    (void)unused;
    registry_finish(&registry);
    return 0;
}

static struct registry_peer *join(const char *name, enum wire_role role) {
    struct wire_message hello = {.incarnation = 1, .type = WIRE_HELLO};
    struct registry_peer *peer;
    hello.hello.role = role;
    snprintf(hello.name, sizeof(hello.name), "%s", name);
    assert_int_equal(registry_heard(&registry, &hello,
                                    &(struct link_route){.len = 1}, &peer),
                     REGISTRY_NEW);
    return peer;
}

static struct registry_shard *open_ring(const struct registry_peer *peer,
                                        uint64_t present) {
    const struct wire_shard_ready ready = {
        .ring_id = 7, .capacity = 10000, .present = present, .stored = present};
    struct registry_shard *shard = registry_list(&registry, peer, &ready);
    assert_non_null(shard);
    registry_fix_spec(&registry, (struct wire_spec){2, 2});
    limiter_report(&limiter, 7, present, present, 10000);
    limiter_list(&limiter, 7, true);
    return shard;
}

static void print_all(void) {
    FILE *out = fmemopen(text, sizeof(text), "w");
    assert_non_null(out);
    why_print(&why, out, "* ");
    fclose(out);
}

static void expect(const char *words) {
    print_all();
    if (!strstr(text, words)) fail_msg("not \"%s\" but:\n%s", words, text);
}

static void expect_waiting(const char *words) {
    char line[128];
    const char *waiting = why_waiting(&why, line, sizeof(line));
    if (!waiting || strcmp(waiting, words) != 0)
        fail_msg("not \"%s\" but \"%s\"", words, waiting ? waiting : "NULL");
}

/* From nobody to the first update: each time the next step is named. */
static void the_next_step_is_named(void **unused) {
    (void)unused;
    expect_waiting("waiting for a shard");
    expect("* no update for 10 s: no shard is here. Start one: softq-replay "
           "--join=tcp://here:5550");
    struct registry_peer *shard = join("shard-0", WIRE_SHARD);
    expect_waiting("waiting for the first actor: it brings the shapes");
    expect("softq-actor --join=tcp://here:5550");
    struct registry_peer *actor = join("actor-0", WIRE_ACTOR);
    expect_waiting("waiting for a shard's ring");
    expect("its ring is not open yet");
    struct registry_shard *listed = open_ring(shard, 400);
    why.steps_per_second = 100.0;
    expect_waiting("warm-up: 400 of 1000 rows");
    expect("warm-up, 400 of 1000 rows are there, 6 s more at 100 steps");
    actor->silent_ms = REGISTRY_SILENT_MS;
    expect_waiting("warm-up: 400 of 1000 rows, waiting for actors");
    expect("no actor makes more");
    listed->present = listed->stored = 1000;
    limiter_report(&limiter, 7, 1000, 1000, 10000);
    assert_true(limiter.warm);
    expect_waiting("waiting for actors (ratio 1)");
    expect("ratio 1 allows the next one when 1 more row is stored, and no "
           "actor is here");
    limiter_report(&limiter, 7, 1010, 1010, 10000);
    expect_waiting("waiting for minibatches");
    slot.state = FEED_AWAITED;
    slot.n_parts = 1;
    slot.parts[0] = (struct feed_part){
        .key = shard->rank, .asked_us = 58500000, .awaited = true};
    expect("shard-0 owes a part of a minibatch since 1.5 s");
}

/* While updates go on: which side is the slower one. */
static void the_slower_side_is_named(void **unused) {
    (void)unused;
    char line[128];
    open_ring(join("shard-0", WIRE_SHARD), 1000);
    join("actor-0", WIRE_ACTOR);
    why.progressed_ms = why.now_ms;
    assert_null(why_waiting(&why, line, sizeof(line)));
    expect("the learner waits for the actors' steps (ratio 1)");
    limiter_report(&limiter, 7, 1500, 1500, 10000);
    expect("neither side waits, the actors are 500 rows ahead");
    limiter_report(&limiter, 7, 1000 + 1024, 2024, 10000);
    expect("the actors wait for the learner, 1024 rows ahead of ratio 1");
    limiter.ratio = 0.0;
    expect("ratio = 0 lets each side go its own pace");
}

/* What is not as it should be, each in its own sentence. */
static void what_is_wrong_is_said(void **unused) {
    (void)unused;
    struct registry_shard *shard = open_ring(join("disk", WIRE_SHARD), 1000);
    struct registry_peer *a = join("a", WIRE_ACTOR), *b = join("b", WIRE_ACTOR);
    why.progressed_ms = why.now_ms;
    why.version = (UINT64_C(1) << 40) + 500;
    a->progress.counters = (struct wire_counters){
        .outstanding = 16, .waiting = 1, .policy_version = why.version - 120};
    expect("2 actors may be ahead by 2 x 16 x 32 = 1024 rows");
    expect("16 batches are not acknowledged yet");
    expect("1 of 2 actors stands with a full window of 16 batches: a shard "
           "owes them answers");
    expect("1 of 2 actors wait for their first parameters");
    if (strstr(text, "the oldest policy")) fail_msg("%s", text);
    a->progress.counters.waiting = 0;
    expect("the oldest policy that acts (a) is 120 updates behind");
    a->progress.counters.policy_version = why.version + 1; // it cannot be
    print_all();
    if (strstr(text, "the oldest policy")) fail_msg("%s", text);
    a->progress.counters.policy_version = why.version - 120;
    a->progress.counters.waiting = 1;
    limiter_report(&limiter, 7, 2024, 2024, 10000);
    expect("the ratio holds them back");
    b->silent_ms = 17000;
    expect("1 of 2 actors is silent (b for 17 s): forgotten after 60 s");
    shard->silent_ms = 3100;
    expect("shard 0 (disk) has said nothing for 3.1 s: it is declared dead "
           "after 5 s");
    shard->silent_ms = 40000;
    shard->state = WIRE_SHARD_DEAD;
    expect("shard 0 (disk) is dead, silent for 40 s");
    why.refused = 3;
    why.refusal = "c: another task";
    why.bad = 1;
    expect("3 messages were refused, the last: c: another task");
    expect("1 message was no message of ours");
    why.keys_refused = 2;
    expect("2 handshakes were of keys that are not allowed");
    why.keys_messages = 1;
    expect("1 message was refused that the sender's key may not send");
    why.checkpoint_rc = -28;
    why.checkpoint_updates = 200;
    expect("could not be written (No space left on device)");
    ages[0] = 50, ages[4] = 45, ages[10] = 5;
    why.aged_out = 9;
    expect("half of the rows learned from were made at most 0 updates before, "
           "95 % at most 15");
    expect("9 rows learned from were made before this learner started");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_next_step_is_named, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_slower_side_is_named, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_said, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
