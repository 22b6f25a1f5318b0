/*
 * Many actors of a run in one process, for load (deploy/stress.sh): each one
 * has the very conversation of a real actor (join.c, dialogue.c, delivery.c,
 * window.c), over a connection of its own to the learner and to every shard,
 * but steps no environments. Its rows are random numbers, made at a given rate.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "actor/actor.h"
#include "common/exit_status.h"
#include "common/histogram.h"
#include "common/log.h"
#include "common/mlp.h"
#include "common/rng.h"
#include "proto/libraries.h"
#include "proto/link_fleet.h"
#include "proto/wire.h"

enum {
    TURN_MS = 1,
    TICK_MS = 100,        /* as a real actor's */
    JOINS_A_SECOND = 500, /* first Hellos */
    POOL_ROWS = 8192,     /* random rows, made once */
    EPISODE_STEPS = 250,
    OUTBOX_EPISODES = 64,
    LINGER_MS = 200,
};

struct simulation;

struct player {
    struct actor actor; /* first: join.c and delivery.c know only this */
    struct simulation *simulation;
    uint64_t length; /* of the running episode */
};

struct simulation {
    struct config config;
    uv_loop_t loop;
    void *zmq;
    struct lifecycle life;
    struct link_fleet fleet;
    uv_timer_t turn;
    struct batch pool;         /* (POOL_ROWS) */
    size_t n, started, served; /* served: all before have a policy */
    struct player *players;    /* (n) */
    uint64_t began_ms;
    double made;     /* batches that the rate has asked for so far */
    double rate_us;  /* when that was last counted */
    uint64_t whole;  /* of them taken up, whole ones */
    uint64_t held;   /* of those, made by nobody: no room, policy or shard */
    uint64_t ticked; /* ticks of all players */
    uint64_t settled_ms;             /* when all had a policy; 0: not yet */
    struct histogram inserts, pulls; /* since then */
    int status;
    bool ending;
};

static struct simulation *of(const struct actor *actor) {
    return ((const struct player *)actor)->simulation;
}

/* ---- what join.c and dialogue.c ask of its owner ---- */

static void end(struct simulation *s, int status, const char *why) {
    if (s->ending) return;
    s->ending = true;
    s->status = status;
    if (why != NULL) {
        if (status == EXIT_FINISHED) {
            log_info("stopping: %s", why);
        } else {
            log_error("%s", why);
        }
    }
    lifecycle_close_all(&s->loop);
}

/* One that cannot go on ends all: they are alike. */
void actor_stop(struct actor *actor, int status, const char *why) {
    actor->stopping = true;
    end(of(actor), status, why);
}

int actor_policy(struct actor *actor, const struct policy *policy,
                 uint64_t version) {
    (void)policy; /* nobody acts by it */
    actor->rollout.version = version;
    return 0;
}

void actor_explore(struct actor *actor, uint64_t ordinal) {
    (void)actor, (void)ordinal;
}

/* The next batch of this actor. */
static void step(struct simulation *s, struct player *player) {
    struct actor *a = &player->actor;
    const size_t n = a->config.batch;
    const size_t from = rng_below(&a->jitter, POOL_ROWS - n + 1);
    for (size_t i = from; i < from + n; i++) {
        const bool ends = ++player->length == EPISODE_STEPS;
        s->pool.r[i] = (float)(a->rollout.steps++ & 0xFFFFFF);
        s->pool.version[i] = a->rollout.version;
        s->pool.flags[i] = ends ? BATCH_TRUNCATED : 0;
        if (!ends) continue;
        const struct wire_episode episode = {.ret = (double)s->pool.r[i],
                                             .length = player->length,
                                             .version = a->rollout.version};
        outbox_push(&a->outbox, &episode);
        a->rollout.episodes++;
        player->length = 0;
    }
    delivery_push(&a->delivery, &s->pool, from, n);
}

static bool may_step(const struct actor *a) {
    return !a->stopping && a->welcomed && a->has_policy &&
           delivery_has_room(&a->delivery);
}

void actor_wake(struct actor *actor) {
    struct simulation *s = of(actor);
    if (s->config.simulated_rate > 0 || s->ending) return;
    while (may_step(actor)) step(s, (struct player *)actor);
}

static void on_room(struct delivery *delivery) {
    actor_wake(delivery->data);
}

static void on_fatal(struct delivery *delivery, int status) {
    actor_stop(delivery->data, status, NULL);
}

