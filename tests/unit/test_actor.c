/* The actor's conversation, against a learner and a shard that misbehave. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>
#include <zmq.h>

#include "actor/actor.h"
#include "common/exit_status.h"
#include "common/mlp.h"
#include "proto/lifecycle.h"
#include "proto/link.h"
#include "tests/unit/test.h"

enum { MOST = 4096, SHARDS = 2, TICK_MS = 10, PATIENCE_MS = 20000 };

/* A false shard. It stores what it says it stores. */
struct shard {
    struct link_server server;
    struct link_self self;
    struct house *house;
    struct link_route actor;
    bool heard, busy;
    uint64_t answered, inserts;
};

/* A learner, its shards and the actor as a child process. */
struct house {
    /* the scenario: set by the case */
    unsigned lose_every;      /* of the messages to and from the shards */
    enum wire_refusal refuse; /* the first Insert, or 0 */
    uint64_t units;
    void (*on_tick)(struct house *house);
    uint64_t until; /* batches stored, then Stop; 0: the case ends */
    bool lockstep;

    /* what happened */
    bool episodes_in_order, ended;
    unsigned hellos, readies, pulls, heartbeats, stage;
    uint64_t episodes_next, episodes;
    uint64_t epoch, highest, now_ms, sum[MOST];
    unsigned char stored[MOST];
    uint64_t stored_n, repeats, changed, over_window;
    float boldest[4]; /* of a stage: largest |action| made in it */
    uint64_t answered_then[SHARDS]; /* when the scenario's change was made */
    int status;

    pid_t child;
    char folder[64], join[96], acks[96];
    uv_loop_t loop;
    void *zmq;
    uv_timer_t tick;
    struct link_self self;
    struct link_server learner;
    struct link_route actor;
    struct shard shards[SHARDS];
    enum wire_shard_state state[SHARDS];
    uint64_t topology_version;
    uint64_t traffic, round;
    struct config config;
    float *phi;
};

static bool lost(struct house *h) {
    uint64_t mixed = ++h->traffic * UINT64_C(0x9E3779B97F4A7C15) >> 40;
    return h->lose_every > 0 && mixed % h->lose_every == 0;
}

static struct wire_topology topology(struct house *h, struct wire_shard *list) {
    struct wire_topology t = {.version = ++h->topology_version,
                              .spec = {2, 2},
                              .n = SHARDS,
                              .shards = list};
    for (uint32_t i = 0; i < SHARDS; i++) {
        list[i] =
            (struct wire_shard){.index = i,
                                .incarnation = h->shards[i].self.incarnation,
                                .state = h->state[i]};
        snprintf(list[i].address, sizeof(list[i].address), "%.127s",
                 h->shards[i].server.endpoint);
    }
    return t;
}

static void answer(struct house *h, const struct wire_message *message) {
    link_server_send(&h->learner, &h->actor, message);
}

static void push_topology(struct house *h) {
    struct wire_shard list[SHARDS];
    struct wire_message m = {.type = WIRE_TOPOLOGY,
                             .topology = topology(h, list)};
    answer(h, &m);
}

static void send_welcome(struct house *h) {
    struct wire_shard list[SHARDS];
    char text[16384];
    long len = config_shared_text(&h->config, text, sizeof(text));
    assert_true(len > 0);
    struct wire_message m = {.type = WIRE_WELCOME,
                             .welcome = {.rank = 3,
                                         .ordinal = 1,
                                         .options = text,
                                         .options_len = (size_t)len,
                                         .topology = topology(h, list)}};
    answer(h, &m);
}

static void send_parameters(struct house *h, uint64_t round) {
    const struct mlp_shape shape = {2, 2, h->config.units, 2};
    struct wire_message m = {.type = WIRE_PARAMETERS,
                             .parameters = {.version = UINT64_C(1) << 40,
                                            .round = round,
                                            .alpha = 1,
                                            .phi = h->phi,
                                            .count = mlp_parameters(&shape)}};
    h->round = round;
    answer(h, &m);
}

