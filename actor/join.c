/* The actor's side of the conversation with the learner. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "actor/actor.h"
#include "common/exit_status.h"
#include "common/log.h"
#include "common/rundir.h"

enum {
    LOOK_MS = 200,       /* RUN/address is read again */
    HELLO_MS = 1000,     /* Hello and Ready are said again */
    BEAT_MS = 1000,      /* Heartbeat */
    EPISODES_MS = 500,   /* a list at most this often */
    SAY_AFTER_MS = 5000, /* then what it waits for is said */
    SAY_AGAIN_MS = 60000,
    OWN_PAUSE_MS = 500, /* longer between ticks: our own loop stood still */
    HIGH_WATER = 72,    /* W + 8 for the largest W: it is not known yet */
};

static uint64_t ms(double seconds) {
    return (uint64_t)(seconds * 1e3);
}

static void tell(struct actor *a, const struct wire_message *message) {
    if (a->learner == NULL) {
        return;
    }
    int rc = link_client_send(a->learner, message);
    if (rc != 0) log_debug("learner: %s", strerror(-rc));
}

static void say_hello(struct actor *a) {
    struct wire_message hello = {.type = WIRE_HELLO,
                                 .hello = {.role = WIRE_ACTOR}};
    snprintf(hello.hello.build, sizeof(hello.hello.build), "%s",
             config_version());
    a->state = ACTOR_HELLO;
    a->asked_ms = uv_now(a->loop);
    tell(a, &hello);
}

static void say_ready(struct actor *a) {
    struct wire_message ready = {
        .type = WIRE_READY,
        .ready = {.spec = {.obs_dim = (uint32_t)a->rollout.spec.obs_dim,
                           .act_dim = (uint32_t)a->rollout.spec.act_dim},
                  .model = a->rollout.spec.hash},
    };
    a->state = ACTOR_READY;
    a->asked_ms = uv_now(a->loop);
    tell(a, &ready);
}

/* ---- what arrives ---- */

/* A resumed run may change its shared options (exploration too: it is applied
 * from the next step on), but not those that our environments, buffers and
 * batches on their way were made with. */
static bool still_fits(const struct config *old, const struct config *new) {
    return strcmp(old->task, new->task) == 0 && old->seed == new->seed &&
           old->environments == new->environments && old->batch == new->batch &&
           old->window == new->window && old->units == new->units &&
           old->horizon == new->horizon && old->lockstep == new->lockstep &&
           old->multigoal_start_sd ==
               new->multigoal_start_sd &&strcmp(old->multigoal_reward,
                                                new->multigoal_reward) == 0;
}

static void allow_sizes(struct actor *a) {
    const struct wire_spec spec = {.obs_dim = (uint32_t)a->rollout.spec.obs_dim,
                                   .act_dim =
                                       (uint32_t)a->rollout.spec.act_dim};
    const size_t floats =
        policy_most_floats(&a->rollout.shape, (size_t)a->config.noise_set);
    size_t most = wire_max_size(&spec, a->config.batch, floats);
    if (link_client_max_size(a->learner, most) != 0) {
        log_warn("messages of this run may be too long: %zu bytes", most);
    }
}

