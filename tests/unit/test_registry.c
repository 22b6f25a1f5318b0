#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learner/registry.h"
#include "learner/state.h"
#include "tests/unit/test.h"

static struct registry registry;

static int set_up(void **state) {
    (void)state;
    return registry_init(&registry, 1);
}

static int tear_down(void **state) {
    (void)state;
    registry_finish(&registry);
    return 0;
}

static struct wire_message message(const char *name, uint64_t incarnation,
                                   enum wire_type type) {
    struct wire_message m = {.incarnation = incarnation, .type = type};
    snprintf(m.name, sizeof(m.name), "%s", name);
    return m;
}

static struct link_route route(uint8_t id) {
    return (struct link_route){.len = 1, .id = {id}};
}

static enum registry_verdict hello(const char *name, uint64_t incarnation,
                                   enum wire_role role, uint32_t index,
                                   struct registry_peer **peer) {
    struct wire_message m = message(name, incarnation, WIRE_HELLO);
    const struct link_route from = route((uint8_t)incarnation);
    m.hello.role = role;
    m.hello.index = index;
    snprintf(m.hello.endpoint, sizeof(m.hello.endpoint), "ipc://x");
    return registry_heard(&registry, &m, &from, peer);
}

static enum registry_verdict beat(const char *name, uint64_t incarnation,
                                  struct registry_peer **peer) {
    const struct wire_message m = message(name, incarnation, WIRE_HEARTBEAT);
    const struct link_route from = route((uint8_t)incarnation);
    return registry_heard(&registry, &m, &from, peer);
}

static struct registry_shard *list(const struct registry_peer *peer,
                                   uint64_t ring) {
    const struct wire_shard_ready ready = {
        .ring_id = ring, .capacity = 100, .present = 5, .stored = 7};
    return registry_list(&registry, peer, &ready);
}

/* Names get ranks in the order of their first Hello and keep them. */
static void a_name_keeps_its_rank(void **state) {
    (void)state;
    struct registry_peer *a, *b, *again;
    assert_int_equal(hello("a", 1, WIRE_ACTOR, 0, &a), REGISTRY_NEW);
    assert_int_equal(hello("b", 2, WIRE_ACTOR, 0, &b), REGISTRY_NEW);
    assert_int_equal(hello("a", 3, WIRE_ACTOR, 0, &again), REGISTRY_NEW);
    assert_int_equal(a->rank, 0);
    assert_int_equal(b->rank, 1);
    assert_ptr_equal(a, again);
    for (int i = 0; i < 1000; i++) { // through several growths of the table
        char name[16];
        struct registry_peer *peer;
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(hello(name, 9, WIRE_ACTOR, 0, &peer), REGISTRY_NEW);
        assert_int_equal(peer->rank, i + 2);
    }
    assert_int_equal(beat("b", 2, &again), REGISTRY_CURRENT);
    assert_ptr_equal(again, b);
}

/* The newest first Hello wins; the older process is told so, for good. */
static void the_newest_incarnation_wins(void **state) {
    (void)state;
    struct registry_peer *peer;
    hello("a", 1, WIRE_ACTOR, 0, &peer);
    peer->progress.welcomed = true;
    assert_int_equal(hello("a", 2, WIRE_ACTOR, 0, &peer), REGISTRY_NEW);
    assert_false(peer->progress.welcomed);
    assert_int_equal(peer->route.id[0], 2);
    assert_int_equal(hello("a", 2, WIRE_ACTOR, 0, &peer), REGISTRY_AGAIN);
    assert_int_equal(hello("a", 1, WIRE_ACTOR, 0, &peer), REGISTRY_OLD);
    assert_int_equal(beat("a", 1, &peer), REGISTRY_OLD);
    assert_int_equal(peer->incarnation, 2);
    assert_int_equal(peer->route.id[0], 2); // the old one's is not taken
}

/* Who speaks without Hello is unknown: it knew an earlier learner. */
static void a_stranger_must_say_hello(void **state) {
    (void)state;
    struct registry_peer *peer;
    assert_int_equal(beat("a", 1, &peer), REGISTRY_UNKNOWN);
    assert_null(peer);
    assert_int_equal(registry_known_name(&registry, "b", WIRE_ACTOR, ""), 0);
    assert_int_equal(beat("b", 1, &peer), REGISTRY_UNKNOWN);
    assert_int_equal(registry_known_name(&registry, "b", WIRE_ACTOR, ""),
                     -EEXIST);
}

