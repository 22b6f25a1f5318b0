#include "learner/cycle.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/log.h"
#include "learner/dialogue.h"
#include "learner/learner.h"

/* Minibatches lent at once: enough that the trainer never waits for the loop,
 * few enough that parameters and checkpoints are soon served. */
enum { LENT_MAX = 4 };

static void wake(void *data) {
    struct learner *learner = data;
    uv_async_send(&learner->results);
}

/* The longest messages of this run, those between others too: a run that could
 * never exchange them must not begin. */
static int allow_sizes(struct learner *learner, struct wire_spec spec) {
    const struct config *config = &learner->config;
    const uint64_t rows =
        config->batch > config->minibatch ? config->batch : config->minibatch;
    int rc = link_server_max_size(
        &learner->server,
        wire_max_size(&spec, rows, trainer_parameters(learner->trainer)));
    if (rc != 0) {
        log_error("messages of %" PRIu64 " rows (the larger of minibatch and "
                  "batch) or of %zu parameters are too long: at most 64 MiB",
                  rows, trainer_parameters(learner->trainer));
    }
    return rc;
}

/* Memory for the connections of all who may come, after what is large and
 * stays, which would take it. A shard's are two: it joins, and is asked. */
static void reserve(const struct learner *learner) {
    const struct config *config = &learner->config;
    const size_t expected =
        config->actors + 2 * config->shards + config->evaluators;
    (void)lifecycle_reserve(expected < learner->max_peers ? expected
                                                          : learner->max_peers);
}

int cycle_start(struct learner *learner, struct wire_spec spec) {
    const struct config *config = &learner->config;
    char why[CONFIG_PATH_LEN + 256] = "";
    int rc = feed_init(&learner->feed, (size_t)config->prefetch,
                       (size_t)config->minibatch, spec.obs_dim, spec.act_dim);
    if (rc == 0 && config->lockstep) rc = lockstep_start(learner, spec);
    if (rc == 0) {
        rc = trainer_start(&learner->trainer, config, spec.obs_dim,
                           spec.act_dim, learner->threads, &learner->origin,
                           wake, learner, why, sizeof(why));
    }
    if (rc != 0) {
        log_error("cannot begin to learn: %s",
                  why[0] != '\0' ? why : strerror(-rc));
        return rc == -EINVAL ? EXIT_REFUSED : EXIT_CRASH;
    }
    origin_close(&learner->origin);
    if (allow_sizes(learner, spec) != 0) return EXIT_REFUSED;
    reserve(learner);

    rng_init(&learner->feed_rng, config->seed, RNG_LEARNER, 0,
             learner->state.generation, ALGORITHM_STREAM_FEED);
    learner->feed.rng = &learner->feed_rng;
    learner->feed.ask = cycle_ask;
    learner->feed.data = learner;
    // an answer meant for an earlier learner must not find its id again
    learner->feed.next_id = (learner->state.generation << 40) + 1;
    uint64_t now = uv_now(learner->loop);
    saver_resumed(learner);
    learner->saver.due_ms = now + (uint64_t)(1e3 * config->checkpoint_seconds);
    learner->published_updates = UINT64_MAX; // never yet
    cycle_publish(learner, now);
    log_info("observations of %u, actions of %u, %zu worker thread%s",
             spec.obs_dim, spec.act_dim, learner->threads,
             learner->threads > 1 ? "s" : "");
    return 0;
}

static size_t list_sources(const struct learner *learner,
                           struct feed_source *sources) {
    const struct registry *registry = &learner->registry;
    size_t n = 0;
    for (size_t i = 0; i < registry->n_shards; i++) {
        const struct registry_shard *shard = &registry->shards[i];
        if (registry_serves(registry, shard)) {
            sources[n++] = (struct feed_source){.key = shard->rank,
                                                .size = shard->present};
        }
    }
    return n;
}