static void on_welcome(struct actor *a, const struct wire_message *message) {
    const struct wire_welcome *welcome = &message->welcome;
    if (a->state == ACTOR_JOINED) {
        return; /* an answer to a Hello that was sent twice */
    }
    struct config old = a->config;
    char why[256];
    if (config_apply_shared(&a->config, welcome->options, welcome->options_len,
                            why, sizeof(why)) != 0) {
        char line[320];
        snprintf(line, sizeof(line), "the learner's options: %s", why);
        actor_stop(a, EXIT_REFUSED, line);
        return;
    }
    if (a->config.lockstep && a->config.on_full == ON_FULL_DROP) {
        actor_stop(a, EXIT_REFUSED,
                   "the run is in lockstep, and on_full is drop: give "
                   "--on_full=pause");
        return;
    }
    a->self.run = message->run;
    if (!a->welcomed) {
        a->rank = welcome->rank;
        if (actor_create(a) != 0) {
            actor_stop(a, EXIT_REFUSED, NULL);
            return;
        }
        a->welcomed = true;
        rng_init(&a->jitter, a->config.seed, RNG_ACTOR, a->rank,
                 a->self.incarnation, UINT64_MAX);
        log_info("welcome: rank %" PRIu64 ", task %s, %" PRIu64 " environments",
                 a->rank, a->config.task, a->config.environments);
    } else if (!still_fits(&old, &a->config) || a->rank != welcome->rank) {
        a->config = old; /* what is still sent was made with these */
        actor_stop(a, EXIT_CRASH,
                   "the run came back with other options: "
                   "this actor has to start again");
        return;
    }
    actor_explore(a, welcome->ordinal);
    allow_sizes(a);
    a->topology_version = welcome->topology.version;
    delivery_topology(&a->delivery, &welcome->topology);
    say_ready(a);
}

static void on_go(struct actor *a) {
    if (a->state != ACTOR_READY) {
        return;
    }
    a->state = ACTOR_JOINED;
    if (a->said_ms > 0) log_info("the learner is there");
    a->absent_ms = a->silent_ms = a->said_ms = 0;
    a->obstacle[0] = '\0';
    a->beat_ms = 0;
    a->episodes_to = 0; /* a list on its way to the old one is lost */
    if (a->config.lockstep && !a->has_policy) a->round_asked = true;
    if (!a->config.lockstep || a->round_asked) join_pull(a);
}

static void on_refused(struct actor *a, const struct wire_refused *refused) {
    switch (refused->code) {
    case WIRE_CODE_PROTOCOL:
    case WIRE_CODE_RUN:
    case WIRE_CODE_OLDER:
    case WIRE_CODE_FINAL: {
        char line[sizeof(refused->reason) + 32];
        snprintf(line, sizeof(line), "the learner refused: %s",
                 refused->reason);
        actor_stop(a, EXIT_REFUSED, line);
        return;
    }
    case WIRE_CODE_ILL_FORMED:
    case WIRE_CODE_NON_FINITE:
        log_warn("the learner refused our %s: %s",
                 wire_type_name(refused->about), refused->reason);
        /* the same list would be refused again */
        if (refused->about == WIRE_EPISODES) {
            outbox_received(&a->outbox, a->episodes_to);
        }
        return;
    case WIRE_CODE_OTHER:
    case WIRE_CODE_STALE:
    case WIRE_CODE_KEY:
        break;
    }
    snprintf(a->obstacle, sizeof(a->obstacle), "%srefused: %s",
             refused->code == WIRE_CODE_KEY ? "key " : "", refused->reason);
    /* refused at the door: ask again in a while; later: it forgot us */
    if (a->state == ACTOR_JOINED ||
        (a->state == ACTOR_READY && refused->about != WIRE_HELLO &&
         refused->about != WIRE_READY)) {
        log_info("the learner does not know us (%s): hello again",
                 refused->reason);
        say_hello(a);
    }
}

static void pull_answered(struct actor *a) {
    a->pulled_ms = 0;
    if (a->wanted_us == 0) return;
    histogram_add(&a->pulls, uv_hrtime() / 1000 - a->wanted_us);
    a->wanted_us = 0;
}

static void on_parameters(struct actor *a, const struct wire_parameters *p) {
    if (!a->welcomed ||
        (a->config.lockstep && !(a->round_asked && p->round == a->round))) {
        return;
    }
    const struct mlp_shape *shape = &a->rollout.shape;
    if (p->count != mlp_parameters(shape) || p->noise_count % shape->X != 0 ||
        (p->observed != 0 && p->observed != shape->S)) {
        log_warn("a policy of %zu parameters, noise of %zu and observations of "
                 "%zu numbers does not fit %zu, %zu a row and %zu: ignored",
                 p->count, p->noise_count, p->observed, mlp_parameters(shape),
                 shape->X, shape->S);
        return;
    }
    const struct policy policy = {.shape = *shape,
                                  .phi = p->phi,
                                  .alpha = p->alpha,
                                  .n_noise = p->noise_count / shape->X,
                                  .noise = p->noise,
                                  .mean = p->mean,
                                  .scale = p->scale};
    if (actor_policy(a, &policy, p->version) != 0) {
        log_warn("out of memory for a policy: asking again");
        return;
    }
    pull_answered(a);
    a->round_asked = false;
    a->has_policy = true;
    actor_wake(a);
}

