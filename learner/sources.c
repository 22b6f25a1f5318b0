/* A composition's Q functions, out of checkpoints of any origin. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learner/algorithm_state.h"

/* Where and in whose words. */
struct reader {
    const struct algorithm_origin *origin;
    char *why;
    size_t len;
};

static int __attribute__((format(printf, 2, 3)))
refuse(const struct reader *reader, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(reader->why, reader->len, format, args);
    va_end(args);
    return -EINVAL;
}

static const struct tensors_entry *
find(const struct reader *reader, const char *name, char *full, size_t n) {
    snprintf(full, n, "%s%s", reader->origin->prefix, name);
    return tensors_find(reader->origin->tensors, full);
}

/* "<prefix><network>.ws" ... into one flat vector, owned. */
static int read_network(const struct reader *reader, const char *network,
                        const struct mlp_shape *shape, float **out) {
    struct mlp_slice slices[MLP_TENSORS];
    mlp_slices(shape, slices);
    float *p = *out = malloc(sizeof(*p) * mlp_parameters(shape));
    if (!p) return -ENOMEM;
    for (size_t i = 0; i < MLP_TENSORS; i++) {
        const struct mlp_slice *w = &slices[i];
        char name[32], full[64];
        snprintf(name, sizeof(name), "%s.%s", network, w->name);
        const struct tensors_entry *entry =
            find(reader, name, full, sizeof(full));
        if (!entry) return refuse(reader, "no tensor %s", full);
        if (entry->type != TENSORS_F32 || entry->shape[0] != w->rows ||
            entry->rank != (w->cols > 0 ? 2 : 1) ||
            (w->cols > 0 && entry->shape[1] != w->cols)) {
            if (w->cols == 0) {
                return refuse(reader, "tensor %s is not of shape (%zu)", full,
                              w->rows);
            }
            return refuse(reader, "tensor %s is not of shape (%zu, %zu)", full,
                          w->rows, w->cols);
        }
        const size_t n = w->rows * (w->cols > 0 ? w->cols : 1);
        memcpy(p + w->offset, entry->data, sizeof(*p) * n);
    }
    return 0;
}

/* "<prefix>normal.*", where the run normalised its observations. */
static int read_moments(const struct reader *reader,
                        struct algorithm_source *source, size_t S) {
    char full[3][64];
    const struct tensors_entry *count =
        find(reader, "normal.count", full[0], sizeof(full[0]));
    const struct tensors_entry *mean =
        find(reader, "normal.mean", full[1], sizeof(full[1]));
    const struct tensors_entry *m2 =
        find(reader, "normal.m2", full[2], sizeof(full[2]));
    if (!count && !mean && !m2) return 0;
    if (!count || !mean || !m2 || count->type != TENSORS_F64 ||
        mean->type != TENSORS_F64 || m2->type != TENSORS_F64 ||
        count->rank != 0 || mean->rank != 1 || m2->rank != 1 ||
        mean->shape[0] != S || m2->shape[0] != S) {
        return refuse(reader, "%s, %s and %s are not one number and twice %zu",
                      full[0], full[1], full[2], S);
    }
    struct moments *moments = &source->moments;
    if (moments_init(moments, S)) return -ENOMEM;
    memcpy(&moments->count, count->data, sizeof(double));
    memcpy(moments->mean, mean->data, sizeof(double) * S);
    memcpy(moments->m2, m2->data, sizeof(double) * S);
    moments_refresh(moments);
    source->normalised = true;
    return 0;
}

static int read_source(struct algorithm *alg, struct algorithm_source *source,
                       const struct reader *reader) {
    char full[64];
    const struct tensors_entry *ws = find(reader, "q.ws", full, sizeof(full));
    if (!ws) return refuse(reader, "no tensor %s", full);
    if (ws->rank != 2 || ws->shape[0] != alg->S) {
        return refuse(reader, "tensor %s takes observations of %zu, not of %zu",
                      full, ws->shape[0], alg->S);
    }
    if (ws->shape[1] == 0)
        return refuse(reader, "tensor %s has no units", full);
    source->shape =
        (struct mlp_shape){.S = alg->S, .X = alg->A, .H = ws->shape[1], .Y = 1};
    source->n = find(reader, "q2.ws", full, sizeof(full)) ? 2 : 1;
    int rc = read_network(reader, "q", &source->shape, &source->theta[0]);
    if (rc == 0 && source->n > 1)
        rc = read_network(reader, "q2", &source->shape, &source->theta[1]);
    return rc != 0 ? rc : read_moments(reader, source, alg->S);
}

int sources_read(struct algorithm *alg, const struct algorithm_origin *origins,
                 size_t n, char *why, size_t len) {
    if (n > ALGORITHM_MOST_SOURCES) {
        snprintf(why, len, "%zu runs are composed: at most %d", n,
                 ALGORITHM_MOST_SOURCES);
        return -EINVAL;
    }
    for (size_t k = 0; k < n; k++) {
        const struct reader reader = {
            .origin = &origins[k], .why = why, .len = len};
        alg->n_sources = k + 1; // sources_finish() frees a half read one
        int rc = read_source(alg, &alg->sources[k], &reader);
        if (rc != 0) return rc;
    }
    return 0;
}

void sources_finish(struct algorithm *alg) {
    for (size_t k = 0; k < alg->n_sources; k++) {
        struct algorithm_source *source = &alg->sources[k];
        for (size_t i = 0; i < ALGORITHM_MOST_Q; i++) free(source->theta[i]);
        moments_finish(&source->moments);
    }
}