/* An actor forgotten for its silence is back with its next message. */
static void a_forgotten_actor_is_back_when_heard(void **state) {
    (void)state;
    struct registry_peer *peer;
    hello("a", 1, WIRE_ACTOR, 0, &peer);
    assert_int_equal(registry_count(&registry, WIRE_ACTOR, 5000), 1);
    registry_tick(&registry, 6000, 5000, 60000);
    assert_int_equal(registry_count(&registry, WIRE_ACTOR, 5000), 0);
    assert_true(peer->here);
    registry_tick(&registry, 54000, 5000, 60000);
    assert_false(peer->here);
    assert_int_equal(beat("a", 1, &peer), REGISTRY_CURRENT);
    assert_int_equal(registry_count(&registry, WIRE_ACTOR, 5000), 1);
}

/* Listing, death by silence and a new incarnation each raise the version. */
static void each_change_of_a_shard_raises_the_topology(void **state) {
    (void)state;
    struct registry_peer *peer;
    hello("s", 1, WIRE_SHARD, 3, &peer);
    const uint64_t start = registry.topology;
    struct registry_shard *shard = list(peer, 77);
    assert_int_equal(registry.topology, start + 1);
    list(peer, 77); // a repeated ShardReady changes nothing
    assert_int_equal(registry.topology, start + 1);

    assert_false(registry_tick(&registry, 4900, 5000, 60000));
    assert_true(registry_tick(&registry, 100, 5000, 60000));
    assert_int_equal(shard->state, WIRE_SHARD_DEAD);
    assert_int_equal(registry.topology, start + 2);
    assert_int_equal(registry_listed(&registry), 0);

    hello("s", 2, WIRE_SHARD, 3, &peer);
    list(peer, 77);
    assert_int_equal(registry.topology, start + 3);
    assert_int_equal(registry.n_shards, 1);
    assert_int_equal(registry_listed(&registry), 1);
}

/* Between a shard's new Hello and its ShardReady nobody serves. */
static void a_returning_shard_serves_only_when_ready(void **state) {
    (void)state;
    struct registry_peer *peer;
    hello("s", 1, WIRE_SHARD, 0, &peer);
    struct registry_shard *shard = list(peer, 77);
    assert_true(registry_serves(&registry, shard));
    hello("s", 2, WIRE_SHARD, 0, &peer);
    assert_false(registry_serves(&registry, shard));
    assert_null(registry_shard_of(&registry, peer));
    // its heartbeats do not keep the old entry alive
    registry_tick(&registry, 3000, 5000, 60000);
    beat("s", 2, &peer);
    assert_true(registry_tick(&registry, 3000, 5000, 60000));
    list(peer, 77);
    assert_true(registry_serves(&registry, shard));
}

/* A process under another name takes over a shard's index, once the one that
 * had it serves no more. */
static void the_last_shard_with_an_index_has_it(void **state) {
    (void)state;
    struct registry_peer *one, *two, *other;
    hello("one", 1, WIRE_SHARD, 0, &one);
    assert_null(registry_rival(&registry, one));
    list(one, 77);
    assert_null(registry_rival(&registry, one));
    hello("other", 3, WIRE_SHARD, 1, &other);
    assert_null(registry_rival(&registry, other));
    hello("two", 2, WIRE_SHARD, 0, &two);
    assert_ptr_equal(registry_rival(&registry, two), one);
    assert_true(registry_tick(&registry, 5000, 5000, 60000));
    assert_null(registry_rival(&registry, two));
    list(two, 77);
    assert_null(registry_shard_of(&registry, one));
    assert_non_null(registry_shard_of(&registry, two));
    struct wire_shard shards[WIRE_MAX_SHARDS];
    const struct wire_topology t = registry_topology(&registry, shards);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.shards[0].incarnation, 2);
}

/*
 * A shard of an earlier learner that never comes back is declared dead, or
 * actors would wait for its answers for ever.
 */
