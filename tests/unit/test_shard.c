/* A shard between a learner and actors that this test plays, on one loop. */

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>
#include <zmq.h>

#include "common/exit_status.h"
#include "common/log.h"
#include "proto/lifecycle.h"
#include "proto/link.h"
#include "replay/shard.h"
#include "tests/unit/test.h"

enum { S = 3, A = 2, RUN = 77, TYPES = WIRE_STATUS_REPLY + 1 };

/* What one end has heard. */
struct heard {
    unsigned n[TYPES];
    struct wire_hello hello;
    struct wire_shard_ready ready;
    struct wire_counters counters;
    struct wire_refused refused;
    struct wire_answer answer;
    struct wire_minibatch minibatch; /* rows: only r, in rewards */
    float rewards[64];
    char text[1024];
};

struct world {
    uv_loop_t loop;
    void *zmq;
    uv_timer_t guard;
    bool late;
    char folder[64];
    struct config config; /* the learner's */

    struct link_self learner_self;
    struct link_server learner;
    struct link_route shard_route;
    struct heard learner_heard;
    struct wire_spec spec; /* told in Welcome */
    bool mute;             /* the learner answers nothing */

    struct link_self actor_self;
    struct link_client actor;
    struct heard actor_heard;
    uint64_t wake_seq; /* sent again on Room */

    struct shard shard;
    bool ended;
};

static void hear(struct heard *heard, const struct wire_message *m) {
    heard->n[m->type]++;
    switch (m->type) {
    case WIRE_HELLO:
        heard->hello = m->hello;
        break;
    case WIRE_SHARD_READY:
        heard->ready = m->shard_ready;
        break;
    case WIRE_HEARTBEAT:
        heard->counters = m->heartbeat.counters;
        break;
    case WIRE_REFUSED:
        heard->refused = m->refused;
        break;
    case WIRE_INSERTED:
    case WIRE_BUSY:
        heard->answer = m->answer;
        break;
    case WIRE_MINIBATCH:
        heard->minibatch = m->minibatch;
        for (size_t i = 0; i < m->minibatch.rows.n && i < 64; i++)
            heard->rewards[i] = m->minibatch.rows.r[i];
        break;
    case WIRE_STATUS_REPLY:
        snprintf(heard->text, sizeof heard->text, "%.*s", (int)m->text.len,
                 m->text.text);
        break;
    default:
        break;
    }
}

static void to_shard(struct world *w, const struct wire_message *message) {
    link_server_send(&w->learner, &w->shard_route, message);
}

static void on_learner_message(struct link_server *server,
                               const struct link_route *from,
                               const struct wire_message *m) {
    struct world *w = server->data;
    hear(&w->learner_heard, m);
    w->shard_route = *from;
    if (w->mute) return;
    if (m->type == WIRE_HELLO) {
        static char options[16384];
        long len = config_shared_text(&w->config, options, sizeof options);
        assert_true(len > 0);
        struct wire_message welcome = {
            .type = WIRE_WELCOME,
            .welcome = {.options = options,
                        .options_len = (size_t)len,
                        .topology = {.version = 1, .spec = w->spec}}};
        to_shard(w, &welcome);
    } else if (m->type == WIRE_SHARD_READY) {
        to_shard(w, &(struct wire_message){.type = WIRE_GO});
    }
}

static void insert(struct world *w, uint64_t seq, size_t n, float reward) {
    struct batch batch;
    assert_int_equal(batch_init(&batch, n, S, A), 0);
    test_fill_normal(batch.s, n * S, seq);
    test_fill_normal(batch.a, n * A, seq + 1);
    test_fill_normal(batch.next, n * S, seq + 2);
    for (size_t i = 0; i < n; i++) {
        batch.r[i] = reward;
        batch.flags[i] = 0;
        batch.version[i] = seq;
    }
    batch.n = n;
    struct wire_message message = {
        .type = WIRE_INSERT,
        .insert = {.epoch = w->actor_self.incarnation,
                   .seq = seq,
                   .rank = 3,
                   .rows = batch}};
    assert_int_equal(link_client_send(&w->actor, &message), 0);
    batch_finish(&batch);
}

