#include "actor/actor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "actor/evaluator.h"
#include "common/exit_status.h"
#include "common/log.h"

enum {
    TICK_MS = 100,
    REFRESH_MS = 1000,   /* longer without an answer: on with the old policy */
    CROWD_TICK_MS = 500, /* joined, one of a crowd: ticks are what it costs */
    WAIT_TICK_MS = 1000, /* nor has it anything to send: as often as it beats */
    OUTBOX_EPISODES = 8192,
    LINGER_MS = 200,
    SAY_LOST_MS = 10000,
};

/* Lockstep: one step, once this round's parameters are here. */
static bool lockstep_may_step(const struct actor *a) {
    return !a->round_asked && !a->round_stepped;
}

static bool may_step(const struct actor *a) {
    if (a->stopping || !a->welcomed || !a->has_policy || a->resting ||
        a->refreshing)
        return false;
    if (a->config.evaluator) return a->playing;
    if (a->config.on_full == ON_FULL_DROP) return true;
    if (!delivery_has_room(&a->delivery)) return false;
    return a->config.lockstep ? lockstep_may_step(a)
                              : a->stage.n < a->config.batch;
}

/* The first n rows of the stage went away. */
static void drop_front(struct actor *a, size_t n) {
    a->spare.n = 0;
    batch_append(&a->spare, &a->stage, n, a->stage.n - n);
    struct batch old = a->stage;
    a->stage = a->spare;
    a->spare = old;
}

/* on_full = drop: room for one step more. */
static void drop_oldest(struct actor *a) {
    const size_t most = a->stage.capacity - a->rollout.E;
    if (a->stage.n <= most) return;
    a->dropped += a->stage.n - most;
    drop_front(a, a->stage.n - most);
}

static void say_lost(const struct actor *a, struct actor_said *said,
                     uint64_t total, const char *what, const char *why) {
    const uint64_t now = uv_now(a->loop);
    if (total == said->total || (said->ms > 0 && now - said->ms < SAY_LOST_MS))
        return;
    log_warn("%s: %" PRIu64 " %s, %" PRIu64 " in all", why, total - said->total,
             what, total);
    *said = (struct actor_said){.total = total, .ms = now};
}

static void say_losses(struct actor *a) {
    if (a->config.evaluator) return; /* it loses none, and begins again */
    say_lost(a, &a->said.dropped, a->dropped, "rows dropped (on_full = drop)",
             a->delivery.listed == 0 ? "no shard is listed"
                                     : "the window is full");
    say_lost(a, &a->said.unreceived, a->outbox.lost, "episodes lost",
             a->state == ACTOR_JOINED ? "the learner receives too few"
                                      : "the learner is away");
}

static void on_rested(uv_timer_t *timer) {
    struct actor *a = timer->data;
    a->resting = false;
    actor_wake(a);
    if (!uv_is_active((const uv_handle_t *)&a->step))
        turns_end(&a->turns, uv_hrtime());
}

/* After rows went away, so that a rest keeps none waiting. */
static void take_turns(struct actor *a) {
    const uint64_t ms = turns_rest(&a->turns, uv_hrtime(), &a->jitter);
    if (ms == 0) return;
    a->resting = a->paused = true;
    uv_idle_stop(&a->step);
    uv_timer_start(&a->rest, on_rested, ms, 0);
}

/* Send whole batches, and with all set the rest as well. */
static void flush(struct actor *a, bool all) {
    size_t most = a->config.lockstep ? a->stage.capacity : a->config.batch;
    size_t sent = 0;
    while (delivery_has_room(&a->delivery)) {
        size_t left = a->stage.n - sent;
        if (left == 0 || (left < most && !all)) break;
        size_t n = left < most ? left : most;
        delivery_push(&a->delivery, &a->stage, sent, n);
        sent += n;
    }
    if (sent > 0) {
        drop_front(a, sent);
        a->stage_ms = uv_now(a->loop);
        take_turns(a);
    }
}

static void take_episodes(struct actor *a) {
    struct rollout_episode ended[32];
    size_t n = 0;
    while ((n = rollout_take(&a->rollout, ended, 32)) > 0) {
        for (size_t i = 0; i < n; i++) {
            struct wire_episode episode = {
                .ret = ended[i].ret,
                .length = ended[i].length,
                .version = ended[i].version,
                .n_stats = (uint32_t)a->rollout.spec.n_stats,
            };
            memcpy(episode.stats, ended[i].stats,
                   sizeof(*episode.stats) * episode.n_stats);
            outbox_push(&a->outbox, &episode);
        }
    }
}

/* The end of a round: its rows are stored, now the learner's turn. */
static void lockstep_turn(struct actor *a) {
    if (!a->round_stepped || a->stage.n > 0 ||
        window_outstanding(&a->delivery.window) > 0) {
        return;
    }
    a->round_stepped = false;
    a->round++;
    a->round_asked = true;
    join_pull(a);
}