int actor_create(struct actor *a) {
    const struct config *config = &a->config;
    struct wire_spec spec;
    (void)config_simulated_spec(config, &spec.obs_dim, &spec.act_dim);
    if (config->batch > POOL_ROWS || config->lockstep) {
        log_error("batch %" PRIu64 ", lockstep %d: simulated actors send at "
                  "most %d rows at once, and not in lockstep",
                  config->batch, config->lockstep, POOL_ROWS);
        return -EINVAL;
    }
    a->rollout.spec.obs_dim = spec.obs_dim;
    a->rollout.spec.act_dim = spec.act_dim;
    a->rollout.shape = (struct mlp_shape){spec.obs_dim, spec.act_dim,
                                          config->units, spec.act_dim};
    int rc = outbox_init(&a->outbox, OUTBOX_EPISODES);
    if (rc != 0) {
        log_error("out of memory for episodes");
        return rc;
    }
    a->delivery.on_room = on_room;
    a->delivery.on_fatal = on_fatal;
    a->delivery.data = a;
    return delivery_start(&a->delivery, a->loop, a->zmq, &a->self, &a->keys,
                          config, a->rank, config->batch, &spec);
}

/* ---- time ---- */

/* Of those that a heartbeat took away: arrivals and the first parameters of
 * thousands are another story. */
static void collect(struct simulation *s, const struct histogram *inserts,
                    const struct histogram *pulls) {
    if (s->settled_ms == 0) return;
    histogram_merge(&s->inserts, inserts);
    histogram_merge(&s->pulls, pulls);
}

static void settle(struct simulation *s, uint64_t now) {
    if (s->settled_ms != 0) return;
    while (s->served < s->n && s->players[s->served].actor.has_policy)
        s->served++;
    if (s->served < s->n) return;
    s->settled_ms = now;
    log_info("all %zu actors have parameters after %.1f s", s->n,
             1e-3 * (double)(now - s->began_ms));
}

static void start_some(struct simulation *s, uint64_t now) {
    const uint64_t due = (now - s->began_ms) * JOINS_A_SECOND / 1000 + 1;
    while (s->started < s->n && s->started < due && !s->ending) {
        struct actor *a = &s->players[s->started++].actor;
        if (join_start(a) != 0) end(s, EXIT_REFUSED, NULL);
    }
}

static void tick_some(struct simulation *s, uint64_t now) {
    const uint64_t due = (now - s->began_ms) * s->n / TICK_MS;
    /* after a pause everyone once, not for each missed one */
    if (due - s->ticked > s->n) s->ticked = due - s->n;
    for (; s->ticked < due && !s->ending; s->ticked++) {
        const size_t i = (size_t)(s->ticked % s->n);
        if (i >= s->started) continue;
        struct actor *a = &s->players[i].actor;
        const uint64_t beat = a->beat_ms;
        const struct histogram inserts = a->delivery.inserts, pulls = a->pulls;
        join_tick(a);
        if (a->beat_ms != beat) collect(s, &inserts, &pulls);
        if (a->welcomed && !a->stopping) delivery_tick(&a->delivery);
    }
}

/* Batches by the rate, the players in turn; what cannot be made is held, as an
 * actor stands still that has no room. */
static void step_some(struct simulation *s) {
    const double now_us = 1e-3 * (double)uv_hrtime();
    const double rate =
        s->config.simulated_rate / (double)s->players[0].actor.config.batch;
    double passed = 1e-6 * (now_us - s->rate_us);
    s->rate_us = now_us;
    if (s->started < s->n || rate <= 0) return;
    if (passed > 0.1) passed = 0.1; /* no flood after a pause */
    s->made += rate * passed;
    for (; (double)s->whole + 1 <= s->made && !s->ending; s->whole++) {
        struct player *player = &s->players[s->whole % s->n];
        if (may_step(&player->actor)) {
            step(s, player);
        } else {
            s->held++;
        }
    }
}

static void on_turn(uv_timer_t *timer) {
    struct simulation *s = timer->data;
    const uint64_t now = uv_now(&s->loop);
    start_some(s, now);
    if (!s->ending) tick_some(s, now);
    settle(s, now);
    if (!s->ending) step_some(s);
}

/* ---- start and end ---- */

static void on_stop(struct lifecycle *life, const char *why) {
    end(life->data, EXIT_FINISHED, why);
}

static int make_pool(struct simulation *s) {
    uint32_t S, A;
    (void)config_simulated_spec(&s->config, &S, &A);
    int rc = batch_init(&s->pool, POOL_ROWS, S, A);
    if (rc != 0) return rc;
    struct rng rng;
    rng_init(&rng, s->config.seed, RNG_ACTOR, UINT64_MAX, 0, 0);
    s->pool.n = POOL_ROWS;
    rng_fill_normal(&rng, s->pool.s, (size_t)POOL_ROWS * S);
    rng_fill_normal(&rng, s->pool.next, (size_t)POOL_ROWS * S);
    rng_fill_uniform(&rng, s->pool.a, (size_t)POOL_ROWS * A, -1.0f, 1.0f);
    return 0;
}

static int make_player(struct simulation *s, size_t i) {
    struct actor *a = &s->players[i].actor;
    char name[WIRE_NAME_LEN + 24];
    s->players[i].simulation = s;
    a->config = s->config;
    a->loop = &s->loop;
    a->zmq = s->zmq;
    snprintf(name, sizeof(name), "%s-%zu",
             s->config.name[0] != '\0' ? s->config.name : "simulated", i);
    if (link_self_init(&a->self, "actor", name) != 0) return EXIT_REFUSED;
    a->self.fleet = &s->fleet;
    a->pull.data = a;
    return uv_timer_init(&s->loop, &a->pull) == 0 ? 0 : EXIT_CRASH;
}