static void on_actor_message(struct link_client *client,
                             const struct wire_message *m) {
    struct world *w = client->data;
    hear(&w->actor_heard, m);
    if (m->type == WIRE_ROOM && w->wake_seq > 0)
        insert(w, w->wake_seq, 4, 1.0f);
}

static void on_guard(uv_timer_t *timer) {
    struct world *w = timer->data;
    w->late = true;
}

/* Run the loop until it is so; 5 s are late. */
#define WAIT(w, condition)                                                  \
    do {                                                                    \
        (w)->late = false;                                                  \
        uv_timer_start(&(w)->guard, on_guard, 5000, 0);                     \
        while (!(condition) && !(w)->late) uv_run(&(w)->loop, UV_RUN_ONCE); \
        if (!(condition)) fail_msg("never came: %s", #condition);           \
    } while (0)

/* ... and for so long, when it is that nothing happens. */
static void let_pass(struct world *w, uint64_t ms) {
    w->late = false;
    uv_timer_start(&w->guard, on_guard, ms, 0);
    while (!w->late) uv_run(&w->loop, UV_RUN_ONCE);
}

static void on_end(struct shard *shard) {
    struct world *w = shard->data;
    w->ended = true;
}

static void start_learner(struct world *w, uint64_t run) {
    char address[128];
    snprintf(address, sizeof address, "ipc://%s/learner", w->folder);
    assert_int_equal(link_self_init(&w->learner_self, "learner", ""), 0);
    w->learner_self.run = run;
    w->learner.self = &w->learner_self;
    w->learner.on_message = on_learner_message;
    w->learner.data = w;
    struct link_server_options options = {.address = address, .high_water = 99};
    assert_int_equal(link_server_start(&w->learner, &w->loop, w->zmq, &options),
                     0);
}

static void on_poll_closed(struct sockpoll *poll) {
    poll->data = NULL;
}

/* As if killed: nothing is said, the address is free again. */
static void stop_learner(struct world *w) {
    sockpoll_stop(&w->learner.poll, on_poll_closed);
    WAIT(w, w->learner.poll.data == NULL);
    link_server_finish(&w->learner, 0);
    memset(&w->learner_heard, 0, sizeof w->learner_heard);
}

static void start_actor(struct world *w) {
    assert_int_equal(link_self_init(&w->actor_self, "actor", ""), 0);
    w->actor_self.run = w->learner_self.run;
    w->actor.self = &w->actor_self;
    w->actor.on_message = on_actor_message;
    w->actor.data = w;
    assert_int_equal(link_client_start(&w->actor, &w->loop, w->zmq,
                                       w->learner_heard.hello.endpoint, 99),
                     0);
}

static void start_shard(struct world *w) {
    w->shard = (struct shard){.on_end = on_end, .data = w};
    w->shard.config = w->config;
    snprintf(w->shard.config.run_dir, sizeof w->shard.config.run_dir, "%s/run",
             w->folder);
    snprintf(w->shard.config.join, sizeof w->shard.config.join,
             "ipc://%s/learner", w->folder);
    w->ended = false;
    assert_int_equal(shard_start(&w->shard, &w->loop, w->zmq), 0);
}

static void open_loop(struct world *w) {
    assert_int_equal(uv_loop_init(&w->loop), 0);
    w->zmq = zmq_ctx_new();
    assert_non_null(w->zmq);
    zmq_ctx_set(w->zmq, ZMQ_BLOCKY, 0);
    uv_timer_init(&w->loop, &w->guard);
    w->guard.data = w;
}

static void close_loop(struct world *w) {
    lifecycle_close_all(&w->loop);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    link_client_finish(&w->actor, 0);
    shard_finish(&w->shard);
    link_server_finish(&w->learner, 0);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    zmq_ctx_term(w->zmq);
}

static int make_world(void **state) {
    struct world *w = calloc(1, sizeof *w);
    log_init("test_shard", LOG_ERROR);
    strcpy(w->folder, "/tmp/test_shard_XXXXXX");
    if (mkdtemp(w->folder) == NULL) return -1;
    config_defaults(&w->config);
    w->config.replay_size = 400;
    w->config.warmup = 100;
    w->config.minibatch = 32;
    w->config.resend_after = 0.1;
    w->spec = (struct wire_spec){S, A};
    open_loop(w);
    *state = w;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

static int end_world(void **state) {
    struct world *w = *state;
    close_loop(w);
    nftw(w->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(w);
    return 0;
}

/* Learner, shard, actor; the shard is listed. */
static struct world *listed(void **state) {
    struct world *w = *state;
    start_learner(w, RUN);
    start_shard(w);
    WAIT(w, w->shard.state == SHARD_LISTED);
    start_actor(w);
    return w;
}

static void grant(struct world *w, uint64_t store_until) {
    struct wire_message message = {.type = WIRE_GRANT,
                                   .grant = {.store_until = store_until}};
    to_shard(w, &message);
    WAIT(w, w->shard.store_until == store_until);
}

#define HEARD(w, type) ((w)->actor_heard.n[type])

/* Hello, Welcome, the spec by a later Topology, ShardReady, Go. */
static void handshake_waits_for_the_spec(void **state) {
    struct world *w = *state;
    w->spec = (struct wire_spec){0};
    start_shard(w); /* before its learner: Hello is repeated */
    let_pass(w, 250);
    assert_int_equal(w->shard.state, SHARD_ALONE);
    start_learner(w, RUN);
    WAIT(w, w->shard.state == SHARD_WELCOMED);
    assert_int_equal(w->learner_heard.hello.role, WIRE_SHARD);
    assert_int_equal(w->learner_heard.hello.index, 0);
    assert_non_null(strstr(w->learner_heard.hello.endpoint, "ipc://"));
    let_pass(w, 300);
    assert_int_equal(w->learner_heard.n[WIRE_SHARD_READY], 0);
    struct wire_message topology = {.type = WIRE_TOPOLOGY,
                                    .topology = {.version = 2, .spec = {S, A}}};
    to_shard(w, &topology);
    WAIT(w, w->shard.state == SHARD_LISTED);
    const struct wire_shard_ready *ready = &w->learner_heard.ready;
    assert_int_equal(ready->capacity, 400);
    assert_int_equal(ready->spec.obs_dim, S);
    assert_int_equal(ready->spec.act_dim, A);
    assert_int_equal(ready->stored, 0);
    assert_int_equal(ready->ring_id, w->shard.ring.id);
    WAIT(w, w->learner_heard.n[WIRE_HEARTBEAT] > 1);
    assert_int_equal(w->learner_heard.counters.capacity, 400);
}

/* Nothing before the first grant; Room when it comes; a repeat is a repeat. */
static void grant_decides_what_is_stored(void **state) {
    struct world *w = listed(state);
    insert(w, 1, 4, 1.0f);
    WAIT(w, HEARD(w, WIRE_BUSY) == 1);
    assert_int_equal(w->actor_heard.answer.seq, 1);
    assert_int_equal(w->shard.ring.stored, 0);
    WAIT(w, w->learner_heard.counters.busy == 1);
    w->wake_seq = 1;
    grant(w, 10);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 1);
    assert_int_equal(HEARD(w, WIRE_ROOM), 1);
    assert_int_equal(w->shard.ring.stored, 4);
    w->wake_seq = 0;
    insert(w, 1, 4, 1.0f);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 2);
    assert_int_equal(w->shard.ring.stored, 4);
    insert(w, 2, 6, 1.0f); /* just up to it */
    insert(w, 3, 1, 1.0f);
    WAIT(w, HEARD(w, WIRE_BUSY) == 2);
    assert_int_equal(w->shard.ring.stored, 10);
    grant(w, 12);
    WAIT(w, HEARD(w, WIRE_ROOM) == 2);
    insert(w, 3, 3, 1.0f); /* would pass it */
    WAIT(w, HEARD(w, WIRE_BUSY) == 3);
    grant(w, 3); /* also downwards */
    insert(w, 4, 1, 1.0f);
    WAIT(w, HEARD(w, WIRE_BUSY) == 4);
    insert(w, 2, 6, 1.0f); /* what is there is there */
    WAIT(w, HEARD(w, WIRE_INSERTED) == 4);
    assert_int_equal(w->shard.ring.stored, 10);
    assert_int_equal(w->shard.counters.duplicates, 2);
}

/* Counters go out when half of the grant is used, not a second later. */
static void half_of_a_grant_is_told_at_once(void **state) {
    struct world *w = listed(state);
    grant(w, 100);
    WAIT(w, w->learner_heard.n[WIRE_HEARTBEAT] > 0);
    let_pass(w, 20);
    unsigned before = w->learner_heard.n[WIRE_HEARTBEAT];
    insert(w, 1, 49, 1.0f);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 1);
    let_pass(w, 20);
    assert_int_equal(w->learner_heard.n[WIRE_HEARTBEAT], before);
    insert(w, 2, 1, 1.0f);
    WAIT(w, w->learner_heard.n[WIRE_HEARTBEAT] > before);
    assert_int_equal(w->learner_heard.counters.stored, 50);
}

