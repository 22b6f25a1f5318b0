#include "actor/rollout.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/task.h"
#include "common/policy.h"

/* What a random stream is used for; two an environment, and behind those of
 * any number of environments one more each. */
enum { STREAM_NOISE, STREAM_START, STREAMS };
static const uint64_t stream_explore = UINT64_C(1) << 32;

static int allocate(struct rollout *r) {
    const size_t E = r->E, S = r->spec.obs_dim, A = r->spec.act_dim;
    r->states = calloc(E, sizeof(*r->states));
    r->noise = calloc(E, sizeof(*r->noise));
    r->start = calloc(E, sizeof(*r->start));
    r->explore = calloc(E, sizeof(*r->explore));
    r->s = calloc(E * S, sizeof(*r->s));
    r->next = calloc(E * S, sizeof(*r->next));
    r->x = calloc(E * S, sizeof(*r->x));
    r->xi = calloc(E * A, sizeof(*r->xi));
    r->a = calloc(E * A, sizeof(*r->a));
    r->n = calloc(E * A, sizeof(*r->n));
    r->action = calloc(E * A, sizeof(*r->action));
    r->results = calloc(E, sizeof(*r->results));
    r->skipped = calloc(E, sizeof(*r->skipped));
    r->ret = calloc(E, sizeof(*r->ret));
    r->discounted = calloc(E, sizeof(*r->discounted));
    r->weight = calloc(E, sizeof(*r->weight));
    r->length = calloc(E, sizeof(*r->length));
    r->room = E > ROLLOUT_EPISODES ? E : ROLLOUT_EPISODES;
    r->ended = calloc(r->room, sizeof(*r->ended));
    if (!r->states || !r->noise || !r->start || !r->explore || !r->s ||
        !r->next || !r->x || !r->xi || !r->a || !r->n || !r->action ||
        !r->results || !r->skipped || !r->ret || !r->discounted || !r->weight ||
        !r->length || !r->ended)
        return -ENOMEM;
    return mlp_work_init(&r->work, &r->shape, E, E);
}

static void begin_episode(struct rollout *r, size_t e) {
    const size_t A = r->spec.act_dim;
    memset(r->n + e * A, 0, sizeof(*r->n) * A);
    r->ret[e] = r->discounted[e] = 0.0;
    r->weight[e] = 1.0;
    r->length[e] = 0;
    r->class->reset(r->states[e], &r->start[e], r->s + e * r->spec.obs_dim);
    if (r->watcher) r->watcher(r->watcher_user, e, 0, r->states[e], NULL);
}

/* Every environment anew, at its first episode's start. */
static int begin(struct rollout *r) {
    for (size_t e = 0; e < r->E; e++) {
        rng_init(&r->noise[e], r->seed, r->role, r->rank, r->epoch,
                 e * STREAMS + STREAM_NOISE);
        rng_init(&r->start[e], r->seed, r->role, r->rank, r->epoch,
                 e * STREAMS + STREAM_START);
        rng_init(&r->explore[e], r->seed, r->role, r->rank, r->epoch,
                 stream_explore + e);
        if (r->states[e]) r->class->destroy(r->states[e]);
        r->states[e] = r->class->create(r->model);
        if (!r->states[e]) return -ENOMEM;
        begin_episode(r, e);
    }
    return 0;
}

/* More than there are environments would have nothing to do. */
static size_t threads_of(const struct rollout *r, const struct config *config) {
    const size_t threads = (size_t)config->actor_threads;
    if (r->class->one_thread) return 1;
    return threads < r->E ? threads : r->E;
}

int rollout_init(struct rollout *r, const struct config *config,
                 enum rng_role role, uint64_t rank, uint64_t epoch, char *why,
                 size_t n) {
    *r = (struct rollout){.E = config->environments,
                          .seed = config->seed,
                          .role = role,
                          .rank = rank,
                          .epoch = epoch,
                          .gamma = config->gamma};
    struct task task;
    int err = task_load(&task, &r->model, &r->spec, config, why, n);
    if (err) return err;
    r->class = task.class;
    const size_t threads = threads_of(r, config);
    snprintf(r->task, sizeof(r->task), "%s", config->task);
    const size_t A = r->spec.act_dim;
    r->shape = (struct mlp_shape){r->spec.obs_dim, A, config->units, A};
    err = allocate(r);
    if (!err) err = begin(r);
    if (!err && threads > 1) {
        r->pool = pool_new(threads);
        if (!r->pool) err = -EAGAIN;
    }
    if (err == -EAGAIN)
        snprintf(why, n, "actor_threads: %zu threads cannot be started",
                 threads);
    else if (err)
        snprintf(why, n, "out of memory for %zu environments", r->E);
    return err;
}

