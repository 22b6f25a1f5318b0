#include "learner/why.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum {
    WAITING_MS = 3000, /* without an update, before it is said */
    QUIET_MS = 2500,   /* two heartbeats missed: said of a shard */
};

enum obstacle {
    NOTHING,
    NO_SHARD,
    NO_ACTOR, /* and no shapes: nobody can begin */
    NO_RING,
    WARM_UP,
    NO_STEPS,
    NO_MINIBATCH,
};

static size_t actors_here(const struct why *why) {
    return registry_count(why->registry, WIRE_ACTOR, REGISTRY_SILENT_MS);
}

static enum obstacle obstacle_of(const struct why *why) {
    if (why->now_ms - why->progressed_ms < WAITING_MS) return NOTHING;
    const struct registry *registry = why->registry;
    if (registry_count(registry, WIRE_SHARD, REGISTRY_SILENT_MS) == 0)
        return NO_SHARD;
    if (registry->spec.obs_dim == 0 && actors_here(why) == 0) return NO_ACTOR;
    if (registry_listed(registry) == 0) return NO_RING;
    if (!why->limiter->warm) return WARM_UP;
    return limiter_may_update(why->limiter) ? NO_MINIBATCH : NO_STEPS;
}

/* Rows that count for warm-up, and what they must come to. */
static void warming(const struct why *why, uint64_t *present,
                    uint64_t *wanted) {
    uint64_t capacity = 0;
    *present = 0;
    for (size_t i = 0; i < why->registry->n_shards; i++) {
        const struct registry_shard *shard = &why->registry->shards[i];
        if (shard->state != WIRE_SHARD_LISTED) continue;
        *present += shard->present;
        capacity += shard->capacity;
    }
    *wanted = why->config->warmup < capacity ? why->config->warmup : capacity;
}

const char *why_waiting(const struct why *why, char *text, size_t n) {
    const bool acting = actors_here(why) > 0;
    uint64_t present, wanted;
    switch (obstacle_of(why)) {
    case NOTHING:
        return NULL;
    case NO_SHARD:
        snprintf(text, n, "waiting for a shard");
        break;
    case NO_ACTOR:
        snprintf(text, n, "waiting for the first actor: it brings the shapes");
        break;
    case NO_RING:
        snprintf(text, n, "waiting for a shard's ring");
        break;
    case WARM_UP:
        warming(why, &present, &wanted);
        snprintf(text, n, "warm-up: %" PRIu64 " of %" PRIu64 " rows%s", present,
                 wanted, acting ? "" : ", waiting for actors");
        break;
    case NO_STEPS:
        snprintf(text, n, "waiting for %s (ratio %g)",
                 acting ? "the actors' steps" : "actors", why->config->ratio);
        break;
    case NO_MINIBATCH:
        snprintf(text, n, "waiting for minibatches");
        break;
    }
    return text;
}

/* ---- sentences ---- */

static const char *s(uint64_t n) {
    return n == 1 ? "" : "s";
}

/* Rows that the actors are ahead of what the ratio wants. */
static double rows_ahead(const struct limiter *limiter) {
    return (double)(limiter->inserted - limiter->i0) -
           (double)(limiter->updates - limiter->u0) / limiter->ratio;
}

/* Near the slack's end shards answer Busy: their grants are told in steps. */
static bool held_back(const struct why *why) {
    const struct limiter *limiter = why->limiter;
    return limiter->warm && limiter->ratio > 0.0 &&
           rows_ahead(limiter) > 0.75 * (double)limiter->slack;
}

static void print_balance(const struct why *why, FILE *out) {
    const struct limiter *limiter = why->limiter;
    fprintf(out, "updates go on, %.0f a second, and steps, %.0f a second: ",
            why->updates_per_second, why->steps_per_second);
    if (!limiter->warm) {
        fprintf(out, "the last of those that were under way\n");
    } else if (limiter->ratio <= 0.0) {
        fprintf(out, "ratio = 0 lets each side go its own pace\n");
    } else if (held_back(why)) {
        fprintf(out,
                "the actors wait for the learner, %.0f rows ahead of ratio %g "
                "(slack %" PRId64 ")\n",
                rows_ahead(limiter), limiter->ratio, limiter->slack);
    } else if (!limiter_may_update(limiter)) {
        fprintf(out,
                "the learner waits for the actors' steps (ratio %g) most of "
                "the time\n",
                limiter->ratio);
    } else {
        fprintf(out,
                "neither side waits, the actors are %.0f rows ahead of ratio "
                "%g (slack %" PRId64 ")\n",
                rows_ahead(limiter), limiter->ratio, limiter->slack);
    }
}

/* The oldest part of a minibatch that no answer has come for. */
static const struct feed_part *oldest_part(const struct feed *feed) {
    const struct feed_part *oldest = NULL;
    for (size_t i = 0; i < feed->n_slots; i++) {
        const struct feed_slot *slot = &feed->slots[i];
        if (slot->state != FEED_AWAITED) continue;
        for (size_t j = 0; j < slot->n_parts; j++) {
            const struct feed_part *part = &slot->parts[j];
            if (part->awaited && (!oldest || part->asked_us < oldest->asked_us))
                oldest = part;
        }
    }
    return oldest;
}

