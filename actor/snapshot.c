#include "actor/snapshot.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/rundir.h"
#include "common/tensors.h"

static bool has_shape(const struct tensors_entry *entry, size_t rows,
                      size_t cols) {
    return entry->type == TENSORS_F32 && entry->shape[0] == rows &&
           (cols > 0 ? entry->rank == 2 && entry->shape[1] == cols
                     : entry->rank == 1);
}

/* One network's slices, "f.ws" ..., into one flat vector that is owned. */
static int read_network(float **out, const struct tensors *tensors,
                        const char *prefix, const struct mlp_shape *shape,
                        char *why, size_t n) {
    struct mlp_slice slices[MLP_TENSORS];
    mlp_slices(shape, slices);
    float *p = malloc(sizeof(*p) * mlp_parameters(shape));
    *out = p;
    if (!p) {
        snprintf(why, n, "out of memory");
        return -ENOMEM;
    }
    for (size_t i = 0; i < MLP_TENSORS; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s.%s", prefix, slices[i].name);
        const struct tensors_entry *entry = tensors_find(tensors, name);
        const size_t rows = slices[i].rows, cols = slices[i].cols;
        if (!entry || !has_shape(entry, rows, cols)) {
            snprintf(why, n, "its tensor %s is %s", name,
                     entry ? "of a wrong shape" : "missing");
            return -EBADMSG;
        }
        memcpy(p + slices[i].offset, entry->data,
               sizeof(*p) * rows * (cols > 0 ? cols : 1));
    }
    return 0;
}

/* The first layer's two halves tell all sizes. */
static int read_networks(struct snapshot *snapshot,
                         const struct tensors *tensors, char *why, size_t n) {
    const struct tensors_entry *ws = tensors_find(tensors, "f.ws");
    const struct tensors_entry *wx = tensors_find(tensors, "f.wx");
    if (!ws || !wx || ws->rank != 2 || wx->rank != 2) {
        snprintf(why, n, "it holds no sampler (f.ws, f.wx)");
        return -EBADMSG;
    }
    const size_t S = ws->shape[0], H = ws->shape[1], A = wx->shape[0];
    const char *task = tensors_note(tensors, "task");
    snprintf(snapshot->task, sizeof(snapshot->task), "%s", task ? task : "");
    snapshot->policy.shape = (struct mlp_shape){S, A, H, A};
    snapshot->q = (struct mlp_shape){S, A, H, 1};
    int err = read_network(&snapshot->phi, tensors, "f",
                           &snapshot->policy.shape, why, n);
    snapshot->policy.phi = snapshot->phi;
    if (err) return err;
    return read_network(&snapshot->theta, tensors, "q", &snapshot->q, why, n);
}

/* Where the checkpoint is: the newest one, or the one that was named. */
static int find_file(char *path, size_t len, const char *run, const char *file,
                     char *why, size_t n) {
    const bool named = file && file[0] != '\0';
    int err = 0;
    if (!named)
        err = rundir_newest_checkpoint(path, len, run);
    else if (!strchr(file, '/'))
        err = (size_t)snprintf(path, len, "%s/checkpoints/%s", run, file) < len
                  ? 0
                  : -ENAMETOOLONG;
    else if ((size_t)snprintf(path, len, "%s", file) >= len)
        err = -ENAMETOOLONG;
    if (!err && named && access(path, R_OK) != 0) err = -errno;
    if (!err) return 0;
    if (named)
        snprintf(why, n,
                 "checkpoint %s: %s: give a file's path, or its name "
                 "in %s/checkpoints",
                 file, strerror(-err), run);
    else
        snprintf(why, n, "%s %s", run,
                 err == -ENOENT ? "has no checkpoint yet" : strerror(-err));
    return err;
}

int snapshot_read(struct snapshot *snapshot, const char *run, const char *file,
                  char *why, size_t n) {
    char path[1100], reason[256] = "";
    *snapshot = (struct snapshot){0};
    int err = find_file(path, sizeof(path), run, file, why, n);
    if (err) return err;
    const char *slash = strrchr(path, '/');
    snprintf(snapshot->file, sizeof(snapshot->file), "%.63s",
             slash ? slash + 1 : path);

    struct tensors tensors = {0};
    err = tensors_read(&tensors, path, why, n); // names the path itself
    if (err) return err;
    err = read_networks(snapshot, &tensors, reason, sizeof(reason));
    tensors_finish(&tensors);
    if (err) {
        snprintf(why, n, "%s: %s", path, reason);
        snapshot_finish(snapshot);
    }
    return err;
}

void snapshot_finish(struct snapshot *snapshot) {
    free(snapshot->phi);
    free(snapshot->theta);
    *snapshot = (struct snapshot){0};
}

int snapshot_check(const struct snapshot *snapshot, const char *task,
                   const struct env_spec *spec, char *why, size_t n) {
    if (snapshot->task[0] != '\0' && strcmp(snapshot->task, task) != 0) {
        snprintf(why, n, "%s was trained on the task %s, not on %s",
                 snapshot->file, snapshot->task, task);
        return -EINVAL;
    }
    const struct mlp_shape *shape = &snapshot->policy.shape;
    if (shape->S != spec->obs_dim || shape->X != spec->act_dim) {
        snprintf(why, n,
                 "%s takes %zu observations and gives %zu actions, but the "
                 "task %s has %zu and %zu",
                 snapshot->file, shape->S, shape->X, task, spec->obs_dim,
                 spec->act_dim);
        return -EINVAL;
    }
    return 0;
}