int rollout_again(struct rollout *r) {
    r->steps = r->episodes = r->discarded = r->episodes_lost = 0;
    r->first = r->pending = 0;
    return begin(r);
}

void rollout_finish(struct rollout *r) {
    pool_free(r->pool);
    for (size_t e = 0; r->states && e < r->E; e++)
        if (r->states[e]) r->class->destroy(r->states[e]);
    if (r->model) r->class->unload(r->model);
    free(r->states), free(r->noise), free(r->start), free(r->explore);
    free(r->s), free(r->next), free(r->x), free(r->xi), free(r->a);
    free(r->n), free(r->action), free(r->policy);
    free(r->results), free(r->skipped);
    free(r->ret), free(r->discounted), free(r->weight);
    free(r->length), free(r->ended);
    mlp_work_finish(&r->work);
    *r = (struct rollout){0};
}

void rollout_watch(struct rollout *r, rollout_watcher *watcher, void *user) {
    assert(r->steps == 0 && r->discarded == 0);
    r->watcher = watcher;
    r->watcher_user = user;
    for (size_t e = 0; e < r->E; e++) watcher(user, e, 0, r->states[e], NULL);
}

int rollout_set_policy(struct rollout *r, const struct policy *policy,
                       uint64_t version) {
    struct policy *copy = policy ? policy_copy(policy) : NULL;
    if (policy && !copy) return -ENOMEM;
    free(r->policy);
    r->policy = copy;
    r->version = version;
    return 0;
}

void rollout_explore(struct rollout *r, const struct exploration *exploration) {
    r->exploration = *exploration;
}

/* a out (E, A) for the observations in r->s. */
static void choose_actions(struct rollout *r) {
    const size_t A = r->spec.act_dim;
    if (!r->policy) {
        for (size_t e = 0; e < r->E; e++)
            rng_fill_uniform(&r->noise[e], r->a + e * A, A, -1.0f, 1.0f);
        return;
    }
    // a stream an environment: what one does never depends on the others
    for (size_t e = 0; e < r->E; e++)
        policy_draw_noise(r->policy, r->xi + e * A, 1, &r->noise[e]);
    policy_observe(r->policy, r->x, r->s, r->E);
    policy_act(&r->shape, r->a, NULL, r->policy->phi, r->x, r->xi, r->E, 1,
               &r->work);
    for (size_t e = 0; e < r->E; e++)
        exploration_apply(&r->exploration, r->a + e * A, r->n + e * A, A,
                          &r->explore[e]);
}