static void a_remembered_shard_returns_or_is_dead(void **state) {
    (void)state;
    const struct wire_shard zero = {
        .index = 0, .address = "ipc://x", .incarnation = 1};
    const struct wire_shard one = {
        .index = 1, .address = "ipc://y", .incarnation = 2};
    assert_int_equal(registry_known_name(&registry, "s", WIRE_SHARD, ""), 0);
    assert_int_equal(registry_known_name(&registry, "t", WIRE_SHARD, ""), 0);
    assert_int_equal(registry_known_shard(&registry, &zero, 0), 0);
    assert_int_equal(registry_known_shard(&registry, &one, 1), 0);
    assert_int_equal(registry_known_shard(&registry, &one, 1), -EEXIST);
    assert_int_equal(registry_listed(&registry), 0);
    struct wire_shard shards[WIRE_MAX_SHARDS];
    struct wire_topology t = registry_topology(&registry, shards);
    assert_int_equal(t.n, 2);
    assert_int_equal(t.shards[1].state, WIRE_SHARD_LISTED);

    // the same process says Hello to the new learner: not served yet
    struct registry_peer *peer;
    assert_int_equal(hello("s", 1, WIRE_SHARD, 0, &peer), REGISTRY_NEW);
    assert_null(registry_shard_of(&registry, peer));
    assert_int_equal(registry_listed(&registry), 0);
    const uint64_t before = registry.topology;
    list(peer, 77);
    assert_int_equal(registry.topology, before + 1);
    assert_int_equal(registry_listed(&registry), 1);

    registry_tick(&registry, 3000, 5000, 60000);
    beat("s", 1, &peer);
    assert_true(registry_tick(&registry, 3000, 5000, 60000));
    t = registry_topology(&registry, shards);
    assert_int_equal(t.shards[0].state, WIRE_SHARD_LISTED);
    assert_int_equal(t.shards[1].state, WIRE_SHARD_DEAD);
}

static uint64_t ordinal(const struct registry *of, const char *name) {
    for (size_t i = 0; i < of->n_peers; i++) {
        if (strcmp(of->peers[i]->name, name) == 0) {
            return registry_ordinal(of, of->peers[i]);
        }
    }
    fail_msg("no %s", name);
    return 0;
}

/* An actor is the n-th of the actors, whoever else came in between, whoever is
 * silent, and in whatever order they greet the learner's next start. */
static void an_ordinal_counts_one_role(void **state) {
    (void)state;
    static const char *const names[] = {"s0", "a0", "e", "a1", "s1", "a2"};
    static const enum wire_role roles[] = {WIRE_SHARD,     WIRE_ACTOR,
                                           WIRE_EVALUATOR, WIRE_ACTOR,
                                           WIRE_SHARD,     WIRE_ACTOR};
    static const uint64_t expected[] = {0, 0, 0, 1, 1, 2};
    static struct limiter limiter;
    struct registry_peer *peer;
    for (uint32_t i = 0; i < 6; i++) {
        hello(names[i], 1, roles[i], i, &peer);
        assert_true(registry_ordinal(&registry, peer) == expected[i]);
    }
    registry_tick(&registry, 100000, 5000, 60000); // all are forgotten
    assert_true(ordinal(&registry, "a2") == 2);

    limiter_init(&limiter, &(struct limiter_settings){
                               .ratio = 1, .slack = 1, .minibatch = 1});
    size_t len;
    char why[128],
        *text =
            state_print(&(struct state){.run = 1, .generation = 1, .task = "t"},
                        &registry, &limiter, &len);
    struct registry next;
    struct state to;
    assert_int_equal(registry_init(&next, 2), 0);
    assert_int_equal(state_parse(&to, text, &next, &limiter, why, sizeof(why)),
                     0);
    for (uint32_t i = 0; i < 6; i++) {
        assert_true(ordinal(&next, names[i]) == expected[i]);
    }
    registry_finish(&next);
    free(text);
}

#define KEY1 "1111111111111111111111111111111111111111111111111111111111111111"
#define KEY2 "222222222222222222222222222222222222222222222222222222222222222a"

/* A name is the key's that first used it, also after a learner's return, and
 * actors are told a shard's. */
