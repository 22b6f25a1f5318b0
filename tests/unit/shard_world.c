#include "tests/unit/shard_world.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#include "common/log.h"
#include "proto/lifecycle.h"

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

void shard_world_to_shard(struct shard_world *w,
                          const struct wire_message *message) {
    link_server_send(&w->learner, &w->shard_route, message);
}

static void on_learner_message(struct link_server *server,
                               const struct link_route *from,
                               const struct wire_message *m) {
    struct shard_world *w = server->data;
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
        shard_world_to_shard(w, &welcome);
    } else if (m->type == WIRE_SHARD_READY) {
        shard_world_to_shard(w, &(struct wire_message){.type = WIRE_GO});
    }
}

void shard_world_insert(struct shard_world *w, uint64_t seq, size_t n,
                        float reward) {
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
    struct shard_world *w = client->data;
    hear(&w->actor_heard, m);
    if (m->type == WIRE_ROOM && w->wake_seq > 0)
        shard_world_insert(w, w->wake_seq, 4, 1.0f);
}

void shard_world_on_guard(uv_timer_t *timer) {
    struct shard_world *w = timer->data;
    w->late = true;
}

void shard_world_let_pass(struct shard_world *w, uint64_t ms) {
    w->late = false;
    uv_timer_start(&w->guard, shard_world_on_guard, ms, 0);
    while (!w->late) uv_run(&w->loop, UV_RUN_ONCE);
}

static void on_end(struct shard *shard) {
    struct shard_world *w = shard->data;
    w->ended = true;
}

void shard_world_start_learner(struct shard_world *w, uint64_t run) {
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

void shard_world_stop_learner(struct shard_world *w) {
    sockpoll_stop(&w->learner.poll, on_poll_closed);
    WAIT(w, w->learner.poll.data == NULL);
    link_server_finish(&w->learner, 0);
    memset(&w->learner_heard, 0, sizeof w->learner_heard);
}

void shard_world_start_actor(struct shard_world *w) {
    assert_int_equal(link_self_init(&w->actor_self, "actor", ""), 0);
    w->actor_self.run = w->learner_self.run;
    w->actor.self = &w->actor_self;
    w->actor.on_message = on_actor_message;
    w->actor.data = w;
    assert_int_equal(link_client_start(&w->actor, &w->loop, w->zmq,
                                       w->learner_heard.hello.endpoint, 99),
                     0);
}

void shard_world_start_shard(struct shard_world *w) {
    w->shard = (struct shard){.on_end = on_end, .data = w};
    w->shard.config = w->config;
    snprintf(w->shard.config.run_dir, sizeof w->shard.config.run_dir, "%s/run",
             w->folder);
    snprintf(w->shard.config.join, sizeof w->shard.config.join,
             "ipc://%s/learner", w->folder);
    w->ended = false;
    assert_int_equal(shard_start(&w->shard, &w->loop, w->zmq), 0);
}

void shard_world_open_loop(struct shard_world *w) {
    assert_int_equal(uv_loop_init(&w->loop), 0);
    w->zmq = zmq_ctx_new();
    assert_non_null(w->zmq);
    zmq_ctx_set(w->zmq, ZMQ_BLOCKY, 0);
    uv_timer_init(&w->loop, &w->guard);
    w->guard.data = w;
}

void shard_world_close_loop(struct shard_world *w) {
    lifecycle_close_all(&w->loop);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    link_client_finish(&w->actor, 0);
    shard_finish(&w->shard);
    link_server_finish(&w->learner, 0);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    zmq_ctx_term(w->zmq);
}

int shard_world_make(void **state) {
    struct shard_world *w = calloc(1, sizeof *w);
    log_init("test_shard", LOG_ERROR);
    strcpy(w->folder, "/tmp/test_shard_XXXXXX");
    if (mkdtemp(w->folder) == NULL) return -1;
    config_defaults(&w->config);
    w->config.replay_size = 400;
    w->config.warmup = 100;
    w->config.minibatch = 32;
    w->config.resend_after = 0.1;
    w->spec = (struct wire_spec){S, A};
    shard_world_open_loop(w);
    *state = w;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

int shard_world_end(void **state) {
    struct shard_world *w = *state;
    shard_world_close_loop(w);
    nftw(w->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(w);
    return 0;
}

struct shard_world *shard_world_listed(void **state) {
    struct shard_world *w = *state;
    shard_world_start_learner(w, RUN);
    shard_world_start_shard(w);
    WAIT(w, w->shard.state == SHARD_LISTED);
    shard_world_start_actor(w);
    return w;
}

void shard_world_grant(struct shard_world *w, uint64_t store_until) {
    struct wire_message message = {.type = WIRE_GRANT,
                                   .grant = {.store_until = store_until}};
    shard_world_to_shard(w, &message);
    WAIT(w, w->shard.store_until == store_until);
}
