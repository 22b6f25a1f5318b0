/*
 * Shared objects for test_plugin and the system tests, one a VARIANT: a counter
 * that moves by its action, and what is wrong with it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actor/include/softq/env.h"

struct counter {
    double at, seed;
    int steps;
};

static int is(const char *variant) {
    return strcmp(VARIANT, variant) == 0;
}

static void *create(void) {
    return is("no_memory") ? NULL : calloc(1, sizeof(struct counter));
}

static void observe(const struct counter *c, double *obs) {
    obs[0] = c->at;
    if (!is("unwritten")) obs[1] = c->seed;
    if (is("still")) obs[1] = 7.0;
    if (is("large")) obs[1] = 1e6 * c->seed;
}

static void reset(void *state, uint64_t seed, double *obs) {
    struct counter *c = state;
    *c = (struct counter){.seed = softq_env_uniform(&seed)};
    observe(c, obs);
}

static void step(void *state, const double *action, double *obs,
                 struct softq_env_result *result) {
    struct counter *c = state;
    static int calls;
    calls++;
    c->at += is("deaf") ? 0.1 * c->seed : action[0];
    if (is("fickle")) c->at += 1e-3 * calls;
    c->steps++;
    result->reward = is("nan") && c->steps == 3 ? (double)NAN : -c->at * c->at;
    if (is("flat")) result->reward = 1.0;
    result->terminal = c->at > (is("short") ? -9.0 : 2.0);
    result->truncated = c->at < -2.0;
    result->unstable = is("unstable");
    observe(c, obs);
}

static void statistics(const void *state, double *stats) {
    const struct counter *c = state;
    stats[0] = c->at;
}

#ifndef NO_SYMBOL
const struct softq_env *softq_env(void) {
    static struct softq_env env = {
        .version = SOFTQ_ENV_VERSION,
        .obs_dim = 2,
        .act_dim = 1,
        .horizon = 10,
        .n_stats = 1,
        .rewarded = "staying near 0",
        .stat_names = {"at"},
        .create = create,
        .destroy = free,
        .reset = reset,
        .step = step,
        .statistics = statistics,
    };
    if (is("null")) return NULL;
    if (is("crash")) abort();
    if (is("version")) env.version = 99;
    if (is("zero")) env.obs_dim = 0;
    if (is("million")) env.act_dim = 1000000;
    if (is("horizon")) env.horizon = 0;
    if (is("many_stats")) env.n_stats = 9;
    if (is("no_name")) env.stat_names[0] = NULL;
    if (is("no_step")) env.step = NULL;
    if (is("no_statistics")) env.statistics = NULL;
    if (is("revised") || is("revised_too")) env.revision = "counter 1";
    return &env;
}
#endif
