#include "actor/tasks/mujoco.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor/tasks/mjcf.h"
#include "common/exit_status.h"
#include "common/hash.h"
#include "common/log.h"

/* MuJoCo's own handlers append to MUJOCO_LOG.TXT where the process stands. */
static void on_warning(const char *text) {
    log_warn("mujoco: %s", text);
}

/* It may not return: the simulator's stack is in an unknown state. */
static void on_error(const char *text) {
    log_error("mujoco: %s", text);
    exit(EXIT_CRASH);
}

static int find_model(char *path, size_t n, const char *file,
                      const struct env_options *options, char *why,
                      size_t why_n) {
    const char *folders[] = {MUJOCO_MODELS, NULL};
    const char *folder = options->data_dir;
    if (options->model && options->model[0] != '\0') {
        int len = snprintf(path, n, "%s", options->model);
        if (len > 0 && (size_t)len < n && access(path, R_OK) == 0) return 0;
        snprintf(why, why_n, "cannot read the model %s: give an MJCF file",
                 options->model);
        return -ENOENT;
    }
    if (folder && folder[0] != '\0') folders[0] = folder, folders[1] = NULL;
    for (size_t i = 0; folders[i]; i++) {
        int len = snprintf(path, n, "%s/%s", folders[i], file);
        if (len > 0 && (size_t)len < n && access(path, R_OK) == 0) return 0;
    }
    snprintf(why, why_n, "no model %s in %s%s%s", file, folders[0],
             folders[1] ? " or " : "", folders[1] ? folders[1] : "");
    return -ENOENT;
}

int mujoco_load(struct mujoco_model **model, const char *file, int frame_skip,
                uint64_t horizon, const struct env_options *options, char *why,
                size_t n) {
    mju_user_warning = on_warning;
    mju_user_error = on_error;

    char path[1024], error[256] = "";
    int err = find_model(path, sizeof(path), file, options, why, n);
    if (err) return err;
    struct mujoco_model *shared = calloc(1, sizeof(*shared));
    if (!shared) {
        snprintf(why, n, "out of memory");
        return -ENOMEM;
    }
    shared->m = mj_loadXML(path, NULL, error, sizeof(error));
    if (!shared->m) {
        const size_t len = strlen(error);
        for (size_t i = 0; i < len; i++)
            if (error[i] == '\n') error[i] = ' ';
        snprintf(why, n, "%s: %s", path, error);
        free(shared);
        return -EBADMSG;
    }
    shared->hash = HASH_START;
    err = mjcf_hash(&shared->hash, path);
    if (err) {
        snprintf(why, n, "%s: %s", path, strerror(-err));
        mujoco_unload(shared);
        return err == -ENOMEM ? err : -EBADMSG;
    }
    shared->frame_skip = frame_skip;
    shared->dt = shared->m->opt.timestep * frame_skip;
    shared->horizon = options->horizon > 0 ? options->horizon : horizon;
    *model = shared;
    return 0;
}

void mujoco_version(char *text, size_t n) {
    snprintf(text, n, "%s", mj_versionString());
}

void mujoco_unload(void *model) {
    struct mujoco_model *shared = model;
    mj_deleteModel(shared->m);
    free(shared);
}

void *mujoco_create(void *model) {
    return mujoco_create_sized(model, sizeof(struct mujoco_state));
}

void *mujoco_create_sized(void *model, size_t size) {
    struct mujoco_model *shared = model;
    assert(size >= sizeof(struct mujoco_state));
    struct mujoco_state *state = calloc(1, size);
    if (!state) return NULL;
    state->model = shared;
    state->d = mj_makeData(shared->m);
    if (!state->d) {
        free(state);
        return NULL;
    }
    return state;
}

void mujoco_destroy(void *state) {
    struct mujoco_state *robot = state;
    mj_deleteData(robot->d);
    free(robot);
}

