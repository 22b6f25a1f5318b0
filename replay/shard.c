#include "replay/shard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/exit_status.h"
#include "common/log.h"
#include "common/rundir.h"

enum {
    TICK_MS = 50,
    SOON_MS = 5,         /* counters "at once": several Busy make one */
    SYNC_MS = 10 * 1000, /* power loss: at most that much */
    COMPLAIN_MS = 60 * 1000,
    LINGER_MS = 1000,
    HIGH_WATER = 72, /* W + 8 for the largest W: it is not known at bind */
};

/* ---- counters and grants ---- */

const struct wire_counters *shard_count(struct shard *shard) {
    struct wire_counters *c = &shard->counters;
    c->stored = shard->ring.stored;
    c->present = shard->ring.present;
    c->capacity = shard->ring.spec.capacity;
    c->store_until = shard->store_until;
    c->waiting = shard->waiting.n;
    c->bad_messages =
        shard->server.bad + (shard->learner != NULL ? shard->learner->bad : 0);
    c->keys_refused =
        shard->guard.counters.refused + shard->guard.counters.messages;
    return c;
}

static void on_soon(uv_timer_t *timer) {
    join_beat(timer->data);
}

static void tell_soon(struct shard *shard) {
    if (!uv_is_active((uv_handle_t *)&shard->soon))
        uv_timer_start(&shard->soon, on_soon, SOON_MS, 0);
}

static int wake(void *data, const struct link_route *route) {
    struct shard *shard = data;
    struct wire_message room = {.type = WIRE_ROOM};
    return link_server_send(&shard->server, route, &room);
}

/* Those that there is room for, and who is next when others did not come. */
static void wake_waiting(struct shard *shard) {
    const uint64_t stored = shard->ring.stored;
    if (shard->waiting.n == 0 || shard->store_until <= stored) return;
    waiting_wake(&shard->waiting, shard->store_until - stored,
                 uv_now(shard->loop), wake, shard);
}

void shard_grant(struct shard *shard, uint64_t store_until) {
    if (store_until == shard->store_until) return;
    uint64_t stored = shard->ring.stored;
    shard->store_until = store_until;
    if (store_until <= stored) return;
    shard->half = stored + (store_until - stored) / 2;
    wake_waiting(shard);
}

/* ---- actors ---- */

static void answer(struct shard *shard, const struct link_route *to,
                   enum wire_type type, const struct wire_insert *insert) {
    struct wire_message message = {
        .type = type, .answer = {.epoch = insert->epoch, .seq = insert->seq}};
    link_server_send(&shard->server, to, &message);
}

__attribute__((format(printf, 6, 7))) static void
refuse(struct shard *shard, const struct link_route *to, enum wire_type about,
       enum wire_refusal code, uint64_t seq, const char *format, ...) {
    struct wire_message message = {
        .type = WIRE_REFUSED,
        .refused = {.about = about, .code = code, .seq = seq}};
    va_list list;
    va_start(list, format);
    vsnprintf(message.refused.reason, sizeof message.refused.reason, format,
              list);
    va_end(list);
    shard->counters.refused++;
    link_server_send(&shard->server, to, &message);
}

static void busy(struct shard *shard, const struct link_route *from,
                 const struct wire_insert *insert) {
    shard->counters.busy++;
    waiting_add(&shard->waiting, from, insert->seq, insert->rows.n);
    answer(shard, from, WIRE_BUSY, insert);
    tell_soon(shard);
}

/*
 * Are batches of this rank and incarnation the sender's key's? They are those
 * of the key that is first heard of with rows of theirs in the ring: another's
 * would make them look like duplicates, or stale. Without keys they are
 * anybody's.
 */
static bool is_owner(struct shard *shard, const struct wire_insert *insert) {
    uint64_t key = 0, *owner = NULL;
    if (sscanf(shard->server.peer_key, "%16" SCNx64, &key) != 1) return true;
    owner = ring_owner(&shard->ring, insert->rank, insert->epoch);
    if (owner == NULL) return true;
    if (*owner == 0) *owner = key;
    return *owner == key;
}

/* Rows that a grant is above what is stored, at most (limiter.h). */
static uint64_t most_granted(const struct config *config) {
    const bool limited = config->ratio > 0.0 && !config->lockstep;
    return limited ? config->slack : UINT64_MAX;
}

