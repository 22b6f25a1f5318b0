#ifndef ACTOR_RENDER_H
#define ACTOR_RENDER_H

#include <stdbool.h>
#include <stddef.h>

#include "actor/env.h"

/*
 * Pictures of an environment by MuJoCo's renderer, without a screen. A task
 * shows its simulation (env_class.scene) or a drawing of its plane
 * (env_class.drawing). One struct render a process at a time.
 *
 *   W width   H height, pixels
 */
struct render;

struct render_options {
    size_t width, height;
    const char *camera; /* of the model; "": its first one, and in a model
                         * without any a camera that follows the robot;
                         * "follow": that one always */
    const char *models; /* folder of the MJCF files; "": built in */
    bool smooth;        /* edges, for twice the time */
};

/*
 * A renderer for environments of class, of which state is one. Returns 0, or
 * with one line in why (n bytes): -ENOTSUP (the task shows nothing), -ENODEV
 * (no OpenGL), -ENOENT (no such camera: names those there are; no drawing),
 * -ENOMEM, others as env_class.load(). To be freed; *render is NULL on error.
 */
int render_new(struct render **render, const struct env_class *class,
               const void *state, const struct render_options *options,
               char *why, size_t n);
void render_free(struct render *render);

/* Simulated seconds a step. */
double render_dt(const struct render *render);

/*
 * state as it is now, with two columns of text, lines by '\n', in the upper
 * left corner; labels without values are large. Returns pixels (H, W, 3), the
 * top row first, valid until the next call.
 */
const unsigned char *render_draw(struct render *render, const void *state,
                                 const char *labels, const char *values);

/*
 * How far a camera must stand to see a ball of this radius (m) whole, with
 * some air around it: fovy (degrees) is its vertical field of view, aspect
 * W / H.
 */
double render_distance(double radius, double fovy, double aspect);

#endif