static void on_step(uv_idle_t *idle) {
    struct actor *a = idle->data;
    if (!may_step(a)) {
        uv_idle_stop(idle); /* actor_wake() starts it again */
        a->paused = !a->config.evaluator;
        turns_end(&a->turns, uv_hrtime());
        return;
    }
    if (a->config.evaluator) {
        evaluator_step(a);
        return;
    }
    char why[256];
    drop_oldest(a);
    if (a->stage.n == 0) a->stage_ms = uv_now(a->loop);
    if (rollout_step(&a->rollout, &a->stage, why, sizeof(why)) != 0) {
        actor_stop(a, EXIT_NON_FINITE, why);
        return;
    }
    take_episodes(a);
    flush(a, a->config.lockstep);
    a->round_stepped = true;
    /* a round whose every row was discarded has nothing to wait for */
    if (a->config.lockstep) lockstep_turn(a);
}

void actor_wake(struct actor *a) {
    if (!may_step(a)) return;
    if (a->pull_put_off) {
        a->pull_put_off = false;
        join_pull(a);
        a->refreshing = a->state == ACTOR_JOINED;
        if (a->refreshing) return;
    }
    a->paused = false;
    turns_begin(&a->turns, uv_hrtime());
    uv_idle_start(&a->step, on_step);
}

/* Steps do not wait for a learner that does not answer. */
static void watch_refresh(struct actor *a) {
    if (a->state != ACTOR_JOINED ||
        uv_now(a->loop) - a->pulled_ms >= REFRESH_MS)
        a->refreshing = false;
}

static void on_room(struct delivery *delivery) {
    struct actor *a = delivery->data;
    if (a->stopping) {
        return;
    }
    flush(a, a->config.lockstep);
    if (a->config.lockstep) lockstep_turn(a);
    actor_wake(a);
}

static void on_fatal(struct delivery *delivery, int status) {
    actor_stop(delivery->data, status, NULL);
}

int actor_create(struct actor *a) {
    if (a->config.evaluator) return evaluator_create(a);
    char why[256];
    const struct config *config = &a->config;
    uint64_t epoch = config->lockstep ? 0 : a->self.incarnation;
    int rc = rollout_init(&a->rollout, config, RNG_ACTOR, a->rank, epoch, why,
                          sizeof(why));
    if (rc != 0) {
        log_error("%s", why);
        return rc;
    }
    const struct wire_spec spec = {
        .obs_dim = (uint32_t)a->rollout.spec.obs_dim,
        .act_dim = (uint32_t)a->rollout.spec.act_dim,
    };
    if (config->actor_threads > 1 && a->rollout.class->one_thread) {
        log_warn("actor_threads = %" PRIu64 ": environments of one's own (env) "
                 "are stepped on one; more actors use more cores",
                 config->actor_threads);
    }
    if (config->idle_priority && config->on_full == ON_FULL_PAUSE) {
        turns_init(&a->turns, config->idle_actors * config->actor_threads,
                   uv_available_parallelism());
    }
    size_t room = config->batch + config->environments;
    size_t rows = config->lockstep ? room : config->batch;
    rc = batch_init(&a->stage, room, spec.obs_dim, spec.act_dim);
    if (rc == 0) rc = batch_init(&a->spare, room, spec.obs_dim, spec.act_dim);
    if (rc == 0) rc = outbox_init(&a->outbox, OUTBOX_EPISODES);
    if (rc != 0) {
        log_error("out of memory for %zu rows", room);
        return rc;
    }
    a->delivery.on_room = on_room;
    a->delivery.on_fatal = on_fatal;
    a->delivery.data = a;
    rc = delivery_start(&a->delivery, a->loop, a->zmq, &a->self, &a->keys,
                        config, a->rank, rows, &spec);
    /* after what stays, which has used up what main() reserved */
    (void)lifecycle_reserve(1 + config->shards);
    return rc;
}

void actor_explore(struct actor *a, uint64_t ordinal) {
    if (a->config.evaluator) return;
    const struct exploration old = a->rollout.exploration;
    const struct exploration new = exploration_of(&a->config, ordinal);
    const bool same =
        new.kind == old.kind &&new.scale == old.scale &&new.decay == old.decay;
    rollout_explore(&a->rollout, &new);
    if (new.kind == EXPLORATION_NONE) {
        if (new.kind != old.kind) log_info("exploration: none");
    } else if (!same) {
        log_info("exploration: %s, scale %g (actor %" PRIu64
                 ", ladder of %" PRIu64 ")",
                 exploration_name(&new), (double)new.scale, ordinal,
                 a->config.actors);
    }
}