static void sample(struct world *w, uint64_t id, uint32_t n) {
    unsigned before = w->learner_heard.n[WIRE_MINIBATCH];
    struct wire_message message = {
        .type = WIRE_SAMPLE,
        .sample = {
            .id = id, .update = id, .part = 2, .n = n, .store_until = 200}};
    to_shard(w, &message);
    WAIT(w, w->learner_heard.n[WIRE_MINIBATCH] > before);
}

/* Samples answer with rows that are there, sizes, and bring a grant. */
static void samples_come_back_with_rows(void **state) {
    struct world *w = listed(state);
    sample(w, 41, 8);
    assert_int_equal(w->learner_heard.minibatch.rows.n, 0);
    assert_int_equal(w->shard.store_until, 200);
    for (uint64_t seq = 1; seq <= 5; seq++) insert(w, seq, 10, (float)seq);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 5);
    sample(w, 42, 32);
    const struct wire_minibatch *got = &w->learner_heard.minibatch;
    assert_int_equal(got->id, 42);
    assert_int_equal(got->part, 2);
    assert_int_equal(got->rows.n, 32);
    assert_int_equal(got->size, 50);
    assert_int_equal(got->stored, 50);
    bool differ = false;
    for (int i = 0; i < 32; i++) {
        float r = w->learner_heard.rewards[i];
        assert_true(r >= 1.0f && r <= 5.0f);
        differ |= r != w->learner_heard.rewards[0];
    }
    assert_true(differ);
}

