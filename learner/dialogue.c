#include "learner/dialogue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "learner/cycle.h"
#include "learner/door.h"
#include "learner/host.h"
#include "learner/learner.h"
#include "learner/status.h"

void dialogue_send(struct learner *learner, const struct registry_peer *peer,
                   const struct wire_message *message) {
    int rc = link_server_send(&learner->server, &peer->route, message);
    if (rc != 0) {
        log_debug("%s to %s: %s", wire_type_name(message->type), peer->name,
                  strerror(-rc));
    }
}

void dialogue_refuse(struct learner *learner, const struct link_route *to,
                     const struct wire_message *message, enum wire_refusal code,
                     const char *format, ...) {
    struct wire_message answer = {
        .type = WIRE_REFUSED,
        .refused = {.about = message->type, .code = code}};
    va_list args;
    va_start(args, format);
    vsnprintf(answer.refused.reason, sizeof(answer.refused.reason), format,
              args);
    va_end(args);
    learner->refused++;
    snprintf(learner->refusal, sizeof(learner->refusal), "%s: %.120s",
             message->name, answer.refused.reason);
    link_server_complain(&learner->server, message, answer.refused.reason);
    (void)link_server_send(&learner->server, to, &answer); // or it asks again
}

static void send_go(struct learner *learner, const struct registry_peer *peer) {
    dialogue_send(learner, peer, &(struct wire_message){.type = WIRE_GO});
}

static void send_topology(struct learner *learner, struct registry_peer *peer) {
    struct wire_shard shards[WIRE_MAX_SHARDS];
    dialogue_send(learner, peer,
                  &(struct wire_message){.type = WIRE_TOPOLOGY,
                                         .topology = registry_topology(
                                             &learner->registry, shards)});
    peer->progress.topology = learner->registry.topology;
}

void dialogue_topology(struct learner *learner) {
    for (size_t i = 0; i < learner->registry.n_peers; i++) {
        struct registry_peer *peer = learner->registry.peers[i];
        if (peer->here && peer->progress.welcomed) {
            send_topology(learner, peer);
        }
    }
}

/* Only once the rank is on disk, or a crash could give it to another name. */
static void welcome(struct learner *learner, struct registry_peer *peer) {
    if (peer->rank >= learner->saver.state_names) return;
    struct wire_shard shards[WIRE_MAX_SHARDS];
    const struct wire_message answer = {
        .type = WIRE_WELCOME,
        .welcome = {.rank = peer->rank,
                    .ordinal = registry_ordinal(&learner->registry, peer),
                    .options = learner->options,
                    .options_len = learner->options_len,
                    .topology = registry_topology(&learner->registry, shards)}};
    dialogue_send(learner, peer, &answer);
    peer->progress.welcomed = true;
    peer->progress.topology = learner->registry.topology;
}

void dialogue_welcome_all(struct learner *learner) {
    for (size_t i = 0; i < learner->registry.n_peers; i++) {
        struct registry_peer *peer = learner->registry.peers[i];
        if (peer->here && !peer->progress.welcomed) welcome(learner, peer);
    }
}

/* The first Hello of a process. */
static void on_newcomer(struct learner *learner,
                        const struct wire_message *message,
                        struct registry_peer *peer, const char *key) {
    log_info("%s %s is here (rank %" PRIu64 ")", wire_role_name(peer->role),
             peer->name, peer->rank);
    if (strcmp(message->hello.build, config_version()) != 0) {
        log_warn("%s is of version %s, this is %s", peer->name,
                 message->hello.build, config_version());
    }
    const bool bound = registry_bind_name(peer, key);
    if (bound || peer->rank >= learner->saver.state_names) saver_state(learner);
}

/*
 * A shard that is bound to every interface is told to actors as we see it; one
 * of this machine as we are seen ourselves.
 */
