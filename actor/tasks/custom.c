/*
 * A task on a user's own MJCF model, described by an INI file (recipe.h): its
 * words are bound here to the model's joints, sensors, bodies and sites.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "actor/tasks/mujoco.h"
#include "actor/tasks/recipe.h"
#include "actor/tasks/tasks.h"

/* A quantity of the model at hand. */
struct bound {
    enum recipe_kind kind;
    bool squared;
    int id, other; /* body; sites; or the address in qpos, qvel, sensordata */
    int axis;      /* first of position's, velocity's numbers */
    int width;     /* numbers */
};

struct custom {
    struct mujoco_model *base; /* first: what mujoco_*() want */
    struct recipe recipe;
    int start;      /* keyframe, -1: qpos0 */
    size_t obs_dim; /* S */
    char rewarded[256];
    struct bound observed[RECIPE_MAX_OBSERVED];
    struct bound terms[RECIPE_MAX_TERMS];
    struct bound ends[RECIPE_MAX_ENDS];
};

struct state {
    const struct custom *custom;
    struct mujoco_state *mujoco; /* owned */
    double *before; /* (nbody, 3) where the bodies were a step ago, owned */
    double earned[RECIPE_MAX_TERMS]; /* by each term in this episode */
};

/* ---- binding ---- */

static const char *const kinds[] = {[mjOBJ_BODY] = "body",
                                    [mjOBJ_JOINT] = "joint",
                                    [mjOBJ_SITE] = "site",
                                    [mjOBJ_SENSOR] = "sensor",
                                    [mjOBJ_KEY] = "keyframe"};

static int count_of(const mjModel *m, mjtObj type) {
    switch (type) {
    case mjOBJ_BODY:
        return (int)m->nbody;
    case mjOBJ_JOINT:
        return (int)m->njnt;
    case mjOBJ_SITE:
        return (int)m->nsite;
    case mjOBJ_SENSOR:
        return (int)m->nsensor;
    default:
        return (int)m->nkey;
    }
}

/* The number of the thing of that name, or -EINVAL and what there is. */
static int find(const mjModel *m, mjtObj type, const char *name, char *why,
                size_t n) {
    const int id = mj_name2id(m, type, name);
    if (id >= 0) return id;
    size_t at = 0, listed = 0;
    at +=
        (size_t)snprintf(why, n, "the model has no %s '%s'", kinds[type], name);
    for (int i = 0; i < count_of(m, type) && at < n; i++) {
        const char *known = mj_id2name(m, type, i);
        if (!known || known[0] == '\0') continue;
        at += (size_t)snprintf(why + at, n - at, "%s%s",
                               listed++ ? ", " : "; it has ", known);
    }
    if (listed == 0 && at < n)
        snprintf(why + at, n - at, "; it has none with a name");
    return -EINVAL;
}

static int bind_joint(struct bound *b, const mjModel *m,
                      const struct recipe_quantity *q, char *why, size_t n) {
    const int joint = find(m, mjOBJ_JOINT, q->name, why, n);
    if (joint < 0) return joint;
    const int type = m->jnt_type[joint];
    const bool velocity = q->kind == RECIPE_QVEL;
    b->id = velocity ? m->jnt_dofadr[joint] : m->jnt_qposadr[joint];
    b->width = type == mjJNT_FREE   ? (velocity ? 6 : 7)
               : type == mjJNT_BALL ? (velocity ? 3 : 4)
                                    : 1;
    if (q->kind != RECIPE_SIN && q->kind != RECIPE_COS) return 0;
    if (type == mjJNT_HINGE) return 0;
    snprintf(why, n, "%s: the joint '%s' is no hinge", q->text, q->name);
    return -EINVAL;
}

static int bind_distance(struct bound *b, const mjModel *m,
                         const struct recipe_quantity *q, char *why, size_t n) {
    b->width = 1;
    b->id = find(m, mjOBJ_SITE, q->name, why, n);
    if (b->id < 0) return b->id;
    b->other = find(m, mjOBJ_SITE, q->other, why, n);
    return b->other < 0 ? b->other : 0;
}