static void on_message(struct link_client *client,
                       const struct wire_message *m) {
    struct actor *a = client->data;
    if (a->stopping || client != a->learner) {
        return; /* a connection that is being closed */
    }
    if (m->incarnation != a->learner_incarnation) {
        bool restarted = a->state == ACTOR_JOINED || a->state == ACTOR_READY;
        a->learner_incarnation = m->incarnation;
        if (restarted && m->type != WIRE_STOP) {
            log_info("the learner started again: hello");
            say_hello(a);
            return;
        }
    }
    switch (m->type) {
    case WIRE_WELCOME:
        on_welcome(a, m);
        break;
    case WIRE_GO:
        on_go(a);
        break;
    case WIRE_REFUSED:
        on_refused(a, &m->refused);
        break;
    case WIRE_PARAMETERS:
        on_parameters(a, &m->parameters);
        break;
    case WIRE_NOT_MODIFIED:
        pull_answered(a);
        break;
    case WIRE_RECEIVED:
        if (m->received.epoch == a->self.incarnation) {
            outbox_received(&a->outbox, m->received.next);
        }
        break;
    case WIRE_TOPOLOGY:
        if (a->welcomed) {
            a->topology_version = m->topology.version;
            delivery_topology(&a->delivery, &m->topology);
        }
        break;
    case WIRE_STOP: {
        char line[128];
        snprintf(line, sizeof(line), "the learner says: %.*s",
                 (int)(m->text.len < 100 ? m->text.len : 100), m->text.text);
        actor_stop(a, EXIT_FINISHED, line);
        break;
    }
    default:
        break; /* Heartbeat counts as life, the rest is not for us */
    }
}

/* ---- what is sent in time ---- */

static void on_pull(uv_timer_t *timer) {
    struct actor *a = timer->data;
    join_pull(a);
}

void join_pull(struct actor *a) {
    uint64_t now = uv_now(a->loop);
    bool awaited =
        a->pulled_ms != 0 && now - a->pulled_ms < ms(a->config.resend_after);
    if (a->state == ACTOR_JOINED && (!awaited || a->config.lockstep)) {
        /* lockstep: `have` of no version, so that the answer has the round */
        struct wire_message get = {
            .type = WIRE_GET_PARAMETERS,
            .get_parameters = {.have = a->config.lockstep ? 0
                                       : a->has_policy    ? a->rollout.version
                                                          : 0,
                               .round = a->round}};
        a->pulled_ms = now;
        if (a->wanted_us == 0) a->wanted_us = uv_hrtime() / 1000;
        tell(a, &get);
    }
    if (a->config.lockstep) {
        return; /* asked again by the tick */
    }
    double wait = a->config.pull_interval;
    double fair = (double)a->config.actors / a->config.parameter_rate;
    if (fair > wait) wait = fair;
    /* never sooner: all together would ask for exactly what the learner
     * answers, and a queue that begins would never end */
    wait *= 1.0 + 0.2 * rng_uniform(&a->jitter);
    uint64_t wait_ms = ms(wait);
    uv_timer_start(&a->pull, on_pull, wait_ms > 0 ? wait_ms : 1, 0);
}