static void a_name_belongs_to_a_key(void **state) {
    (void)state;
    static struct limiter limiter;
    struct registry_peer *peer;
    assert_true(registry_name_is(&registry, "s", KEY1)); // nobody's yet
    hello("s", 1, WIRE_SHARD, 0, &peer);
    assert_true(registry_name_is(&registry, "s", KEY2));
    assert_false(registry_bind_name(peer, ""));
    assert_true(registry_bind_name(peer, KEY1));
    assert_false(registry_bind_name(peer, KEY1));
    assert_false(registry_bind_name(peer, KEY2));
    assert_true(registry_name_is(&registry, "s", KEY1));
    assert_false(registry_name_is(&registry, "s", KEY2));
    assert_true(registry_name_is(&registry, "s", "")); // served without keys
    assert_string_equal(registry_name_key(&registry, "s"), KEY1);
    assert_string_equal(registry_name_key(&registry, "unknown"), "");
    registry_free_name(&registry, "unknown");
    registry_free_name(&registry, "s");
    assert_true(registry_name_is(&registry, "s", KEY2));
    assert_true(registry_bind_name(peer, KEY1));
    list(peer, 77);
    struct wire_shard shards[WIRE_MAX_SHARDS];
    struct wire_topology topology = registry_topology(&registry, shards);
    assert_string_equal(topology.shards[0].key, KEY1);

    limiter_init(&limiter, &(struct limiter_settings){
                               .ratio = 1, .slack = 1, .minibatch = 1});
    size_t len;
    const struct state from = {.run = 1, .generation = 1, .task = "t"};
    char why[128], *text = state_print(&from, &registry, &limiter, &len);
    assert_non_null(strstr(text, "name s shard " KEY1 "\n"));
    struct registry next;
    struct state to;
    assert_int_equal(registry_init(&next, 2), 0);
    assert_int_equal(state_parse(&to, text, &next, &limiter, why, sizeof(why)),
                     0);
    assert_true(registry_name_is(&next, "s", KEY1));
    assert_false(registry_name_is(&next, "s", KEY2));
    topology = registry_topology(&next, shards); // of a shard not back yet
    assert_string_equal(topology.shards[0].key, KEY1);
    registry_finish(&next);
    free(text);
}

/* Names last as long as the run: one key has a share of them. */
static void one_key_cannot_use_up_all_names(void **state) {
    (void)state;
    char name[32];
    for (int i = 0; i < REGISTRY_KEY_NAMES; i++) {
        if (i % 1024 == 0)
            assert_false(registry_key_full(&registry, "new", KEY1));
        snprintf(name, sizeof(name), "actor-%d", i);
        assert_int_equal(registry_known_name(&registry, name, WIRE_ACTOR, KEY1),
                         0);
    }
    assert_true(registry_key_full(&registry, "new", KEY1));
    assert_false(registry_key_full(&registry, "actor-7", KEY1));
    assert_false(registry_key_full(&registry, "new", KEY2));
    assert_false(registry_key_full(&registry, "new", ""));
}

/* A state of before roles were kept is read; a role is known when it says
 * Hello. */
static void an_old_state_has_no_roles(void **state) {
    (void)state;
    static struct limiter limiter;
    struct registry_peer *peer;
    struct state to;
    char why[128];
    limiter_init(&limiter, &(struct limiter_settings){
                               .ratio = 1, .slack = 1, .minibatch = 1});
    assert_int_equal(
        state_parse(&to, "run 1\ngeneration 1\ntask t\nname a\nname b\n",
                    &registry, &limiter, why, sizeof(why)),
        0);
    assert_int_equal(hello("b", 1, WIRE_ACTOR, 0, &peer), REGISTRY_NEW);
    assert_true(peer->rank == 1 && registry_ordinal(&registry, peer) == 0);
    assert_int_equal(hello("a", 1, WIRE_ACTOR, 0, &peer), REGISTRY_NEW);
    assert_true(ordinal(&registry, "b") == 1);
    size_t len;
    char *text = state_print(&to, &registry, &limiter, &len);
    assert_non_null(strstr(text, "name a actor\nname b actor\n"));
    free(text);
}

/* What is written is read back: names, rings, shards, spec. */
static void the_state_reads_back(void **state) {
    (void)state;
    static struct limiter limiter, limiter2;
    const struct limiter_settings settings = {
        .ratio = 1, .warmup = 100, .slack = 32, .minibatch = 16};
    limiter_init(&limiter, &settings);
    limiter_init(&limiter2, &settings);
    limiter_report(&limiter, UINT64_C(0xfedcba9876543210), 12345, 100, 1000);
    struct registry_peer *peer;
    hello("actor-0", 1, WIRE_ACTOR, 0, &peer);
    hello("replay.0_x", 1, WIRE_SHARD, 3, &peer);
    snprintf(peer->endpoint, sizeof(peer->endpoint), "ipc:///a b/c.sock");
    list(peer, 77);
    const struct wire_ready ready = {{29, 8}, UINT64_C(0x8000000000000001)};
    assert_true(registry_fix_task(&registry, WIRE_ACTOR, &ready));
    const struct state from = {
        .run = UINT64_C(0x0123456789abcdef), .generation = 7, .task = "x-y"};
    size_t len;
    char why[128], *text = state_print(&from, &registry, &limiter, &len);
    assert_int_equal(strlen(text), len);

    struct registry registry2;
    struct state to;
    assert_int_equal(registry_init(&registry2, 8), 0);
    assert_int_equal(
        state_parse(&to, text, &registry2, &limiter2, why, sizeof(why)), 0);
    assert_int_equal(to.run, from.run);
    assert_int_equal(to.generation, 7);
    assert_string_equal(to.task, "x-y");
    assert_int_equal(registry2.n_peers, 2);
    assert_string_equal(registry2.peers[1]->name, "replay.0_x");
    assert_int_equal(registry2.spec.obs_dim, 29);
    assert_int_equal(registry2.spec.act_dim, 8);
    assert_true(registry2.model_known && registry2.model == ready.model);
    assert_int_equal(limiter2.n, 1);
    assert_int_equal(limiter_inserted(&limiter2), 12345);
    assert_int_equal(registry2.n_shards, 1);
    assert_int_equal(registry2.shards[0].index, 3);
    assert_int_equal(registry2.shards[0].rank, 1);
    assert_int_equal(registry2.shards[0].incarnation, 1);
    assert_string_equal(registry2.shards[0].address, "ipc:///a b/c.sock");
    registry_finish(&registry2);
    free(text);
}