static bool is_finite(const float *x, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

static int check_finite(const struct rollout *r, size_t e, const float *x,
                        size_t len, const char *what, char *why, size_t n) {
    if (is_finite(x, len)) return 0;
    snprintf(why, n,
             "%s is not finite: %s, environment %zu, step %" PRIu64
             ", seed %" PRIu64 ", rank %" PRIu64 ", policy version %" PRIu64,
             what, r->task, e, r->length[e], r->seed, r->rank, r->version);
    return -EDOM;
}

static void end_episode(struct rollout *r, size_t e, bool terminal) {
    if (r->pending == r->room) {
        r->first = (r->first + 1) % r->room;
        r->pending--;
        r->episodes_lost++;
    }
    struct rollout_episode *episode =
        &r->ended[(r->first + r->pending++) % r->room];
    *episode = (struct rollout_episode){
        .number = r->episodes++,
        .env = e,
        .ret = r->ret[e],
        .discounted = r->discounted[e],
        .length = r->length[e],
        .version = r->version,
        .terminal = terminal,
    };
    r->class->statistics(r->states[e], episode->stats);
}

static void write_row(const struct rollout *r, size_t e, struct batch *batch,
                      const struct env_result *result) {
    const size_t S = r->spec.obs_dim, A = r->spec.act_dim, row = batch->n;
    assert(row < batch->capacity && batch->S == S && batch->A == A);
    memcpy(batch->s + row * S, r->s + e * S, sizeof(float) * S);
    memcpy(batch->a + row * A, r->a + e * A, sizeof(float) * A);
    memcpy(batch->next + row * S, r->next + e * S, sizeof(float) * S);
    batch->r[row] = (float)result->reward;
    batch->flags[row] = (uint8_t)((result->terminal ? BATCH_TERMINAL : 0) |
                                  (result->truncated ? BATCH_TRUNCATED : 0));
    batch->version[row] = r->version;
    batch->n++;
}

/* Of one environment alone, on any thread. */
static void simulate_one(struct rollout *r, size_t e) {
    const size_t S = r->spec.obs_dim, A = r->spec.act_dim;
    double *action = r->action + e * A;
    r->skipped[e] = (r->length[e] == 0 && !is_finite(r->s + e * S, S)) ||
                    !is_finite(r->a + e * A, A);
    if (r->skipped[e]) return;
    for (size_t i = 0; i < A; i++) action[i] = (double)r->a[e * A + i];
    r->class->step(r->states[e], action, r->next + e * S, &r->results[e]);
}

/* A thread takes the next environment, since steps differ in what they cost. */
static void simulate_some(void *arg, size_t slice) {
    (void)slice;
    struct rollout *r = arg;
    size_t e;
    while ((e = atomic_fetch_add(&r->next_env, 1)) < r->E) simulate_one(r, e);
}

static void simulate(struct rollout *r) {
    if (!r->pool) {
        for (size_t e = 0; e < r->E; e++) simulate_one(r, e);
        return;
    }
    atomic_store(&r->next_env, 0);
    pool_run(r->pool, simulate_some, r);
}

/* What came of it: in index order, and on the caller's thread. */
static int settle_one(struct rollout *r, size_t e, struct batch *batch,
                      char *why, size_t n) {
    const size_t S = r->spec.obs_dim, A = r->spec.act_dim;
    const struct env_result result = r->results[e];
    int err = 0;
    if (r->skipped[e]) {
        err =
            check_finite(r, e, r->s + e * S, S, "a first observation", why, n);
        return err ? err
                   : check_finite(r, e, r->a + e * A, A, "an action", why, n);
    }
    r->length[e]++;

    if (result.unstable) {
        r->discarded++;
        begin_episode(r, e);
        return 0;
    }
    const float reward = (float)result.reward;
    err = check_finite(r, e, r->next + e * S, S, "an observation", why, n);
    if (!err) err = check_finite(r, e, &reward, 1, "a reward", why, n);
    if (err) return err;

    r->ret[e] += result.reward;
    r->discounted[e] += r->weight[e] * result.reward;
    r->weight[e] *= r->gamma;
    r->steps++;
    if (r->watcher)
        r->watcher(r->watcher_user, e, r->length[e], r->states[e], &result);
    if (batch) write_row(r, e, batch, &result);
    if (result.terminal || result.truncated) {
        end_episode(r, e, result.terminal);
        begin_episode(r, e);
    } else {
        memcpy(r->s + e * S, r->next + e * S, sizeof(float) * S);
    }
    return 0;
}

int rollout_step(struct rollout *r, struct batch *batch, char *why, size_t n) {
    assert(!batch || batch->capacity - batch->n >= r->E);
    choose_actions(r);
    simulate(r);
    for (size_t e = 0; e < r->E; e++) {
        int err = settle_one(r, e, batch, why, n);
        if (err) return err;
    }
    return 0;
}

size_t rollout_take(struct rollout *r, struct rollout_episode *episodes,
                    size_t max) {
    const size_t taken = r->pending < max ? r->pending : max;
    for (size_t i = 0; i < taken; i++)
        episodes[i] = r->ended[(r->first + i) % r->room];
    r->first = (r->first + taken) % r->room;
    r->pending -= taken;
    return taken;
}
