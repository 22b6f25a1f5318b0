/*
 * Soft Q-learning in one process: a task, a replay in memory and the learner,
 * without sockets. For tuning presets: same mathematics, same options.
 *
 *   train --max_updates=N [--config=FILE] [--name=value ...]
 *
 * On multigoal it ends with evaluation episodes and the exact judge.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actor/rollout.h"
#include "common/policy.h"
#include "learner/algorithm.h"
#include "tests/system/multigoal_grid.h"

/* Updates that a published policy is old when it acts, as in a real run. */
enum { STALE = 40 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void sample(struct batch *to, const struct batch *from,
                   struct rng *rng) {
    to->n = 0;
    while (to->n < to->capacity) {
        batch_append(to, from, rng_below(rng, from->n), 1);
    }
}

/* Q(x, a) by the network in a checkpoint's tensors. */
struct network {
    const struct mlp_shape *shape;
    float *p;
    struct mlp_work work;
};

static double q_of(void *user, const double x[2], const double a[2]) {
    struct network *q = user;
    const float s[2] = {(float)x[0], (float)x[1]};
    const float action[2] = {(float)a[0], (float)a[1]};
    float y;
    mlp_forward(q->shape, &y, q->p, s, action, 1, 1, 0, &q->work);
    return (double)y;
}

static int judge(struct algorithm *alg) {
    static struct multigoal_grid grid; // solved once
    struct tensors_entry entries[ALGORITHM_MAX_TENSORS];
    const size_t n = algorithm_tensors(alg, entries);
    struct network q = {.shape = algorithm_q_shape(alg)};
    for (size_t i = 0; i < n; i++) {
        if (strcmp(entries[i].name, "q.ws") == 0) q.p = entries[i].data;
    }
    if (mlp_work_init(&q.work, q.shape, 1, 1) < 0) return 1;
    if (grid.sweeps == 0) multigoal_grid_solve(&grid, 1e-3);
    const int failed = multigoal_judge(&grid, q_of, &q);
    mlp_work_finish(&q.work);
    return failed;
}

/* Play config->evaluation_episodes and print where they ended. */
static int evaluate(const struct config *config, const struct policy *policy) {
    struct rollout rollout;
    struct rollout_episode ended[16];
    char why[200];
    size_t goals[4] = {0}, total = 0;
    double sum = 0.0, length = 0.0, stats[ENV_MAX_STATS] = {0};
    if (rollout_init(&rollout, config, RNG_EVALUATOR, 0, 0, why, sizeof(why))) {
        fprintf(stderr, "%s\n", why);
        return -1;
    }
    if (rollout_set_policy(&rollout, policy, 0)) return -1;
    while (total < config->evaluation_episodes) {
        if (rollout_step(&rollout, NULL, why, sizeof(why)) < 0) return -1;
        const size_t n = rollout_take(&rollout, ended, 16);
        for (size_t i = 0; i < n && total < config->evaluation_episodes; i++) {
            total++;
            sum += ended[i].ret;
            length += (double)ended[i].length;
            for (size_t k = 0; k < rollout.spec.n_stats; k++)
                stats[k] += ended[i].stats[k];
            if (rollout.spec.n_stats == 1 && ended[i].stats[0] >= 0.0 &&
                ended[i].stats[0] < 4.0) {
                goals[(size_t)ended[i].stats[0]]++;
            }
        }
    }
    const double share = 100.0 / (double)total;
    printf("seed %llu: return %.1f length %.1f",
           (unsigned long long)config->seed, sum / (double)total,
           length / (double)total);
    if (strcmp(config->task, "multigoal") == 0) {
        const size_t reached = goals[0] + goals[1] + goals[2] + goals[3];
        printf(" success %.1f %% goals", share * (double)reached);
        for (int g = 0; g < 4; g++) printf(" %.1f", share * (double)goals[g]);
    } else {
        for (size_t k = 0; k < rollout.spec.n_stats; k++)
            printf(" %s %.3f", rollout.spec.stat_names[k],
                   stats[k] / (double)total);
    }
    printf("\n");
    rollout_finish(&rollout);
    return 0;
}

static int report(const struct config *config, struct algorithm *alg) {
    const struct policy policy = algorithm_policy(alg);
    if (evaluate(config, &policy) < 0) return 3;
    return strcmp(config->task, "multigoal") == 0 ? judge(alg) : 0;
}

int main(int argc, char **argv) {
    struct config config;
    struct rollout rollout;
    struct batch memory = {0}, minibatch = {0};
    struct algorithm_noise noise;
    struct algorithm_figures figures;
    struct rng rng;
    const char *what;
    char why[200];

    setvbuf(stdout, NULL, _IOLBF, 0); // to be watched in a file
    if (config_load(&config, CONFIG_LEARNER, NULL, argc, argv) < 0) return 2;
    mlp_blas_setup();
    if (rollout_init(&rollout, &config, RNG_ACTOR, 0, 0, why, sizeof(why))) {
        fprintf(stderr, "%s\n", why);
        return 2;
    }
    const size_t S = rollout.spec.obs_dim, A = rollout.spec.act_dim;
    struct algorithm *alg =
        algorithm_new(&config, S, A, config.threads ? config.threads : 1);
    if (!alg || algorithm_noise_init(&noise, alg) < 0 ||
        batch_init(&memory, config.replay_size, S, A) < 0 ||
        batch_init(&minibatch, config.minibatch, S, A) < 0) {
        return 1;
    }
    rng_init(&rng, config.seed, RNG_LEARNER, 1, 0, 0);
    struct policy policy = algorithm_policy(alg);
    if (rollout_set_policy(&rollout, &policy, 0)) return 1;

    const double start = now();
    for (uint64_t update = 0; update < config.max_updates; update++) {
        while ((double)memory.n <
               (double)config.warmup + (double)update / config.ratio) {
            if (memory.n + rollout.E > memory.capacity) memory.n = 0;
            if (rollout_step(&rollout, &memory, why, sizeof(why)) < 0) return 3;
        }
        sample(&minibatch, &memory, &rng);
        algorithm_noise_draw(&noise, alg, &rng);
        if (algorithm_update(alg, &minibatch, &noise, &figures, &what) < 0) {
            fprintf(stderr, "not finite: %s\n", what);
            return 3;
        }
        if (update % STALE == 0) {
            policy = algorithm_policy(alg);
            if (rollout_set_policy(&rollout, &policy, update)) return 1;
        }
        if ((update + 1) % 2500 == 0 && config.progress != PROGRESS_NONE) {
            printf("%llu updates, %.1f s: Q loss %.2f mean %.1f, D %.2f\n",
                   (unsigned long long)update + 1, now() - start,
                   figures.q_loss, figures.q_mean, figures.stein_norm);
            report(&config, alg);
        }
    }
    printf("%.1f s of training\n", now() - start);
    const int status = report(&config, alg);
    algorithm_noise_finish(&noise);
    algorithm_free(alg);
    batch_finish(&memory);
    batch_finish(&minibatch);
    rollout_finish(&rollout);
    return status;
}
