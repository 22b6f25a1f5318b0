/* The shard's side of the conversation with the learner. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/exit_status.h"
#include "common/log.h"
#include "common/rundir.h"
#include "proto/lifecycle.h"
#include "replay/shard.h"

enum {
    LOOK_MS = 200, /* RUN/address is read again */
    BEAT_MS = 1000,
    SAY_AFTER_MS = 5000, /* then what it waits for is said */
    SAY_AGAIN_MS = 60 * 1000,
    OWN_PAUSE_MS = 500, /* longer between ticks: our own loop stood still */
    HIGH_WATER = 1024,  /* samples on their way, several minibatches ahead */
    LINGER_MS = 1000,
};

static uint64_t ms(double seconds) {
    return (uint64_t)(seconds * 1e3);
}

static void tell(struct shard *shard, const struct wire_message *message) {
    if (shard->learner == NULL) return;
    int rc = link_client_send(shard->learner, message);
    if (rc != 0) log_debug("learner: %s", strerror(-rc));
}

static void say_hello(struct shard *shard) {
    struct wire_message hello = {
        .type = WIRE_HELLO,
        .hello = {.role = WIRE_SHARD, .index = (uint32_t)shard->config.index}};
    snprintf(hello.hello.build, sizeof hello.hello.build, "%s",
             config_version());
    memcpy(hello.hello.endpoint, shard->endpoint, sizeof shard->endpoint);
    shard->state = SHARD_ALONE;
    shard->asked_ms = uv_now(shard->loop);
    tell(shard, &hello);
}

static void say_ready(struct shard *shard) {
    const struct ring *ring = &shard->ring;
    struct wire_message ready = {
        .type = WIRE_SHARD_READY,
        .shard_ready = {.ring_id = ring->id,
                        .spec = {ring->spec.S, ring->spec.A},
                        .row_bytes = ring->row_bytes,
                        .capacity = ring->spec.capacity,
                        .present = ring->present,
                        .stored = ring->stored}};
    shard->state = SHARD_READY;
    shard->asked_ms = uv_now(shard->loop);
    tell(shard, &ready);
}

void join_beat(struct shard *shard) {
    if (shard->state == SHARD_ALONE || shard->ended) return;
    struct wire_message beat = {
        .type = WIRE_HEARTBEAT,
        .heartbeat = {.topology_version = shard->topology_version,
                      .counters = *shard_count(shard)}};
    shard->beat_ms = uv_now(shard->loop);
    tell(shard, &beat);
}

/* ---- what arrives ---- */

/* The spec brings the ring, once; afterwards it can only be the same. */
static void on_topology(struct shard *shard,
                        const struct wire_topology *topology) {
    const struct wire_spec *spec = &topology->spec;
    shard->topology_version = topology->version;
    if (spec->obs_dim == 0 || spec->act_dim == 0) return;
    if (shard->ring.private == NULL) {
        int status = shard_open(shard, spec);
        if (status != 0) {
            shard_end(shard, status, NULL);
            return;
        }
    }
    const struct ring_spec *have = &shard->ring.spec;
    if (have->S != spec->obs_dim || have->A != spec->act_dim) {
        shard_end(shard, EXIT_REFUSED, "the run's shape has changed");
        return;
    }
    join_imported(shard);
}

void join_imported(struct shard *shard) {
    if (shard->state == SHARD_WELCOMED && !shard->importing) say_ready(shard);
}

/* Memory for the connections of actors and of the learner, both ways, of which
 * each is a file; once, as they keep it while a learner comes and goes. */
static void reserve(struct shard *shard) {
    const size_t files = lifecycle_raise_fd_limit();
    const size_t expected = shard->config.actors + 2;
    const size_t peers = expected < files ? expected : files;
    if (peers <= shard->reserved) return;
    if (lifecycle_reserve(peers - shard->reserved) == 0)
        shard->reserved = peers;
}

