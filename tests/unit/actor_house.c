#include "tests/unit/actor_house.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zmq.h>

#include "actor/actor.h"
#include "common/exit_status.h"
#include "common/mlp.h"
#include "proto/lifecycle.h"
#include "tests/unit/test.h"

bool actor_house_lost(struct actor_house *h) {
    uint64_t mixed = ++h->traffic * UINT64_C(0x9E3779B97F4A7C15) >> 40;
    return h->lose_every > 0 && mixed % h->lose_every == 0;
}

static struct wire_topology topology(struct actor_house *h,
                                     struct wire_shard *list) {
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

void actor_house_answer(struct actor_house *h,
                        const struct wire_message *message) {
    link_server_send(&h->learner, &h->actor, message);
}

void actor_house_push_topology(struct actor_house *h) {
    struct wire_shard list[SHARDS];
    struct wire_message m = {.type = WIRE_TOPOLOGY,
                             .topology = topology(h, list)};
    actor_house_answer(h, &m);
}

static void send_welcome(struct actor_house *h) {
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
    actor_house_answer(h, &m);
}

static void send_parameters(struct actor_house *h, uint64_t round) {
    const struct mlp_shape shape = {2, 2, h->config.units, 2};
    struct wire_message m = {.type = WIRE_PARAMETERS,
                             .parameters = {.version = h->version,
                                            .round = round,
                                            .alpha = 1,
                                            .phi = h->phi,
                                            .count = mlp_parameters(&shape)}};
    h->round = round;
    actor_house_answer(h, &m);
}

static void on_learner(struct link_server *server,
                       const struct link_route *from,
                       const struct wire_message *m) {
    struct actor_house *h = server->data;
    h->actor = *from;
    struct wire_message reply = {.type = WIRE_GO};
    switch (m->type) {
    case WIRE_HELLO:
        h->hellos += h->hellos == 0 || h->joined;
        h->joined = false;
        assert_int_equal(m->hello.role,
                         h->evaluator ? WIRE_EVALUATOR : WIRE_ACTOR);
        h->epoch = m->incarnation;
        send_welcome(h);
        break;
    case WIRE_READY:
        if (h->early > 0) {
            h->early--;
            break;
        }
        h->readies += !h->joined;
        h->joined = true;
        assert_int_equal(m->ready.spec.obs_dim, 2);
        assert_int_equal(m->ready.spec.act_dim, 2);
        actor_house_answer(h, &reply);
        break;
    case WIRE_GET_PARAMETERS:
        h->pulls++;
        if (m->get_parameters.have != h->version) {
            send_parameters(h, m->get_parameters.round);
        } else {
            reply.type = WIRE_NOT_MODIFIED;
            reply.not_modified = m->get_parameters.have;
            actor_house_answer(h, &reply);
        }
        break;
    case WIRE_HEARTBEAT:
        h->heartbeats++;
        h->counters = m->heartbeat.counters;
        h->evaluation = m->heartbeat.evaluation;
        reply.type = WIRE_HEARTBEAT;
        reply.heartbeat.topology_version = h->topology_version;
        actor_house_answer(h, &reply);
        break;
    case WIRE_EPISODES:
        assert_true(m->episodes.epoch == h->epoch);
        if (m->episodes.first > h->episodes_next) h->episodes_in_order = false;
        if (m->episodes.first + m->episodes.n > h->episodes_next) {
            h->episodes_next = m->episodes.first + m->episodes.n;
        }
        h->episodes++;
        if (h->deaf || h->episodes % 2 == 0) break; /* it has to come again */
        reply.type = WIRE_RECEIVED;
        reply.received.epoch = h->epoch;
        reply.received.next = h->episodes_next;
        actor_house_answer(h, &reply);
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

static void note(struct actor_house *h, const struct wire_insert *insert) {
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
    struct actor_house_shard *shard = server->data;
    struct actor_house *h = shard->house;
    assert_int_equal(m->type, WIRE_INSERT);
    shard->actor = *from;
    shard->heard = true;
    shard->inserts++;
    if (actor_house_lost(h)) {
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
        for (size_t i = 0; !h->stored[insert->seq] && i < insert->rows.n; i++)
            h->outdated += insert->rows.version[i] != h->version;
        h->stored_n += !h->stored[insert->seq];
        h->stored[insert->seq] = 1;
        shard->answered++;
    }
    if (!actor_house_lost(h)) link_server_send(server, from, &reply);
}

static void start_shard(struct actor_house *h, uint32_t i) {
    struct actor_house_shard *shard = &h->shards[i];
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

static void start_learner(struct actor_house *h) {
    assert_int_equal(link_self_init(&h->self, "learner", "learner"), 0);
    h->self.run = 77;
    h->learner.self = &h->self;
    h->learner.on_message = on_learner;
    h->learner.data = h;
    struct link_server_options o = {.address = h->join, .high_water = 72};
    assert_int_equal(link_server_start(&h->learner, &h->loop, h->zmq, &o), 0);
}

static void stop_actor(struct actor_house *h) {
    struct wire_message m = {.type = WIRE_STOP,
                             .text = {.text = "enough", .len = 6}};
    actor_house_answer(h, &m);
}

static void on_tick(uv_timer_t *timer) {
    struct actor_house *h = timer->data;
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

void actor_house_play(struct actor_house *h) {
    snprintf(h->folder, sizeof(h->folder), "/tmp/test-actor-XXXXXX");
    assert_non_null(mkdtemp(h->folder));
    snprintf(h->join, sizeof(h->join), "ipc://%s/learner", h->folder);
    snprintf(h->ledger, sizeof(h->ledger), "%s/ledger", h->folder);
    snprintf(h->log, sizeof(h->log), "%s/log", h->folder);
    config_defaults(&h->config);
    h->config.lockstep = h->lockstep;
    /* more than a loaded machine keeps us from answering */
    h->config.resend_after = h->asked_once ? 600.0 : 0.15;
    h->config.dead_after = 60.0;
    h->config.orphan_after = 60.0;
    h->config.pull_interval = 0.05;
    h->config.exploration = h->exploration;
    h->config.evaluation_episodes = 30;
    if (h->units > 0) h->config.units = h->units;
    h->config.horizon = h->horizon;
    if (h->version == 0) h->version = UINT64_C(1) << 40;

    struct config child = h->config;
    snprintf(child.join, sizeof(child.join), "%s", h->join);
    snprintf(child.ledger, sizeof(child.ledger), "%s", h->ledger);
    child.on_full = h->on_full;
    child.evaluator = h->evaluator;
    snprintf(child.name, sizeof(child.name), "actor-0");
    h->child = fork();
    if (h->child == 0) {
        (void)mlp_blas_setup();
        if (h->logged && freopen(h->log, "w", stderr) == NULL)
            _exit(EXIT_CRASH);
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

/* Of the ledger's files, that of this kind. */
static void ledger_file(const struct actor_house *h, const char *kind,
                        char path[256]) {
    snprintf(path, 256, "%s/actor-0-%016" PRIx64 ".%s", h->ledger, h->epoch,
             kind);
}

uint64_t actor_house_count_acks(const struct actor_house *h) {
    char path[256];
    ledger_file(h, "acked", path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    uint64_t epoch, seq, shard, incarnation, n = 0;
    while (fscanf(file,
                  "acked %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 "\n",
                  &epoch, &seq, &shard, &incarnation) == 4) {
        assert_true(epoch == h->epoch && seq < MOST && shard < SHARDS);
        assert_true(h->stored[seq]);
        n++;
    }
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
    return n;
}

bool actor_house_said(const struct actor_house *h, const char *words) {
    char line[512];
    bool found = false;
    FILE *file = fopen(h->log, "r");
    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL)
        found = strstr(line, words) != NULL;
    if (file != NULL) fclose(file);
    return found;
}

void actor_house_free(struct actor_house *h) {
    char path[256];
    ledger_file(h, "acked", path);
    unlink(path);
    ledger_file(h, "sent", path);
    unlink(path);
    rmdir(h->ledger);
    unlink(h->log);
    rmdir(h->folder);
    free(h);
}

struct actor_house *actor_house_new(void) {
    struct actor_house *h = calloc(1, sizeof(*h));
    assert_non_null(h);
    return h;
}
