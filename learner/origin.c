#include "learner/origin.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/rundir.h"

/* The newest checkpoint of another run, and the options it was trained by. */
static int read_run(struct checkpoint **out, struct config *options,
                    const char *run, char *why, size_t n) {
    char path[CONFIG_PATH_LEN + 32], reason[256];
    config_defaults(options);
    int rc = rundir_path(path, sizeof(path), run, "config.ini");
    if (rc != 0 ||
        config_read_file(options, path, reason, sizeof(reason)) != 0) {
        snprintf(why, n, "%s is no run that softq wrote: %s", run,
                 rc != 0 ? strerror(-rc) : reason);
        return -EINVAL;
    }
    rc = checkpoint_newest(out, run, NULL, NULL);
    if (rc == -ENOMEM) return rc;
    if (rc != 0) {
        snprintf(why, n, "%s has no checkpoint that can be read%s%s", run,
                 rc == -ENOENT ? "" : ": ", rc == -ENOENT ? "" : strerror(-rc));
        return -EINVAL;
    }
    return 0;
}

/* alpha that the run ended with. */
static double temperature_of(const struct checkpoint *checkpoint,
                             const struct config *options) {
    const struct tensors_entry *entry =
        tensors_find(&checkpoint->tensors, "temperature");
    double alpha = options->alpha;
    if (entry != NULL && entry->type == TENSORS_F64 && entry->rank == 0)
        memcpy(&alpha, entry->data, sizeof(alpha));
    return alpha;
}

/* Alike as far as differs() prints them: nobody can give an automatic
 * temperature to its last bit. */
static bool same_alpha(double x, double y) {
    return fabs(x - y) <= 1e-5 * fmax(x, y);
}

static int differs(char *why, size_t n, const char *run, const char *option,
                   double there, double here) {
    snprintf(why, n,
             "%s was trained with %s = %g, and this composition has %g: "
             "only Q functions of one %s have a mean that means something "
             "(if all runs have it, give --%s=%g)",
             run, option, there, here, option, option, there);
    return -EINVAL;
}

/* Can its Q be averaged with the first one's, under config? */
static int check_source(const struct checkpoint *first,
                        const struct checkpoint *source, const char *run,
                        const struct config *options,
                        const struct config *config, char *why, size_t n) {
    if (options->algorithm != ALGORITHM_SQL) {
        snprintf(
            why, n,
            "%s was trained by algorithm = %s: only soft Q functions (sql) "
            "can be composed",
            run, config_word(options, "algorithm"));
        return -EINVAL;
    }
    if (source->S != first->S || source->A != first->A) {
        snprintf(why, n,
                 "%s has observations of %" PRIu64 " and actions of %" PRIu64
                 ", the first run has %" PRIu64 " and %" PRIu64
                 ": runs of one shape can be composed",
                 run, source->S, source->A, first->S, first->A);
        return -EINVAL;
    }
    const double alpha = temperature_of(source, options);
    if (!same_alpha(alpha, config->alpha))
        return differs(why, n, run, "alpha", alpha, config->alpha);
    if (options->gamma != config->gamma)
        return differs(why, n, run, "gamma", options->gamma, config->gamma);
    if (options->reward_scale != config->reward_scale) {
        return differs(why, n, run, "reward_scale", options->reward_scale,
                       config->reward_scale);
    }
    if (options->value_measure != config->value_measure) {
        snprintf(why, n,
                 "%s was trained with value_measure = %s, and this composition "
                 "has %s: give the same",
                 run, config_word(options, "value_measure"),
                 config_word(config, "value_measure"));
        return -EINVAL;
    }
    return 0;
}

/* Every RUN of RUN:RUN. */
static int open_sources(struct origin *origin, const struct config *config,
                        char *why, size_t n) {
    char list[sizeof(config->compose)], *rest = list;
    const char *run;
    snprintf(list, sizeof(list), "%s", config->compose);
    while ((run = strsep(&rest, ":")) != NULL) {
        struct config options;
        if (*run == '\0') continue;
        if (origin->n_sources == ALGORITHM_MOST_SOURCES) {
            snprintf(why, n, "compose names more than %d runs",
                     ALGORITHM_MOST_SOURCES);
            return -EINVAL;
        }
        struct checkpoint **source = &origin->sources[origin->n_sources];
        int rc = read_run(source, &options, run, why, n);
        if (rc != 0) return rc;
        origin->n_sources++;
        rc = check_source(origin->sources[0], *source, run, &options, config,
                          why, n);
        if (rc != 0) return rc;
    }
    if (origin->n_sources > 0) return 0;
    snprintf(why, n,
             "algorithm is compose: name the runs whose Q functions are "
             "averaged, as --compose=RUN:RUN (deploy/compose.sh does)");
    return -EINVAL;
}

int origin_open(struct origin *origin, const struct config *config, char *why,
                size_t n) {
    struct config options;
    if (config->algorithm == ALGORITHM_COMPOSE) {
        const int rc = open_sources(origin, config, why, n);
        if (rc != 0) return rc;
    }
    if (config->init_from[0] == '\0') return 0;
    return read_run(&origin->init, &options, config->init_from, why, n);
}

void origin_close(struct origin *origin) {
    checkpoint_free(origin->resume);
    checkpoint_free(origin->init);
    for (size_t i = 0; i < origin->n_sources; i++) {
        checkpoint_free(origin->sources[i]);
    }
    *origin = (struct origin){0};
}

int origin_check(const struct origin *origin, const struct config *config,
                 size_t S, size_t A, char *why, size_t n) {
    const struct checkpoint *init = origin->init;
    if (init == NULL) return 0;
    if (init->S != S || init->A != A) {
        snprintf(why, n,
                 "init_from = %s has observations of %" PRIu64
                 " and actions of %" PRIu64
                 ", but the task %s has %zu and %zu: give a run of a task of "
                 "the same shape",
                 config->init_from, init->S, init->A, config->task, S, A);
        return -EINVAL;
    }
    if (config->init_parts != PARTS_F &&
        strcmp(init->algorithm, "compose") == 0) {
        snprintf(why, n,
                 "init_from = %s is a composition, which has no Q of its own: "
                 "give init_parts = f",
                 config->init_from);
        return -EINVAL;
    }
    if (init->units != config->units) {
        snprintf(why, n,
                 "init_from = %s has units = %" PRIu64 ", this run %" PRIu64
                 ": give units = %" PRIu64,
                 config->init_from, init->units, config->units, init->units);
        return -EINVAL;
    }
    return 0;
}