static void on_learner(struct link_server *server,
                       const struct link_route *from,
                       const struct wire_message *m) {
    struct house *h = server->data;
    h->actor = *from;
    struct wire_message reply = {.type = WIRE_GO};
    switch (m->type) {
    case WIRE_HELLO:
        h->hellos++;
        assert_int_equal(m->hello.role, WIRE_ACTOR);
        h->epoch = m->incarnation;
        send_welcome(h);
        break;
    case WIRE_READY:
        h->readies++;
        assert_int_equal(m->ready.spec.obs_dim, 2);
        assert_int_equal(m->ready.spec.act_dim, 2);
        answer(h, &reply);
        break;
    case WIRE_GET_PARAMETERS:
        h->pulls++;
        if (m->get_parameters.have == 0) {
            send_parameters(h, m->get_parameters.round);
        } else {
            reply.type = WIRE_NOT_MODIFIED;
            reply.not_modified = m->get_parameters.have;
            answer(h, &reply);
        }
        break;
    case WIRE_HEARTBEAT:
        h->heartbeats++;
        reply.type = WIRE_HEARTBEAT;
        reply.heartbeat.topology_version = h->topology_version;
        answer(h, &reply);
        break;
    case WIRE_EPISODES:
        assert_true(m->episodes.epoch == h->epoch);
        if (m->episodes.first > h->episodes_next) h->episodes_in_order = false;
        if (m->episodes.first + m->episodes.n > h->episodes_next) {
            h->episodes_next = m->episodes.first + m->episodes.n;
        }
        h->episodes++;
        if (h->episodes % 2 == 0) break; /* it has to come again */
        reply.type = WIRE_RECEIVED;
        reply.received.epoch = h->epoch;
        reply.received.next = h->episodes_next;
        answer(h, &reply);
        break;
    default:
        fail_msg("%s", wire_type_name(m->type));
    }
}

static uint64_t fingerprint(const struct batch *rows) {
    uint64_t sum = rows->n;
    const unsigned char *bytes = (const unsigned char *)rows->s;
    for (size_t i = 0; i < rows->n * rows->S * sizeof(float); i++) {
        sum = (sum ^ bytes[i]) * 1099511628211u;
    }
    return sum;
}

static void note(struct house *h, const struct wire_insert *insert) {
    uint64_t seq = insert->seq, sum = fingerprint(&insert->rows);
    assert_true(seq < MOST && insert->epoch == h->epoch && insert->rank == 3);
    if (h->sum[seq] != 0 && h->sum[seq] != sum) h->changed++;
    if (h->sum[seq] == 0) {
        float *boldest = &h->boldest[h->stage];
        for (size_t i = 0; i < insert->rows.n * insert->rows.A; i++) {
            *boldest = fmaxf(*boldest, fabsf(insert->rows.a[i]));
        }
    }
    h->sum[seq] = sum;
    if (seq > h->highest) h->highest = seq;
    uint64_t oldest = 0;
    while (oldest < MOST && h->stored[oldest]) oldest++;
    if (seq >= oldest + h->config.window) h->over_window++;
}

static void on_shard(struct link_server *server, const struct link_route *from,
                     const struct wire_message *m) {
    struct shard *shard = server->data;
    struct house *h = shard->house;
    assert_int_equal(m->type, WIRE_INSERT);
    shard->actor = *from;
    shard->heard = true;
    shard->inserts++;
    if (lost(h)) {
        return;
    }
    const struct wire_insert *insert = &m->insert;
    note(h, insert);
    struct wire_message reply = {
        .type = shard->busy ? WIRE_BUSY : WIRE_INSERTED,
        .answer = {.epoch = insert->epoch, .seq = insert->seq}};
    if (h->refuse != 0 && insert->seq == 0) {
        reply = (struct wire_message){
            .type = WIRE_REFUSED,
            .refused = {.about = WIRE_INSERT, .code = h->refuse}};
        snprintf(reply.refused.reason, sizeof(reply.refused.reason), "no");
        h->stored[0] = 1; /* it is dropped: the window goes on */
    } else if (!shard->busy) {
        h->repeats += h->stored[insert->seq];
        h->stored_n += !h->stored[insert->seq];
        h->stored[insert->seq] = 1;
        shard->answered++;
    }
    if (!lost(h)) link_server_send(server, from, &reply);
}

