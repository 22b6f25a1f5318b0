#include "actor/render.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mujoco/mujoco.h>

#include "actor/gl.h"
#include "actor/tasks/mujoco.h"

enum { MOST_GEOMS = 4000, SAMPLES = 4 /* a smooth pixel's */, FOLLOW = -1 };

/* Where the following camera stands: in front of the robot, to its right. */
static const double azimuth = 115.0, elevation = -20.0; // degrees
static const double air = 1.15; // around what it looks at

struct render {
    const struct env_class *class; /* borrowed */
    struct mujoco_model *paper;    /* of a drawing, else NULL; owned */
    struct mujoco_state *drawing;  /* the same */
    double dt;
    int root; /* body that the following camera looks at */

    struct gl gl;
    mjvScene scene;
    mjvCamera camera;
    mjvOption option;
    mjrContext context;
    int width, height;
    unsigned char *pixels; /* (height, width, 3), the bottom row first */
    unsigned char *row;    /* (width, 3) */
};

double render_distance(double radius, double fovy, double aspect) {
    const double half = 0.5 * fovy * acos(-1.0) / 180.0;
    const double narrow = fmin(half, atan(tan(half) * aspect));
    return air * radius / sin(narrow);
}

/* What there is to see of state; a drawing follows it first. */
static struct env_scene look(struct render *render, const void *state) {
    struct env_scene scene;
    if (!render->drawing) {
        render->class->scene(state, &scene);
        return scene;
    }
    render->class->position(state, render->drawing->d->qpos);
    mj_forward(render->paper->m, render->drawing->d);
    mujoco_scene(render->drawing, &scene);
    return scene;
}

static int load_drawing(struct render *render, const char *models, char *why,
                        size_t n) {
    const struct env_options options = {.data_dir = models};
    int err = mujoco_load(&render->paper, render->class->drawing, 1, 0,
                          &options, why, n);
    if (err) return err;
    render->drawing = mujoco_create(render->paper);
    if (render->drawing && render->paper->m->nq >= 2) return 0;
    snprintf(why, n,
             render->drawing ? "%s has no two coordinates: they are the task's "
                               "position"
                             : "%s: out of memory",
             render->class->drawing);
    return render->drawing ? -EBADMSG : -ENOMEM;
}

/* The robot: the tree of bodies that the first joint moves. */
static int find_root(const mjModel *m) {
    if (m->njnt > 0) return m->body_rootid[m->jnt_bodyid[0]];
    return m->nbody > 1 ? 1 : 0;
}

/* m from the root's centre of mass to its farthest geom's far side. */
static double radius_of(const mjModel *m, const mjData *d, int root) {
    const mjtNum *centre = d->subtree_com + (ptrdiff_t)3 * root;
    double radius = 0.0;
    for (int i = 0; i < (int)m->ngeom; i++) {
        if (m->body_rootid[m->geom_bodyid[i]] != root) continue;
        const mjtNum *at = d->geom_xpos + (ptrdiff_t)3 * i;
        radius = fmax(radius, mju_dist3(centre, at) + m->geom_rbound[i]);
    }
    return radius > 0.0 ? radius : m->stat.extent;
}

static int no_camera(const struct render *render, const mjModel *m,
                     const char *name, char *why, size_t n) {
    int used =
        snprintf(why, n, "there is no camera \"%s\" in the task %s: ", name,
                 render->class->name);
    for (int i = 0; i < (int)m->ncam && used >= 0 && (size_t)used < n; i++) {
        const char *other = mj_id2name(m, mjOBJ_CAMERA, i);
        if (!other) continue;
        used += snprintf(why + used, n - (size_t)used, "%s, ", other);
    }
    if (used >= 0 && (size_t)used < n)
        snprintf(why + used, n - (size_t)used, "follow");
    return -ENOENT;
}

static int choose_camera(struct render *render, const struct env_scene *scene,
                         const char *name, char *why, size_t n) {
    const mjModel *m = scene->model;
    mjvCamera *camera = &render->camera;
    int id = m->ncam > 0 ? 0 : FOLLOW;
    if (strcmp(name, "follow") == 0)
        id = FOLLOW;
    else if (name[0] != '\0')
        id = mj_name2id(m, mjOBJ_CAMERA, name);
    if (id < 0 && name[0] != '\0' && strcmp(name, "follow") != 0)
        return no_camera(render, m, name, why, n);

    mjv_defaultCamera(camera);
    render->root = find_root(m);
    if (id != FOLLOW) {
        camera->type = mjCAMERA_FIXED;
        camera->fixedcamid = id;
        return 0;
    }
    camera->type = mjCAMERA_FREE;
    camera->azimuth = azimuth;
    camera->elevation = elevation;
    camera->distance = render_distance(radius_of(m, scene->data, render->root),
                                       (double)m->vis.global.fovy,
                                       (double)render->width / render->height);
    mju_copy3(camera->lookat,
              scene->data->subtree_com + (ptrdiff_t)3 * render->root);
    return 0;
}