/* True when the rows may go into the ring as it is; else answered. */
static bool fits(struct shard *shard, const struct link_route *from,
                 const struct wire_message *message) {
    const struct wire_insert *insert = &message->insert;
    const struct ring_spec *spec = &shard->ring.spec;
    if (insert->epoch != message->incarnation) {
        refuse(shard, from, WIRE_INSERT, WIRE_CODE_ILL_FORMED, insert->seq,
               "the epoch is not the sender's incarnation");
        return false;
    }
    if (insert->rank == IMPORT_ACTOR) {
        refuse(shard, from, WIRE_INSERT, WIRE_CODE_ILL_FORMED, insert->seq,
               "the rank %" PRIu64 " is that of imported rows", insert->rank);
        return false;
    }
    if (insert->rows.S != spec->S || insert->rows.A != spec->A) {
        refuse(shard, from, WIRE_INSERT, WIRE_CODE_ILL_FORMED, insert->seq,
               "rows of %zu + %zu numbers, this run has %" PRIu32 " + %" PRIu32,
               insert->rows.S, insert->rows.A, spec->S, spec->A);
        return false;
    }
    if (insert->rows.n > spec->capacity) {
        refuse(shard, from, WIRE_INSERT, WIRE_CODE_FINAL, insert->seq,
               "a batch of %zu rows for a ring of %" PRIu64, insert->rows.n,
               spec->capacity);
        return false;
    }
    if (!is_owner(shard, insert)) {
        shard->guard.counters.messages++;
        refuse(shard, from, WIRE_INSERT, WIRE_CODE_KEY, insert->seq,
               "the batches of rank %" PRIu64 " and this incarnation are those "
               "of another key",
               insert->rank);
        return false;
    }
    return true;
}

/* limiter.h: the total after an insert is at most store_until; and nobody goes
 * before those who wait. */
static bool granted(struct shard *shard, const struct link_route *from,
                    uint64_t rows) {
    const uint64_t stored = shard->ring.stored;
    return stored < shard->store_until &&
           waiting_may(&shard->waiting, from, rows, shard->store_until - stored,
                       uv_now(shard->loop));
}

/* Non-finite rows do not get here: the link has refused them by their own
 * code, and their actor stops. */
static void on_insert(struct shard *shard, const struct link_route *from,
                      const struct wire_message *message) {
    const struct wire_insert *insert = &message->insert;
    struct ring *ring = &shard->ring;
    if (insert->rows.n > most_granted(&shard->config)) {
        refuse(shard, from, WIRE_INSERT, WIRE_CODE_FINAL, insert->seq,
               "a batch of %zu rows: at most slack = %" PRIu64, insert->rows.n,
               shard->config.slack);
        return;
    }
    if (ring->private == NULL) {
        busy(shard, from, insert);
        return;
    }
    if (!fits(shard, from, message)) return;

    enum ring_verdict verdict =
        ring_would(ring, insert->rank, insert->epoch, insert->seq);
    if (verdict == RING_STORED) {
        if (!granted(shard, from, insert->rows.n)) {
            busy(shard, from, insert);
            return;
        }
        verdict = ring_insert(ring, insert->rank, insert->epoch, insert->seq,
                              &insert->rows);
    }
    switch (verdict) {
    case RING_DUPLICATE:
        shard->counters.duplicates++;
        answer(shard, from, WIRE_INSERTED, insert);
        break;
    case RING_STORED:
        (void)is_owner(shard, insert); /* from its first batch on */
        waiting_stored(&shard->waiting, from, insert->rows.n);
        answer(shard, from, WIRE_INSERTED, insert);
        if (ring->stored >= shard->half &&
            ring->stored - insert->rows.n < shard->half)
            tell_soon(shard);
        break;
    case RING_STALE:
        refuse(shard, from, WIRE_INSERT, WIRE_CODE_STALE, insert->seq,
               "64 or more behind the newest batch of this actor");
        break;
    case RING_NO_MEMORY:
        busy(shard, from, insert);
        break;
    }
}

static const char *const state_names[] = {"alone", "welcomed", "ready",
                                          "listed"};

static void on_status(struct shard *shard, const struct link_route *from) {
    const struct wire_counters *c = shard_count(shard);
    const struct guard_counters *keys = &shard->guard.counters;
    char text[1024];
    int n = snprintf(
        text, sizeof text,
        "shard %" PRIu64 "\nstate %s\nring %016" PRIx64 "\nstored %" PRIu64
        "\npresent %" PRIu64 "\ncapacity %" PRIu64 "\nstore_until %" PRIu64
        "\nsampled %" PRIu64 "\nduplicates %" PRIu64 "\nrefused %" PRIu64
        "\nbusy %" PRIu64 "\nwaiting %" PRIu64 "\nbad_messages %" PRIu64
        "\nactors_remembered %zu\nkeys_admitted %" PRIu64
        "\nkeys_refused %" PRIu64 "\nkeys_messages_refused %" PRIu64 "\n",
        shard->config.index, state_names[shard->state], shard->ring.id,
        c->stored, c->present, c->capacity, c->store_until, c->sampled,
        c->duplicates, c->refused, c->busy, c->waiting, c->bad_messages,
        shard->ring.private != NULL ? ring_pairs(&shard->ring) : 0,
        keys->admitted, keys->refused, keys->messages);
    struct wire_message message = {.type = WIRE_STATUS_REPLY,
                                   .text = {.text = text, .len = (size_t)n}};
    link_server_send(&shard->server, from, &message);
}