uint64_t cycle_us(void) {
    return uv_hrtime() / 1000;
}

/* The shard's newest grant; remembers that it was told. */
static uint64_t grant(struct learner *learner, struct registry_shard *shard) {
    shard->granted = limiter_grant(&learner->limiter, shard->ring_id);
    return shard->granted;
}

void cycle_ask(void *data, const struct feed_ask *ask) {
    struct learner *learner = data;
    const struct registry_peer *peer = learner->registry.peers[ask->key];
    struct registry_shard *shard = registry_shard_of(&learner->registry, peer);
    if (shard == NULL) return; // asked again by cycle_expire()
    dialogue_send(learner, peer,
                  &(struct wire_message){
                      .type = WIRE_SAMPLE,
                      .sample = {.id = ask->id,
                                 .update = ask->update,
                                 .part = ask->part,
                                 .n = ask->n,
                                 .store_until = grant(learner, shard)}});
}

/* Log2 buckets of updates between acting and learning. */
static void count_ages(struct learner *learner, const struct batch *rows) {
    const uint64_t generation = learner->state.generation;
    const uint64_t now = learner->updates + learner->lent;
    for (size_t i = 0; i < rows->n; i++) {
        if (rows->version[i] >> 40 != generation) {
            learner->aged_out++;
            continue;
        }
        const uint64_t then = rows->version[i] & ((UINT64_C(1) << 40) - 1);
        const uint64_t age = now > then ? now - then : 0;
        unsigned bucket = 0;
        while (bucket < WHY_AGES - 1 && age >> bucket != 0) bucket++;
        learner->ages[bucket]++;
        progress_age(&learner->progress, age);
    }
}

static void hand_over(struct learner *learner) {
    const uint64_t max = learner->config.max_updates;
    while (learner->lent < LENT_MAX && feed_has_complete(&learner->feed) &&
           (max == 0 || (uint64_t)learner->limiter.updates < max) &&
           limiter_may_update(&learner->limiter)) {
        struct feed_slot *slot = feed_take(&learner->feed);
        count_ages(learner, &slot->rows);
        progress_actions(&learner->progress, &slot->rows);
        limiter_updated(&learner->limiter);
        learner->lent++;
        trainer_submit(learner->trainer,
                       &(struct trainer_job){.kind = TRAINER_UPDATE,
                                             .rows = &slot->rows,
                                             .data = slot});
        saver_passed(learner); // right behind the update, before the next
    }
}

/* A grant that changed so much that a shard should not learn it from the next
 * heartbeat: stalled actors wait for it. */
static void push_grants(struct learner *learner) {
    const uint64_t much = learner->config.slack / 4 + 1;
    for (size_t i = 0; i < learner->registry.n_shards; i++) {
        struct registry_shard *shard = &learner->registry.shards[i];
        if (!registry_serves(&learner->registry, shard)) continue;
        const uint64_t old = shard->granted;
        const uint64_t now = limiter_grant(&learner->limiter, shard->ring_id);
        const uint64_t change = now > old ? now - old : old - now;
        // the actors wait when the shard is at its grant: then each row counts
        const bool stalled = now > old && shard->stored >= old;
        if (change < much && !stalled) continue;
        dialogue_send(learner, learner->registry.peers[shard->rank],
                      &(struct wire_message){
                          .type = WIRE_GRANT,
                          .grant = {.store_until = grant(learner, shard)}});
    }
}

void cycle_pump(struct learner *learner) {
    if (learner->ending) return;
    if (learner->trainer != NULL && !learner->config.lockstep) {
        hand_over(learner);
        if (learner->limiter.warm) {
            struct feed_source sources[FEED_MAX_SOURCES];
            size_t n = list_sources(learner, sources);
            feed_fill(&learner->feed, sources, n, cycle_us());
        }
    }
    push_grants(learner);
}