/* A resumed run may bring other shared options; the ring must still be its. */
static bool still_fits(struct shard *shard) {
    const struct config *config = &shard->config;
    if (shard->ring.private == NULL) return true;
    if (config->replay_size / config->shards != shard->ring.spec.capacity) {
        shard_end(shard, EXIT_REFUSED,
                  "replay_size / shards has changed: this ring is of another "
                  "size");
        return false;
    }
    const struct wire_spec spec = {shard->ring.spec.S, shard->ring.spec.A};
    link_server_max_size(&shard->server,
                         wire_max_size(&spec, config->batch, 0));
    return true;
}

static void on_welcome(struct shard *shard,
                       const struct wire_message *message) {
    const struct wire_welcome *welcome = &message->welcome;
    char why[256], line[320];
    if (shard->state != SHARD_ALONE) return; /* an answer to a second Hello */
    if (config_apply_shared(&shard->config, welcome->options,
                            welcome->options_len, why, sizeof why) != 0) {
        snprintf(line, sizeof line, "the learner's options: %s", why);
        shard_end(shard, EXIT_REFUSED, line);
        return;
    }
    if (shard->config.index >= shard->config.shards) {
        snprintf(line, sizeof line,
                 "index %" PRIu64 ": this run has %" PRIu64 " shards",
                 shard->config.index, shard->config.shards);
        shard_end(shard, EXIT_REFUSED, line);
        return;
    }
    if (!still_fits(shard)) return;
    reserve(shard);
    shard->self.run = message->run;
    shard->state = SHARD_WELCOMED;
    shard->store_until = 0; /* what an earlier learner granted is void */
    shard->waiting.n = shard->waiting.woken = 0; /* they ask again */
    shard->absent_ms = shard->said_ms = 0;
    shard->obstacle[0] = '\0';
    log_info("welcome: rank %" PRIu64 "%s", welcome->rank,
             welcome->topology.spec.obs_dim == 0
                 ? "; waiting for the first actor to bring the shapes"
                 : "");
    on_topology(shard, &welcome->topology);
}

static void on_go(struct shard *shard) {
    if (shard->state != SHARD_READY) return;
    shard->state = SHARD_LISTED;
    shard->absent_ms = shard->said_ms = 0;
    shard->obstacle[0] = '\0';
    log_info("listed");
    join_beat(shard);
}

static void on_refused(struct shard *shard,
                       const struct wire_refused *refused) {
    char line[sizeof refused->reason + 32];
    switch (refused->code) {
    case WIRE_CODE_PROTOCOL:
    case WIRE_CODE_RUN:
    case WIRE_CODE_OLDER:
    case WIRE_CODE_FINAL:
        snprintf(line, sizeof line, "the learner refused: %s", refused->reason);
        shard_end(shard, EXIT_REFUSED, line);
        return;
    case WIRE_CODE_ILL_FORMED:
    case WIRE_CODE_NON_FINITE:
        log_warn("the learner refused our %s: %s",
                 wire_type_name(refused->about), refused->reason);
        return;
    case WIRE_CODE_OTHER:
    case WIRE_CODE_STALE:
    case WIRE_CODE_KEY:
        break;
    }
    snprintf(shard->obstacle, sizeof shard->obstacle, "%srefused: %s",
             refused->code == WIRE_CODE_KEY ? "key " : "", refused->reason);
    /* at the door: ask again in a while; later: it forgot us */
    bool door = shard->state == SHARD_ALONE || refused->about == WIRE_HELLO ||
                refused->about == WIRE_SHARD_READY;
    if (!door) {
        log_info("the learner does not know us (%s): hello again",
                 refused->reason);
        say_hello(shard);
    }
}

/* A part of a minibatch, drawn into the message that takes it. */
struct draw {
    const struct ring *ring;
    struct rng *rng;
    size_t n;
};

static void fill(void *data, const struct batch_columns *columns) {
    const struct draw *draw = data;
    ring_sample(draw->ring, draw->rng, draw->n, columns);
}

/* In lockstep the rows follow from (seed, update, n, rows stored) alone, also
 * when the same part is asked twice. */
