#include "actor/traces.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

int traces_open(struct traces *traces, const char *path,
                const struct env_class *class, size_t E, uint64_t episodes) {
    *traces = (struct traces){.class = class, .E = E, .episodes = episodes};
    traces->paths = calloc(E, sizeof(*traces->paths));
    if (!traces->paths) return -ENOMEM;
    traces->file = fopen(path, "w");
    if (!traces->file) {
        const int err = -errno;
        traces_close(traces);
        return err;
    }
    fputs("episode,step,x,y,reward\n", traces->file);
    return 0;
}

static int push(struct traces_path *path, struct traces_point point) {
    if (path->n == path->capacity) {
        const size_t capacity = path->capacity > 0 ? 2 * path->capacity : 64;
        struct traces_point *points =
            realloc(path->points, capacity * sizeof(*points));
        if (!points) return -ENOMEM;
        path->points = points;
        path->capacity = capacity;
    }
    path->points[path->n++] = point;
    return 0;
}

static void write_path(struct traces *traces, size_t env) {
    struct traces_path *path = &traces->paths[env];
    const uint64_t number = path->ended++ * traces->E + env;
    if (number >= traces->episodes) return;
    for (size_t i = 0; i < path->n; i++)
        fprintf(traces->file, "%" PRIu64 ",%zu,%.6g,%.6g,%.6g\n", number, i,
                path->points[i].x, path->points[i].y, path->points[i].reward);
    fputc('\n', traces->file);
    if (ferror(traces->file) && !traces->err) traces->err = -EIO;
}

void traces_watch(void *user, size_t env, uint64_t step, const void *state,
                  const struct env_result *result) {
    struct traces *traces = user;
    struct traces_path *path = &traces->paths[env];
    double xy[2];
    if (step == 0) path->n = 0;
    traces->class->position(state, xy);
    const int err = push(
        path, (struct traces_point){xy[0], xy[1], result ? result->reward : 0});
    if (err && !traces->err) traces->err = err;
    if (result && (result->terminal || result->truncated))
        write_path(traces, env);
}

int traces_close(struct traces *traces) {
    int err = traces->err;
    if (traces->file && fclose(traces->file) != 0 && !err) err = -errno;
    for (size_t e = 0; traces->paths && e < traces->E; e++)
        free(traces->paths[e].points);
    free(traces->paths);
    *traces = (struct traces){0};
    return err;
}