/* All numbers that it has. skip: of qpos. */
static int bind_all(struct bound *b, const mjModel *m,
                    const struct recipe_quantity *q, int skip, char *why,
                    size_t n) {
    switch (q->kind) {
    case RECIPE_QPOS:
    case RECIPE_QVEL:
        if (q->name[0] != '\0') return bind_joint(b, m, q, why, n);
        b->id = q->kind == RECIPE_QPOS ? skip : 0;
        b->width = q->kind == RECIPE_QPOS ? (int)m->nq - skip : (int)m->nv;
        return 0;
    case RECIPE_SIN:
    case RECIPE_COS:
        return bind_joint(b, m, q, why, n);
    case RECIPE_SENSOR: {
        const int sensor = find(m, mjOBJ_SENSOR, q->name, why, n);
        if (sensor < 0) return sensor;
        b->id = m->sensor_adr[sensor];
        b->width = m->sensor_dim[sensor];
        return 0;
    }
    case RECIPE_POSITION:
    case RECIPE_VELOCITY:
    case RECIPE_UP:
        b->id = find(m, mjOBJ_BODY, q->name, why, n);
        b->width = q->kind == RECIPE_UP ? 1 : 3;
        return b->id < 0 ? b->id : 0;
    case RECIPE_DISTANCE:
        return bind_distance(b, m, q, why, n);
    case RECIPE_CONTROL:
    case RECIPE_ALIVE:
        b->width = 1;
        return 0;
    }
    return -EINVAL;
}

/* One number is wanted, or as many as there are. */
static int bind(struct bound *b, const mjModel *m,
                const struct recipe_quantity *q, int skip, bool one, char *why,
                size_t n) {
    *b = (struct bound){.kind = q->kind, .squared = q->squared};
    int err = bind_all(b, m, q, skip, why, n);
    if (err) return err;
    if (q->index >= b->width) {
        snprintf(why, n, "%s: it has %d numbers, the last is %d", q->text,
                 b->width, b->width - 1);
        return -EINVAL;
    }
    if (q->index >= 0) {
        const bool body =
            q->kind == RECIPE_POSITION || q->kind == RECIPE_VELOCITY;
        *(body ? &b->axis : &b->id) += q->index;
        b->width = 1;
    }
    if (!one || b->width == 1) return 0;
    snprintf(why, n, "%s is %d numbers: name one%s", q->text, b->width,
             q->name[0] ? ", as (NAME,0)" : ", as (JOINT)");
    return -EINVAL;
}

static int bind_recipe(struct custom *c, char *why, size_t n) {
    const mjModel *m = c->base->m;
    const struct recipe *recipe = &c->recipe;
    if (recipe->skip > (int)m->nq) {
        snprintf(why, n, "skip is %d: the model's qpos has %d numbers",
                 recipe->skip, (int)m->nq);
        return -EINVAL;
    }
    int err = 0;
    for (size_t i = 0; i < recipe->n_observed && !err; i++) {
        err = bind(&c->observed[i], m, &recipe->observed[i], recipe->skip,
                   false, why, n);
        c->obs_dim += (size_t)c->observed[i].width;
    }
    for (size_t i = 0; i < recipe->n_terms && !err; i++)
        err = bind(&c->terms[i], m, &recipe->terms[i].of, 0, true, why, n);
    for (size_t i = 0; i < recipe->n_ends && !err; i++)
        err = bind(&c->ends[i], m, &recipe->ends[i].of, 0, true, why, n);
    if (err) return err;
    c->start = -1;
    if (recipe->start[0] != '\0')
        c->start = find(m, mjOBJ_KEY, recipe->start, why, n);
    return recipe->start[0] != '\0' && c->start < 0 ? c->start : 0;
}

/* Actions are scaled to the motors' ranges, so there must be some. */
static int check_motors(const mjModel *m, char *why, size_t n) {
    if (m->nu < 1 || m->nu > ENV_MAX_DIM) {
        snprintf(why, n, "the model has %d actuators: give it 1 to %d",
                 (int)m->nu, ENV_MAX_DIM);
        return -EINVAL;
    }
    for (int i = 0; i < (int)m->nu; i++) {
        const double *range = m->actuator_ctrlrange + (ptrdiff_t)2 * i;
        if (range[0] < range[1]) continue;
        const char *name = mj_id2name(m, mjOBJ_ACTUATOR, i);
        snprintf(why, n,
                 "actuator %d%s%s has no ctrlrange, which actions are scaled "
                 "to: write ctrllimited=\"true\" ctrlrange=\"-1 1\"",
                 i, name ? " " : "", name ? name : "");
        return -EINVAL;
    }
    return 0;
}

/* ---- the task ---- */

static void custom_unload(void *model) {
    struct custom *c = model;
    if (c->base) mujoco_unload(c->base);
    free(c);
}