int actor_policy(struct actor *a, const struct policy *policy,
                 uint64_t version) {
    if (a->config.evaluator) return evaluator_begin(a, policy, version);
    return rollout_set_policy(&a->rollout, policy, version);
}

static uint64_t tick_ms(const struct actor *a) {
    if (a->state != ACTOR_JOINED || turns_crowd(&a->turns) <= 2.0)
        return TICK_MS;
    const bool can_send = a->stage.n > 0 && delivery_has_room(&a->delivery);
    return a->paused && !can_send ? WAIT_TICK_MS : CROWD_TICK_MS;
}

static void on_tick(uv_timer_t *timer) {
    struct actor *a = timer->data;
    join_tick(a);
    if (a->stopping || !a->welcomed) {
        return;
    }
    uint64_t old = uv_now(a->loop) - a->stage_ms;
    if (a->stage.n > 0 && old >= (uint64_t)(a->config.flush_after * 1e3)) {
        flush(a, true);
    }
    say_losses(a);
    delivery_tick(&a->delivery);
    watch_refresh(a);
    actor_wake(a);
    uv_timer_start(timer, on_tick, tick_ms(a), TICK_MS);
}

static void say_totals(const struct actor *a) {
    if (a->config.evaluator) return; /* each trial was told */
    log_info("%" PRIu64 " steps, %" PRIu64 " rows acknowledged, %" PRIu64
             " episodes, %" PRIu64 " discarded, %" PRIu64 " dropped",
             a->rollout.steps, a->delivery.acknowledged, a->rollout.episodes,
             a->rollout.discarded, a->dropped);
}

/* Last words: rows of no batch yet, episodes. Nobody waits for answers. */
void actor_stop(struct actor *a, int status, const char *why) {
    if (a->stopping) {
        return;
    }
    if (why != NULL) {
        if (status == EXIT_FINISHED)
            log_info("stopping: %s", why);
        else
            log_error("%s", why);
    }
    a->status = status;
    if (a->welcomed) {
        if (status != EXIT_NON_FINITE) flush(a, true);
        join_send_episodes(a, true);
        say_totals(a);
    }
    a->stopping = true;
    lifecycle_close_all(a->loop);
}

static void on_stop(struct lifecycle *life, const char *why) {
    actor_stop(life->data, EXIT_FINISHED, why);
}

static int start(struct actor *a) {
    int rc = lifecycle_start(&a->life, a->loop, a->config.lifeline, on_stop, a);
    if (rc == 0) rc = uv_timer_init(a->loop, &a->tick);
    if (rc == 0) rc = uv_timer_init(a->loop, &a->pull);
    if (rc == 0) rc = uv_timer_init(a->loop, &a->rest);
    if (rc == 0) rc = uv_idle_init(a->loop, &a->step);
    a->tick.data = a->pull.data = a->rest.data = a->step.data = a;
    if (rc == 0) rc = uv_timer_start(&a->tick, on_tick, 0, TICK_MS);
    if (rc != 0) {
        log_error("start: %s", uv_strerror(rc));
        return EXIT_CRASH;
    }
    return join_start(a) == 0 ? EXIT_FINISHED : EXIT_REFUSED;
}

static void finish(struct actor *a) {
    join_finish(a, LINGER_MS);
    delivery_finish(&a->delivery, LINGER_MS);
    outbox_finish(&a->outbox);
    batch_finish(&a->stage);
    batch_finish(&a->spare);
    rollout_finish(&a->rollout);
    evaluator_finish(a);
}

int actor_run(const struct config *config) {
    uv_loop_t loop;
    void *zmq = zmq_ctx_new();
    struct actor *a = calloc(1, sizeof(*a));
    if (zmq == NULL || a == NULL || uv_loop_init(&loop) != 0) {
        log_error("no memory for a context and a loop");
        free(a);
        return EXIT_CRASH;
    }
    zmq_ctx_set(zmq, ZMQ_BLOCKY, 0); /* a lost peer must not hold us at exit */
    a->config = *config;
    a->loop = &loop;
    a->zmq = zmq;
    const char *role = config->evaluator ? "evaluator" : "actor";
    a->status = link_self_init(&a->self, role, config->name) == 0
                    ? start(a)
                    : EXIT_REFUSED;
    if (a->status != EXIT_FINISHED) {
        lifecycle_close_all(&loop);
    }
    uv_run(&loop, UV_RUN_DEFAULT); /* success and failure end here */

    finish(a);
    int leaked = uv_loop_close(&loop); /* -EBUSY: a handle is still open */
    zmq_ctx_term(zmq);
    int status = a->status;
    free(a);
    if (leaked != 0 && status == EXIT_FINISHED) {
        log_warn("a handle was left open");
    }
    return status;
}
