#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "learner/algorithm_state.h"

// NOLINTBEGIN(readability-non-const-parameter): entries lend p for writing

/* The seven tensors of one parameter vector, "<prefix>.ws" and so on. */
static size_t name_slices(struct tensors_entry *entries, const char *prefix,
                          const struct mlp_shape *shape, float *p) {
    struct mlp_slice slices[MLP_TENSORS];
    mlp_slices(shape, slices);
    for (size_t i = 0; i < MLP_TENSORS; i++) {
        struct tensors_entry *entry = &entries[i];
        *entry = (struct tensors_entry){
            .type = TENSORS_F32,
            .rank = slices[i].cols ? 2 : 1,
            .shape = {slices[i].rows, slices[i].cols},
            .data = p + slices[i].offset,
        };
        snprintf(entry->name, sizeof(entry->name), "%s.%s", prefix,
                 slices[i].name);
    }
    return MLP_TENSORS;
}

/* Adam's mean of one network, a flat vector. */
static size_t name_vector(struct tensors_entry *entry, const char *name,
                          float *p, size_t P) {
    *entry = (struct tensors_entry){
        .type = TENSORS_F32, .rank = 1, .shape = {P}, .data = p};
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    return 1;
}

// NOLINTEND(readability-non-const-parameter)

size_t algorithm_tensors(struct algorithm *alg,
                         struct tensors_entry entries[ALGORITHM_MAX_TENSORS]) {
    struct algorithm_network *q = &alg->q[0], *q2 = &alg->q[1], *f = &alg->f;
    size_t n = 0;
    n += name_slices(entries + n, "f", &f->shape, f->slow);
    n += name_slices(entries + n, "q", &q->shape, q->p);
    n += name_slices(entries + n, "f_train", &f->shape, f->p);
    n += name_slices(entries + n, "q_target", &q->shape, q->slow);
    n += name_vector(entries + n, "adam.q.m", q->m, q->P);
    n += name_vector(entries + n, "adam.q.v", q->v, q->P);
    n += name_vector(entries + n, "adam.f.m", f->m, f->P);
    n += name_vector(entries + n, "adam.f.v", f->v, f->P);
    if (alg->n_q > 1) {
        n += name_slices(entries + n, "q2", &q2->shape, q2->p);
        n += name_slices(entries + n, "q2_target", &q2->shape, q2->slow);
        n += name_vector(entries + n, "adam.q2.m", q2->m, q2->P);
        n += name_vector(entries + n, "adam.q2.v", q2->v, q2->P);
    }
    entries[n++] = (struct tensors_entry){
        .name = "updates", .type = TENSORS_U64, .data = &alg->updates};
    assert(n <= ALGORITHM_MAX_TENSORS);
    return n;
}

/* "(2, 128)" */
static void shape_text(char *text, size_t n, const struct tensors_entry *e) {
    size_t used = (size_t)snprintf(text, n, "(");
    for (size_t i = 0; i < e->rank && used < n; i++) {
        used += (size_t)snprintf(text + used, n - used, "%s%zu", i ? ", " : "",
                                 e->shape[i]);
    }
    if (used < n) snprintf(text + used, n - used, ")");
}

static int same_shape(const struct tensors_entry *x,
                      const struct tensors_entry *y) {
    return x->type == y->type && x->rank == y->rank &&
           memcmp(x->shape, y->shape, sizeof(x->shape[0]) * x->rank) == 0;
}

static size_t entry_bytes(const struct tensors_entry *entry) {
    size_t bytes = entry->type == TENSORS_F32 ? sizeof(float) : 8;
    for (size_t i = 0; i < entry->rank; i++) bytes *= entry->shape[i];
    return bytes;
}

int algorithm_load(struct algorithm *alg, const struct tensors *tensors,
                   char *why, size_t n) {
    struct tensors_entry own[ALGORITHM_MAX_TENSORS];
    const size_t count = algorithm_tensors(alg, own);
    // all checks before the first copy: a refused file changes nothing
    for (size_t i = 0; i < count; i++) {
        const struct tensors_entry *entry = tensors_find(tensors, own[i].name);
        char here[64], there[64];
        shape_text(here, sizeof(here), &own[i]);
        if (!entry) {
            snprintf(why, n, "no tensor %s %s", own[i].name, here);
            return -EINVAL;
        }
        if (!same_shape(entry, &own[i])) {
            shape_text(there, sizeof(there), entry);
            snprintf(why, n, "tensor %s is %s, not %s", own[i].name, there,
                     here);
            return -EINVAL;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct tensors_entry *entry = tensors_find(tensors, own[i].name);
        memcpy(own[i].data, entry->data, entry_bytes(entry));
    }
    return 0;
}