static void on_actor_message(struct link_server *server,
                             const struct link_route *from,
                             const struct wire_message *message) {
    struct shard *shard = server->data;
    if (shard->ended) return;
    switch (message->type) {
    case WIRE_INSERT:
        on_insert(shard, from, message);
        break;
    case WIRE_STATUS:
        on_status(shard, from);
        break;
    case WIRE_HEARTBEAT:
        break;
    default:
        refuse(shard, from, message->type, WIRE_CODE_OTHER, 0,
               "a replay shard does not answer %s",
               wire_type_name(message->type));
    }
}

/* ---- the ring ---- */

/* Where it lies, its folder there. */
static int find_ring(struct shard *shard) {
    const struct config *config = &shard->config;
    const bool local = config->replay_dir[0] != '\0';
    char rest[64];
    snprintf(rest, sizeof rest, "%sshard-%" PRIu64 ".ring",
             local ? "" : "replay/", config->index);
    int rc = rundir_path(shard->path, sizeof shard->path,
                         local ? config->replay_dir : config->run_dir, rest);
    if (rc == 0 && local && mkdir(config->replay_dir, 0777) != 0 &&
        errno != EEXIST)
        rc = -errno;
    if (rc == 0) return 0;
    log_error("%s %s: %s", local ? "replay_dir" : "run_dir",
              local ? config->replay_dir : config->run_dir, strerror(-rc));
    return EXIT_REFUSED;
}

int shard_open(struct shard *shard, const struct wire_spec *spec) {
    const struct config *config = &shard->config;
    char why[768];
    uint64_t dropped = 0;
    struct ring_spec want = {.run = shard->self.run,
                             .capacity = config->replay_size / config->shards,
                             .S = spec->obs_dim,
                             .A = spec->act_dim};
    int status = find_ring(shard);
    if (status != 0) return status;
    status = importing_check(shard, &want);
    if (status != 0) return status;
    ring_guard(shard->path);
    if (ring_open(&shard->ring, shard->path, &want, &dropped, why,
                  sizeof why) != 0) {
        log_error("%s", why);
        return EXIT_REFUSED;
    }
    if (dropped > 0) {
        log_warn("%s: %" PRIu64 " damaged or unfinished rows dropped",
                 shard->path, dropped);
    }
    link_server_max_size(&shard->server, wire_max_size(spec, config->batch, 0));
    rng_init(&shard->rng, config->seed, RNG_SHARD, config->index,
             shard->self.incarnation, 0);
    shard->synced = shard->ring.stored;
    shard->synced_ms = uv_now(shard->loop);
    log_info("%s: %" PRIu64 " of %" PRIu64 " rows, %zu bytes each", shard->path,
             shard->ring.present, want.capacity, shard->ring.row_bytes);
    return importing_start(shard);
}

static void sync_work(uv_work_t *work) {
    struct shard *shard = work->data;
    shard->sync_rc = ring_sync(&shard->ring);
}

static void on_synced(uv_work_t *work, int cancelled) {
    struct shard *shard = work->data;
    shard->syncing = false;
    uint64_t now = uv_now(shard->loop);
    bool failed = cancelled == 0 && shard->sync_rc != 0;
    if (failed) shard->synced = UINT64_MAX; /* again, also without new rows */
    if (failed && (shard->sync_failed_ms == 0 ||
                   now - shard->sync_failed_ms >= COMPLAIN_MS)) {
        shard->sync_failed_ms = now;
        log_warn("%s: msync: %s (training goes on; a power loss now would cost "
                 "the rows since the last one)",
                 shard->path, strerror(-shard->sync_rc));
    }
}

static void sync_ring(struct shard *shard, uint64_t now) {
    bool due = shard->ring.private != NULL && !shard->syncing &&
               shard->ring.stored != shard->synced &&
               now - shard->synced_ms >= SYNC_MS;
    if (!due) return;
    shard->synced_ms = now;
    shard->synced = shard->ring.stored;
    shard->sync.data = shard;
    shard->syncing =
        uv_queue_work(shard->loop, &shard->sync, sync_work, on_synced) == 0;
}

/* ---- start, stop ---- */

static void on_tick(uv_timer_t *timer) {
    struct shard *shard = timer->data;
    join_tick(shard);
    if (shard->ended) return;
    wake_waiting(shard);
    sync_ring(shard, uv_now(shard->loop));
}

/* Where to bind, and what to tell actors. The learner fills in a host that is
 * a wildcard, as it sees where we come from. */
