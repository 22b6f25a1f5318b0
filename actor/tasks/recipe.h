#ifndef ACTOR_TASKS_RECIPE_H
#define ACTOR_TASKS_RECIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The [robot] section of an INI file: a task on a user's own MJCF model, in
 * words. Pure text: what the words mean of a model is bound in custom.c.
 *
 *   [robot]
 *   model = arm.xml           path, from the folder of this file
 *   frame_skip = 5            simulator steps a step, [1, 1000], default 1
 *   horizon = 200             steps an episode, default 1000
 *   start = home              a keyframe of the model; default: its qpos0
 *   reset_noise = 0.1         uniform on +-this, on qpos and qvel; default 0
 *   observe = qpos qvel       quantities, may be given again
 *   skip = 2                  the first so many of qpos are not observed
 *   reward = -1 distance(tip,goal)       weight and quantity, a line each
 *   end = position(torso,z) < 0.2        terminal when any of these is true
 *
 * A quantity, with ^2 behind it its square:
 *
 *   qpos  qvel                all of the model
 *   qpos(JOINT)  qvel(JOINT)  of a joint
 *   sin(JOINT)  cos(JOINT)    of a hinge's angle
 *   sensor(SENSOR)
 *   position(BODY)            of the body's frame, in the world
 *   velocity(BODY)            its displacement in this step / the step's
 *                             seconds; 0 at an episode's start
 *   up(BODY)                  z of the body's z axis: 1 upright, -1 flipped
 *   distance(SITE,SITE)
 *   control                   sum of squared controls
 *   alive                     1
 *
 * qpos(), qvel(), sensor(), position() and velocity() take an index behind the
 * name, 0 or x the first: velocity(torso,x). Without one they are all numbers
 * they have, which is for observe alone.
 */
enum {
    RECIPE_NAME_LEN = 64,
    RECIPE_TEXT_LEN = 160,
    RECIPE_PATH_LEN = 512,
    RECIPE_MAX_OBSERVED = 64,
    RECIPE_MAX_TERMS = 16,
    RECIPE_MAX_ENDS = 16,
};

enum recipe_kind {
    RECIPE_QPOS,
    RECIPE_QVEL,
    RECIPE_SIN,
    RECIPE_COS,
    RECIPE_SENSOR,
    RECIPE_POSITION,
    RECIPE_VELOCITY,
    RECIPE_UP,
    RECIPE_DISTANCE,
    RECIPE_CONTROL,
    RECIPE_ALIVE,
};

struct recipe_quantity {
    enum recipe_kind kind;
    char text[RECIPE_TEXT_LEN];  /* as written, blanks left out */
    char name[RECIPE_NAME_LEN];  /* "": all of the model */
    char other[RECIPE_NAME_LEN]; /* distance: the second site */
    int index;                   /* -1: all numbers it has */
    bool squared;
};

struct recipe_term {
    double weight; /* finite */
    struct recipe_quantity of;
};

struct recipe_end {
    struct recipe_quantity of;
    bool above; /* ends above the bound, else below it */
    double bound;
};

struct recipe {
    char model[RECIPE_PATH_LEN]; /* as written */
    int frame_skip;
    uint64_t horizon;
    char start[RECIPE_NAME_LEN]; /* "": qpos0 */
    double reset_noise;
    int skip;
    size_t n_observed, n_terms, n_ends;
    struct recipe_quantity observed[RECIPE_MAX_OBSERVED];
    struct recipe_term terms[RECIPE_MAX_TERMS];
    struct recipe_end ends[RECIPE_MAX_ENDS];
    uint64_t hash; /* of all that is said but model's path */
};

/*
 * Read the section of the file path. Returns 0, or -EINVAL with one line in why
 * (n bytes) that names file, line and the words allowed: an unknown or repeated
 * name, a number out of range, a quantity that is none or stands twice; model,
 * observe or reward missing.
 */
int recipe_read(struct recipe *recipe, const char *path, char *why, size_t n);

/* One quantity; len: bytes of text to read. 0 or -EINVAL with why. */
int recipe_quantity_parse(struct recipe_quantity *quantity, const char *text,
                          size_t len, char *why, size_t n);

/*
 * The model's path, as seen from where the process stands: as written if that
 * is absolute, else below the folder of the INI file ini. 0 or -ENAMETOOLONG.
 */
int recipe_model(const struct recipe *recipe, const char *ini, char *path,
                 size_t n);

#endif