/* The scene's memory, and the model's textures and meshes in OpenGL's. */
static int open_scene(struct render *render, const mjModel *m, bool smooth,
                      char *why, size_t n) {
    const size_t row = (size_t)3 * (size_t)render->width;
    render->pixels = malloc(row * (size_t)render->height);
    render->row = malloc(row);
    if (!render->pixels || !render->row) {
        snprintf(why, n, "out of memory for a picture of %d x %d",
                 render->width, render->height);
        return -ENOMEM;
    }
    int err = gl_open(&render->gl, why, n);
    if (err) return err;
    mjv_defaultOption(&render->option);
    mjv_makeScene(m, &render->scene, MOST_GEOMS);
    // they are the model's; a copy of its first level has ours
    mjModel sized = *m;
    sized.vis.global.offwidth = render->width;
    sized.vis.global.offheight = render->height;
    sized.vis.quality.offsamples = smooth ? SAMPLES : 0;
    mjr_makeContext(&sized, &render->context, mjFONTSCALE_100);
    mjr_setBuffer(mjFB_OFFSCREEN, &render->context);
    return 0;
}

int render_new(struct render **render, const struct env_class *class,
               const void *state, const struct render_options *options,
               char *why, size_t n) {
    *render = NULL;
    if (!class->scene && !class->drawing) {
        snprintf(why, n, "the task %s has nothing to show: no model",
                 class->name);
        return -ENOTSUP;
    }
    struct render *made = calloc(1, sizeof(*made));
    if (!made) {
        snprintf(why, n, "out of memory");
        return -ENOMEM;
    }
    made->class = class;
    made->width = (int)options->width;
    made->height = (int)options->height;
    mjv_defaultScene(&made->scene);
    mjr_defaultContext(&made->context);
    int err = class->scene ? 0 : load_drawing(made, options->models, why, n);
    if (!err) {
        const struct env_scene scene = look(made, state);
        made->dt = scene.dt;
        err = choose_camera(made, &scene, options->camera, why, n);
        if (!err) err = open_scene(made, scene.model, options->smooth, why, n);
    }
    if (err) {
        render_free(made);
        return err;
    }
    *render = made;
    return 0;
}

void render_free(struct render *render) {
    if (!render) return;
    if (render->gl.kind) {
        mjr_freeContext(&render->context);
        mjv_freeScene(&render->scene);
    }
    gl_close(&render->gl);
    if (render->drawing) mujoco_destroy(render->drawing);
    if (render->paper) mujoco_unload(render->paper);
    free(render->pixels);
    free(render->row);
    free(render);
}

double render_dt(const struct render *render) {
    return render->dt;
}

/* OpenGL's first row is the lowest. */
static void turn_over(struct render *render) {
    const size_t row = (size_t)3 * (size_t)render->width;
    unsigned char *low = render->pixels;
    unsigned char *high = render->pixels + row * (size_t)(render->height - 1);
    for (; low < high; low += row, high -= row) {
        memcpy(render->row, low, row);
        memcpy(low, high, row);
        memcpy(high, render->row, row);
    }
}

const unsigned char *render_draw(struct render *render, const void *state,
                                 const char *labels, const char *values) {
    const struct env_scene seen = look(render, state);
    const mjrRect whole = {0, 0, render->width, render->height};
    if (render->camera.type == mjCAMERA_FREE) {
        // its height stays, so that a jump looks like one
        const mjtNum *centre =
            seen.data->subtree_com + (ptrdiff_t)3 * render->root;
        render->camera.lookat[0] = centre[0];
        render->camera.lookat[1] = centre[1];
    }
    mjv_updateScene(seen.model, (mjData *)seen.data, &render->option, NULL,
                    &render->camera, mjCAT_ALL, &render->scene);
    mjr_render(whole, &render->scene, &render->context);
    mjr_overlay(values[0] == '\0' ? mjFONT_BIG : mjFONT_NORMAL, mjGRID_TOPLEFT,
                whole, labels, values, &render->context);
    mjr_readPixels(render->pixels, NULL, whole, &render->context);
    turn_over(render);
    return render->pixels;
}
