#include "learner/opening.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/exit_status.h"
#include "common/log.h"
#include "common/mlp.h"
#include "common/rundir.h"
#include "learner/learner.h"

int opening_refuse(const char *what, int rc) {
    log_error("%s: %s", what, strerror(-rc));
    return rc == -ENOMEM ? EXIT_CRASH : EXIT_REFUSED;
}

static int check_options(struct learner *learner) {
    const struct config *config = &learner->config;
    if (config->run_dir[0] == '\0') {
        log_error("run_dir is missing: name the run's directory, "
                  "e.g. --run_dir=runs/first");
        return EXIT_REFUSED;
    }
    learner->threads = trainer_threads(config, mlp_blas_setup() == 0);
    if (learner->threads == 0) {
        log_error("threads = %" PRIu64 ": this OpenBLAS is the serial build, "
                  "which gives wrong numbers to several threads; use "
                  "threads = 1 or install libopenblas0-pthread",
                  config->threads);
        return EXIT_REFUSED;
    }
    return 0;
}

static int lock_run(struct learner *learner) {
    const char *run = learner->config.run_dir;
    long pid = 0;
    int rc = rundir_create(run);
    if (rc != 0) return opening_refuse(run, rc);
    learner->lock = state_lock(run, &pid);
    if (learner->lock == -EWOULDBLOCK) {
        log_error("%s is served by another learner, pid %ld", run, pid);
        return EXIT_REFUSED;
    }
    return learner->lock < 0 ? opening_refuse(run, learner->lock) : 0;
}

static int write_config(const struct learner *learner) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL) return opening_refuse("config.ini", -ENOMEM);
    config_print(&learner->config, out);
    int rc = fclose(out) == 0 ? 0 : -ENOMEM;
    if (rc == 0) {
        rc = rundir_write(learner->config.run_dir, "config.ini", text, len);
    }
    free(text);
    return rc != 0 ? opening_refuse("config.ini", rc) : 0;
}

/* The runs that a new one begins from; a composition has its spec from them. */
static int take_origin(struct learner *learner) {
    const struct config *config = &learner->config;
    struct origin *origin = &learner->origin;
    char why[CONFIG_PATH_LEN + 256] = "out of memory";
    int rc = origin_open(origin, config, why, sizeof(why));
    if (rc != 0) {
        log_error("%s", why);
        return rc == -ENOMEM ? EXIT_CRASH : EXIT_REFUSED;
    }
    if (origin->init != NULL) {
        log_info("beginning with %s of %s at %" PRIu64 " updates",
                 config->init_parts == PARTS_BOTH ? "Q and the sampler"
                 : config->init_parts == PARTS_Q  ? "Q"
                                                  : "the sampler",
                 config->init_from, origin->init->counters.updates);
    }
    if (origin->n_sources > 0) {
        const struct checkpoint *first = origin->sources[0];
        registry_fix_spec(&learner->registry,
                          (struct wire_spec){.obs_dim = (uint32_t)first->S,
                                             .act_dim = (uint32_t)first->A});
        log_info("composing the Q functions of %zu runs", origin->n_sources);
    }
    return 0;
}

/* Options that a run cannot change: what its checkpoint holds depends on them.
 * The rest of it algorithm_load() looks at. */
static int check_resumed(const struct checkpoint *checkpoint,
                         const struct config *config) {
    const struct tensors *tensors = &checkpoint->tensors;
    const char *algorithm = config_word(config, "algorithm");
    const struct tensors_entry *set = tensors_find(tensors, "noise.set");
    const uint64_t noise = set != NULL && set->rank == 2 ? set->shape[0] : 0;
    if (strcmp(checkpoint->task, config->task) != 0) {
        log_error("the run's task is %s: leave out task = %s", checkpoint->task,
                  config->task);
    } else if (strcmp(checkpoint->algorithm, algorithm) != 0) {
        log_error("the run's algorithm is %s: leave out algorithm = %s",
                  checkpoint->algorithm, algorithm);
    } else if (checkpoint->units != config->units) {
        log_error("the run's networks have %" PRIu64
                  " units: leave out units = %" PRIu64,
                  checkpoint->units, config->units);
    } else if (config->algorithm != ALGORITHM_COMPOSE && config->twin_q &&
               tensors_find(tensors, "q2.ws") == NULL) {
        log_error("the run has one Q network: leave out twin_q = true, or "
                  "begin a new run by --init_from");
    } else if (config->algorithm != ALGORITHM_DDPG && config->noise_set > 0 &&
               noise != config->noise_set) {
        log_error("the run's noise_set is %" PRIu64
                  ": leave out noise_set = %" PRIu64
                  ", or begin a new run by --init_from",
                  noise, config->noise_set);
    } else {
        return 0;
    }
    return EXIT_REFUSED;
}

/* What an option makes unfit is for check_resumed() to refuse: an older
 * checkpoint would not fit better. */
static int fits(const struct checkpoint *checkpoint, const void *data,
                char *why, size_t n) {
    const struct config *config = data;
    const bool ours =
        strcmp(checkpoint->algorithm, config_word(config, "algorithm")) == 0 &&
        checkpoint->units == config->units;
    return ours ? trainer_check(config, checkpoint, why, n) : 0;
}