static void beat(struct actor *a) {
    struct delivery *d = &a->delivery;
    uint64_t bad = d->bad + a->learner->bad;
    uint32_t inserts[HISTOGRAM_BUCKETS], pulls[HISTOGRAM_BUCKETS];
    struct wire_message beat = {
        .type = WIRE_HEARTBEAT,
        .heartbeat = {.topology_version = a->topology_version,
                      .counters = {.steps = a->rollout.steps,
                                   .episodes = a->rollout.episodes,
                                   .acknowledged = d->acknowledged,
                                   .outstanding =
                                       window_outstanding(&d->window),
                                   .busy = d->busy,
                                   .discarded = a->rollout.discarded,
                                   .refused = d->stale,
                                   .bad_messages = bad,
                                   .policy_version = a->rollout.version,
                                   .dropped = a->dropped,
                                   .waiting = window_full(&d->window)},
                      .inserts = {.pairs = inserts},
                      .pulls = {.pairs = pulls}},
    };
    beat.heartbeat.inserts.n = (uint32_t)histogram_pack(&d->inserts, inserts);
    beat.heartbeat.pulls.n = (uint32_t)histogram_pack(&a->pulls, pulls);
    d->inserts = a->pulls = (struct histogram){0};
    a->beat_ms = uv_now(a->loop);
    tell(a, &beat);
}

void join_send_episodes(struct actor *a, bool all) {
    struct wire_episode list[WIRE_MAX_EPISODES];
    uint64_t from = a->outbox.first;
    do {
        uint64_t first = 0;
        size_t n =
            outbox_list(&a->outbox, from, list, WIRE_MAX_EPISODES, &first);
        if (n == 0) break;
        struct wire_message message = {
            .type = WIRE_EPISODES,
            .episodes = {.epoch = a->self.incarnation,
                         .first = first,
                         .n = (uint32_t)n,
                         .list = list}};
        tell(a, &message);
        from = a->episodes_to = first + n;
    } while (all);
    a->episodes_ms = uv_now(a->loop);
}

/* A list goes out when there is something to tell and the last one arrived, or
 * took too long. */
static void tell_episodes(struct actor *a, uint64_t now) {
    if (a->outbox.n == 0) {
        return;
    }
    bool awaited = a->outbox.first < a->episodes_to;
    uint64_t wait = awaited ? ms(a->config.resend_after)
                    : a->outbox.n >= WIRE_MAX_EPISODES ? 0
                                                       : EPISODES_MS;
    if (now - a->episodes_ms >= wait) join_send_episodes(a, false);
}

/* ---- finding the learner, and losing it ---- */

static void on_closed(struct link_client *client) {
    free(client);
}

static void connect_to(struct actor *a, const char *address) {
    if (a->learner != NULL) {
        link_client_stop(a->learner, 0, on_closed);
        a->learner = NULL;
    }
    snprintf(a->address, sizeof(a->address), "%s", address);
    struct link_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        actor_stop(a, EXIT_CRASH, "out of memory");
        return;
    }
    client->self = &a->self;
    client->on_message = on_message;
    client->data = a;
    client->keys = &a->keys;
    int rc = link_client_start(client, a->loop, a->zmq, address, HIGH_WATER);
    if (rc != 0) {
        char line[256];
        snprintf(line, sizeof(line), "cannot connect to %s: %s", address,
                 strerror(-rc));
        free(client);
        actor_stop(a, EXIT_REFUSED, line);
        return;
    }
    a->learner = client;
    snprintf(a->obstacle, sizeof(a->obstacle), "no answer from %s", address);
    say_hello(a);
}

static bool is_address(const char *join) {
    return strstr(join, "://") != NULL;
}

/* RUN/address, read again while nobody answers: the learner may have come
 * back elsewhere. */
static void look(struct actor *a, uint64_t now) {
    if (a->state == ACTOR_JOINED || is_address(a->config.join) ||
        now - a->looked_ms < LOOK_MS) {
        return;
    }
    a->looked_ms = now;
    char address[WIRE_ADDRESS_LEN];
    int rc =
        rundir_address(address, sizeof(address), a->config.join, "learner");
    if (rc != 0) {
        if (a->learner == NULL) {
            snprintf(a->obstacle, sizeof(a->obstacle),
                     "no learner's address in %s/address yet", a->config.join);
        }
    } else if (a->learner == NULL || strcmp(address, a->address) != 0) {
        connect_to(a, address);
    }
}

