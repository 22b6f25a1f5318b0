/*
 * A task in a shared object of the user's (softq/env.h): loaded, checked, and
 * dressed as an env_class. It counts the steps, so that the user need not.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/include/softq/env.h"
#include "actor/tasks/tasks.h"
#include "common/hash.h"

_Static_assert((int)SOFTQ_ENV_MAX_STATS == (int)ENV_MAX_STATS, "statistics");
_Static_assert((int)SOFTQ_ENV_MAX_DIM == (int)ENV_MAX_DIM, "dimensions");

static const char *const remedy = "build it as deploy/examples/my_env.c says";

struct plugin {
    void *library; /* owned */
    const struct softq_env *env;
    uint64_t horizon;
};

struct state {
    const struct plugin *plugin;
    void *own;      /* the user's */
    double *action; /* (A) clipped */
    double *obs;    /* (S) */
    uint64_t steps; /* of the running episode */
};

/* Is what the library says a task that can be? */
static int check_env(const struct softq_env *env, char *why, size_t n) {
    if (!env) {
        snprintf(why, n, "softq_env() returned NULL");
    } else if (env->version != SOFTQ_ENV_VERSION) {
        snprintf(why, n,
                 "it is built for version %u of softq/env.h, this program has "
                 "version %d: build it anew",
                 env->version, SOFTQ_ENV_VERSION);
    } else if (env->obs_dim - 1 >= ENV_MAX_DIM ||
               env->act_dim - 1 >= ENV_MAX_DIM) {
        snprintf(why, n,
                 "obs_dim is %u and act_dim %u: each from 1 to %d is possible",
                 env->obs_dim, env->act_dim, ENV_MAX_DIM);
    } else if (env->horizon < 1 || env->horizon > 1000000000) {
        snprintf(why, n, "horizon is %llu: from 1 to 1e9 is possible",
                 (unsigned long long)env->horizon);
    } else if (env->n_stats > ENV_MAX_STATS) {
        snprintf(why, n, "n_stats is %u: at most %d are possible", env->n_stats,
                 ENV_MAX_STATS);
    } else if (!env->create || !env->destroy || !env->reset || !env->step ||
               (env->n_stats > 0 && !env->statistics)) {
        snprintf(why, n, "%s is NULL: it is needed",
                 !env->create    ? "create"
                 : !env->destroy ? "destroy"
                 : !env->reset   ? "reset"
                 : !env->step    ? "step"
                                 : "statistics");
    } else {
        for (uint32_t i = 0; i < env->n_stats; i++) {
            if (env->stat_names[i] && env->stat_names[i][0] != '\0') continue;
            snprintf(why, n, "stat_names[%u] is missing", i);
            return -EINVAL;
        }
        return 0;
    }
    return -EINVAL;
}

/* The library at path (of options->file, absolute: dlopen would look for a bare
 * name elsewhere). */
static int open_library(struct plugin *plugin, const char *path, char *why,
                        size_t n) {
    plugin->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin->library) {
        const char *error = dlerror();
        snprintf(why, n, "%s; %s", error ? error : "cannot be loaded", remedy);
        return -EBADMSG;
    }
    const struct softq_env *(*get)(void) = NULL;
    void *symbol = dlsym(plugin->library, "softq_env");
    if (!symbol) {
        snprintf(why, n, "%s: it has no function softq_env(); %s", path,
                 remedy);
        return -EBADMSG;
    }
    memcpy(&get, &symbol, sizeof(get)); // C knows no cast from data to code
    char reason[256];
    plugin->env = get();
    int err = check_env(plugin->env, reason, sizeof(reason));
    if (err) snprintf(why, n, "%s: %s", path, reason);
    return err;
}

static int fill_hash(const struct plugin *plugin, uint64_t *hash,
                     const char *path) {
    const struct softq_env *env = plugin->env;
    *hash = HASH_START;
    if (!env->revision) return hash_file(hash, path);
    *hash = hash_bytes(*hash, env->revision, strlen(env->revision));
    return 0;
}

static void plugin_unload(void *model) {
    struct plugin *plugin = model;
    if (plugin->library) dlclose(plugin->library);
    free(plugin);
}