static void place_shard(const struct learner *learner,
                        struct registry_peer *peer) {
    const char *seen = learner->server.peer_address;
    if (!host_is_wildcard(peer->endpoint) || seen[0] == '\0') return;
    char host[WIRE_ADDRESS_LEN];
    const char *own = learner->address;
    if (host_is_loopback(seen) && host_of(host, sizeof(host), own) == 0) {
        seen = host;
    }
    if (host_replace(peer->endpoint, sizeof(peer->endpoint), seen) != 0) {
        log_warn("%s: too long an address with host %s", peer->name, seen);
    }
}

static void on_hello(struct learner *learner, const struct link_route *from,
                     const struct wire_message *message,
                     struct registry_peer *peer) {
    if (peer->role == WIRE_SHARD && peer->endpoint[0] == '\0') {
        dialogue_refuse(learner, from, message, WIRE_CODE_FINAL,
                        "a shard must say where it is bound");
        return;
    }
    if (peer->role == WIRE_SHARD) place_shard(learner, peer);
    welcome(learner, peer);
}

static void on_ready(struct learner *learner, const struct link_route *from,
                     const struct wire_message *message,
                     struct registry_peer *peer) {
    const struct wire_ready *ready = &message->ready;
    struct registry *registry = &learner->registry;
    char why[200];
    if (peer->role != WIRE_ACTOR && peer->role != WIRE_EVALUATOR) {
        dialogue_refuse(learner, from, message, WIRE_CODE_FINAL,
                        "only an actor has a task");
        return;
    }
    if (registry_too_early(registry, peer->role)) return; // it asks again
    if (!registry_fits(registry, learner->config.task, ready, why,
                       sizeof(why))) {
        dialogue_refuse(learner, from, message, WIRE_CODE_FINAL, "%s", why);
        return;
    }
    const bool begins = registry->spec.obs_dim == 0;
    if (begins) {
        int status = cycle_start(learner, ready->spec);
        if (status != 0) {
            learner_end(learner, status, "the learner could not begin");
            return;
        }
    }
    if (registry_fix_task(registry, peer->role, ready)) saver_state(learner);
    if (begins) dialogue_topology(learner);
    peer->progress.ready = true;
    send_go(learner, peer);
}

/* Why this shard cannot be listed, into why (n bytes); false: it can. */
static bool shard_unfit(struct learner *learner,
                        const struct registry_peer *peer,
                        const struct wire_shard_ready *ready, char *why,
                        size_t n) {
    const struct registry *registry = &learner->registry;
    if (ready->spec.obs_dim != registry->spec.obs_dim ||
        ready->spec.act_dim != registry->spec.act_dim) {
        snprintf(why, n,
                 "rows of %u and %u, this run has observations of %u and "
                 "actions of %u",
                 ready->spec.obs_dim, ready->spec.act_dim,
                 registry->spec.obs_dim, registry->spec.act_dim);
        return true;
    }
    if (ready->capacity < learner->config.minibatch) {
        snprintf(why, n, "room for %" PRIu64 " rows is less than a minibatch",
                 ready->capacity);
        return true;
    }
    for (size_t i = 0; i < registry->n_shards; i++) {
        const struct registry_shard *other = &registry->shards[i];
        if (other->ring_id == ready->ring_id && other->index != peer->index &&
            registry_serves(registry, other)) {
            snprintf(why, n, "shard %u serves a copy of the same ring",
                     other->index);
            return true;
        }
    }
    return false;
}