/* Silence counts only while our own loop runs: after a suspended laptop wakes
 * nobody is declared dead. */
static void watch(struct actor *a, uint64_t now) {
    uint64_t since = now - a->last_tick_ms;
    uint64_t counted = since < OWN_PAUSE_MS ? since : OWN_PAUSE_MS;
    a->last_tick_ms = now;
    uint64_t heard = a->learner != NULL ? a->learner->last_heard_ms : 0;
    a->silent_ms = heard != a->heard_ms ? 0 : a->silent_ms + counted;
    a->heard_ms = heard;
    const char *key = a->learner != NULL ? link_client_watch(a->learner) : NULL;
    if (key != NULL) {
        snprintf(a->obstacle, sizeof(a->obstacle), "%s: %s", a->address, key);
    }
    if (a->state == ACTOR_JOINED) {
        if (a->silent_ms < ms(a->config.dead_after)) return;
        log_warn("the learner has been silent for %.1f s: hello again",
                 (double)a->silent_ms * 1e-3);
        snprintf(a->obstacle, sizeof(a->obstacle), "no answer from %s",
                 a->address);
        a->absent_ms = a->silent_ms;
        say_hello(a);
        return;
    }
    a->absent_ms += counted;
    if (a->absent_ms >= ms(a->config.orphan_after)) {
        char line[sizeof(a->obstacle) + 64];
        snprintf(line, sizeof(line),
                 "gave up after %.0f s without a learner: "
                 "%s",
                 (double)a->absent_ms * 1e-3, a->obstacle);
        actor_stop(a, EXIT_REFUSED, line);
    } else if (a->absent_ms >= SAY_AFTER_MS &&
               (a->said_ms == 0 || a->absent_ms >= a->said_ms + SAY_AGAIN_MS)) {
        a->said_ms = a->absent_ms;
        log_warn("waiting for the learner for %.0f s: %s",
                 (double)a->absent_ms * 1e-3, a->obstacle);
    }
}

void join_tick(struct actor *a) {
    uint64_t now = uv_now(a->loop);
    watch(a, now);
    if (!a->stopping) look(a, now);
    if (a->stopping || a->learner == NULL) {
        return;
    }
    if (a->state == ACTOR_JOINED) {
        if (a->beat_ms == 0 || now - a->beat_ms >= BEAT_MS) beat(a);
        tell_episodes(a, now);
        if (a->config.lockstep && a->round_asked &&
            now - a->pulled_ms >= ms(a->config.resend_after)) {
            join_pull(a);
        }
    } else if (now - a->asked_ms >= HELLO_MS) {
        if (a->state == ACTOR_READY &&
            a->silent_ms < ms(a->config.dead_after)) {
            say_ready(a);
        } else {
            say_hello(a);
        }
    }
}

int join_start(struct actor *a) {
    const char *join = a->config.join;
    a->last_tick_ms = uv_now(a->loop);
    if (keys_load(&a->keys, a->config.keys) != 0) return -EACCES;
    if (join[0] == '\0') {
        log_error("nowhere to join: --join=ADDRESS or --join=RUN is needed");
        return -EINVAL;
    }
    if (is_address(join)) {
        connect_to(a, join);
        return a->learner != NULL ? 0 : -EINVAL;
    }
    struct stat info;
    if (stat(join, &info) != 0 || !S_ISDIR(info.st_mode)) {
        log_error("join %s: neither an address (ipc://, tcp://) nor a run "
                  "directory",
                  join);
        return -ENOENT;
    }
    return 0;
}

void join_finish(struct actor *a, int linger) {
    if (a->learner != NULL) {
        link_client_finish(a->learner, linger);
        free(a->learner);
        a->learner = NULL;
    }
    keys_finish(&a->keys);
}