static void start_shard(struct house *h, uint32_t i) {
    struct shard *shard = &h->shards[i];
    char name[16], address[96];
    snprintf(name, sizeof(name), "shard-%u", i);
    snprintf(address, sizeof(address), "ipc://%s/%s", h->folder, name);
    assert_int_equal(link_self_init(&shard->self, "shard", name), 0);
    shard->self.run = h->self.run;
    shard->house = h;
    shard->server.self = &shard->self;
    shard->server.on_message = on_shard;
    shard->server.data = shard;
    struct link_server_options o = {.address = address, .high_water = 72};
    assert_int_equal(link_server_start(&shard->server, &h->loop, h->zmq, &o),
                     0);
    h->state[i] = WIRE_SHARD_LISTED;
}

static void start_learner(struct house *h) {
    assert_int_equal(link_self_init(&h->self, "learner", "learner"), 0);
    h->self.run = 77;
    h->learner.self = &h->self;
    h->learner.on_message = on_learner;
    h->learner.data = h;
    struct link_server_options o = {.address = h->join, .high_water = 72};
    assert_int_equal(link_server_start(&h->learner, &h->loop, h->zmq, &o), 0);
}

static void stop_actor(struct house *h) {
    struct wire_message m = {.type = WIRE_STOP,
                             .text = {.text = "enough", .len = 6}};
    answer(h, &m);
}

static void on_tick(uv_timer_t *timer) {
    struct house *h = timer->data;
    h->now_ms += TICK_MS;
    int status = 0;
    if (waitpid(h->child, &status, WNOHANG) == h->child) {
        h->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        h->ended = true;
        lifecycle_close_all(&h->loop);
        return;
    }
    if (h->on_tick != NULL) h->on_tick(h);
    if (h->until > 0 && h->stored_n >= h->until) stop_actor(h);
    if (h->now_ms > PATIENCE_MS) {
        kill(h->child, SIGKILL);
        lifecycle_close_all(&h->loop);
    }
}

/* Play the scenario to its end. */
static void play(struct house *h) {
    snprintf(h->folder, sizeof(h->folder), "/tmp/test-actor-XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    snprintf(h->join, sizeof(h->join), "ipc://%s/learner", h->folder);
    snprintf(h->acks, sizeof(h->acks), "%s/acks", h->folder);
    config_defaults(&h->config);
    h->config.lockstep = h->lockstep;
    h->config.resend_after = 0.15;
    h->config.dead_after = 1.5;
    h->config.orphan_after = 3.0;
    h->config.pull_interval = 0.05;
    if (h->units > 0) h->config.units = h->units;

    struct config child = h->config;
    snprintf(child.join, sizeof(child.join), "%s", h->join);
    snprintf(child.ack_log, sizeof(child.ack_log), "%s", h->acks);
    snprintf(child.name, sizeof(child.name), "actor-0");
    h->child = fork();
    if (h->child == 0) {
        (void)mlp_blas_setup();
        _exit(actor_run(&child));
    }
    const struct mlp_shape shape = {2, 2, h->config.units, 2};
    h->phi = calloc(mlp_parameters(&shape), sizeof(float));
    h->episodes_in_order = true;
    h->zmq = zmq_ctx_new();
    assert_int_equal(uv_loop_init(&h->loop), 0);
    start_learner(h);
    for (uint32_t i = 0; i < SHARDS; i++) start_shard(h, i);
    uv_timer_init(&h->loop, &h->tick);
    h->tick.data = h;
    uv_timer_start(&h->tick, on_tick, TICK_MS, TICK_MS);
    uv_run(&h->loop, UV_RUN_DEFAULT);
    for (int i = 0; i < SHARDS; i++) {
        link_server_finish(&h->shards[i].server, 0);
    }
    link_server_finish(&h->learner, 0);
    assert_int_equal(uv_loop_close(&h->loop), 0);
    zmq_ctx_term(h->zmq);
    free(h->phi);
    assert_true(h->ended);
    assert_int_equal(h->changed, 0);
    assert_int_equal(h->over_window, 0);
}

/* Lines of the ack log, each of a batch that was stored. */
static uint64_t count_acks(const struct house *h) {
    FILE *file = fopen(h->acks, "r");
    assert_non_null(file);
    uint64_t rank, epoch, seq, rows, n = 0;
    while (fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &rank,
                  &epoch, &seq, &rows) == 4) {
        assert_true(rank == 3 && epoch == h->epoch && seq < MOST && rows > 0);
        assert_true(h->stored[seq]);
        n++;
    }
    fclose(file);
    return n;
}