void cycle_expire(struct learner *learner) {
    if (learner->trainer == NULL || learner->ending) return;
    struct feed_source sources[FEED_MAX_SOURCES];
    size_t n = list_sources(learner, sources);
    feed_expire(&learner->feed, sources, n, cycle_us(),
                (uint64_t)(1e6 * learner->config.sample_timeout));
}

void cycle_publish(struct learner *learner, uint64_t now_ms) {
    const uint64_t interval =
        (uint64_t)(1e3 * learner->config.publish_interval);
    const bool first = learner->published_updates == UINT64_MAX;
    if (learner->trainer == NULL || learner->publish_asked ||
        learner->config.lockstep ||
        learner->updates == learner->published_updates ||
        (!first && now_ms - learner->published_ms < interval) ||
        trainer_room(learner->trainer) < 2) {
        return;
    }
    learner->publish_asked = true;
    learner->published_ms = now_ms;
    trainer_submit(learner->trainer,
                   &(struct trainer_job){.kind = TRAINER_PARAMETERS});
}

static void on_parameters(struct learner *learner,
                          struct trainer_result *result) {
    learner->publish_asked = false;
    int rc = result->error;
    if (rc == 0) {
        const uint64_t version =
            learner->state.generation << 40 | result->updates;
        rc = publish_set(&learner->publish, version, learner->lockstep.round,
                         result->policy);
    }
    free(result->policy);
    if (rc == 0) {
        learner->published_updates = result->updates;
    } else {
        log_warn("publishing: %s; trying again", strerror(-rc));
    }
    if (learner->config.lockstep) {
        if (rc == 0) lockstep_published(learner);
        // else the tick asks how many rows there are, and so comes here again
        if (rc != 0) learner->lockstep.phase = LOCKSTEP_NEXT;
        return;
    }
    dialogue_serve_waiting(learner);
}

static void on_update(struct learner *learner, struct trainer_result *result) {
    if (!learner->config.lockstep) {
        feed_give_back(&learner->feed, result->data);
        learner->lent--;
    }
    if (result->error != 0) {
        char reason[128];
        snprintf(reason, sizeof(reason), "%s is not finite at update %" PRIu64,
                 result->what != NULL ? result->what : "something",
                 learner->updates + 1);
        log_error("%s; the last good checkpoint is kept", reason);
        learner_end(learner, EXIT_NON_FINITE, reason);
        return;
    }
    learner->updates = result->updates;
    learner->busy_seconds += result->seconds;
    learner->progressed_ms = uv_now(learner->loop);
    learner->figures = result->figures;
    progress_figures(&learner->progress, &result->figures);
    if (learner->config.lockstep) lockstep_updated(learner);
}

void cycle_on_results(uv_async_t *async) {
    struct learner *learner = async->data;
    struct trainer_result result;
    while (learner->trainer != NULL &&
           trainer_next(learner->trainer, &result)) {
        switch (result.kind) {
        case TRAINER_UPDATE:
            on_update(learner, &result);
            break;
        case TRAINER_PARAMETERS:
            on_parameters(learner, &result);
            break;
        case TRAINER_CHECKPOINT: {
            // its row is the one that a resumed run is cut back to
            const struct progress_now now = learner_now(learner);
            if (learner->progress.row.updates != now.updates) {
                progress_row(&learner->progress, &now);
            }
            saver_write(learner, result.checkpoint);
            break;
        }
        }
    }
    learner_check_limits(learner);
    if (learner->config.lockstep) {
        lockstep_go_on(learner);
        return;
    }
    cycle_publish(learner, uv_now(learner->loop));
    cycle_pump(learner);
}

void cycle_report(struct learner *learner, struct registry_shard *shard,
                  uint64_t stored, uint64_t present) {
    shard->stored = stored;
    shard->present = present;
    // a ring past LIMITER_MAX_RINGS was refused when it came
    (void)limiter_report(&learner->limiter, shard->ring_id, stored, present,
                         shard->capacity);
}