static void fill_spec(struct custom *c, struct env_spec *spec) {
    size_t at = 0;
    for (size_t i = 0; i < c->recipe.n_terms && at < sizeof(c->rewarded); i++)
        at += (size_t)snprintf(c->rewarded + at, sizeof(c->rewarded) - at,
                               "%s%g %s", i > 0 ? ", " : "",
                               c->recipe.terms[i].weight,
                               c->recipe.terms[i].of.text);
    uint64_t hash = c->recipe.hash;
    hash = hash_bytes(hash, &c->base->hash, sizeof(c->base->hash));
    *spec = (struct env_spec){.obs_dim = c->obs_dim,
                              .act_dim = (size_t)c->base->m->nu,
                              .horizon = c->base->horizon,
                              .rewarded = c->rewarded,
                              .action_range = c->base->m->actuator_ctrlrange,
                              .hash = hash};
    // what each term of the reward earned in the episode
    for (size_t i = 0; i < c->recipe.n_terms && i < ENV_MAX_STATS; i++)
        spec->stat_names[spec->n_stats++] = c->recipe.terms[i].of.text;
}

/* The model that the recipe names, and all that it says of it. */
static int load_model(struct custom *c, const char *ini,
                      const struct env_options *options, char *why, size_t n) {
    char path[2 * RECIPE_PATH_LEN];
    struct env_options with_model = *options;
    if (options->model && options->model[0] != '\0') {
        snprintf(why, n, "it names its model itself: leave out --model=%s",
                 options->model);
        return -EINVAL;
    }
    int err = recipe_model(&c->recipe, ini, path, sizeof(path));
    if (err) {
        snprintf(why, n, "the path of the model is too long");
        return err;
    }
    with_model.model = path;
    err = mujoco_load(&c->base, path, c->recipe.frame_skip, c->recipe.horizon,
                      &with_model, why, n);
    if (!err) err = check_motors(c->base->m, why, n);
    if (!err) err = bind_recipe(c, why, n);
    if (err || (c->obs_dim >= 1 && c->obs_dim <= ENV_MAX_DIM)) return err;
    snprintf(why, n, "observe is %zu numbers: from 1 to %d are possible",
             c->obs_dim, ENV_MAX_DIM);
    return -EINVAL;
}

static int custom_load(const struct env_class *class, void **model,
                       struct env_spec *spec, const struct env_options *options,
                       char *why, size_t n) {
    (void)class;
    char reason[1024] = "";
    struct custom *c = calloc(1, sizeof(*c));
    if (!c) {
        snprintf(why, n, "out of memory");
        return -ENOMEM;
    }
    int err = recipe_read(&c->recipe, options->file, why, n);
    if (!err) {
        err = load_model(c, options->file, options, reason, sizeof(reason));
        if (err) snprintf(why, n, "%s: %s", options->file, reason);
    }
    if (err) {
        custom_unload(c);
        return err;
    }
    *model = c;
    fill_spec(c, spec);
    return 0;
}

static void custom_destroy(void *state) {
    struct state *s = state;
    if (s->mujoco) mujoco_destroy(s->mujoco);
    free(s->before);
    free(s);
}

static void *custom_create(void *model) {
    struct custom *c = model;
    struct state *s = calloc(1, sizeof(*s));
    if (!s) return NULL;
    s->custom = c;
    s->mujoco = mujoco_create(c->base);
    s->before = calloc((size_t)c->base->m->nbody * 3, sizeof(*s->before));
    if (s->mujoco && s->before) return s;
    custom_destroy(s);
    return NULL;
}

static double distance(const mjtNum *a, const mjtNum *b) {
    return sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) +
                (a[2] - b[2]) * (a[2] - b[2]));
}

static double squared_control(const mjModel *m, const mjData *d) {
    double sum = 0.0;
    for (int i = 0; i < (int)m->nu; i++) sum += d->ctrl[i] * d->ctrl[i];
    return sum;
}

