/* When an actor speaks to its learner, and how it finds and loses it; what is
 * said stands in dialogue.c. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "actor/actor.h"
#include "actor/dialogue.h"
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
    OWN_PAUSE_MS = 1000, /* longer between ticks: our own loop stood still */
    HIGH_WATER = 72,     /* W + 8 for the largest W: it is not known yet */
};

static uint64_t ms(double seconds) {
    return (uint64_t)(seconds * 1e3);
}

/* Who cannot step has no use for parameters, and hundreds that wait for room
 * would take a core's time by fetching them. */
static void on_pull(uv_timer_t *timer) {
    struct actor *a = timer->data;
    if (a->paused && a->has_policy)
        a->pull_put_off = true;
    else
        join_pull(a);
}

void join_pull(struct actor *a) {
    uint64_t now = uv_now(a->loop);
    bool awaited =
        a->pulled_ms != 0 && now - a->pulled_ms < ms(a->config.resend_after);
    if (a->state == ACTOR_JOINED && !a->playing &&
        (!awaited || a->config.lockstep)) {
        /* lockstep: `have` of no version, so that the answer has the round */
        struct wire_message get = {
            .type = WIRE_GET_PARAMETERS,
            .get_parameters = {.have = a->config.lockstep ? 0
                                       : a->has_policy    ? a->rollout.version
                                                          : 0,
                               .round = a->round}};
        a->pulled_ms = now;
        if (a->wanted_us == 0) a->wanted_us = uv_hrtime() / 1000;
        dialogue_tell(a, &get);
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
                                   .waiting = !a->config.evaluator &&
                                              window_full(&d->window)},
                      .inserts = {.pairs = inserts},
                      .pulls = {.pairs = pulls},
                      .evaluation = a->evaluation},
    };
    beat.heartbeat.inserts.n = (uint32_t)histogram_pack(&d->inserts, inserts);
    beat.heartbeat.pulls.n = (uint32_t)histogram_pack(&a->pulls, pulls);
    d->inserts = a->pulls = (struct histogram){0};
    a->beat_ms = uv_now(a->loop);
    dialogue_tell(a, &beat);
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
        dialogue_tell(a, &message);
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
    client->on_message = dialogue_on_message;
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
    dialogue_hello(a);
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
        dialogue_hello(a);
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
            dialogue_ready(a);
        } else {
            dialogue_hello(a);
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