/* Anything else is refused with the line's number. */
static void a_damaged_state_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "run 1\n",
        "run 1\ngeneration 1\ntask t", // cut
        "run 1\ngeneration 1\ntask t\nname a b\n",
        "run 1\ngeneration 1\ntask t\nname \n",
        "run 1\ngeneration 1\ntask t\nname a actor \n",
        "run 1\ngeneration 1\ntask t\nname a actor b\n",
        "run 1\ngeneration 1\ntask t\nname a evaluatorrrrrrrrrrr\n",
        "run 1\ngeneration 1\ntask t\nname a\nname a\n",
        "run 1\ngeneration 1\ntask t\nname a actor " KEY1 "1\n",
        "run 1\ngeneration 1\ntask t\nname a actor " KEY1 " \n",
        "run 1\ngeneration 1\ntask t\nspec 0 4\n",
        "run 1\ngeneration 1\ntask t\nspec 5000 4\n",
        "run 1\ngeneration 1\ntask t\nring 12 x\n",
        "run 1\ngeneration 1\ntask t\nmodel x\n",
        "run 1\ngeneration 1\ntask t\nmodel 1 2\n",
        "run 1\ngeneration 1\ntask t\nmodel 1\nmodel 1\n",
        "run 1\ngeneration 1\ntask t\nshard 0 0 1 ipc://x\n", // no name
        "run 1\ngeneration 1\ntask t\nname a\nshard 0 0 1\n",
        "run 1\ngeneration 1\ntask t\nname a\nshard 256 0 1 ipc://x\n",
        "run 1\ngeneration 1\ntask t\nwhat\n",
        "run 0\ngeneration 1\ntask t\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        struct registry other;
        static struct limiter limiter;
        struct state to;
        char why[128] = "";
        limiter_init(&limiter, &(struct limiter_settings){
                                   .ratio = 1, .slack = 1, .minibatch = 1});
        assert_int_equal(registry_init(&other, 1), 0);
        assert_int_equal(
            state_parse(&to, texts[i], &other, &limiter, why, sizeof(why)),
            -EBADMSG);
        assert_true(why[0] != '\0');
        registry_finish(&other);
    }
}

/* Cut anywhere, or one bit of it another one: never taken for the truth. */
static void an_altered_state_is_refused(void **state) {
    (void)state;
    struct limiter *limiter = calloc(1, sizeof(*limiter));
    const struct limiter_settings settings = {
        .ratio = 1, .slack = 1, .minibatch = 1};
    const struct state from = {.run = 5, .generation = 70, .task = "t"};
    struct registry_peer *peer;
    hello("actor-0", 1, WIRE_ACTOR, 0, &peer);
    limiter_init(limiter, &settings);
    limiter_report(limiter, 0x77, 12345, 100, 1000);
    size_t len;
    char *text = state_print(&from, &registry, limiter, &len);
    for (size_t i = 0; i < 2 * len; i++) {
        struct registry other;
        struct state to;
        char why[256] = "", *copy = strdup(text);
        if (i < len)
            copy[i] = '\0';
        else
            copy[i - len] ^= 4;
        limiter_init(limiter, &settings);
        assert_int_equal(registry_init(&other, 1), 0);
        assert_int_equal(
            state_parse(&to, copy, &other, limiter, why, sizeof(why)),
            -EBADMSG);
        assert_true(why[0] != '\0');
        registry_finish(&other);
        free(copy);
    }
    free(text);
    free(limiter);
}