static int start(struct simulation *s) {
    s->n = (size_t)s->config.simulated;
    s->players = calloc(s->n, sizeof(*s->players));
    if (s->players == NULL || make_pool(s) != 0) {
        log_error("out of memory for %zu actors", s->n);
        return EXIT_CRASH;
    }
    int rc =
        lifecycle_start(&s->life, &s->loop, s->config.lifeline, on_stop, s);
    if (rc == 0) rc = uv_timer_init(&s->loop, &s->turn);
    s->turn.data = s;
    if (rc == 0) rc = uv_timer_start(&s->turn, on_turn, TURN_MS, TURN_MS);
    if (rc != 0) {
        log_error("start: %s", uv_strerror(rc));
        return EXIT_CRASH;
    }
    int status = 0;
    for (size_t i = 0; i < s->n && status == 0; i++) status = make_player(s, i);
    s->began_ms = uv_now(&s->loop);
    return status;
}

static void print_quantiles(const char *name, const struct histogram *h) {
    printf("%ss %" PRIu64 "\n%s_us_p50 %" PRIu64 "\n%s_us_p95 %" PRIu64
           "\n%s_us_p99 %" PRIu64 "\n%s_us_p999 %" PRIu64 "\n",
           name, h->n, name, histogram_quantile(h, 0.5), name,
           histogram_quantile(h, 0.95), name, histogram_quantile(h, 0.99), name,
           histogram_quantile(h, 0.999));
}

/* "name value" lines on stdout. */
static void print(struct simulation *s) {
    uint64_t rows = 0, acknowledged = 0, busy = 0, stale = 0, served = 0;
    uint64_t outstanding = 0, episodes = 0, lost = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct actor *a = &s->players[i].actor;
        collect(s, &a->delivery.inserts, &a->pulls);
        rows += a->rollout.steps;
        acknowledged += a->delivery.acknowledged;
        busy += a->delivery.busy;
        stale += a->delivery.stale;
        outstanding += window_outstanding(&a->delivery.window);
        served += a->has_policy;
        episodes += a->rollout.episodes;
        lost += a->outbox.lost;
    }
    const uint64_t ms =
        s->settled_ms != 0 ? uv_now(&s->loop) - s->settled_ms : 0;
    printf("simulated %zu\nsettled_seconds %.1f\nserved %" PRIu64
           "\nrows %" PRIu64 "\nacknowledged %" PRIu64
           "\noutstanding_batches %" PRIu64 "\nheld_batches %" PRIu64
           "\nbusy %" PRIu64 "\nstale %" PRIu64 "\nepisodes %" PRIu64
           "\nepisodes_lost %" PRIu64 "\n",
           s->n, 1e-3 * (double)ms, served, rows, acknowledged, outstanding,
           s->held, busy, stale, episodes, lost);
    print_quantiles("insert", &s->inserts);
    print_quantiles("pull", &s->pulls);
    fflush(stdout);
}

static void finish(struct simulation *s) {
    for (size_t i = 0; s->players != NULL && i < s->n; i++) {
        struct actor *a = &s->players[i].actor;
        join_finish(a, LINGER_MS);
        delivery_finish(&a->delivery, LINGER_MS);
        outbox_finish(&a->outbox);
    }
    link_fleet_finish(&s->fleet, LINGER_MS);
    free(s->players);
    batch_finish(&s->pool);
}

static const struct config_library libraries[] = {
    {"libzmq", libraries_zmq},
    {"libuv", libraries_uv},
    {"protobuf-c", wire_protobuf_version},
    {"OpenBLAS", mlp_blas_version},
    {0},
};

int main(int argc, char **argv) {
    static struct simulation s; /* outlives uv_run(), as handles must */
    if (config_load(&s.config, CONFIG_SIMULATE, libraries, argc, argv) != 0) {
        return EXIT_REFUSED;
    }
    lifecycle_raise_fd_limit();
    s.zmq = zmq_ctx_new();
    if (s.zmq == NULL || uv_loop_init(&s.loop) != 0) {
        log_error("no memory for a context and a loop");
        return EXIT_CRASH;
    }
    zmq_ctx_set(s.zmq, ZMQ_BLOCKY, 0);
    int status = start(&s);
    if (status != 0) lifecycle_close_all(&s.loop);
    uv_run(&s.loop, UV_RUN_DEFAULT); /* success and failure end here */
    if (status == 0) print(&s);
    finish(&s);
    int leaked = uv_loop_close(&s.loop); /* -EBUSY: a handle is still open */
    zmq_ctx_term(s.zmq);
    if (leaked != 0) log_warn("a handle was left open");
    return status != 0 ? status : s.status;
}