static int plugin_load(const struct env_class *class, void **model,
                       struct env_spec *spec, const struct env_options *options,
                       char *why, size_t n) {
    (void)class;
    char path[PATH_MAX];
    uint64_t hash = 0;
    if (!realpath(options->file, path)) {
        snprintf(why, n, "there is no shared object %s: %s", options->file,
                 strerror(errno));
        return -ENOENT;
    }
    struct plugin *plugin = calloc(1, sizeof(*plugin));
    if (!plugin) {
        snprintf(why, n, "out of memory");
        return -ENOMEM;
    }
    int err = open_library(plugin, path, why, n);
    if (!err) {
        err = fill_hash(plugin, &hash, path);
        if (err) snprintf(why, n, "%s: %s", path, strerror(-err));
    }
    if (err) {
        plugin_unload(plugin);
        return err;
    }
    const struct softq_env *env = plugin->env;
    plugin->horizon = options->horizon > 0 ? options->horizon : env->horizon;
    *model = plugin;
    *spec = (struct env_spec){.obs_dim = env->obs_dim,
                              .act_dim = env->act_dim,
                              .horizon = plugin->horizon,
                              .n_stats = env->n_stats,
                              .rewarded = env->rewarded,
                              .hash = hash};
    for (size_t i = 0; i < spec->n_stats; i++)
        spec->stat_names[i] = env->stat_names[i];
    return 0;
}

static void plugin_destroy(void *state) {
    struct state *s = state;
    if (s->own) s->plugin->env->destroy(s->own);
    free(s->action);
    free(s->obs);
    free(s);
}

static void *plugin_create(void *model) {
    const struct plugin *plugin = model;
    struct state *s = calloc(1, sizeof(*s));
    if (!s) return NULL;
    s->plugin = plugin;
    s->action = calloc(plugin->env->act_dim, sizeof(*s->action));
    s->obs = calloc(plugin->env->obs_dim, sizeof(*s->obs));
    if (s->action && s->obs) s->own = plugin->env->create();
    if (s->own) return s;
    plugin_destroy(s);
    return NULL;
}

/* An observation that was never written is no number. */
static void poison(struct state *s) {
    for (size_t i = 0; i < s->plugin->env->obs_dim; i++)
        s->obs[i] = (double)NAN;
}

static void give(const struct state *s, float *obs) {
    for (size_t i = 0; i < s->plugin->env->obs_dim; i++)
        obs[i] = (float)s->obs[i];
}

static void plugin_reset(void *state, struct rng *rng, float *obs) {
    struct state *s = state;
    s->steps = 0;
    poison(s);
    s->plugin->env->reset(s->own, rng_u64(rng), s->obs);
    give(s, obs);
}

static void plugin_step(void *state, const double *action, float *obs,
                        struct env_result *result) {
    struct state *s = state;
    const struct softq_env *env = s->plugin->env;
    struct softq_env_result theirs = {0};
    for (size_t i = 0; i < env->act_dim; i++)
        s->action[i] = fmin(fmax(action[i], -1.0), 1.0);
    poison(s);
    env->step(s->own, s->action, s->obs, &theirs);
    s->steps++;
    const bool over = s->steps >= s->plugin->horizon;
    *result = (struct env_result){
        .reward = theirs.reward,
        .terminal = theirs.terminal != 0,
        .truncated = !theirs.terminal && (theirs.truncated != 0 || over),
        .unstable = theirs.unstable != 0,
    };
    give(s, obs);
}

static void plugin_statistics(const void *state, double *stats) {
    const struct state *s = state;
    if (s->plugin->env->n_stats > 0) s->plugin->env->statistics(s->own, stats);
}

static void plugin_position(const void *state, double xy[2]) {
    const struct state *s = state;
    const struct softq_env *env = s->plugin->env;
    xy[0] = s->obs[0];
    xy[1] = env->obs_dim > 1 ? s->obs[1] : 0.0;
    if (env->position) env->position(s->own, xy);
}

const struct env_class tasks_plugin = {
    .name = "env",
    .rewarded = "what its author says",
    .one_thread = true,
    .load = plugin_load,
    .unload = plugin_unload,
    .create = plugin_create,
    .destroy = plugin_destroy,
    .reset = plugin_reset,
    .step = plugin_step,
    .statistics = plugin_statistics,
    .position = plugin_position,
};
