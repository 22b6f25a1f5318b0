/*
 * Plays tasks as told on standard input, one command a line, and prints what
 * they see in full precision. compare.py is the other end.
 *
 *   task NAME FILE            load it with this MJCF ("-": its own)
 *                             -> nq nv nu S horizon
 *   state QPOS.. QVEL..       mj_resetData, this state, mj_forward -> obs (S)
 *   inject TIME QPOS.. QVEL.. ACT.. WARMSTART..   the same, then the last ones
 *                             as they are, since mj_forward replaces them
 *   step ACTION..             in [-1, 1] -> reward terminal truncated obs (S)
 *   reset SEED N              -> N lines of qpos.. qvel.. obs..
 *
 * Exit status 1 and one line on standard error for anything else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/tasks/mujoco.h"
#include "actor/tasks/robot.h"

enum { MOST = 4096 /* numbers of a line */ };

struct driver {
    const struct env_class *class;
    struct env_spec spec;
    void *model;
    struct mujoco_state *state;
    float *obs;
};

static void fail(const char *what, const char *which) {
    fprintf(stderr, "parity_driver: %s%s\n", what, which);
    exit(1);
}

static void print(const double *x, size_t n) {
    for (size_t i = 0; i < n; i++) printf(" %.17g", x[i]);
}

static void unload(struct driver *d) {
    if (d->state) d->class->destroy(d->state);
    if (d->model) d->class->unload(d->model);
    free(d->obs);
    *d = (struct driver){0};
}

static void load(struct driver *d, const char *name, const char *file) {
    char why[512] = "";
    const struct env_options options = {.model = strcmp(file, "-") != 0 ? file
                                                                        : NULL};
    unload(d);
    d->class = env_find(name);
    if (!d->class) fail("no task ", name);
    if (d->class->load(d->class, &d->model, &d->spec, &options, why,
                       sizeof(why)) != 0)
        fail(why, "");
    d->state = d->class->create(d->model);
    d->obs = calloc(d->spec.obs_dim, sizeof(*d->obs));
    if (!d->state || !d->state->obs || !d->obs) fail("cannot make ", name);
    const mjModel *m = d->state->model->m;
    printf("%d %d %d %zu %llu\n", (int)m->nq, (int)m->nv, (int)m->nu,
           d->spec.obs_dim, (unsigned long long)d->spec.horizon);
}

/* Numbers from text until its end. x out (MOST). Returns how many. */
static size_t numbers(char *text, double *x) {
    size_t n = 0;
    for (char *end; n < MOST; text = end, n++) {
        x[n] = strtod(text, &end);
        if (end == text) break;
    }
    return n;
}

static void set_state(struct driver *d, const double *qpos,
                      const double *qvel) {
    const mjModel *m = d->state->model->m;
    mj_resetData(m, d->state->d);
    mju_copy(d->state->d->qpos, qpos, (int)m->nq);
    mju_copy(d->state->d->qvel, qvel, (int)m->nv);
    d->state->steps = 0;
}

static void show(struct driver *d) {
    robot_observe(d->state);
    print(d->state->obs, d->spec.obs_dim);
    printf("\n");
}

static void put_state(struct driver *d, const double *x, size_t n) {
    const mjModel *m = d->state->model->m;
    if (n != robot_state_width(m, 0)) fail("state: not nq + nv numbers", "");
    set_state(d, x, x + m->nq);
    mj_forward(m, d->state->d);
    show(d);
}

static void inject(struct driver *d, const double *x, size_t n) {
    const mjModel *m = d->state->model->m;
    mjData *data = d->state->d;
    if (n != 1 + robot_state_width(m, 0) + (size_t)m->na + (size_t)m->nv)
        fail("inject: not 1 + nq + nv + na + nv numbers", "");
    const double *warmstart = x + 1 + m->nq + m->nv + m->na;
    set_state(d, x + 1, x + 1 + m->nq);
    data->time = x[0];
    mju_copy(data->act, x + 1 + m->nq + m->nv, (int)m->na);
    mju_copy(data->qacc_warmstart, warmstart, (int)m->nv);
    mj_forward(m, data);
    mju_copy(data->qacc_warmstart, warmstart, (int)m->nv);
    show(d);
}

static void step(struct driver *d, const double *action, size_t n) {
    struct env_result result;
    if (n != d->spec.act_dim) fail("step: not nu numbers", "");
    d->class->step(d->state, action, d->obs, &result);
    if (result.unstable) fail("step: unstable", "");
    for (size_t i = 0; i < d->spec.obs_dim; i++)
        if (d->obs[i] != (float)d->state->obs[i])
            fail("step: the float observation is another one", "");
    printf("%.17g %d %d", result.reward, result.terminal, result.truncated);
    print(d->state->obs, d->spec.obs_dim);
    printf("\n");
}

static void reset(struct driver *d, const double *x, size_t n) {
    if (n != 2) fail("reset: not 2 numbers", "");
    const mjModel *m = d->state->model->m;
    struct rng rng;
    rng_init(&rng, (uint64_t)x[0], RNG_TEST, 0, 0, 0);
    for (int i = 0; i < (int)x[1]; i++) {
        d->class->reset(d->state, &rng, d->obs);
        print(d->state->d->qpos, (size_t)m->nq);
        print(d->state->d->qvel, (size_t)m->nv);
        print(d->state->obs, d->spec.obs_dim);
        printf("\n");
    }
}

int main(void) {
    static char line[65536];
    static double x[MOST];
    struct driver driver = {0};
    while (fgets(line, sizeof(line), stdin)) {
        char name[ENV_NAME_LEN], file[1024];
        if (sscanf(line, "task %64s %1023s", name, file) == 2) {
            load(&driver, name, file);
            fflush(stdout);
            continue;
        }
        char *rest = strchr(line, ' ');
        if (!rest || !driver.state) fail("what is ", line);
        *rest++ = '\0';
        const size_t n = numbers(rest, x);
        if (strcmp(line, "state") == 0)
            put_state(&driver, x, n);
        else if (strcmp(line, "inject") == 0)
            inject(&driver, x, n);
        else if (strcmp(line, "step") == 0)
            step(&driver, x, n);
        else if (strcmp(line, "reset") == 0)
            reset(&driver, x, n);
        else
            fail("what is ", line);
        fflush(stdout);
    }
    unload(&driver);
    return 0;
}
