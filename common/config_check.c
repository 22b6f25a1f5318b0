/* The rules between options. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/config.h"

/* As config_table's: 40 bits of a version. */
static const uint64_t MOST_UPDATES = UINT64_C(1099511627775);

static bool loopback(const char *host) {
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "localhost") == 0 ||
           strcmp(host, "::1") == 0 || strcmp(host, "[::1]") == 0;
}

/* One rule: why says a op b in words and what to do. */
static int refuse(char *why, size_t n, const char *rule, uint64_t have,
                  const char *advice, uint64_t need) {
    snprintf(why, n, "%s is %llu: %s %llu", rule, (unsigned long long)have,
             advice, (unsigned long long)need);
    return -EINVAL;
}

static int check_lockstep(const struct config *c, char *why, size_t n) {
    if (c->actors > 1) {
        return refuse(why, n, "lockstep, and actors", c->actors, "give", 1);
    }
    if (c->shards > 1) {
        return refuse(why, n, "lockstep, and shards", c->shards, "give", 1);
    }
    if (c->evaluators != 0) {
        return refuse(why, n, "lockstep, and evaluators", c->evaluators, "give",
                      0);
    }
    if (c->environments > c->batch) {
        return refuse(
            why, n, "lockstep, and environments", c->environments,
            "one batch holds a round, so give at most batch =", c->batch);
    }
    if (c->on_full == ON_FULL_DROP) {
        snprintf(why, n,
                 "lockstep, and on_full is drop: a round has all its rows, so "
                 "give on_full = pause");
        return -EINVAL;
    }
    if (!(c->ratio > 0)) {
        snprintf(why, n, "lockstep, and ratio is 0: give a ratio above 0");
        return -EINVAL;
    }
    return 0;
}

int config_alpha_ramp(const struct config *config, double *factor,
                      uint64_t *updates) {
    int end = -1;
    // 13 digits hold MOST_UPDATES: a longer number leaves some behind
    const int got = sscanf(config->svgd_alpha_ramp, "%lf,%13" SCNu64 "%n",
                           factor, updates, &end);
    if (got != 2 || config->svgd_alpha_ramp[end] != '\0' ||
        strchr(config->svgd_alpha_ramp, '-') != NULL ||
        !(*factor >= 1.0 && *factor <= 1e6) || *updates > MOST_UPDATES) {
        return -EINVAL;
    }
    return 0;
}

int config_simulated_spec(const struct config *config, uint32_t *S,
                          uint32_t *A) {
    const uint32_t most = 4096; // WIRE_MAX_DIM
    int end = -1;
    const int got = sscanf(config->simulated_spec,
                           "%4" SCNu32 ",%4" SCNu32 "%n", S, A, &end);
    const bool ok = got == 2 && config->simulated_spec[end] == '\0' &&
                    strpbrk(config->simulated_spec, "-+ ") == NULL && *S >= 1 &&
                    *S <= most && *A >= 1 && *A <= most;
    return ok ? 0 : -EINVAL;
}

static int check_method(const struct config *c, char *why, size_t n) {
    double factor;
    uint64_t updates;
    if (c->one_set && c->particles_fixed != c->particles_moved) {
        snprintf(why, n,
                 "one_set, and particles_fixed is %" PRIu64
                 " but particles_moved %" PRIu64
                 ": both sets are one, so give both the same number",
                 c->particles_fixed, c->particles_moved);
        return -EINVAL;
    }
    if (config_alpha_ramp(c, &factor, &updates) != 0) {
        snprintf(why, n,
                 "svgd_alpha_ramp is '%s': give FACTOR,UPDATES with FACTOR "
                 "in [1, 1e6] and whole UPDATES in [0, 1099511627775], as "
                 "10,5000 (1,0: no ramp)",
                 c->svgd_alpha_ramp);
        return -EINVAL;
    }
    if (c->temperature == TEMPERATURE_ANNEAL && c->alpha_end > c->alpha) {
        snprintf(why, n,
                 "temperature is anneal, and alpha_end %g is above alpha %g: "
                 "alpha falls, so give at most alpha_end = %g",
                 c->alpha_end, c->alpha, c->alpha);
        return -EINVAL;
    }
    if (c->temperature == TEMPERATURE_AUTO && c->noise_set > 0) {
        snprintf(why, n,
                 "temperature is auto and noise_set %llu: a finite set of "
                 "actions has no entropy; give noise_set = 0 or temperature = "
                 "anneal",
                 (unsigned long long)c->noise_set);
        return -EINVAL;
    }
    if (c->algorithm == ALGORITHM_COMPOSE && c->ratio > 0) {
        snprintf(why, n,
                 "algorithm is compose and ratio %g: nothing is stored while "
                 "it learns, so give ratio = 0",
                 c->ratio);
        return -EINVAL;
    }
    return 0;
}

int config_check(const struct config *c, char *why, size_t n) {
    const uint64_t rows = c->replay_size / c->shards; // of one shard
    if (c->task[0] == '\0') {
        snprintf(why, n, "option task is empty: name one, as --task=multigoal");
        return -EINVAL;
    }
    if (c->warmup < c->minibatch) {
        return refuse(why, n, "warmup", c->warmup,
                      "give at least minibatch =", c->minibatch);
    }
    if (c->slack < c->batch) {
        return refuse(why, n, "slack", c->slack,
                      "give at least batch =", c->batch);
    }
    if (rows < c->minibatch) {
        return refuse(why, n, "replay_size / shards", rows,
                      "give at least minibatch =", c->minibatch);
    }
    if (rows < c->batch) {
        return refuse(why, n, "replay_size / shards", rows,
                      "give at least batch =", c->batch);
    }
    if (c->port + 10 + c->index > 65535) {
        return refuse(why, n, "port", c->port, "port + 10 + index is at most",
                      65535);
    }
    if (c->transport == TRANSPORT_TCP && !loopback(c->bind) && !c->insecure &&
        c->keys[0] == '\0') {
        snprintf(why, n,
                 "bind is '%.80s', which other machines reach: give "
                 "--keys=DIR (deploy/keys.sh makes them), 127.0.0.1, or "
                 "--insecure",
                 c->bind);
        return -EINVAL;
    }
    uint32_t S, A;
    if (config_simulated_spec(c, &S, &A) != 0) {
        snprintf(why, n,
                 "simulated_spec is '%s': give S,A, two whole numbers in [1, "
                 "4096], as 8,2",
                 c->simulated_spec);
        return -EINVAL;
    }
    const int rc = check_method(c, why, n);
    return rc == 0 && c->lockstep ? check_lockstep(c, why, n) : rc;
}