static void print_obstacle(const struct why *why, FILE *out) {
    const bool acting = actors_here(why) > 0;
    const struct feed_part *part = oldest_part(why->feed);
    uint64_t present, wanted;
    const enum obstacle obstacle = obstacle_of(why);
    if (obstacle == NOTHING) {
        print_balance(why, out);
        return;
    }
    fprintf(out, "no update for %.0f s: ",
            1e-3 * (double)(why->now_ms - why->progressed_ms));
    switch (obstacle) {
    case NOTHING:
        break;
    case NO_SHARD:
        fprintf(out,
                "no shard is here. Start one: softq-replay --join=%s "
                "--run_dir=RUN\n",
                why->address);
        break;
    case NO_ACTOR:
        fprintf(out,
                "the first actor brings the task's shapes. Start one: "
                "softq-actor --join=%s\n",
                why->address);
        break;
    case NO_RING:
        fprintf(out, "a shard is here, its ring is not open yet (its log says "
                     "why)\n");
        break;
    case WARM_UP:
        warming(why, &present, &wanted);
        fprintf(out, "warm-up, %" PRIu64 " of %" PRIu64 " rows are there, ",
                present, wanted);
        if (!acting)
            fprintf(out,
                    "and no actor makes more. Start one: softq-actor "
                    "--join=%s\n",
                    why->address);
        else if (why->steps_per_second > 0.0 && present < wanted)
            fprintf(out, "%.0f s more at %.0f steps a second\n",
                    (double)(wanted - present) / why->steps_per_second,
                    why->steps_per_second);
        else
            fprintf(out, "and no new ones come\n");
        break;
    case NO_STEPS:
        fprintf(out,
                "ratio %g allows the next one when %.0f more row%s stored, ",
                why->config->ratio,
                fmax(1.0, 1.0 - floor(rows_ahead(why->limiter))),
                rows_ahead(why->limiter) >= 0.0 ? " is" : "s are");
        if (acting)
            fprintf(out, "and the actors store %.0f a second\n",
                    why->steps_per_second);
        else
            fprintf(out,
                    "and no actor is here. Start one: softq-actor --join=%s\n",
                    why->address);
        break;
    case NO_MINIBATCH:
        if (part)
            fprintf(out, "%s owes a part of a minibatch since %.1f s\n",
                    why->registry->peers[part->key]->name,
                    fmax(0.0, 1e-3 * (double)why->now_ms -
                                  1e-6 * (double)part->asked_us));
        else
            fprintf(out, "the trainer is at work on the one it has\n");
        break;
    }
}

static void print_shards(const struct why *why, FILE *out, const char *before) {
    const struct registry *registry = why->registry;
    for (size_t i = 0; i < registry->n_shards; i++) {
        const struct registry_shard *shard = &registry->shards[i];
        const char *name = registry->peers[shard->rank]->name;
        const double silent = 1e-3 * (double)shard->silent_ms;
        if (shard->state == WIRE_SHARD_DEAD)
            fprintf(out,
                    "%sshard %" PRIu32 " (%s) is dead, silent for %.0f s: "
                    "sampling goes on without its rows, they come back with "
                    "it\n",
                    before, shard->index, name, silent);
        else if (!registry_serves(registry, shard))
            fprintf(out,
                    "%sshard %" PRIu32 " (%s) has not come back yet: it is "
                    "given up %.3g s after it was last heard (%.0f s ago)\n",
                    before, shard->index, name, why->config->dead_after,
                    silent);
        else if (shard->silent_ms >= QUIET_MS)
            fprintf(out,
                    "%sshard %" PRIu32 " (%s) has said nothing for %.1f s: it "
                    "is declared dead after %.3g s\n",
                    before, shard->index, name, silent,
                    why->config->dead_after);
    }
}

/* What there is to say of all actors together. */
struct crowd {
    uint64_t here, silent, full, bare;
    uint64_t outstanding; /* batches, at most (a window is a span) */
    const struct registry_peer *quietest, *behind; /* NULL: none */
};

static bool of_this_generation(uint64_t version, uint64_t now) {
    return version != 0 && version >> 40 == now >> 40 && version <= now;
}

static struct crowd look_at_actors(const struct why *why) {
    struct crowd crowd = {0};
    for (size_t i = 0; i < why->registry->n_peers; i++) {
        const struct registry_peer *peer = why->registry->peers[i];
        const struct wire_counters *c = &peer->progress.counters;
        if (!peer->here || peer->role != WIRE_ACTOR) continue;
        crowd.here++;
        crowd.outstanding += c->outstanding;
        if (peer->silent_ms >= REGISTRY_SILENT_MS) {
            crowd.silent++;
            if (!crowd.quietest || peer->silent_ms > crowd.quietest->silent_ms)
                crowd.quietest = peer;
            continue;
        }
        crowd.full += c->waiting != 0;
        crowd.bare += c->policy_version == 0;
        if (c->waiting == 0 &&
            of_this_generation(c->policy_version, why->version) &&
            (!crowd.behind ||
             c->policy_version <
                 crowd.behind->progress.counters.policy_version))
            crowd.behind = peer;
    }
    return crowd;
}

