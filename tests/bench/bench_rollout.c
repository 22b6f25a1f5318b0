/*
 * What a step of each MuJoCo task costs in a rollout of 16 environments, beside
 * what it cannot do without: mj_step, mj_rnePostConstraint where contact forces
 * are read, and the sampler's matrix products. Both do the same steps: before
 * each one the sampler is asked what it will do and the environments are
 * copied, the copies are then stepped bare from the same states with the same
 * controls, and the two take turns at being first. (Controls that stay cost
 * MuJoCo's solver less than ones that have just changed.)
 *
 *   bench_rollout [--json] [--wall] [--threads=N] [SECONDS a task] [TASK ...]
 *
 * us a step of one environment; the medians over slices of a run. "times" is
 * rollout / (mj_step + rne + sgemm), "share" is mj_step / rollout. A task is
 * marked where times is above 1.05, or share below 90 % and a step takes 40 us.
 *
 * Times are those of the thread on a core; --wall: those of the clock.
 * --threads=N: so many step the rollout's environments (actor_threads); the
 * copies stay with one.
 * --json: one object a task, in one line each: name ("rollout"), task,
 * environments, units, mujoco (its version), steps_per_s, bare_steps_per_s
 * (mj_step, rne and sgemm alone), times, share, us_mj_step, us_rollout.
 */
#include <cblas.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actor/rollout.h"
#include "actor/tasks/robot.h"
#include "common/mlp.h"

enum { E = 16, UNITS = 128, MOST_SLICES = 4096 };
/* What is timed. */
enum { SIMULATOR, FORCES, PRODUCTS, ROLLOUT, PARTS };
static const double slice_seconds = 0.02;

/* This thread's time on a core: others may want it too. */
static clockid_t time_is = CLOCK_THREAD_CPUTIME_ID;
static uint64_t threads = 1;

static double now(void) {
    struct timespec t;
    clock_gettime(time_is, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct bench {
    struct rollout rollout;
    mjData *twin[E];
    float *x, *w, *y;     /* operands of the products: (E, most) (most, most) */
    float *seen, *xi, *a; /* (E, S) (E, A) (E, A) of the next step */
    struct mlp_work work;
    double seconds[PARTS];
    size_t steps; /* of all environments */
};

static void give_up(const char *why) {
    fprintf(stderr, "bench_rollout: %s\n", why);
    exit(1);
}

static void start(struct bench *b, const char *task) {
    struct config config = {.seed = 1,
                            .units = UNITS,
                            .environments = E,
                            .horizon = 1000000000,
                            .actor_threads = threads};
    char why[512] = "";
    snprintf(config.task, sizeof(config.task), "%s", task);
    if (rollout_init(&b->rollout, &config, RNG_TEST, 0, 0, why, sizeof(why)))
        give_up(why);
    const struct mlp_shape *shape = &b->rollout.shape;
    float *phi = calloc(mlp_parameters(shape), sizeof(*phi));
    const size_t most = shape->S > UNITS ? shape->S : UNITS;
    b->x = calloc(most * (2 * E + UNITS), sizeof(*b->x));
    b->seen = calloc(E * (shape->S + 2 * shape->Y), sizeof(*b->seen));
    if (!phi || !b->x || !b->seen || mlp_work_init(&b->work, shape, E, E))
        give_up("out of memory");
    b->xi = b->seen + E * shape->S;
    b->a = b->xi + E * shape->Y;
    b->y = b->x + most * E;
    b->w = b->y + most * E;
    struct rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0, 1);
    mlp_init(shape, phi, &rng);
    const struct policy policy = {.shape = *shape, .phi = phi};
    if (rollout_set_policy(&b->rollout, &policy, 1)) give_up("out of memory");
    free(phi);
    for (size_t e = 0; e < E; e++) {
        const struct mujoco_state *robot = b->rollout.states[e];
        b->twin[e] = mj_makeData(robot->model->m);
        if (!b->twin[e]) give_up("out of memory");
    }
}

static void finish(struct bench *b) {
    for (size_t e = 0; e < E; e++) mj_deleteData(b->twin[e]);
    rollout_finish(&b->rollout);
    mlp_work_finish(&b->work);
    free(b->x), free(b->seen);
}

static void product(const struct bench *b, size_t in, size_t out) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, E, (int)out, (int)in,
                1.0f, b->x, (int)in, b->w, (int)out, 0.0f, b->y, (int)out);
}