static void on_shard_ready(struct learner *learner,
                           const struct link_route *from,
                           const struct wire_message *message,
                           struct registry_peer *peer) {
    const struct wire_shard_ready *ready = &message->shard_ready;
    char why[160];
    if (peer->role != WIRE_SHARD) {
        dialogue_refuse(learner, from, message, WIRE_CODE_FINAL,
                        "only a shard has a ring");
        return;
    }
    if (registry_too_early(&learner->registry, peer->role)) return;
    const struct registry_peer *rival =
        registry_rival(&learner->registry, peer);
    if (rival != NULL) { // it asks again: that one may be about to be dead
        dialogue_refuse(learner, from, message, WIRE_CODE_OTHER,
                        "%s serves as shard %" PRIu32 ": give another --index, "
                        "or end that one",
                        rival->name, peer->index);
        return;
    }
    if (shard_unfit(learner, peer, ready, why, sizeof(why))) {
        dialogue_refuse(learner, from, message, WIRE_CODE_FINAL, "%s", why);
        return;
    }
    if (limiter_report(&learner->limiter, ready->ring_id, ready->stored,
                       ready->present, ready->capacity) != 0) {
        dialogue_refuse(learner, from, message, WIRE_CODE_FINAL,
                        "this run knows too many rings");
        return;
    }
    const uint64_t before = learner->registry.topology;
    for (size_t i = 0; i < learner->registry.n_shards; i++) {
        // whoever had this index with another ring
        const struct registry_shard *old = &learner->registry.shards[i];
        if (old->index == peer->index && old->ring_id != ready->ring_id) {
            limiter_list(&learner->limiter, old->ring_id, false);
        }
    }
    if (registry_list(&learner->registry, peer, ready) == NULL) {
        dialogue_refuse(learner, from, message, WIRE_CODE_FINAL,
                        "%d shards are the most", WIRE_MAX_SHARDS);
        return;
    }
    limiter_list(&learner->limiter, ready->ring_id, true);
    peer->progress.ready = true;
    send_go(learner, peer);
    if (learner->registry.topology != before) {
        log_info("shard %u listed: %" PRIu64 " rows of %" PRIu64 " at %s",
                 peer->index, ready->present, ready->capacity, peer->endpoint);
        saver_state(learner);
        dialogue_topology(learner);
    }
    cycle_pump(learner);
}

static void on_evaluation(struct learner *learner,
                          const struct wire_evaluation *found,
                          struct registry_peer *peer) {
    const double wall = progress_wall();
    if (evaluations_told(&learner->evaluations, peer, found, wall))
        progress_evaluation(&learner->progress, found,
                            evaluations_updates(found->version), wall);
}

static void on_heartbeat(struct learner *learner,
                         const struct wire_message *message,
                         struct registry_peer *peer) {
    const struct wire_counters *counters = &message->heartbeat.counters;
    peer->progress.counters = *counters;
    latency_take(&learner->inserts, &message->heartbeat.inserts);
    latency_take(&learner->pulls, &message->heartbeat.pulls);
    if (peer->role == WIRE_EVALUATOR)
        on_evaluation(learner, &message->heartbeat.evaluation, peer);
    struct registry_shard *shard = registry_shard_of(&learner->registry, peer);
    if (shard != NULL) {
        if (shard->state == WIRE_SHARD_DEAD) {
            // declared dead by silence alone: the same process is back
            shard->state = WIRE_SHARD_LISTED;
            learner->registry.topology++;
            limiter_list(&learner->limiter, shard->ring_id, true);
            log_info("shard %u is back", shard->index);
            dialogue_topology(learner);
        }
        cycle_report(learner, shard, counters->stored, counters->present);
        cycle_pump(learner);
    }
    if (peer->progress.welcomed &&
        message->heartbeat.topology_version < learner->registry.topology) {
        send_topology(learner, peer);
    }
}

/* The newest parameters; an evaluator's only if it is its turn. -EAGAIN: later.
 */
static int serve(struct learner *learner, struct registry_peer *peer,
                 uint64_t have) {
    const bool plays = peer->role == WIRE_EVALUATOR;
    const uint64_t version = learner->publish.version;
    if (plays && !evaluations_due(&learner->evaluations, &learner->registry,
                                  peer, have, version)) {
        dialogue_send(learner, peer,
                      &(struct wire_message){.type = WIRE_NOT_MODIFIED,
                                             .not_modified = have});
        return 0;
    }
    int rc = publish_answer(&learner->publish, &peer->route, have,
                            uv_now(learner->loop));
    if (plays && rc == 0) {
        const struct progress_now now = learner_now(learner);
        evaluations_given(&learner->registry, peer, version, &now);
    }
    return rc;
}

