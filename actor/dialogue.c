#include "actor/dialogue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "actor/actor.h"
#include "common/exit_status.h"
#include "common/log.h"

void dialogue_tell(struct actor *a, const struct wire_message *message) {
    if (a->learner == NULL) {
        return;
    }
    int rc = link_client_send(a->learner, message);
    if (rc != 0) log_debug("learner: %s", strerror(-rc));
}

void dialogue_hello(struct actor *a) {
    const enum wire_role role =
        a->config.evaluator ? WIRE_EVALUATOR : WIRE_ACTOR;
    struct wire_message hello = {.type = WIRE_HELLO, .hello = {.role = role}};
    snprintf(hello.hello.build, sizeof(hello.hello.build), "%s",
             config_version());
    a->state = ACTOR_HELLO;
    a->asked_ms = uv_now(a->loop);
    dialogue_tell(a, &hello);
}

void dialogue_ready(struct actor *a) {
    struct wire_message ready = {
        .type = WIRE_READY,
        .ready = {.spec = {.obs_dim = (uint32_t)a->rollout.spec.obs_dim,
                           .act_dim = (uint32_t)a->rollout.spec.act_dim},
                  .model = a->rollout.spec.hash},
    };
    a->state = ACTOR_READY;
    a->asked_ms = uv_now(a->loop);
    dialogue_tell(a, &ready);
}

/* A resumed run may change its shared options (exploration too: it is applied
 * from the next step on), but not those that our environments, buffers and
 * batches on their way were made with. */
static bool still_fits(const struct config *old, const struct config *new) {
    return strcmp(old->task, new->task) == 0 && old->seed == new->seed &&
           old->environments == new->environments && old->batch == new->batch &&
           old->window == new->window && old->units == new->units &&
           old->horizon == new->horizon && old->lockstep == new->lockstep &&
           (!old->evaluator ||
            old->evaluation_episodes == new->evaluation_episodes) &&
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

/* An evaluator has nothing for the shards. */
static void on_topology(struct actor *a, const struct wire_topology *topology) {
    a->topology_version = topology->version;
    if (!a->config.evaluator) delivery_topology(&a->delivery, topology);
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
    if (a->config.evaluator) { /* Go comes once an actor has begun the run */
        a->absent_ms = 0;
        snprintf(a->obstacle, sizeof(a->obstacle),
                 "no actor has begun the run yet");
    }
    actor_explore(a, welcome->ordinal);
    allow_sizes(a);
    on_topology(a, &welcome->topology);
    dialogue_ready(a);
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
        dialogue_hello(a);
    }
}

static void pull_answered(struct actor *a) {
    a->pulled_ms = 0;
    a->refreshing = false;
    if (a->wanted_us == 0) return;
    histogram_add(&a->pulls, uv_hrtime() / 1000 - a->wanted_us);
    a->wanted_us = 0;
}

static void on_parameters(struct actor *a, const struct wire_parameters *p) {
    if (!a->welcomed || a->playing ||
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

void dialogue_on_message(struct link_client *client,
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
            dialogue_hello(a);
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
        actor_wake(a);
        break;
    case WIRE_RECEIVED:
        if (m->received.epoch == a->self.incarnation) {
            outbox_received(&a->outbox, m->received.next);
        }
        break;
    case WIRE_TOPOLOGY:
        if (!a->welcomed) break;
        on_topology(a, &m->topology);
        /* an early evaluator's: the run may have begun */
        if (a->config.evaluator && a->state == ACTOR_READY) dialogue_ready(a);
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
