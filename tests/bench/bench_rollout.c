/*
 * What acting costs: environment steps a second of the bare simulator, of the
 * task on top of it, and of a whole rollout with the sampling network.
 *
 *   build/tests/bench/bench_rollout [SECONDS a measurement]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actor/rollout.h"
#include "actor/tasks/mujoco.h"
#include "common/mlp.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct bench {
    struct rollout rollout;
    double action[16];
};

static void simulate(struct bench *bench) {
    struct mujoco_state *robot = bench->rollout.states[0];
    for (int i = 0; i < robot->model->frame_skip; i++)
        mj_step(robot->model->m, robot->d);
}

static void step_task(struct bench *bench) {
    struct env_result result;
    float obs[64];
    bench->rollout.class->step(bench->rollout.states[0], bench->action, obs,
                               &result);
}

static void step_rollout(struct bench *bench) {
    char why[256];
    if (rollout_step(&bench->rollout, NULL, why, sizeof(why)) != 0) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
}

/* Calls a second over so many seconds. */
static double measure(void (*f)(struct bench *), struct bench *bench,
                      double seconds) {
    const double start = now();
    size_t calls = 0;
    double elapsed = 0.0;
    while (elapsed < seconds) {
        for (int i = 0; i < 100; i++) f(bench);
        calls += 100;
        elapsed = now() - start;
    }
    return (double)calls / elapsed;
}

static void bench_task(const char *task, size_t environments, double seconds) {
    struct bench bench = {.action = {0.3, -0.3}};
    struct config config = {.seed = 1,
                            .units = 128,
                            .environments = environments,
                            .horizon = 1000000000};
    char why[512] = "";
    strcpy(config.task, task);
    strcpy(config.multigoal_reward, "gaussian");
    if (rollout_init(&bench.rollout, &config, RNG_TEST, 0, 0, why,
                     sizeof(why)) != 0) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
    const size_t P = mlp_parameters(&bench.rollout.shape);
    float *phi = calloc(P, sizeof(*phi));
    if (!phi) exit(1);
    struct rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0, 1);
    mlp_init(&bench.rollout.shape, phi, &rng);

    printf("%-15s", task);
    if (strcmp(task, "multigoal") != 0)
        printf(" simulator %.0f,", measure(simulate, &bench, seconds));
    printf(" task %.0f,", measure(step_task, &bench, seconds));
    printf(" %zu random %.0f,", environments,
           measure(step_rollout, &bench, seconds) * (double)environments);
    const struct policy policy = {.shape = bench.rollout.shape, .phi = phi};
    rollout_set_policy(&bench.rollout, &policy, 1);
    printf(" %zu with the sampler %.0f steps/s\n", environments,
           measure(step_rollout, &bench, seconds) * (double)environments);
    free(phi);
    rollout_finish(&bench.rollout);
}

int main(int argc, char **argv) {
    const double seconds = argc > 1 ? atof(argv[1]) : 1.0;
    mlp_blas_setup();
    bench_task("multigoal", 8, seconds);
    bench_task("swimmer", 8, seconds);
    bench_task("swimmer", 64, seconds);
    bench_task("swimmer-finish", 8, seconds);
    bench_task("quadruped-empty", 8, seconds);
    bench_task("quadruped-maze", 8, seconds);
    return 0;
}