static void print_actors(const struct why *why, FILE *out, const char *before) {
    const struct crowd crowd = look_at_actors(why);
    const struct config *config = why->config;
    if (crowd.silent > 0)
        fprintf(
            out,
            "%s%" PRIu64 " of %" PRIu64 " actors %s silent (%s for %.0f s): "
            "forgotten after %d s, and nothing else follows\n",
            before, crowd.silent, crowd.here, crowd.silent == 1 ? "is" : "are",
            crowd.quietest->name, 1e-3 * (double)crowd.quietest->silent_ms,
            REGISTRY_FORGET_MS / 1000);
    if (crowd.full > 0)
        fprintf(out,
                "%s%" PRIu64 " of %" PRIu64 " actors stand%s with a full "
                "window of %" PRIu64 " batches: %s\n",
                before, crowd.full, crowd.here, crowd.full == 1 ? "s" : "",
                config->window,
                held_back(why)
                    ? "the ratio holds them back until more updates are made"
                    : "a shard owes them answers");
    if (crowd.bare > 0 && why->version != 0)
        fprintf(out,
                "%s%" PRIu64 " of %" PRIu64 " actors wait for their first "
                "parameters\n",
                before, crowd.bare, crowd.here);
    if (crowd.here > 0)
        fprintf(out,
                "%s%" PRIu64 " actor%s may be ahead by %" PRIu64 " x %" PRIu64
                " x %" PRIu64 " = %" PRIu64 " rows (actors, window, batch); "
                "%" PRIu64 " batch%s are not acknowledged yet\n",
                before, crowd.here, s(crowd.here), crowd.here, config->window,
                config->batch, crowd.here * config->window * config->batch,
                crowd.outstanding, crowd.outstanding == 1 ? "" : "es");
    if (crowd.behind)
        fprintf(out,
                "%sthe oldest policy that acts (%s) is %" PRIu64
                " updates behind the newest\n",
                before, crowd.behind->name,
                why->version - crowd.behind->progress.counters.policy_version);
}

static void print_evaluators(const struct why *why, FILE *out,
                             const char *before) {
    for (size_t i = 0; i < why->registry->n_peers; i++) {
        const struct registry_peer *peer = why->registry->peers[i];
        if (!peer->here || peer->role != WIRE_EVALUATOR ||
            peer->silent_ms < REGISTRY_SILENT_MS)
            continue;
        fprintf(out,
                "%s%s has been silent for %.0f s: evaluations wait for it or "
                "another one, training does not\n",
                before, peer->name, 1e-3 * (double)peer->silent_ms);
    }
}

/* Upper end of the bucket that holds the share of all n rows. */
static uint64_t age_at(const struct why *why, uint64_t n, double share) {
    uint64_t below = 0;
    size_t i = 0;
    for (; i < WHY_AGES - 1; i++) {
        below += why->ages[i];
        if ((double)below >= share * (double)n) break;
    }
    return (UINT64_C(1) << i) - 1;
}

static void print_ages(const struct why *why, FILE *out, const char *before) {
    uint64_t n = 0;
    for (size_t i = 0; i < WHY_AGES; i++) n += why->ages[i];
    if (n > 0)
        fprintf(out,
                "%shalf of the rows learned from were made at most %" PRIu64
                " updates before, 95 %% at most %" PRIu64 "\n",
                before, age_at(why, n, 0.5), age_at(why, n, 0.95));
    if (why->aged_out > 0)
        fprintf(out,
                "%s%" PRIu64 " rows learned from were made before this learner "
                "started\n",
                before, why->aged_out);
}

void why_print(const struct why *why, FILE *out, const char *before) {
    fputs(before, out);
    print_obstacle(why, out);
    print_shards(why, out, before);
    print_actors(why, out, before);
    print_evaluators(why, out, before);
    if (why->checkpoint_rc != 0)
        fprintf(out,
                "%sthe last checkpoint could not be written (%s): tried again "
                "every few seconds, the newest on disk is of update %" PRIu64
                "\n",
                before, strerror(-why->checkpoint_rc), why->checkpoint_updates);
    if (why->refused > 0)
        fprintf(out, "%s%" PRIu64 " message%s refused, the last: %s\n", before,
                why->refused, why->refused == 1 ? " was" : "s were",
                why->refusal);
    if (why->bad > 0)
        fprintf(out, "%s%" PRIu64 " message%s no message of ours\n", before,
                why->bad, why->bad == 1 ? " was" : "s were");
    if (why->keys_refused > 0)
        fprintf(out,
                "%s%" PRIu64 " handshake%s of keys that are not allowed "
                "(deploy/keys.sh list; the log names them)\n",
                before, why->keys_refused,
                why->keys_refused == 1 ? " was" : "s were");
    if (why->keys_messages > 0)
        fprintf(out,
                "%s%" PRIu64 " message%s refused that the sender's key may not "
                "send\n",
                before, why->keys_messages,
                why->keys_messages == 1 ? " was" : "s were");
    print_ages(why, out, before);
}