/* Number i of a quantity. */
static double value(const struct state *s, const struct bound *b, int i) {
    const mjData *d = s->mujoco->d;
    const ptrdiff_t body = 3 * (ptrdiff_t)b->id + b->axis + i;
    switch (b->kind) {
    case RECIPE_QPOS:
        return d->qpos[b->id + i];
    case RECIPE_QVEL:
        return d->qvel[b->id + i];
    case RECIPE_SIN:
        return sin(d->qpos[b->id]);
    case RECIPE_COS:
        return cos(d->qpos[b->id]);
    case RECIPE_SENSOR:
        return d->sensordata[b->id + i];
    case RECIPE_POSITION:
        return d->xpos[body];
    case RECIPE_VELOCITY:
        return (d->xpos[body] - s->before[body]) / s->custom->base->dt;
    case RECIPE_UP:
        return d->xmat[9 * (ptrdiff_t)b->id + 8];
    case RECIPE_DISTANCE:
        return distance(d->site_xpos + 3 * (ptrdiff_t)b->id,
                        d->site_xpos + 3 * (ptrdiff_t)b->other);
    case RECIPE_CONTROL:
        return squared_control(s->custom->base->m, d);
    case RECIPE_ALIVE:
        return 1.0;
    }
    return 0.0;
}

static double number_of(const struct state *s, const struct bound *b, int i) {
    const double x = value(s, b, i);
    return b->squared ? x * x : x;
}

static void observe(const struct state *s, float *obs) {
    for (size_t k = 0; k < s->custom->recipe.n_observed; k++) {
        const struct bound *b = &s->custom->observed[k];
        for (int i = 0; i < b->width; i++) *obs++ = (float)number_of(s, b, i);
    }
}

static void remember(struct state *s) {
    memcpy(s->before, s->mujoco->d->xpos,
           sizeof(*s->before) * 3 * (size_t)s->custom->base->m->nbody);
}

/* From qpos0 to the keyframe, on top of the noise. */
static void move_to_keyframe(struct state *s, int key) {
    const mjModel *m = s->custom->base->m;
    mjData *d = s->mujoco->d;
    for (int i = 0; i < (int)m->nq; i++)
        d->qpos[i] +=
            m->key_qpos[(ptrdiff_t)key * (int)m->nq + i] - m->qpos0[i];
    for (int i = 0; i < (int)m->nv; i++)
        d->qvel[i] += m->key_qvel[(ptrdiff_t)key * (int)m->nv + i];
    for (int i = 0; i < (int)m->na; i++)
        d->act[i] = m->key_act[(ptrdiff_t)key * (int)m->na + i];
    mj_forward(m, d);
}

static void custom_reset(void *state, struct rng *rng, float *obs) {
    struct state *s = state;
    memset(s->earned, 0, sizeof(s->earned));
    mujoco_reset(s->mujoco, rng, s->custom->recipe.reset_noise);
    if (s->custom->start >= 0) move_to_keyframe(s, s->custom->start);
    remember(s);
    observe(s, obs);
}

static void custom_step(void *state, const double *action, float *obs,
                        struct env_result *result) {
    struct state *s = state;
    const struct custom *c = s->custom;
    remember(s);
    mujoco_step(s->mujoco, action, result);
    // mj_step leaves bodies and sensors where the last substep began
    mj_forward(c->base->m, s->mujoco->d);

    for (size_t i = 0; i < c->recipe.n_terms; i++) {
        const double r =
            c->recipe.terms[i].weight * number_of(s, &c->terms[i], 0);
        s->earned[i] += r;
        result->reward += r;
    }
    for (size_t i = 0; i < c->recipe.n_ends && !result->unstable; i++) {
        const double x = number_of(s, &c->ends[i], 0);
        const struct recipe_end *end = &c->recipe.ends[i];
        if (end->above ? x > end->bound : x < end->bound)
            result->terminal = true;
    }
    if (result->terminal) result->truncated = false;
    observe(s, obs);
}

static void custom_statistics(const void *state, double *stats) {
    const struct state *s = state;
    for (size_t i = 0; i < s->custom->recipe.n_terms && i < ENV_MAX_STATS; i++)
        stats[i] = s->earned[i];
}

static void custom_position(const void *state, double xy[2]) {
    const struct state *s = state;
    const mjData *d = s->mujoco->d;
    xy[0] = d->qpos[0];
    xy[1] = s->custom->base->m->nq > 1 ? d->qpos[1] : 0.0;
}

static void custom_scene(const void *state, struct env_scene *scene) {
    const struct state *s = state;
    mujoco_scene(s->mujoco, scene);
}

const struct env_class tasks_custom = {
    .name = "robot",
    .rewarded = "what its description says",
    .load = custom_load,
    .unload = custom_unload,
    .create = custom_create,
    .destroy = custom_destroy,
    .reset = custom_reset,
    .step = custom_step,
    .statistics = custom_statistics,
    .position = custom_position,
    .scene = custom_scene,
};
