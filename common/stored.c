#include "common/stored.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int stored_refuse(const struct stored *stored, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(stored->why, stored->n, format, args);
    va_end(args);
    return -EBADMSG;
}

static int out_of_memory(const struct stored *stored) {
    stored_refuse(stored, "out of memory");
    return -ENOMEM;
}

bool stored_has(const struct stored *stored, const char *prefix) {
    const struct tensors *tensors = stored->tensors;
    for (size_t i = 0; i < tensors->n; i++) {
        if (strncmp(tensors->entries[i].name, prefix, strlen(prefix)) == 0)
            return true;
    }
    return false;
}

const void *stored_find(const struct stored *stored, const char *name,
                        enum tensors_type type, size_t rows, size_t cols) {
    static const char *const types[] = {"F32", "F64", "U64"};
    const size_t rank = rows == 0 ? 0 : cols == 0 ? 1 : 2;
    const size_t shape[2] = {rows, cols};
    const struct tensors_entry *entry = tensors_find(stored->tensors, name);
    if (entry && entry->type == type && entry->rank == rank &&
        memcmp(entry->shape, shape, sizeof(*shape) * rank) == 0)
        return entry->data;
    char size[64] = "one";
    if (rank == 1) snprintf(size, sizeof(size), "%zu", rows);
    if (rank == 2) snprintf(size, sizeof(size), "%zu x %zu", rows, cols);
    stored_refuse(stored, "its tensor %s is %s %s %s", name,
                  entry ? "not" : "missing:", size, types[type]);
    return NULL;
}

int stored_copy(const struct stored *stored, float *out, const char *name,
                const float *data, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(data[i]))
            return stored_refuse(stored, "its tensor %s is not finite", name);
        out[i] = data[i];
    }
    return 0;
}

int stored_network(const struct stored *stored, float **out, const char *name,
                   const struct mlp_shape *shape) {
    struct mlp_slice slices[MLP_TENSORS];
    const float *data[MLP_TENSORS];
    char full[MLP_TENSORS][64];
    mlp_slices(shape, slices);
    *out = NULL;
    // all are in the file before their sizes are believed
    for (size_t i = 0; i < MLP_TENSORS; i++) {
        snprintf(full[i], sizeof(full[i]), "%s.%s", name, slices[i].name);
        data[i] = stored_find(stored, full[i], TENSORS_F32, slices[i].rows,
                              slices[i].cols);
        if (!data[i]) return -EBADMSG;
    }
    *out = malloc(sizeof(**out) * mlp_parameters(shape));
    if (!*out) return out_of_memory(stored);
    int err = 0;
    for (size_t i = 0; !err && i < MLP_TENSORS; i++) {
        const size_t cols = slices[i].cols > 0 ? slices[i].cols : 1;
        err = stored_copy(stored, *out + slices[i].offset, full[i], data[i],
                          slices[i].rows * cols);
    }
    return err;
}

/* "<prefix>normal.<part>"; NULL: refused. */
static const double *find_moment(const struct stored *stored,
                                 const char *prefix, const char *part,
                                 size_t rows) {
    char name[64];
    snprintf(name, sizeof(name), "%snormal.%s", prefix, part);
    return stored_find(stored, name, TENSORS_F64, rows, 0);
}

int stored_moments(const struct stored *stored, struct moments *moments,
                   const char *prefix, size_t S) {
    char name[64];
    snprintf(name, sizeof(name), "%snormal.", prefix);
    if (!stored_has(stored, name)) return 0;
    const double *count = find_moment(stored, prefix, "count", 0);
    const double *mean = count ? find_moment(stored, prefix, "mean", S) : NULL;
    const double *m2 = mean ? find_moment(stored, prefix, "m2", S) : NULL;
    if (!m2) return -EBADMSG;
    if (!(*count >= 0.0 && isfinite(*count)))
        return stored_refuse(stored, "its %snormal.count is %g, not 0 or more",
                             prefix, *count);
    for (size_t i = 0; i < S; i++) {
        if (!isfinite((float)mean[i]) || !isfinite(m2[i]) || m2[i] < 0.0)
            return stored_refuse(stored,
                                 "its %snormal is wrong at %zu: mean %g, and "
                                 "m2 %g of 0 or more",
                                 prefix, i, mean[i], m2[i]);
    }
    if (moments_init(moments, S)) return out_of_memory(stored);
    moments->count = *count;
    memcpy(moments->mean, mean, sizeof(*mean) * S);
    memcpy(moments->m2, m2, sizeof(*m2) * S);
    moments_refresh(moments);
    return 0;
}

int stored_q_read(const struct stored *stored, struct stored_q *q,
                  const char *prefix, size_t S, size_t A) {
    char name[64];
    snprintf(name, sizeof(name), "%sq.ws", prefix);
    const struct tensors_entry *ws = tensors_find(stored->tensors, name);
    if (!ws) return stored_refuse(stored, "its tensor %s is missing", name);
    // whatever else is wrong with it stored_network() says
    const size_t H = ws->rank == 2 ? ws->shape[1] : 1;
    if (H == 0)
        return stored_refuse(stored, "its tensor %s has no units", name);
    q->shape = (struct mlp_shape){.S = S, .X = A, .H = H, .Y = 1};
    snprintf(name, sizeof(name), "%sq2.", prefix);
    q->n = stored_has(stored, name) ? 2 : 1;
    int err = 0;
    for (size_t i = 0; !err && i < q->n; i++) {
        snprintf(name, sizeof(name), "%sq%s", prefix, i > 0 ? "2" : "");
        err = stored_network(stored, &q->theta[i], name, &q->shape);
    }
    return err ? err : stored_moments(stored, &q->moments, prefix, S);
}

void stored_q_finish(struct stored_q *q) {
    for (size_t i = 0; i < STORED_TWINS; i++) free(q->theta[i]);
    moments_finish(&q->moments);
    *q = (struct stored_q){0};
}