/* The bare parts, on the copies, with the controls of the rollout's step. */
static void step_bare(struct bench *b) {
    const struct mujoco_state *robot = b->rollout.states[0];
    const mjModel *m = robot->model->m;
    const struct mlp_shape *shape = &b->rollout.shape;
    double t = now();
    for (size_t e = 0; e < E; e++)
        for (int i = 0; i < robot->model->frame_skip; i++)
            mj_step(m, b->twin[e]);
    b->seconds[SIMULATOR] += now() - t;
    if (robot->model->robot && robot->model->robot->contact_forces) {
        t = now();
        for (size_t e = 0; e < E; e++) mj_rnePostConstraint(m, b->twin[e]);
        b->seconds[FORCES] += now() - t;
    }
    t = now();
    product(b, shape->S, UNITS);
    product(b, shape->X, UNITS);
    product(b, UNITS, UNITS);
    product(b, UNITS, shape->Y);
    b->seconds[PRODUCTS] += now() - t;
}

static void step_rollout(struct bench *b) {
    char why[256];
    const double t = now();
    if (rollout_step(&b->rollout, NULL, why, sizeof(why))) give_up(why);
    b->seconds[ROLLOUT] += now() - t;
}

/* What the rollout's next step will choose, of copies of its streams. */
static void choose_ahead(struct bench *b) {
    const struct rollout *r = &b->rollout;
    const size_t A = r->shape.Y;
    for (size_t e = 0; e < E; e++) {
        struct rng noise = r->noise[e];
        policy_draw_noise(r->policy, b->xi + e * A, 1, &noise);
    }
    policy_observe(r->policy, b->seen, r->s, E);
    policy_act(&r->shape, b->a, NULL, r->policy->phi, b->seen, b->xi, E, 1,
               &b->work);
}

static void copy_environments(struct bench *b) {
    const struct mujoco_state *robot = b->rollout.states[0];
    const mjModel *m = robot->model->m;
    const size_t A = b->rollout.shape.Y;
    for (size_t e = 0; e < E; e++) {
        const struct mujoco_state *state = b->rollout.states[e];
        mj_copyData(b->twin[e], m, state->d);
        for (size_t i = 0; i < A; i++)
            b->twin[e]->ctrl[i] = env_scale(m->actuator_ctrlrange + 2 * i,
                                            (double)b->a[e * A + i]);
    }
}

static void step_both(struct bench *b, bool bare_first) {
    choose_ahead(b);
    copy_environments(b);
    if (bare_first) step_bare(b);
    step_rollout(b);
    if (!bare_first) step_bare(b);
    if (memcmp(b->a, b->rollout.a, sizeof(*b->a) * E * b->rollout.shape.Y) != 0)
        give_up("the rollout chose other actions");
    b->steps += E;
}

