#include "learner/lockstep.h"

#include <math.h>
#include <string.h>

#include "common/exit_status.h"
#include "learner/dialogue.h"
#include "learner/learner.h"

int lockstep_start(struct learner *learner, struct wire_spec spec) {
    return batch_init(&learner->lockstep.rows,
                      (size_t)learner->config.minibatch, spec.obs_dim,
                      spec.act_dim);
}

void lockstep_finish(struct lockstep *lockstep) {
    batch_finish(&lockstep->rows);
}

bool lockstep_admits(const struct learner *learner,
                     const struct wire_message *message, const char **why) {
    const struct registry *registry = &learner->registry;
    *why = NULL;
    if (message->type != WIRE_HELLO) return true;
    const enum wire_role role = message->hello.role;
    if (role == WIRE_EVALUATOR) {
        *why = "lockstep takes no evaluator";
        return false;
    }
    if (role != WIRE_ACTOR && role != WIRE_SHARD) return true;
    for (size_t i = 0; i < registry->n_peers; i++) {
        const struct registry_peer *peer = registry->peers[i];
        if (peer->here && peer->role == role &&
            strcmp(peer->name, message->name) != 0) {
            *why = role == WIRE_ACTOR ? "lockstep takes one actor"
                                      : "lockstep takes one shard";
            return false;
        }
    }
    return role == WIRE_ACTOR || registry->n_peers > 0;
}

static struct registry_shard *the_shard(struct learner *learner) {
    struct registry *registry = &learner->registry;
    for (size_t i = 0; i < registry->n_shards; i++) {
        if (registry_serves(registry, &registry->shards[i])) {
            return &registry->shards[i];
        }
    }
    return NULL;
}

/* Ask for the next update's minibatch; its answer also says how many rows are
 * stored, and so whether there is a next update in this round. */
static void ask(struct learner *learner, const struct registry_shard *shard,
                uint64_t now_ms) {
    struct lockstep *lockstep = &learner->lockstep;
    lockstep->phase = LOCKSTEP_ASKED;
    lockstep->asked_ms = now_ms;
    dialogue_send(learner, learner->registry.peers[shard->rank],
                  &(struct wire_message){
                      .type = WIRE_SAMPLE,
                      .sample = {.id = lockstep->id,
                                 .update = learner->updates + 1,
                                 .n = (uint32_t)learner->config.minibatch,
                                 .store_until = limiter_grant(
                                     &learner->limiter, shard->ring_id)}});
}

void lockstep_go_on(struct learner *learner) {
    struct lockstep *lockstep = &learner->lockstep;
    const uint64_t now_ms = uv_now(learner->loop);
    const struct registry_shard *shard = the_shard(learner);
    const uint64_t again_ms = (uint64_t)(1e3 * learner->config.resend_after);
    if (learner->ending || shard == NULL || learner->trainer == NULL) return;
    // a checkpoint that is still being written could make us skip the next
    if (lockstep->phase == LOCKSTEP_NEXT && !saver_busy(learner)) {
        lockstep->id++;
        ask(learner, shard, now_ms);
    } else if (lockstep->phase == LOCKSTEP_ASKED &&
               now_ms - lockstep->asked_ms >= again_ms) {
        ask(learner, shard, now_ms);
    }
}

void lockstep_get_parameters(struct learner *learner,
                             const struct registry_peer *peer, uint64_t round) {
    struct lockstep *lockstep = &learner->lockstep;
    if (lockstep->phase != LOCKSTEP_IDLE) {
        lockstep->actor = peer->rank; // it asks again: its turn comes
        lockstep->round = round;
        return;
    }
    if (lockstep->answered && lockstep->answered_round == round &&
        lockstep->answered_incarnation == peer->incarnation) {
        (void)link_server_send_packed(&learner->server, &peer->route,
                                      &learner->publish.packed);
        return;
    }
    lockstep->actor = peer->rank;
    lockstep->round = round;
    lockstep->phase = LOCKSTEP_NEXT;
    lockstep_go_on(learner);
}

/* Updates that n stored rows are worth. */
static uint64_t due(const struct config *config, uint64_t n) {
    const double rows = n > config->warmup ? (double)(n - config->warmup) : 0.0;
    const uint64_t updates = (uint64_t)floor(config->ratio * rows);
    return config->max_updates > 0 && updates > config->max_updates
               ? config->max_updates
               : updates;
}

void lockstep_minibatch(struct learner *learner,
                        const struct wire_minibatch *minibatch) {
    struct lockstep *lockstep = &learner->lockstep;
    const struct config *config = &learner->config;
    const struct batch *rows = &minibatch->rows;
    if (lockstep->phase != LOCKSTEP_ASKED || minibatch->id != lockstep->id) {
        learner->feed.late++;
        return;
    }
    struct trainer_job job = {.kind = TRAINER_PARAMETERS};
    if (due(config, minibatch->stored) > learner->updates) {
        if (rows->n != config->minibatch || rows->S != lockstep->rows.S ||
            rows->A != lockstep->rows.A ||
            !limiter_may_update(&learner->limiter)) {
            return; // asked again
        }
        lockstep->rows.n = 0;
        batch_append(&lockstep->rows, rows, 0, rows->n);
        limiter_updated(&learner->limiter);
        progress_actions(&learner->progress, &lockstep->rows);
        job = (struct trainer_job){.kind = TRAINER_UPDATE,
                                   .rows = &lockstep->rows};
    } else if (config->max_steps > 0 &&
               minibatch->stored >= config->max_steps) {
        learner_end(learner, EXIT_FINISHED, "max_steps reached");
        return;
    }
    lockstep->phase = LOCKSTEP_TRAINER;
    trainer_submit(learner->trainer, &job);
}

void lockstep_updated(struct learner *learner) {
    if (learner->updates % learner->config.checkpoint_updates == 0) {
        saver_ask(learner);
    }
    saver_passed(learner);
    learner->lockstep.phase = LOCKSTEP_NEXT;
}

void lockstep_published(struct learner *learner) {
    struct lockstep *lockstep = &learner->lockstep;
    const struct registry_peer *peer = learner->registry.peers[lockstep->actor];
    lockstep->phase = LOCKSTEP_IDLE;
    lockstep->answered = true;
    lockstep->answered_round = lockstep->round;
    lockstep->answered_incarnation = peer->incarnation;
    (void)link_server_send_packed(&learner->server, &peer->route,
                                  &learner->publish.packed);
}
