#include "actor/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/rundir.h"
#include "common/tensors.h"

/* A file that is being read, and where its refusal is written. */
struct reading {
    const struct tensors *tensors;
    char *why;
    size_t n;
};

static int __attribute__((format(printf, 2, 3)))
refuse(const struct reading *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(r->why, r->n, format, args);
    va_end(args);
    return -EBADMSG;
}

/* Is there any tensor whose name begins like this? */
static bool holds(const struct reading *r, const char *prefix) {
    for (size_t i = 0; i < r->tensors->n; i++)
        if (strncmp(r->tensors->entries[i].name, prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

/* The tensor's data if it is of this type and shape (cols 0: a vector, rows 0:
 * one number), borrowed; NULL: refused. */
static const void *find(const struct reading *r, const char *name,
                        enum tensors_type type, size_t rows, size_t cols) {
    static const char *const types[] = {"F32", "F64", "U64"};
    const size_t rank = rows == 0 ? 0 : cols == 0 ? 1 : 2;
    const size_t shape[2] = {rows, cols};
    const struct tensors_entry *entry = tensors_find(r->tensors, name);
    if (entry && entry->type == type && entry->rank == rank &&
        memcmp(entry->shape, shape, sizeof(*shape) * rank) == 0)
        return entry->data;
    char size[64] = "one";
    if (rank == 1) snprintf(size, sizeof(size), "%zu", rows);
    if (rank == 2) snprintf(size, sizeof(size), "%zu x %zu", rows, cols);
    refuse(r, "its tensor %s is %s %s %s", name,
           entry ? "not" : "missing:", size, types[type]);
    return NULL;
}

/* Room for n floats that the snapshot owns. */
static int allocate(const struct reading *r, float **out, size_t n) {
    *out = malloc(sizeof(**out) * n);
    if (*out) return 0;
    refuse(r, "out of memory");
    return -ENOMEM;
}

static int copy(const struct reading *r, float *out, const char *name,
                const float *data, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(data[i]))
            return refuse(r, "its tensor %s is not finite", name);
        out[i] = data[i];
    }
    return 0;
}

/* One network's slices, "f.ws" ..., into one flat vector. */
static int read_network(const struct reading *r, float **out,
                        const char *prefix, const struct mlp_shape *shape) {
    struct mlp_slice slices[MLP_TENSORS];
    const float *data[MLP_TENSORS];
    char name[MLP_TENSORS][64];
    mlp_slices(shape, slices);
    // all are in the file before their sizes are believed
    for (size_t i = 0; i < MLP_TENSORS; i++) {
        snprintf(name[i], sizeof(name[i]), "%s.%s", prefix, slices[i].name);
        data[i] = find(r, name[i], TENSORS_F32, slices[i].rows, slices[i].cols);
        if (!data[i]) return -EBADMSG;
    }
    int err = allocate(r, out, mlp_parameters(shape));
    for (size_t i = 0; !err && i < MLP_TENSORS; i++) {
        const size_t cols = slices[i].cols > 0 ? slices[i].cols : 1;
        err = copy(r, *out + slices[i].offset, name[i], data[i],
                   slices[i].rows * cols);
    }
    return err;
}

/* "<prefix>normal.count" and what belongs to it, if any of it is there. */
static int read_normal(const struct reading *r, struct snapshot_normal *normal,
                       const char *prefix, size_t S) {
    char name[64];
    snprintf(name, sizeof(name), "%snormal.", prefix);
    if (!holds(r, name)) return 0;
    snprintf(name, sizeof(name), "%snormal.count", prefix);
    const double *count = find(r, name, TENSORS_F64, 0, 0);
    snprintf(name, sizeof(name), "%snormal.mean", prefix);
    const double *mean = count ? find(r, name, TENSORS_F64, S, 0) : NULL;
    snprintf(name, sizeof(name), "%snormal.m2", prefix);
    const double *m2 = mean ? find(r, name, TENSORS_F64, S, 0) : NULL;
    if (!m2) return -EBADMSG;
    if (!(*count >= 0.0 && isfinite(*count)))
        return refuse(r, "its %snormal.count is %g, not 0 or more", prefix,
                      *count);
    int err = allocate(r, &normal->mean, S);
    if (!err) err = allocate(r, &normal->scale, S);
    for (size_t i = 0; !err && i < S; i++) {
        if (!isfinite((float)mean[i]) || !isfinite(m2[i]) || m2[i] < 0.0)
            return refuse(r,
                          "its %snormal is wrong at %zu: mean %g, and m2 %g "
                          "of 0 or more",
                          prefix, i, mean[i], m2[i]);
        normal->mean[i] = (float)mean[i];
        normal->scale[i] =
            *count > 0.0 ? (float)(1.0 / sqrt(m2[i] / *count + 1e-8)) : 1.0f;
    }
    return err;
}

/* The first rows of "noise.set", or neither of the two. */
static int read_noise(const struct reading *r, struct snapshot *snapshot) {
    struct policy *policy = &snapshot->policy;
    const struct tensors_entry *set = tensors_find(r->tensors, "noise.set");
    const size_t A = policy->shape.X;
    if (!set && !holds(r, "noise.size")) return 0;
    const uint64_t *size = find(r, "noise.size", TENSORS_U64, 0, 0);
    if (!size) return -EBADMSG;
    const size_t rows = set && set->rank == 2 ? set->shape[0] : 1;
    const float *data = find(r, "noise.set", TENSORS_F32, rows, A);
    if (!data) return -EBADMSG;
    if (*size == 0 || *size > rows)
        return refuse(r, "its noise.size is %" PRIu64 ", not 1 to %zu rows",
                      *size, rows);
    policy->n_noise = (size_t)*size;
    int err = allocate(r, &snapshot->noise, policy->n_noise * A);
    if (!err)
        err = copy(r, snapshot->noise, "noise.set", data, policy->n_noise * A);
    policy->noise = snapshot->noise;
    return err;
}

/* "<prefix>q.*", "<prefix>q2.*" of twins, "<prefix>normal.*". */
static int read_q(const struct reading *r, struct snapshot_q *q,
                  const char *prefix, const struct mlp_shape *policy) {
    char name[64];
    snprintf(name, sizeof(name), "%sq.ws", prefix);
    const struct tensors_entry *ws = tensors_find(r->tensors, name);
    // its units are its own; whatever is wrong with them read_network() says
    const size_t H = ws && ws->rank == 2 ? ws->shape[1] : policy->H;
    if (H == 0) return refuse(r, "its tensor %s has no units", name);
    q->shape = (struct mlp_shape){policy->S, policy->X, H, 1};
    snprintf(name, sizeof(name), "%sq2.", prefix);
    q->n_twins = holds(r, name) ? 2 : 1;
    int err = 0;
    for (size_t i = 0; !err && i < q->n_twins; i++) {
        snprintf(name, sizeof(name), "%sq%s", prefix, i > 0 ? "2" : "");
        err = read_network(r, &q->theta[i], name, &q->shape);
    }
    return err ? err : read_normal(r, &q->normal, prefix, policy->S);
}

/* The run's own Q, or the sources that it was composed of. */
static int read_sources(const struct reading *r, struct snapshot *snapshot) {
    const struct mlp_shape *policy = &snapshot->policy.shape;
    char prefix[16] = "source0.";
    size_t n = 0;
    if (holds(r, "q.") && holds(r, "source"))
        return refuse(r, "it holds both q.* and source...");
    if (!holds(r, "source")) {
        snapshot->n_sources = 1;
        return read_q(r, &snapshot->sources[0], "", policy);
    }
    while (n < SNAPSHOT_SOURCES && holds(r, prefix))
        snprintf(prefix, sizeof(prefix), "source%zu.", ++n);
    for (size_t i = 0; i < r->tensors->n; i++) {
        const char *name = r->tensors->entries[i].name;
        if (strncmp(name, "source", 6) == 0 && strtoul(name + 6, NULL, 10) >= n)
            return refuse(r,
                          "its tensor %s: sources go from source0 to source%d "
                          "without a gap",
                          name, SNAPSHOT_SOURCES - 1);
    }
    snapshot->n_sources = n;
    int err = 0;
    for (size_t i = 0; !err && i < n; i++) {
        snprintf(prefix, sizeof(prefix), "source%zu.", i);
        err = read_q(r, &snapshot->sources[i], prefix, policy);
    }
    return err;
}

static int read_policy(const struct reading *r, struct snapshot *snapshot) {
    const struct tensors_entry *ws = tensors_find(r->tensors, "f.ws");
    const struct tensors_entry *wx = tensors_find(r->tensors, "f.wx");
    struct policy *policy = &snapshot->policy;
    // the first layer's two halves tell all sizes
    if (!ws || !wx || ws->rank != 2 || wx->rank != 2)
        return refuse(r, "it holds no sampler (f.ws, f.wx)");
    const size_t S = ws->shape[0], H = ws->shape[1], A = wx->shape[0];
    if (S == 0 || H == 0 || A == 0)
        return refuse(r, "its sampler has %zu inputs, %zu units, %zu actions",
                      S, H, A);
    policy->shape = (struct mlp_shape){S, A, H, A};
    int err = read_network(r, &snapshot->phi, "f", &policy->shape);
    if (!err) err = read_noise(r, snapshot);
    if (!err) err = read_normal(r, &snapshot->normal, "", S);
    policy->phi = snapshot->phi;
    policy->mean = snapshot->normal.mean;
    policy->scale = snapshot->normal.scale;
    return err;
}

/* What is only shown. */
static int read_facts(const struct reading *r, struct snapshot *snapshot) {
    const char *task = tensors_note(r->tensors, "task");
    const char *algorithm = tensors_note(r->tensors, "algorithm");
    snprintf(snapshot->task, sizeof(snapshot->task), "%s", task ? task : "");
    snprintf(snapshot->algorithm, sizeof(snapshot->algorithm), "%s",
             algorithm ? algorithm : "");
    snapshot->temperature = (double)NAN;
    if (!tensors_find(r->tensors, "temperature")) return 0; // older files
    const double *alpha = find(r, "temperature", TENSORS_F64, 0, 0);
    if (!alpha) return -EBADMSG;
    if (!(*alpha >= 0.0 && isfinite(*alpha)))
        return refuse(r, "its temperature is %g, not 0 or more", *alpha);
    snapshot->temperature = *alpha;
    snapshot->policy.alpha = (float)*alpha;
    return 0;
}

static int read_all(const struct reading *r, struct snapshot *snapshot) {
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
        read_all(&(struct reading){&tensors, reason, sizeof(reason)}, snapshot);
    tensors_finish(&tensors);
    if (err) {
        snprintf(why, n, "%s: %s", path, reason);
        snapshot_finish(snapshot);
    }
    return err;
}

void snapshot_finish(struct snapshot *snapshot) {
    free(snapshot->phi), free(snapshot->noise);
    free(snapshot->normal.mean), free(snapshot->normal.scale);
    for (size_t i = 0; i < snapshot->n_sources; i++) {
        struct snapshot_q *q = &snapshot->sources[i];
        for (size_t k = 0; k < SNAPSHOT_TWINS; k++) free(q->theta[k]);
        free(q->normal.mean), free(q->normal.scale);
    }
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
static int add_source(const struct snapshot_q *source, float *sum, float *x,
                      float *qs, const float *s, const float *a, size_t n) {
    struct mlp_work work;
    int err = mlp_work_init(&work, &source->shape, n, 1);
    if (err) return err;
    float *q = qs, *twin = qs + n;
    policy_normalise(x, s, source->normal.mean, source->normal.scale, 1,
                     source->shape.S);
    mlp_forward(&source->shape, q, source->theta[0], x, a, 1, n, 0, &work);
    if (source->n_twins > 1) {
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