/* In lockstep the same update draws the same rows, another one others. */
static void lockstep_rows_follow_from_the_update(void **state) {
    ((struct world *)*state)->config.lockstep = true;
    struct world *w = listed(state);
    grant(w, 200);
    for (uint64_t seq = 1; seq <= 100; seq++) {
        insert(w, seq, 1, (float)seq);
        WAIT(w, HEARD(w, WIRE_INSERTED) == seq);
    }
    float first[32];
    sample(w, 7, 32);
    memcpy(first, w->learner_heard.rewards, sizeof first);
    sample(w, 8, 32);
    assert_memory_not_equal(first, w->learner_heard.rewards, sizeof first);
    sample(w, 7, 32);
    assert_memory_equal(first, w->learner_heard.rewards, sizeof first);
}

/* Stale, non-finite, misshapen and misnamed batches: refused by their code. */
static void bad_batches_are_refused(void **state) {
    struct world *w = listed(state);
    grant(w, 200);
    insert(w, 100, 1, 1.0f);
    insert(w, 36, 1, 1.0f);
    WAIT(w, HEARD(w, WIRE_REFUSED) == 1);
    assert_int_equal(w->actor_heard.refused.code, WIRE_CODE_STALE);
    assert_int_equal(w->actor_heard.refused.seq, 36);
    insert(w, 101, 2, NAN);
    WAIT(w, HEARD(w, WIRE_REFUSED) == 2);
    assert_int_equal(w->actor_heard.refused.code, WIRE_CODE_NON_FINITE);
    assert_int_equal(w->actor_heard.refused.seq, 101);
    struct batch rows;
    assert_int_equal(batch_init(&rows, 1, S + 1, A), 0);
    rows.n = 1;
    memset(rows.s, 0, sizeof(float) * (S + 1));
    memset(rows.next, 0, sizeof(float) * (S + 1));
    memset(rows.a, 0, sizeof(float) * A);
    rows.r[0] = 0.0f, rows.flags[0] = 0, rows.version[0] = 0;
    struct wire_message message = {
        .type = WIRE_INSERT,
        .insert = {
            .epoch = w->actor_self.incarnation, .seq = 102, .rows = rows}};
    link_client_send(&w->actor, &message);
    WAIT(w, HEARD(w, WIRE_REFUSED) == 3);
    assert_int_equal(w->actor_heard.refused.code, WIRE_CODE_ILL_FORMED);
    message.insert.epoch++;
    link_client_send(&w->actor, &message);
    WAIT(w, HEARD(w, WIRE_REFUSED) == 4);
    assert_int_equal(w->actor_heard.refused.code, WIRE_CODE_ILL_FORMED);
    batch_finish(&rows);
    assert_int_equal(w->shard.ring.stored, 1);
    assert_false(w->ended);
}