/* The first actor fixes shape and model; another one is told both hashes. */
static void the_first_actor_fixes_the_task(void **state) {
    (void)state;
    char why[200];
    const struct wire_ready first = {{8, 2}, UINT64_C(0x12345678ffffffff)},
                            moved = {{8, 2}, UINT64_C(0x9abcdef000000000)},
                            other = {{9, 2}, first.model}, none = {{8, 2}, 0};
    assert_true(registry_fits(&registry, "arm", &moved, why, sizeof(why)));
    const uint64_t topology = registry.topology;
    assert_true(registry_fix_task(&registry, WIRE_ACTOR, &first));
    assert_true(registry.topology > topology);
    assert_true(registry_fits(&registry, "arm", &first, why, sizeof(why)));
    assert_false(registry_fix_task(&registry, WIRE_ACTOR, &first));
    assert_false(registry_fits(&registry, "arm", &moved, why, sizeof(why)));
    assert_non_null(strstr(why, "12345678"));
    assert_non_null(strstr(why, "9abcdef0"));
    assert_false(registry_fits(&registry, "arm", &none, why, sizeof(why)));
    assert_false(registry_fits(&registry, "arm", &other, why, sizeof(why)));
    assert_non_null(strstr(why, "9 and 2"));
}

/* Who else is ready before it waits, and fixes nothing. */
static void only_an_actor_begins(void **state) {
    (void)state;
    const enum wire_role others[] = {WIRE_EVALUATOR, WIRE_SHARD};
    const struct wire_ready ready = {{8, 2}, 5}, other = {{9, 2}, 6};
    const uint64_t topology = registry.topology;
    for (size_t i = 0; i < 2; i++) {
        assert_true(registry_too_early(&registry, others[i]));
        assert_false(registry_fix_task(&registry, others[i], &other));
    }
    assert_int_equal(registry.spec.obs_dim, 0);
    assert_false(registry.model_known);
    assert_int_equal(registry.topology, topology);
    assert_false(registry_too_early(&registry, WIRE_ACTOR));
    assert_true(registry_fix_task(&registry, WIRE_ACTOR, &ready));
    assert_int_equal(registry.spec.obs_dim, 8);
    for (size_t i = 0; i < 2; i++)
        assert_false(registry_too_early(&registry, others[i]));
}

/* A checkpoint's shape is enough for an evaluator; the model is an actor's. */
static void an_evaluator_fixes_no_model(void **state) {
    (void)state;
    const struct wire_ready ready = {{8, 2}, 5};
    registry_fix_spec(&registry, ready.spec);
    assert_false(registry_too_early(&registry, WIRE_EVALUATOR));
    assert_false(registry_fix_task(&registry, WIRE_EVALUATOR, &ready));
    assert_false(registry.model_known);
}

/* A run of an older version, or a checkpoint, knows the shape but no model. */
static void a_known_shape_still_learns_its_model(void **state) {
    (void)state;
    char why[200];
    const struct wire_ready ready = {{8, 2}, 0}, other = {{8, 2}, 1};
    registry_fix_spec(&registry, ready.spec);
    assert_true(registry_fits(&registry, "arm", &other, why, sizeof(why)));
    assert_true(registry_fix_task(&registry, WIRE_ACTOR, &ready));
    assert_false(registry_fits(&registry, "arm", &other, why, sizeof(why)));
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_name_keeps_its_rank),
        CASE(the_newest_incarnation_wins),
        CASE(a_stranger_must_say_hello),
        CASE(a_forgotten_actor_is_back_when_heard),
        CASE(each_change_of_a_shard_raises_the_topology),
        CASE(a_returning_shard_serves_only_when_ready),
        CASE(the_last_shard_with_an_index_has_it),
        CASE(a_remembered_shard_returns_or_is_dead),
        CASE(an_ordinal_counts_one_role),
        CASE(a_name_belongs_to_a_key),
        CASE(one_key_cannot_use_up_all_names),
        CASE(an_old_state_has_no_roles),
        CASE(the_state_reads_back),
        CASE(a_damaged_state_is_refused),
        CASE(an_altered_state_is_refused),
        CASE(the_first_actor_fixes_the_task),
        CASE(only_an_actor_begins),
        CASE(an_evaluator_fixes_no_model),
        CASE(a_known_shape_still_learns_its_model),
    };
#undef CASE
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