static void on_sample(struct shard *shard, const struct wire_sample *sample) {
    const struct ring *ring = &shard->ring;
    struct rng round;
    struct draw draw = {.ring = ring, .rng = &shard->rng, .n = sample->n};
    if (ring->private == NULL) return; /* asked of an earlier process */
    shard_grant(shard, sample->store_until);
    if (sample->n > shard->config.minibatch) {
        log_warn("asked for %" PRIu32 " rows, more than a minibatch",
                 sample->n);
        return;
    }
    if (shard->config.lockstep) {
        draw.rng = &round;
        rng_init(&round, shard->config.seed, RNG_SHARD, shard->config.index, 0,
                 sample->update);
    }
    if (ring->present == 0) draw.n = 0;
    shard->counters.sampled += draw.n;
    struct wire_message answer = {
        .type = WIRE_MINIBATCH,
        .minibatch = {
            .id = sample->id,
            .part = sample->part,
            .rows = {.n = draw.n, .S = ring->spec.S, .A = ring->spec.A},
            .fill = fill,
            .fill_data = &draw,
            .size = ring->present,
            .stored = ring->stored}};
    tell(shard, &answer);
}

static void on_stop(struct shard *shard, const struct wire_text *text) {
    char line[160];
    snprintf(line, sizeof line, "the learner says: %.*s",
             (int)(text->len < 100 ? text->len : 100), text->text);
    shard_end(shard, EXIT_FINISHED, line);
}

/* True when the message comes from another learner than the one we knew. */
static bool is_new_learner(struct shard *shard,
                           const struct wire_message *message) {
    if (message->incarnation == shard->learner_incarnation) return false;
    shard->learner_incarnation = message->incarnation;
    return shard->state != SHARD_ALONE;
}

static void on_message(struct link_client *client,
                       const struct wire_message *message) {
    struct shard *shard = client->data;
    if (shard->ended || client != shard->learner) return; /* being closed */
    if (message->type == WIRE_STOP) {
        on_stop(shard, &message->text);
        return;
    }
    if (is_new_learner(shard, message)) {
        log_info("the learner started again: hello");
        say_hello(shard);
        return;
    }
    switch (message->type) {
    case WIRE_WELCOME:
        on_welcome(shard, message);
        break;
    case WIRE_TOPOLOGY:
        if (shard->state != SHARD_ALONE) on_topology(shard, &message->topology);
        break;
    case WIRE_GO:
        on_go(shard);
        break;
    case WIRE_REFUSED:
        on_refused(shard, &message->refused);
        break;
    case WIRE_SAMPLE:
        on_sample(shard, &message->sample);
        break;
    case WIRE_GRANT:
        shard_grant(shard, message->grant.store_until);
        break;
    case WIRE_HEARTBEAT:
        if (message->heartbeat.has_grant && shard->state >= SHARD_READY)
            shard_grant(shard, message->heartbeat.store_until);
        break;
    default:
        break; /* the rest is not for a shard */
    }
}

/* ---- finding the learner, and losing it ---- */

static void on_closed(struct link_client *client) {
    free(client);
}

static void connect_to(struct shard *shard, const char *address) {
    if (shard->learner != NULL) {
        link_client_stop(shard->learner, 0, on_closed);
        shard->learner = NULL;
    }
    snprintf(shard->address, sizeof shard->address, "%s", address);
    struct link_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        shard_end(shard, EXIT_CRASH, "out of memory");
        return;
    }
    client->self = &shard->self;
    client->on_message = on_message;
    client->data = shard;
    client->keys = &shard->guard.keys;
    if (link_client_start(client, shard->loop, shard->zmq, address,
                          HIGH_WATER) != 0) {
        free(client);
        shard_end(shard, EXIT_REFUSED, "no way to the learner");
        return;
    }
    shard->learner = client;
    shard->heard_ms = 0;
    snprintf(shard->obstacle, sizeof shard->obstacle, "no answer from %s",
             shard->address);
    say_hello(shard);
}

static bool is_address(const char *join) {
    return strstr(join, "://") != NULL;
}

/* RUN/address, read again while nobody answers: the learner may have come back
 * elsewhere. */
static void look(struct shard *shard, uint64_t now) {
    const char *join = shard->config.join;
    char address[WIRE_ADDRESS_LEN];
    if (shard->state != SHARD_ALONE || is_address(join) ||
        now - shard->looked_ms < LOOK_MS) {
        return;
    }
    shard->looked_ms = now;
    int rc = rundir_address(address, sizeof address, join, "learner");
    if (rc == 0) {
        if (shard->learner == NULL || strcmp(address, shard->address) != 0)
            connect_to(shard, address);
    } else if (shard->learner == NULL) {
        snprintf(shard->obstacle, sizeof shard->obstacle,
                 "no learner's address in %.300s/address yet", join);
    }
}