/* A learner that comes back is greeted again; the ring is the same. */
static void restarted_learner_is_greeted_again(void **state) {
    ((struct world *)*state)->config.dead_after = 1.5;
    struct world *w = listed(state);
    grant(w, 200);
    insert(w, 1, 10, 1.0f);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 1);
    uint64_t id = w->learner_heard.ready.ring_id;
    stop_learner(w);
    WAIT(w, w->shard.state == SHARD_ALONE);
    start_learner(w, RUN);
    WAIT(w, w->shard.state == SHARD_LISTED);
    assert_int_equal(w->learner_heard.ready.ring_id, id);
    assert_int_equal(w->learner_heard.ready.stored, 10);
    insert(w, 2, 10, 1.0f);
    WAIT(w, HEARD(w, WIRE_BUSY) == 1); /* the old grant is void */
}

/* One that was so quick that we never missed it: told by its incarnation. */
static void quick_learner_is_known_by_its_incarnation(void **state) {
    struct world *w = listed(state);
    stop_learner(w);
    w->mute = true;
    start_learner(w, RUN);
    WAIT(w, w->learner_heard.n[WIRE_HEARTBEAT] > 0);
    w->mute = false;
    to_shard(w, &(struct wire_message){.type = WIRE_HEARTBEAT});
    WAIT(w, w->learner_heard.n[WIRE_SHARD_READY] == 1 &&
                w->shard.state == SHARD_LISTED);
}

static void stop_ends_it_well(void **state) {
    struct world *w = listed(state);
    struct wire_message stop = {.type = WIRE_STOP,
                                .text = {.text = "done", .len = 4}};
    to_shard(w, &stop);
    WAIT(w, w->ended);
    assert_int_equal(w->shard.status, EXIT_FINISHED);
}

static void orphan_gives_up(void **state) {
    struct world *w = *state;
    w->config.orphan_after = 0.4;
    start_shard(w);
    WAIT(w, w->ended);
    assert_int_equal(w->shard.status, EXIT_REFUSED);
    assert_non_null(strstr(w->shard.obstacle, "no answer from ipc://"));
}

/* The next process of this index has the rows, and knows the batches. */
static void next_process_brings_the_rows_back(void **state) {
    struct world *w = listed(state);
    grant(w, 200);
    insert(w, 1, 10, 1.0f);
    insert(w, 2, 10, 2.0f);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 2);
    uint64_t epoch = w->actor_self.incarnation;
    close_loop(w);
    open_loop(w);
    memset(&w->actor_heard, 0, sizeof w->actor_heard);
    listed((void **)&w);
    w->actor_self.incarnation = epoch;
    assert_int_equal(w->learner_heard.ready.stored, 20);
    assert_int_equal(w->learner_heard.ready.present, 20);
    insert(w, 2, 10, 2.0f);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 1);
    assert_int_equal(w->shard.ring.stored, 20);
    close_loop(w);

    /* but only for its own run */
    open_loop(w);
    start_learner(w, RUN + 1);
    start_shard(w);
    WAIT(w, w->ended);
    assert_int_equal(w->shard.status, EXIT_REFUSED);
}