static void clean(struct house *h) {
    unlink(h->acks);
    rmdir(h->folder);
    free(h);
}

static struct house *house(void) {
    struct house *h = calloc(1, sizeof(*h));
    assert_non_null(h);
    return h;
}

/* Hello, Ready, parameters, batches to both shards, Stop: status 0. Nothing is
 * sent twice: no queue on the way is too short for the window. */
static void a_plain_run_ends_well(void **state) {
    (void)state;
    struct house *h = house();
    h->until = 3000;
    play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->hellos, 1);
    assert_int_equal(h->readies, 1);
    assert_int_equal(h->repeats, 0);
    assert_true(h->now_ms < 8000);
    assert_true(h->shards[0].answered >= 1450);
    assert_true(h->shards[1].answered >= 1450);
    assert_true(count_acks(h) >= 2990);
    clean(h);
}

/* Every fifth message to or from a shard is lost: all the same it all
 * arrives, unchanged and never beyond the window. */
static void lost_messages_are_asked_again(void **state) {
    (void)state;
    struct house *h = house();
    h->lose_every = 5;
    h->until = 120;
    play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_true(h->repeats > 0);
    assert_true(count_acks(h) >= 80);
    clean(h);
}

static void make_room(struct house *h) {
    struct wire_message room = {.type = WIRE_ROOM};
    for (int i = 0; i < SHARDS; i++) {
        struct shard *shard = &h->shards[i];
        if (h->now_ms >= 600 && shard->busy) {
            shard->busy = false;
            if (i == 0 && shard->heard) {
                link_server_send(&shard->server, &shard->actor, &room);
            }
        }
    }
}

/* Told Busy it waits: for Room, or for a second. Never more than W out. */
static void busy_shards_stop_the_actor(void **state) {
    (void)state;
    struct house *h = house();
    h->on_tick = make_room;
    for (int i = 0; i < SHARDS; i++) h->shards[i].busy = true;
    h->until = 100;
    play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_true(h->shards[0].inserts >= 8 + h->shards[0].answered);
    clean(h);
}

static void kill_a_shard(struct house *h) {
    if (h->stage == 0 && h->stored_n > 50) {
        h->stage = 1;
        h->shards[1].busy = true; /* what it is sent is stuck */
    } else if (h->stage == 1 && h->now_ms % 1000 == 0) {
        h->stage = 2;
        h->state[1] = WIRE_SHARD_DEAD;
        for (int i = 0; i < SHARDS; i++) {
            h->answered_then[i] = h->shards[i].answered;
        }
        h->until = h->stored_n + 200;
        push_topology(h);
    }
}

/* What was outstanding at a dead shard goes to the other one. */
static void batches_move_only_from_a_dead_shard(void **state) {
    (void)state;
    struct house *h = house();
    h->on_tick = kill_a_shard;
    play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->stage, 2);
    assert_true(h->shards[0].answered >= h->answered_then[0] + 200);
    assert_true(h->shards[1].answered == h->answered_then[1]);
    clean(h);
}

static void restart_shard(struct house *h) {
    if (h->stage == 0 && h->stored_n > 50) {
        h->stage = 1;
        h->lose_every = 1; /* the shard is gone */
    } else if (h->stage == 1 && h->now_ms % 200 == 0) {
        h->stage = 2;
        h->lose_every = 0;
        h->shards[0].self.incarnation++;
        h->shards[1].self.incarnation++;
        h->config.resend_after = 60.0;
        h->until = h->stored_n + 150;
        push_topology(h);
    }
}

/* A shard that came back is asked again at once, all of it. */
static void a_new_incarnation_is_asked_at_once(void **state) {
    (void)state;
    struct house *h = house();
    h->on_tick = restart_shard;
    play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->stage, 2);
    clean(h);
}

static void restart_learner(struct house *h) {
    if (h->stage == 0 && h->stored_n > 50) {
        h->stage = 1;
        h->self.incarnation++;
        push_topology(h); /* its first word is not an answer to Hello */
    }
}

