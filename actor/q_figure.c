#include "actor/q_figure.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/policy.h"
#include "common/rng.h"

enum { POINTS = Q_FIGURE_GRID * Q_FIGURE_GRID };

/* One state from text, which is moved behind it. */
static int parse_state(const char **text, float *s, size_t S) {
    for (size_t i = 0; i < S; i++) {
        char *end;
        s[i] = strtof(*text, &end);
        if (end == *text || !isfinite(s[i])) return -EINVAL;
        *text = end;
        if (i + 1 < S && *(*text)++ != ',') return -EINVAL;
    }
    if (**text == ':') {
        (*text)++;
        return **text != '\0' ? 0 : -EINVAL;
    }
    return **text == '\0' ? 0 : -EINVAL;
}

/* columns (rows, 2) and q (rows, or NULL) into folder/<name>-<i>.csv. */
static int write_csv(const char *folder, const char *name, size_t number,
                     const float *columns, const float *q, size_t rows,
                     char *why, size_t n) {
    char path[1024];
    const int len =
        snprintf(path, sizeof(path), "%s/%s-%zu.csv", folder, name, number);
    if (len < 0 || (size_t)len >= sizeof(path)) {
        snprintf(why, n, "the folder's name is too long: %s", folder);
        return -ENAMETOOLONG;
    }
    FILE *file = fopen(path, "w");
    if (!file) {
        snprintf(why, n, "%s: %s", path, strerror(errno));
        return -errno;
    }
    fputs(q ? "a1,a2,q\n" : "a1,a2\n", file);
    for (size_t i = 0; i < rows; i++) {
        const double a1 = (double)columns[2 * i];
        const double a2 = (double)columns[2 * i + 1];
        if (q)
            fprintf(file, "%.4f,%.4f,%.6g\n%s", a1, a2, (double)q[i],
                    (i + 1) % Q_FIGURE_GRID == 0 ? "\n" : "");
        else
            fprintf(file, "%.6f,%.6f\n", a1, a2);
    }
    const int failed = ferror(file);
    if (fclose(file) != 0 || failed) {
        snprintf(why, n, "cannot write %s: %s", path, strerror(errno));
        return -EIO;
    }
    return 0;
}

static void fill_grid(float *a) {
    for (size_t i = 0; i < POINTS; i++) {
        const size_t row = i / Q_FIGURE_GRID, column = i % Q_FIGURE_GRID;
        const float step = 2.0f / (Q_FIGURE_GRID - 1);
        a[2 * i] = (float)row * step - 1.0f;
        a[2 * i + 1] = (float)column * step - 1.0f;
    }
}

/* s (2, S): the state, and room for what f sees of it. buffer (6 POINTS): the
 * grid of actions, noise, and what comes out. */
static int write_state(const struct snapshot *snapshot, float *s, size_t number,
                       const char *folder, uint64_t seed, struct mlp_work *work,
                       float *buffer, char *why, size_t n) {
    const struct policy *policy = &snapshot->policy;
    struct rng rng;
    float *x = s + policy->shape.S;
    float *grid = buffer, *q = buffer + (size_t)2 * POINTS;
    float *xi = buffer + (size_t)3 * POINTS,
          *a = xi + (size_t)2 * Q_FIGURE_ACTIONS;
    fill_grid(grid);
    int err = snapshot_value(snapshot, q, s, grid, POINTS);
    if (err) {
        snprintf(why, n, "out of memory");
        return err;
    }
    rng_init(&rng, seed, RNG_EVALUATOR, 1, 0, number);
    policy_draw_noise(policy, xi, Q_FIGURE_ACTIONS, &rng);
    policy_observe(policy, x, s, 1);
    policy_act(&policy->shape, a, NULL, policy->phi, x, xi, 1, Q_FIGURE_ACTIONS,
               work);
    err = write_csv(folder, "q", number, grid, q, POINTS, why, n);
    if (err) return err;
    return write_csv(folder, "actions", number, a, NULL, Q_FIGURE_ACTIONS, why,
                     n);
}

int q_figure_write(const struct snapshot *snapshot, const char *states,
                   const char *folder, uint64_t seed, char *why, size_t n) {
    const struct mlp_shape *shape = &snapshot->policy.shape;
    const size_t S = shape->S;
    if (shape->X != 2) {
        snprintf(why, n, "the figure of Q needs a task with 2 actions, not %zu",
                 shape->X);
        return -EINVAL;
    }
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        snprintf(why, n, "%s: %s", folder, strerror(errno));
        return -errno;
    }
    struct mlp_work work = {0};
    float *s = calloc(2 * S, sizeof(*s));
    float *buffer = calloc((size_t)6 * POINTS, sizeof(*buffer));
    int err = s && buffer ? mlp_work_init(&work, shape, Q_FIGURE_ACTIONS, 1)
                          : -ENOMEM;
    if (err) snprintf(why, n, "out of memory");

    const char *text = states;
    for (size_t i = 0; !err && (i == 0 || *text != '\0'); i++) {
        err = i < Q_FIGURE_MAX_STATES ? parse_state(&text, s, S) : -EINVAL;
        if (err)
            snprintf(why, n,
                     "q_states is \"%s\": up to %d states by ':', each %zu "
                     "numbers by ','",
                     states, Q_FIGURE_MAX_STATES, S);
        else
            err = write_state(snapshot, s, i, folder, seed, &work, buffer, why,
                              n);
    }
    free(s);
    free(buffer);
    mlp_work_finish(&work);
    return err;
}