/* A ring of another run with so many rows, its folder named in import. */
static void make_import(struct world *w, uint64_t rows) {
    char path[160], other[96], why[1024];
    struct ring ring;
    struct batch batch;
    const struct ring_spec spec = {
        .run = RUN + 5, .capacity = rows, .S = S, .A = A};
    snprintf(other, sizeof other, "%s/other", w->folder);
    strcpy(w->config.import, other);
    assert_int_equal(mkdir(other, 0700), 0);
    snprintf(path, sizeof path, "%s/replay", other);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/replay/shard-0.ring", other);
    assert_int_equal(ring_open(&ring, path, &spec, NULL, why, sizeof why), 0);
    assert_int_equal(batch_init(&batch, 100, S, A), 0);
    batch.n = 100; /* of zeros */
    for (uint64_t seq = 0; seq < rows / 100; seq++)
        assert_int_equal(ring_insert(&ring, 1, 1, seq, &batch), RING_STORED);
    batch_finish(&batch);
    ring_close(&ring);
}

/* ShardReady comes when all rows are there, while the loop goes on; once it is
 * on record the other run is not needed any more. */
static void imported_rows_come_before_ready(void **state) {
    struct world *w = *state;
    w->config.replay_size = 60000;
    make_import(w, 50000);
    start_learner(w, RUN);
    start_shard(w);
    WAIT(w, w->shard.importing);
    for (unsigned turns = 0; w->shard.ring.stored < 50000; turns++) {
        assert_true(turns < 1000);
        assert_int_equal(w->learner_heard.n[WIRE_SHARD_READY], 0);
        uint64_t stored = w->shard.ring.stored;
        uv_run(&w->loop, UV_RUN_NOWAIT);
        assert_in_range(w->shard.ring.stored, stored, stored + 4096);
    }
    WAIT(w, w->shard.state == SHARD_LISTED);
    assert_int_equal(w->learner_heard.ready.stored, 50000);
    assert_int_equal(w->learner_heard.ready.present, 50000);
    close_loop(w);

    char command[128];
    snprintf(command, sizeof command, "rm -r '%s/other'", w->folder);
    assert_int_equal(system(command), 0);
    open_loop(w);
    memset(&w->learner_heard, 0, sizeof w->learner_heard);
    start_learner(w, RUN);
    start_shard(w);
    WAIT(w, w->shard.state == SHARD_LISTED);
    assert_int_equal(w->learner_heard.ready.stored, 50000);
}

/* Refused before a ring is made, so that a larger one can be. */
static void an_import_that_does_not_fit_ends_it(void **state) {
    struct world *w = *state;
    make_import(w, 500); /* into 400 */
    start_learner(w, RUN);
    start_shard(w);
    WAIT(w, w->ended);
    assert_int_equal(w->shard.status, EXIT_REFUSED);
    assert_int_equal(access(w->shard.path, F_OK), -1);
}

static void status_is_counters_as_text(void **state) {
    struct world *w = listed(state);
    grant(w, 200);
    insert(w, 1, 10, 1.0f);
    link_client_send(&w->actor, &(struct wire_message){.type = WIRE_STATUS});
    WAIT(w, HEARD(w, WIRE_STATUS_REPLY) == 1);
    assert_non_null(strstr(w->actor_heard.text, "stored 10\n"));
    assert_non_null(strstr(w->actor_heard.text, "state listed\n"));
    assert_non_null(strstr(w->actor_heard.text, "store_until 200\n"));
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_world, end_world)
    const struct CMUnitTest cases[] = {
        CASE(handshake_waits_for_the_spec),
        CASE(grant_decides_what_is_stored),
        CASE(half_of_a_grant_is_told_at_once),
        CASE(samples_come_back_with_rows),
        CASE(lockstep_rows_follow_from_the_update),
        CASE(bad_batches_are_refused),
        CASE(restarted_learner_is_greeted_again),
        CASE(quick_learner_is_known_by_its_incarnation),
        CASE(stop_ends_it_well),
        CASE(orphan_gives_up),
        CASE(next_process_brings_the_rows_back),
        CASE(imported_rows_come_before_ready),
        CASE(an_import_that_does_not_fit_ends_it),
        CASE(status_is_counters_as_text),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