static void on_get_parameters(struct learner *learner,
                              const struct wire_message *message,
                              struct registry_peer *peer) {
    if (learner->config.lockstep) {
        lockstep_get_parameters(learner, peer, message->get_parameters.round);
        return;
    }
    const uint64_t have = message->get_parameters.have;
    if (learner->serve_late && have != learner->publish.version) {
        peer->progress.wants_parameters = true; // others came first
        return;
    }
    peer->progress.wants_parameters = serve(learner, peer, have) == -EAGAIN;
}

void dialogue_serve_waiting(struct learner *learner) {
    const size_t n = learner->registry.n_peers, from = learner->serve_from;
    for (size_t k = 0; k < n; k++) {
        struct registry_peer *peer = learner->registry.peers[(from + k) % n];
        if (!peer->here || !peer->progress.wants_parameters) continue;
        int rc = serve(learner, peer, 0);
        if (rc == -EAGAIN) { // not yet for the others either
            learner->serve_from = peer->rank;
            learner->serve_late = true;
            return;
        }
        peer->progress.wants_parameters = false;
    }
    learner->serve_late = false;
}

static void on_minibatch(struct learner *learner,
                         const struct wire_message *message,
                         struct registry_peer *peer) {
    const struct wire_minibatch *minibatch = &message->minibatch;
    struct registry_shard *shard = registry_shard_of(&learner->registry, peer);
    if (shard == NULL || learner->trainer == NULL) return;
    cycle_report(learner, shard, minibatch->stored, minibatch->size);
    if (learner->config.lockstep) {
        lockstep_minibatch(learner, minibatch);
        return;
    }
    // a ring may have lost its rows since it was asked: that is no bad message
    if (feed_answer(&learner->feed, peer->rank, minibatch, cycle_us()) ==
            -EBADMSG &&
        minibatch->rows.n > 0) {
        learner->server.bad++;
    }
    cycle_pump(learner);
}

static void on_episodes(struct learner *learner,
                        const struct wire_message *message,
                        struct registry_peer *peer) {
    const struct wire_episodes *episodes = &message->episodes;
    uint64_t *next = &peer->progress.episodes_next;
    if (episodes->epoch == peer->incarnation) {
        for (uint32_t i = 0; i < episodes->n; i++) {
            if (episodes->first + i < *next) continue;
            const struct wire_episode *episode = &episodes->list[i];
            progress_episode(&learner->progress, episode->ret);
            if (episode->n_stats > 0)
                progress_statistic(&learner->progress, episode->stats[0]);
            *next = episodes->first + i + 1;
        }
    }
    // an earlier incarnation's are answered too: nobody waits for them
    dialogue_send(learner, peer,
                  &(struct wire_message){
                      .type = WIRE_RECEIVED,
                      .received = {.epoch = episodes->epoch, .next = *next}});
}

static void on_status(struct learner *learner, const struct link_route *from) {
    size_t len = 0;
    const char *text = status_text(learner, &len);
    if (text == NULL) return; // it asks again
    (void)link_server_send(
        &learner->server, from,
        &(struct wire_message){.type = WIRE_STATUS_REPLY,
                               .text = {.text = text, .len = len}});
}

static void say_stop(struct learner *learner, const struct registry_peer *peer,
                     const char *reason) {
    dialogue_send(learner, peer,
                  &(struct wire_message){
                      .type = WIRE_STOP,
                      .text = {.text = reason, .len = strlen(reason)}});
}