/* The newest checkpoint's numbers: how far we are, what the limiter owes. */
static int take_checkpoint(struct learner *learner) {
    struct registry *registry = &learner->registry;
    int rc = checkpoint_newest(&learner->origin.resume, learner->config.run_dir,
                               fits, &learner->config);
    if (rc == -ENOENT) {
        log_info("no checkpoint yet: learning from the beginning");
        return take_origin(learner);
    }
    if (rc == -EBADMSG) {
        log_error("none of the checkpoints in %s/checkpoints can be read: put "
                  "a copy of one back, or take them away to learn from the "
                  "beginning",
                  learner->config.run_dir);
        return EXIT_REFUSED;
    }
    if (rc != 0) return opening_refuse("checkpoints", rc);
    const struct checkpoint *checkpoint = learner->origin.resume;
    const int status = check_resumed(checkpoint, &learner->config);
    if (status != 0) return status;
    const struct wire_spec spec = {.obs_dim = (uint32_t)checkpoint->S,
                                   .act_dim = (uint32_t)checkpoint->A};
    if (registry->spec.obs_dim != spec.obs_dim ||
        registry->spec.act_dim != spec.act_dim) {
        registry_fix_spec(registry, spec);
    }
    limiter_restore(&learner->limiter, &checkpoint->counters.limiter);
    learner->updates = checkpoint->counters.updates;
    log_info("resuming at %" PRIu64 " updates", learner->updates);
    return 0;
}

static int resume(struct learner *learner, const char *text) {
    struct state state;
    char why[160];
    int rc = state_parse(&state, text, &learner->registry, &learner->limiter,
                         why, sizeof(why));
    if (rc != 0) {
        log_error("%s/state: %s", learner->config.run_dir, why);
        return EXIT_REFUSED;
    }
    if (strcmp(state.task, learner->config.task) != 0) {
        log_error("%s holds a run of task %s, not %s", learner->config.run_dir,
                  state.task, learner->config.task);
        return EXIT_REFUSED;
    }
    // a state that was put back from a copy may be older than the checkpoints
    const uint64_t last = checkpoint_last_generation(learner->config.run_dir);
    learner->state = state;
    learner->state.generation =
        1 + (state.generation > last ? state.generation : last);
    learner->registry.topology = learner->state.generation << 32;
    return take_checkpoint(learner);
}

static int begin(struct learner *learner) {
    struct state *state = &learner->state;
    const char *run = learner->config.run_dir;
    if (checkpoint_last_generation(run) > 0) {
        log_error("there are checkpoints in %s, but no %s/state, which says "
                  "whose they are: put a copy of it back, or name another "
                  "run_dir for a new run",
                  run, run);
        return EXIT_REFUSED;
    }
    int status = take_origin(learner);
    if (status != 0) return status;
    state->generation = 1;
    memcpy(state->task, learner->config.task, sizeof(state->task));
    while (state->run == 0) {
        if (getrandom(&state->run, sizeof(state->run), 0) < 0) {
            return opening_refuse("getrandom", -errno);
        }
    }
    return write_config(learner);
}

/* From the run directory to a state on disk that no earlier learner had. */
static int open_run(struct learner *learner) {
    const struct config *config = &learner->config;
    // lockstep keeps its own count: the limiter only says when it is warm
    const double ratio = config->lockstep ? 0.0 : config->ratio;
    const struct limiter_settings settings = {.ratio = ratio,
                                              .warmup = config->warmup,
                                              .slack = config->slack,
                                              .minibatch = config->minibatch};
    limiter_init(&learner->limiter, &settings);
    int rc = registry_init(&learner->registry, 1);
    if (rc != 0) return opening_refuse("registry", rc);

    char *text = NULL;
    rc = state_read(&text, config->run_dir);
    if (rc == -EBADMSG) {
        log_error("%s/state has bytes of 0 in it: a bad disk? Put a copy of it "
                  "back",
                  config->run_dir);
        return EXIT_REFUSED;
    }
    if (rc != 0 && rc != -ENOENT) return opening_refuse("state", rc);
    int status = text != NULL ? resume(learner, text) : begin(learner);
    free(text);
    if (status != 0) return status;

    const uint64_t steps = (uint64_t)limiter_inserted(&learner->limiter);
    rc = progress_start(&learner->progress, config, learner->state.generation,
                        learner->updates, steps);
    if (rc != 0) return opening_refuse("progress.csv", rc);
    rc = evaluations_start(&learner->evaluations, config, learner->updates);
    if (rc != 0) return opening_refuse("evaluations.csv", rc);

    size_t len = 0;
    text = state_print(&learner->state, &learner->registry, &learner->limiter,
                       &len);
    rc = text == NULL ? -ENOMEM
                      : rundir_write(config->run_dir, "state", text, len);
    free(text);
    learner->saver.state_names = learner->registry.n_peers;
    return rc != 0 ? opening_refuse("state", rc) : 0;
}

int opening_run(struct learner *learner) {
    int status = check_options(learner);
    if (status == 0) status = lock_run(learner);
    return status == 0 ? open_run(learner) : status;
}