void mujoco_position(const void *state, double xy[2]) {
    const struct mujoco_state *robot = state;
    xy[0] = robot->d->qpos[0];
    xy[1] = robot->d->qpos[1];
}

double mujoco_numeric(const mjModel *m, const char *name, double otherwise) {
    const int i = mj_name2id(m, mjOBJ_NUMERIC, name);
    return i < 0 ? otherwise : m->numeric_data[m->numeric_adr[i]];
}

void mujoco_scene(const void *state, struct env_scene *scene) {
    const struct mujoco_state *robot = state;
    *scene = (struct env_scene){robot->model->m, robot->d, robot->model->dt};
}

void mujoco_centre(const struct mujoco_state *state, double centre[3]) {
    memcpy(centre, state->d->subtree_com + 3, 3 * sizeof(*centre));
}

static double noise_on(struct rng *rng, double noise) {
    return noise * (2.0 * rng_uniform(rng) - 1.0);
}

void mujoco_reset(struct mujoco_state *state, struct rng *rng, double noise) {
    const mjModel *m = state->model->m;
    mjData *d = state->d;
    mj_resetData(m, d);
    for (int i = 0; i < (int)m->nq; i++) d->qpos[i] += noise_on(rng, noise);
    for (int i = 0; i < (int)m->nv; i++) d->qvel[i] += noise_on(rng, noise);
    mj_normalizeQuat(m, d->qpos);
    mj_forward(m, d);
    state->steps = 0;
}

/* MuJoCo looks at the state where a step begins: the last one's end is ours. */
static bool went_wrong(const mjModel *m, const mjData *d) {
    for (int i = 0; i < (int)m->nq; i++)
        if (mju_isBad(d->qpos[i])) return true;
    for (int i = 0; i < (int)m->nv; i++)
        if (mju_isBad(d->qvel[i])) return true;
    return d->warning[mjWARN_BADQPOS].number > 0 ||
           d->warning[mjWARN_BADQVEL].number > 0 ||
           d->warning[mjWARN_BADQACC].number > 0 ||
           d->warning[mjWARN_BADCTRL].number > 0;
}

static void set_controls(struct mujoco_state *state, const double *action) {
    const mjModel *m = state->model->m;
    for (int i = 0; i < (int)m->nu; i++) {
        const double *range = m->actuator_ctrlrange + (ptrdiff_t)2 * i;
        state->d->ctrl[i] = env_scale(range, fmin(fmax(action[i], -1.0), 1.0));
    }
}

static void end_step(struct mujoco_state *state, struct env_result *result) {
    state->steps++;
    *result = (struct env_result){0};
    result->unstable = went_wrong(state->model->m, state->d);
    result->truncated =
        result->unstable || state->steps >= state->model->horizon;
}

void mujoco_step(struct mujoco_state *state, const double *action,
                 struct env_result *result) {
    set_controls(state, action);
    for (int i = 0; i < state->model->frame_skip; i++)
        mj_step(state->model->m, state->d);
    end_step(state, result);
}

void mujoco_step_to_now(struct mujoco_state *state, const double *action,
                        struct env_result *result) {
    const mjModel *m = state->model->m;
    mjData *d = state->d;
    // only this integrator can be halved
    const bool halves = m->opt.integrator == mjINT_EULER;
    set_controls(state, action);
    for (int i = 0; i < state->model->frame_skip; i++) {
        if (halves) {
            mj_step2(m, d);
            mj_step1(m, d);
        } else {
            mj_step(m, d);
        }
    }
    if (!halves) {
        mj_kinematics(m, d);
        mj_comPos(m, d);
    }
    end_step(state, result);
}

void mujoco_observe(const struct mujoco_state *state, int skip, float *obs) {
    const mjModel *m = state->model->m;
    const mjData *d = state->d;
    for (int i = skip; i < (int)m->nq; i++) *obs++ = (float)d->qpos[i];
    for (int i = 0; i < (int)m->nv; i++) *obs++ = (float)d->qvel[i];
}