/* Silence counts only while our own loop runs: after a suspended laptop wakes
 * nobody is declared gone. */
static void watch(struct shard *shard, uint64_t now) {
    const struct config *config = &shard->config;
    const char *key =
        shard->learner != NULL ? link_client_watch(shard->learner) : NULL;
    if (key != NULL) {
        snprintf(shard->obstacle, sizeof shard->obstacle, "%s: %s",
                 shard->address, key);
    }
    uint64_t since = now - shard->ticked_ms;
    uint64_t counted = since < OWN_PAUSE_MS ? since : OWN_PAUSE_MS;
    shard->ticked_ms = now;
    uint64_t heard = shard->learner != NULL ? shard->learner->last_heard_ms : 0;
    shard->silent_ms =
        heard != shard->heard_ms ? 0 : shard->silent_ms + counted;
    shard->heard_ms = heard;
    if (shard->state != SHARD_ALONE &&
        shard->silent_ms >= ms(config->dead_after)) {
        log_warn("the learner has been silent for %.1f s: hello again",
                 (double)shard->silent_ms * 1e-3);
        snprintf(shard->obstacle, sizeof shard->obstacle, "no answer from %s",
                 shard->address);
        shard->absent_ms = shard->silent_ms;
        say_hello(shard);
    }
    /* welcomed and not yet asked for anything is no absence */
    if (shard->state == SHARD_WELCOMED || shard->state == SHARD_LISTED) return;
    shard->absent_ms += counted;
    if (shard->absent_ms >= ms(config->orphan_after)) {
        char line[500];
        snprintf(line, sizeof line,
                 "gave up after %.0f s without a learner: %s",
                 (double)shard->absent_ms * 1e-3, shard->obstacle);
        shard_end(shard, EXIT_REFUSED, line);
    } else if (shard->absent_ms >= SAY_AFTER_MS &&
               (shard->said_ms == 0 ||
                shard->absent_ms >= shard->said_ms + SAY_AGAIN_MS)) {
        shard->said_ms = shard->absent_ms;
        log_warn("waiting for the learner for %.0f s: %s",
                 (double)shard->absent_ms * 1e-3, shard->obstacle);
    }
}

void join_tick(struct shard *shard) {
    uint64_t now = uv_now(shard->loop);
    if (shard->ended) return;
    watch(shard, now);
    if (!shard->ended) look(shard, now);
    if (shard->ended || shard->learner == NULL) return;

    bool again = now - shard->asked_ms >= ms(shard->config.resend_after);
    if (shard->state == SHARD_ALONE && again) say_hello(shard);
    if (shard->state == SHARD_READY && again) say_ready(shard);
    if (now - shard->beat_ms >= BEAT_MS) join_beat(shard);
}

int join_check(const struct config *config) {
    const char *join = config->join;
    struct stat info;
    if (join[0] == '\0') {
        log_error("nowhere to join: --join=ADDRESS or --join=RUN is needed");
        return EXIT_REFUSED;
    }
    if (config->run_dir[0] == '\0') {
        log_error("run_dir: where shall the ring be? --run_dir=RUN is needed");
        return EXIT_REFUSED;
    }
    if (!is_address(join) &&
        (stat(join, &info) != 0 || !S_ISDIR(info.st_mode))) {
        log_error("join %s: neither an address (ipc://, tcp://) nor a run "
                  "directory",
                  join);
        return EXIT_REFUSED;
    }
    return 0;
}

int join_start(struct shard *shard) {
    shard->ticked_ms = uv_now(shard->loop);
    if (is_address(shard->config.join)) connect_to(shard, shard->config.join);
    return shard->ended ? shard->status : 0;
}

void join_finish(struct shard *shard) {
    if (shard->learner == NULL) return;
    link_client_finish(shard->learner, LINGER_MS);
    free(shard->learner);
    shard->learner = NULL;
}