/* A learner that came back is greeted again; the window goes on. */
static void a_new_learner_is_greeted_again(void **state) {
    (void)state;
    struct house *h = house();
    h->on_tick = restart_learner;
    h->until = 400;
    play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->hellos, 2);
    assert_int_equal(h->readies, 2);
    assert_int_equal(h->repeats, 0);
    clean(h);
}

static void change_exploration(struct house *h) {
    if (h->stage == 0 && h->stored_n > 50) {
        h->stage = 1;
        h->config.exploration = EXPLORATION_GAUSSIAN;
        h->config.exploration_ladder = 0.01; /* of ordinal 1, the last */
        h->config.actors = 2;
        h->self.incarnation++;
        push_topology(h);
    }
}

/* Exploration that changed with a resumed run is applied without a restart, on
 * the rung that the Welcome gives; before there was none. */
static void exploration_changes_with_the_run(void **state) {
    (void)state;
    struct house *h = house();
    h->on_tick = change_exploration;
    h->until = 400;
    play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->hellos, 2);
    assert_true(h->boldest[0] == 0.0f); /* phi is zero */
    assert_true(h->boldest[1] > 0.003f && h->boldest[1] < 0.03f);
    clean(h);
}

static void forget(struct house *h) {
    if (h->stage == 0 && h->stored_n > 50) {
        h->stage = 1;
        struct wire_message m = {
            .type = WIRE_REFUSED,
            .refused = {.about = WIRE_HEARTBEAT, .reason = "who are you?"}};
        answer(h, &m);
    }
}

static void a_learner_that_forgot_us_is_greeted(void **state) {
    (void)state;
    struct house *h = house();
    h->on_tick = forget;
    h->until = 400;
    play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->hellos, 2);
    clean(h);
}

/* Status 3: the shard found a number that is not finite. */
static void refused_as_not_finite_is_status_3(void **state) {
    (void)state;
    struct house *h = house();
    h->refuse = WIRE_CODE_NON_FINITE;
    play(h);
    assert_int_equal(h->status, EXIT_NON_FINITE);
    clean(h);
}

/* Stale: counted and dropped, and the window moves on. */
static void refused_as_stale_is_dropped(void **state) {
    (void)state;
    struct house *h = house();
    h->refuse = WIRE_CODE_STALE;
    h->until = 100;
    play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    clean(h);
}

/* Options of another range than ours: status 2, and nothing is sent. */
static void impossible_options_are_status_2(void **state) {
    (void)state;
    struct house *h = house();
    h->units = 8192;
    play(h);
    assert_int_equal(h->status, EXIT_REFUSED);
    assert_int_equal(h->readies, 0);
    clean(h);
}

/* One step and one Insert a round, each with parameters of that round. */
static void lockstep_takes_turns(void **state) {
    (void)state;
    struct house *h = house();
    h->lockstep = true;
    h->until = 100;
    play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_true(h->highest <= h->round);
    assert_true(h->round <= h->highest + 1);
    assert_int_equal(h->repeats, 0);
    clean(h);
}

/* Without a learner: status 2 after orphan_after. */
static void an_orphan_gives_up(void **state) {
    (void)state;
    struct config config;
    config_defaults(&config);
    config.orphan_after = 1.0;
    snprintf(config.join, sizeof(config.join), "ipc:///tmp/nobody-%d",
             (int)getpid());
    pid_t child = fork();
    if (child == 0) _exit(actor_run(&config));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_REFUSED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_run_ends_well),
        cmocka_unit_test(lost_messages_are_asked_again),
        cmocka_unit_test(busy_shards_stop_the_actor),
        cmocka_unit_test(batches_move_only_from_a_dead_shard),
        cmocka_unit_test(a_new_incarnation_is_asked_at_once),
        cmocka_unit_test(a_new_learner_is_greeted_again),
        cmocka_unit_test(exploration_changes_with_the_run),
        cmocka_unit_test(a_learner_that_forgot_us_is_greeted),
        cmocka_unit_test(refused_as_not_finite_is_status_3),
        cmocka_unit_test(refused_as_stale_is_dropped),
        cmocka_unit_test(impossible_options_are_status_2),
        cmocka_unit_test(lockstep_takes_turns),
        cmocka_unit_test(an_orphan_gives_up),
    };
    return cmocka_run_group_tests_name("actor", tests, NULL, NULL);
}
