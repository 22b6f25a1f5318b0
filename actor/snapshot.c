#include "actor/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/rundir.h"
#include "common/tensors.h"

/* The first rows of "noise.set", or neither of the two. */
static int read_noise(const struct stored *r, struct snapshot *snapshot) {
    struct policy *policy = &snapshot->policy;
    const struct tensors_entry *set = tensors_find(r->tensors, "noise.set");
    const size_t A = policy->shape.X;
    if (!set && !stored_has(r, "noise.size")) return 0;
    const uint64_t *size = stored_find(r, "noise.size", TENSORS_U64, 0, 0);
    if (!size) return -EBADMSG;
    const size_t rows = set && set->rank == 2 ? set->shape[0] : 1;
    const float *data = stored_find(r, "noise.set", TENSORS_F32, rows, A);
    if (!data) return -EBADMSG;
    if (*size == 0 || *size > rows)
        return stored_refuse(
            r, "its noise.size is %" PRIu64 ", not 1 to %zu rows", *size, rows);
    policy->n_noise = (size_t)*size;
    policy->noise = snapshot->noise =
        malloc(sizeof(*snapshot->noise) * policy->n_noise * A);
    if (!snapshot->noise) {
        stored_refuse(r, "out of memory");
        return -ENOMEM;
    }
    return stored_copy(r, snapshot->noise, "noise.set", data,
                       policy->n_noise * A);
}

/* The run's own Q, or the sources that it was composed of. */
static int read_sources(const struct stored *r, struct snapshot *snapshot) {
    const struct mlp_shape *policy = &snapshot->policy.shape;
    char prefix[16] = "source0.";
    size_t n = 0;
    if (stored_has(r, "q.") && stored_has(r, "source"))
        return stored_refuse(r, "it holds both q.* and source...");
    if (!stored_has(r, "source")) {
        snapshot->n_sources = 1;
        return stored_q_read(r, &snapshot->sources[0], "", policy->S,
                             policy->X);
    }
    while (n < SNAPSHOT_SOURCES && stored_has(r, prefix))
        snprintf(prefix, sizeof(prefix), "source%zu.", ++n);
    for (size_t i = 0; i < r->tensors->n; i++) {
        const char *name = r->tensors->entries[i].name;
        if (strncmp(name, "source", 6) == 0 && strtoul(name + 6, NULL, 10) >= n)
            return stored_refuse(
                r,
                "its tensor %s: sources go from source0 to source%d "
                "without a gap",
                name, SNAPSHOT_SOURCES - 1);
    }
    snapshot->n_sources = n;
    int err = 0;
    for (size_t i = 0; !err && i < n; i++) {
        snprintf(prefix, sizeof(prefix), "source%zu.", i);
        err = stored_q_read(r, &snapshot->sources[i], prefix, policy->S,
                            policy->X);
    }
    return err;
}

static int read_policy(const struct stored *r, struct snapshot *snapshot) {
    const struct tensors_entry *ws = tensors_find(r->tensors, "f.ws");
    const struct tensors_entry *wx = tensors_find(r->tensors, "f.wx");
    struct policy *policy = &snapshot->policy;
    // the first layer's two halves tell all sizes
    if (!ws || !wx || ws->rank != 2 || wx->rank != 2)
        return stored_refuse(r, "it holds no sampler (f.ws, f.wx)");
    const size_t S = ws->shape[0], H = ws->shape[1], A = wx->shape[0];
    if (S == 0 || H == 0 || A == 0)
        return stored_refuse(
            r, "its sampler has %zu inputs, %zu units, %zu actions", S, H, A);
    policy->shape = (struct mlp_shape){S, A, H, A};
    int err = stored_network(r, &snapshot->phi, "f", &policy->shape);
    if (!err) err = read_noise(r, snapshot);
    if (!err) err = stored_moments(r, &snapshot->moments, "", S);
    policy->phi = snapshot->phi;
    policy->mean = snapshot->moments.shift;
    policy->scale = snapshot->moments.scale;
    return err;
}

/* What is only shown. */
static int read_facts(const struct stored *r, struct snapshot *snapshot) {
    const char *task = tensors_note(r->tensors, "task");
    const char *algorithm = tensors_note(r->tensors, "algorithm");
    snprintf(snapshot->task, sizeof(snapshot->task), "%s", task ? task : "");
    snprintf(snapshot->algorithm, sizeof(snapshot->algorithm), "%s",
             algorithm ? algorithm : "");
    if (tensors_find(r->tensors, "updates")) {
        const uint64_t *n = stored_find(r, "updates", TENSORS_U64, 0, 0);
        if (!n) return -EBADMSG;
        snapshot->updates = *n;
    }
    snapshot->temperature = (double)NAN;
    if (!tensors_find(r->tensors, "temperature")) return 0; // older files
    const double *alpha = stored_find(r, "temperature", TENSORS_F64, 0, 0);
    if (!alpha) return -EBADMSG;
    if (!(*alpha >= 0.0 && isfinite(*alpha)))
        return stored_refuse(r, "its temperature is %g, not 0 or more", *alpha);
    snapshot->temperature = *alpha;
    snapshot->policy.alpha = (float)*alpha;
    return 0;
}

static int read_all(const struct stored *r, struct snapshot *snapshot) {
    int err = read_facts(r, snapshot);
    if (!err) err = read_policy(r, snapshot);
    if (!err) err = read_sources(r, snapshot);
    return err;
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
    err =
        read_all(&(struct stored){&tensors, reason, sizeof(reason)}, snapshot);
    tensors_finish(&tensors);
    if (err) {
        snprintf(why, n, "%s: %s", path, reason);
        snapshot_finish(snapshot);
    }
    return err;
}

void snapshot_finish(struct snapshot *snapshot) {
    free(snapshot->phi), free(snapshot->noise);
    moments_finish(&snapshot->moments);
    for (size_t i = 0; i < snapshot->n_sources; i++)
        stored_q_finish(&snapshot->sources[i]);
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

/* sum in/out (n) += the source's Q. x (S) and qs (2, n): scratch. */
static int add_source(const struct stored_q *source, float *sum, float *x,
                      float *qs, const float *s, const float *a, size_t n) {
    struct mlp_work work;
    int err = mlp_work_init(&work, &source->shape, n, 1);
    if (err) return err;
    float *q = qs, *twin = qs + n;
    policy_normalise(x, s, source->moments.shift, source->moments.scale, 1,
                     source->shape.S);
    mlp_forward(&source->shape, q, source->theta[0], x, a, 1, n, 0, &work);
    if (source->n > 1) {
        mlp_forward(&source->shape, twin, source->theta[1], x, a, 1, n, 0,
                    &work);
        for (size_t i = 0; i < n; i++) q[i] = fminf(q[i], twin[i]);
    }
    for (size_t i = 0; i < n; i++) sum[i] += q[i];
    mlp_work_finish(&work);
    return 0;
}

int snapshot_value(const struct snapshot *snapshot, float *q, const float *s,
                   const float *a, size_t n) {
    const size_t S = snapshot->policy.shape.S;
    float *scratch = malloc(sizeof(*scratch) * (S + 2 * n));
    int err = scratch ? 0 : -ENOMEM;
    memset(q, 0, sizeof(*q) * n);
    for (size_t i = 0; !err && i < snapshot->n_sources; i++)
        err =
            add_source(&snapshot->sources[i], q, scratch, scratch + S, s, a, n);
    for (size_t i = 0; i < n; i++) q[i] /= (float)snapshot->n_sources;
    free(scratch);
    return err;
}