static int make_addresses(struct shard *shard, char *bind, size_t n) {
    const struct config *config = &shard->config;
    if (config->transport == TRANSPORT_IPC) {
        char folder[CONFIG_PATH_LEN];
        int rc = rundir_sockets(folder, sizeof folder, config->run_dir);
        if (rc != 0) {
            log_error("no folder for the sockets of %s: %s", config->run_dir,
                      strerror(-rc));
            return rc;
        }
        snprintf(bind, n, "ipc://%s/shard-%" PRIu64 ".sock", folder,
                 config->index);
        return 0;
    }
    snprintf(bind, n, "tcp://%s:%" PRIu64, config->bind,
             config->port + 10 + config->index);
    return 0;
}

static int tell_address(struct shard *shard, const char *bind) {
    const struct config *config = &shard->config;
    int n = 0;
    if (config->transport == TRANSPORT_IPC || config->advertise[0] == '\0') {
        n = snprintf(shard->endpoint, sizeof shard->endpoint, "%s", bind);
    } else {
        n = snprintf(shard->endpoint, sizeof shard->endpoint,
                     "tcp://%s:%" PRIu64, config->advertise,
                     config->port + 10 + config->index);
    }
    if (n < (int)sizeof shard->endpoint) return 0;
    log_error("%s: too long an address, at most %zu characters", bind,
              sizeof shard->endpoint - 1);
    return -ENAMETOOLONG;
}

static int serve(struct shard *shard) {
    char bind[CONFIG_PATH_LEN + 64];
    if (make_addresses(shard, bind, sizeof bind) != 0 ||
        tell_address(shard, bind) != 0) {
        return EXIT_REFUSED;
    }
    shard->server.self = &shard->self;
    shard->server.on_message = on_actor_message;
    shard->server.data = shard;
    struct link_server_options options = {.address = bind,
                                          .insecure = shard->config.insecure,
                                          .high_water = HIGH_WATER,
                                          .guard = &shard->guard};
    int rc =
        link_server_start(&shard->server, shard->loop, shard->zmq, &options);
    return rc == 0 ? 0 : EXIT_REFUSED;
}

int shard_start(struct shard *shard, uv_loop_t *loop, void *zmq) {
    struct config *config = &shard->config;
    shard->loop = loop;
    shard->zmq = zmq;
    if (config->name[0] == '\0') {
        /* the newest process of an index is the shard: same name, so that the
         * learner takes it in place of one that hangs */
        snprintf(config->name, sizeof config->name, "shard-%" PRIu64,
                 config->index);
    }
    if (link_self_init(&shard->self, "shard", config->name) != 0)
        return EXIT_REFUSED;
    int rc = join_check(config);
    if (rc != 0) return rc; /* before a folder of a wrong name is made */
    if (guard_start(&shard->guard, loop, zmq, config->keys) != 0)
        return EXIT_REFUSED;
    rc = rundir_create(config->run_dir);
    if (rc != 0) {
        log_error("run_dir %s: %s", config->run_dir, strerror(-rc));
        return EXIT_REFUSED;
    }
    rc = uv_timer_init(loop, &shard->tick);
    if (rc == 0) rc = uv_timer_init(loop, &shard->soon);
    if (rc == 0) rc = uv_idle_init(loop, &shard->slices);
    shard->tick.data = shard->soon.data = shard->slices.data = shard;
    if (rc == 0) rc = uv_timer_start(&shard->tick, on_tick, TICK_MS, TICK_MS);
    if (rc != 0) {
        log_error("start: %s", uv_strerror(rc));
        return EXIT_CRASH;
    }
    rc = serve(shard);
    return rc == 0 ? join_start(shard) : rc;
}

void shard_end(struct shard *shard, int status, const char *why) {
    if (shard->ended) return;
    shard->ended = true;
    shard->status = status;
    if (status == EXIT_FINISHED) {
        log_info("stopping: %s", why);
    } else if (why != NULL) {
        log_error("%s", why);
    }
    const struct wire_counters *c = shard_count(shard);
    log_info("%" PRIu64 " rows stored, %" PRIu64 " sampled, %" PRIu64
             " duplicates, %" PRIu64 " refused, %" PRIu64 " busy",
             c->stored, c->sampled, c->duplicates, c->refused, c->busy);
    shard->on_end(shard);
}

void shard_finish(struct shard *shard) {
    join_finish(shard);
    link_server_finish(&shard->server, LINGER_MS);
    guard_finish(&shard->guard);
    if (shard->ring.private != NULL) {
        int rc = ring_sync(&shard->ring);
        if (rc != 0) log_warn("%s: msync: %s", shard->path, strerror(-rc));
    }
    import_close(&shard->import);
    ring_close(&shard->ring);
}