static int ascending(const void *x, const void *y) {
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static double median(double *x, size_t n) {
    qsort(x, n, sizeof(*x), ascending);
    return x[n / 2];
}

/* Slices of a run: us a step of each part, and the two ratios. */
struct slices {
    size_t n;
    double part[PARTS][MOST_SLICES], times[MOST_SLICES], share[MOST_SLICES];
};

static void measure(struct bench *b, struct slices *slices, double seconds) {
    const double end = now() + seconds;
    bool bare_first = false;
    slices->n = 0;
    while (now() < end && slices->n < MOST_SLICES) {
        const double slice_end = now() + slice_seconds;
        memset(b->seconds, 0, sizeof(b->seconds));
        b->steps = 0;
        // an even number, so that each is first as often
        while (now() < slice_end || bare_first) {
            step_both(b, bare_first);
            bare_first = !bare_first;
        }
        const size_t i = slices->n++;
        const double *s = b->seconds;
        for (size_t p = 0; p < PARTS; p++)
            slices->part[p][i] = 1e6 * s[p] / (double)b->steps;
        slices->times[i] =
            s[ROLLOUT] / (s[SIMULATOR] + s[FORCES] + s[PRODUCTS]);
        slices->share[i] = s[SIMULATOR] / s[ROLLOUT];
    }
}

static void tell_json(const char *task, const double us[PARTS], double times,
                      double share) {
    const double bare = us[SIMULATOR] + us[FORCES] + us[PRODUCTS];
    printf("{\"name\": \"rollout\", \"task\": \"%s\", \"environments\": %d, "
           "\"units\": %d, \"mujoco\": \"%s\", \"steps_per_s\": %.6g, "
           "\"bare_steps_per_s\": %.6g, \"times\": %.4f, \"share\": %.4f, "
           "\"us_mj_step\": %.5g, \"us_rollout\": %.5g}\n",
           task, E, UNITS, mj_versionString(), 1e6 / us[ROLLOUT], 1e6 / bare,
           times, share, us[SIMULATOR], us[ROLLOUT]);
}

static void bench_task(const char *task, double seconds, bool json) {
    static struct slices slices;
    struct bench b = {0};
    start(&b, task);
    measure(&b, &slices, 0.2); // the first contacts, and warm caches
    measure(&b, &slices, seconds);
    double us[PARTS];
    for (size_t p = 0; p < PARTS; p++) us[p] = median(slices.part[p], slices.n);
    const double times = median(slices.times, slices.n);
    const double share = median(slices.share, slices.n);
    const bool slow = times > 1.05 || (us[ROLLOUT] >= 40.0 && share < 0.9);
    if (json) {
        tell_json(task, us, times, share);
    } else {
        printf("%-24s %8.2f %6.2f %6.2f %8.2f %6.3f %5.1f %% %8.0f%s\n", task,
               us[SIMULATOR], us[FORCES], us[PRODUCTS], us[ROLLOUT], times,
               100.0 * share, 1e6 / us[ROLLOUT], slow ? "  SLOW" : "");
    }
    fflush(stdout);
    finish(&b);
}

int main(int argc, char **argv) {
    const bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    argc -= json, argv += json;
    const bool wall = argc > 1 && strcmp(argv[1], "--wall") == 0;
    argc -= wall, argv += wall;
    if (wall) time_is = CLOCK_MONOTONIC;
    if (argc > 1 && strncmp(argv[1], "--threads=", 10) == 0) {
        threads = strtoull(argv[1] + 10, NULL, 10);
        argc--, argv++;
    }
    const double seconds = argc > 1 ? atof(argv[1]) : 3.0;
    mlp_blas_setup();
    if (!json)
        printf("%-24s %8s %6s %6s %8s %6s %7s %8s\n", "us a step", "mj_step",
               "rne", "sgemm", "rollout", "times", "share", "steps/s");
    if (argc > 2) {
        for (int i = 2; i < argc; i++) bench_task(argv[i], seconds, json);
        return 0;
    }
    static const char *const tasks[] = {"swimmer",
                                        "hopper",
                                        "half-cheetah",
                                        "walker2d",
                                        "ant",
                                        "humanoid",
                                        "reacher",
                                        "pusher",
                                        "inverted-pendulum",
                                        "inverted-double-pendulum",
                                        "pusher-planar",
                                        "swimmer-finish",
                                        "quadruped-empty",
                                        "quadruped-maze"};
    for (size_t i = 0; i < sizeof(tasks) / sizeof(*tasks); i++)
        bench_task(tasks[i], seconds, json);
    return 0;
}