/* A message of the process in charge of its name. */
static void hear(struct learner *learner, const struct link_route *from,
                 const struct wire_message *message,
                 struct registry_peer *peer) {
    switch (message->type) {
    case WIRE_HELLO:
        on_hello(learner, from, message, peer);
        break;
    case WIRE_READY:
        on_ready(learner, from, message, peer);
        break;
    case WIRE_SHARD_READY:
        on_shard_ready(learner, from, message, peer);
        break;
    case WIRE_HEARTBEAT:
        on_heartbeat(learner, message, peer);
        break;
    case WIRE_GET_PARAMETERS:
        on_get_parameters(learner, message, peer);
        break;
    case WIRE_MINIBATCH:
        on_minibatch(learner, message, peer);
        break;
    case WIRE_EPISODES:
        on_episodes(learner, message, peer);
        break;
    case WIRE_REFUSED:
        log_debug("%s refuses %s: %s", peer->name,
                  wire_type_name(message->refused.about),
                  message->refused.reason); // none of ours does
        break;
    default:
        learner->server.bad++;
        dialogue_refuse(learner, from, message, WIRE_CODE_OTHER,
                        "the learner takes no %s",
                        wire_type_name(message->type));
        break;
    }
}

void dialogue_on_message(struct link_server *server,
                         const struct link_route *from,
                         const struct wire_message *message) {
    struct learner *learner = server->data;
    if (message->type == WIRE_STATUS) {
        on_status(learner, from);
        return;
    }
    if (!door_admits(learner, from, message)) return;
    const char *why = NULL;
    if (learner->config.lockstep && !lockstep_admits(learner, message, &why)) {
        if (why != NULL) {
            dialogue_refuse(learner, from, message, WIRE_CODE_OTHER, "%s", why);
        }
        return;
    }
    struct registry_peer *peer;
    switch (registry_heard(&learner->registry, message, from, &peer)) {
    case REGISTRY_OLD:
        dialogue_refuse(learner, from, message, WIRE_CODE_OLDER,
                        "a newer process has taken the name %s", message->name);
        return;
    case REGISTRY_FULL:
        dialogue_refuse(learner, from, message, WIRE_CODE_FINAL,
                        "this run knows too many names");
        return;
    case REGISTRY_UNKNOWN:
        // it knew the learner before us: our heartbeat shows it that we are
        // another one, so that it says Hello
        (void)link_server_send(server, from,
                               &(struct wire_message){.type = WIRE_HEARTBEAT});
        return;
    case REGISTRY_NEW:
        on_newcomer(learner, message, peer, server->peer_key);
        break;
    case REGISTRY_AGAIN:
    case REGISTRY_CURRENT:
        break;
    }
    feed_heard(&learner->feed, peer->rank);
    if (learner->farewell_said) {
        say_stop(learner, peer, learner->reason);
    } else {
        hear(learner, from, message, peer);
    }
}

void dialogue_heartbeats(struct learner *learner) {
    for (size_t i = 0; i < learner->registry.n_peers; i++) {
        struct registry_peer *peer = learner->registry.peers[i];
        if (!peer->here || !peer->progress.welcomed) continue;
        struct wire_message message = {
            .type = WIRE_HEARTBEAT,
            .heartbeat = {
                .topology_version = learner->registry.topology,
                .counters = {.policy_version = learner->publish.version}}};
        struct registry_shard *shard =
            registry_shard_of(&learner->registry, peer);
        if (shard != NULL && registry_serves(&learner->registry, shard)) {
            shard->granted = limiter_grant(&learner->limiter, shard->ring_id);
            message.heartbeat.has_grant = true;
            message.heartbeat.store_until = shard->granted;
        }
        dialogue_send(learner, peer, &message);
    }
}

void dialogue_stop(struct learner *learner, const char *reason) {
    for (size_t i = 0; i < learner->registry.n_peers; i++) {
        const struct registry_peer *peer = learner->registry.peers[i];
        if (peer->here) say_stop(learner, peer, reason);
    }
}
