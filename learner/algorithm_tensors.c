#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "learner/algorithm_state.h"

/* A list of named tensors that grows; entries lend data for writing. */
struct list {
    struct tensors_entry *entries;
    size_t n;
};

static void __attribute__((format(printf, 2, 3)))
name_last(const struct list *list, const char *format, ...) {
    struct tensors_entry *entry = &list->entries[list->n - 1];
    va_list args;
    va_start(args, format);
    vsnprintf(entry->name, sizeof(entry->name), format, args);
    va_end(args);
}

static void add(struct list *list, enum tensors_type type, size_t rank,
                size_t rows, size_t cols, void *data) {
    assert(list->n < ALGORITHM_MAX_TENSORS);
    list->entries[list->n++] = (struct tensors_entry){
        .type = type, .rank = rank, .shape = {rows, cols}, .data = data};
}

/* The seven tensors of one parameter vector, "<prefix><name>.ws" and so on. */
static void add_network(struct list *list, const char *prefix, const char *name,
                        const struct mlp_shape *shape, float *p) {
    struct mlp_slice slices[MLP_TENSORS];
    mlp_slices(shape, slices);
    for (size_t i = 0; i < MLP_TENSORS; i++) {
        const struct mlp_slice *w = &slices[i];
        add(list, TENSORS_F32, w->cols ? 2 : 1, w->rows, w->cols,
            p + w->offset);
        name_last(list, "%s%s.%s", prefix, name, w->name);
    }
}

/* Adam's means of one network, flat vectors. */
static void add_adam(struct list *list, const char *name,
                     const struct network *net) {
    add(list, TENSORS_F32, 1, net->P, 0, net->m);
    name_last(list, "adam.%s.m", name);
    add(list, TENSORS_F32, 1, net->P, 0, net->v);
    name_last(list, "adam.%s.v", name);
}

static void add_moments(struct list *list, const char *prefix,
                        struct moments *moments) {
    add(list, TENSORS_F64, 0, 0, 0, &moments->count);
    name_last(list, "%snormal.count", prefix);
    add(list, TENSORS_F64, 1, moments->S, 0, moments->mean);
    name_last(list, "%snormal.mean", prefix);
    add(list, TENSORS_F64, 1, moments->S, 0, moments->m2);
    name_last(list, "%snormal.m2", prefix);
}

/* A composition's Q functions, "source0.q.ws" ... */
static void add_sources(struct list *list, struct algorithm *alg) {
    for (size_t k = 0; k < alg->n_sources; k++) {
        struct algorithm_source *source = &alg->sources[k];
        char prefix[32];
        snprintf(prefix, sizeof(prefix), "source%zu.", k);
        add_network(list, prefix, "q", &source->q.shape, source->q.theta[0]);
        if (source->q.n > 1)
            add_network(list, prefix, "q2", &source->q.shape,
                        source->q.theta[1]);
        if (source->q.moments.S > 0)
            add_moments(list, prefix, &source->q.moments);
    }
}

size_t algorithm_tensors(struct algorithm *alg,
                         struct tensors_entry entries[ALGORITHM_MAX_TENSORS]) {
    static const char *const names[][2] = {{"q", "q_target"},
                                           {"q2", "q2_target"}};
    struct network *f = &alg->f;
    struct list list = {.entries = entries};
    add_network(&list, "", "f", &f->shape, f->acting);
    add_network(&list, "", "f_train", &f->shape, f->p);
    if (f->target) add_network(&list, "", "f_target", &f->shape, f->target);
    add_adam(&list, "f", f);
    for (size_t i = 0; i < alg->n_q; i++) {
        struct network *q = &alg->q[i];
        add_network(&list, "", names[i][0], &q->shape, q->p);
        add_network(&list, "", names[i][1], &q->shape, q->target);
        add_adam(&list, names[i][0], q);
    }
    if (alg->n_q == 0) add_sources(&list, alg);
    add(&list, TENSORS_F64, 0, 0, 0, &alg->temperature);
    name_last(&list, "temperature");
    if (alg->noise_set) {
        const bool ddpg = alg->config.algorithm == ALGORITHM_DDPG;
        const size_t rows = ddpg ? 1 : alg->config.noise_set;
        add(&list, TENSORS_F32, 2, rows, alg->A, alg->noise_set);
        name_last(&list, "noise.set");
        add(&list, TENSORS_U64, 0, 0, 0, &alg->noise_size);
        name_last(&list, "noise.size");
    }
    if (alg->moments.S > 0) add_moments(&list, "", &alg->moments);
    add(&list, TENSORS_U64, 0, 0, 0, &alg->updates);
    name_last(&list, "updates");
    return list.n;
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

/* Can file's tensor `name` stand in for entry? 0 or -EINVAL with a line. */
static int check_entry(const struct tensors_entry *entry,
                       const struct tensors *file, const char *name, char *why,
                       size_t n) {
    const struct tensors_entry *found = tensors_find(file, name);
    char here[64], there[64];
    shape_text(here, sizeof(here), entry);
    if (!found) {
        snprintf(why, n, "no tensor %s %s", name, here);
        return -EINVAL;
    }
    if (!same_shape(found, entry)) {
        shape_text(there, sizeof(there), found);
        snprintf(why, n, "tensor %s is %s, not %s", name, there, here);
        return -EINVAL;
    }
    return 0;
}

static void take_entry(const struct tensors_entry *entry,
                       const struct tensors *file, const char *name) {
    memcpy(entry->data, tensors_find(file, name)->data, entry_bytes(entry));
}

/* Networks that saw normalised observations are of no use without, nor others
 * with it. */
static int check_normalised(const struct algorithm *alg,
                            const struct tensors *file, char *why, size_t n) {
    const bool ours = alg->moments.S > 0;
    const bool theirs = tensors_find(file, "normal.count") != NULL ||
                        tensors_find(file, "normal.mean") != NULL;
    if (ours == theirs) return 0;
    snprintf(why, n,
             "its networks see %s observations: give "
             "observation_normalisation = %s",
             ours ? "plain" : "normalised", ours ? "false" : "true");
    return -EINVAL;
}

/* Numbers of a file that would make an update read or compute nonsense. */
static int check_numbers(const struct algorithm *alg,
                         const struct tensors *file, char *why, size_t n) {
    double alpha;
    memcpy(&alpha, tensors_find(file, "temperature")->data, sizeof(alpha));
    if (!isfinite(alpha) || alpha <= 0.0) {
        snprintf(why, n, "temperature is %g, not above 0", alpha);
        return -EINVAL;
    }
    if (!alg->noise_set) return 0;
    uint64_t size;
    const size_t rows = tensors_find(file, "noise.set")->shape[0];
    memcpy(&size, tensors_find(file, "noise.size")->data, sizeof(size));
    if (size < 1 || size > rows) {
        snprintf(why, n, "noise.size is %" PRIu64 ", not in [1, %zu]", size,
                 rows);
        return -EINVAL;
    }
    return 0;
}

int algorithm_load(struct algorithm *alg, const struct tensors *tensors,
                   char *why, size_t n) {
    struct tensors_entry own[ALGORITHM_MAX_TENSORS];
    const size_t count = algorithm_tensors(alg, own);
    // all checks before the first copy: a refused file changes nothing
    if (check_normalised(alg, tensors, why, n)) return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        if (check_entry(&own[i], tensors, own[i].name, why, n)) return -EINVAL;
    }
    if (check_numbers(alg, tensors, why, n)) return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        take_entry(&own[i], tensors, own[i].name);
    }
    if (alg->moments.S > 0) moments_refresh(&alg->moments);
    for (size_t k = 0; alg->n_q == 0 && k < alg->n_sources; k++) {
        moments_refresh(&alg->sources[k].q.moments);
    }
    return 0;
}

/* What --init_from takes: our tensors of these names, out of the file's. */
static size_t list_beginnings(struct algorithm *alg,
                              const struct tensors *tensors,
                              enum config_parts parts, struct list *to,
                              struct list *from) {
    const bool twins = tensors_find(tensors, "q2.ws") != NULL;
    for (size_t i = 0; parts != PARTS_F && i < alg->n_q; i++) {
        const struct mlp_shape *q = &alg->q[i].shape;
        add_network(to, "", "q", q, alg->q[i].p);
        add_network(from, "", i > 0 && twins ? "q2" : "q", q, alg->q[i].p);
    }
    if (parts != PARTS_Q) {
        add_network(to, "", "f", &alg->f.shape, alg->f.p);
        add_network(from, "", "f_train", &alg->f.shape, alg->f.p);
    }
    if (alg->moments.S > 0) {
        add_moments(to, "", &alg->moments);
        add_moments(from, "", &alg->moments);
    }
    return to->n;
}

int algorithm_init_from(struct algorithm *alg, const struct tensors *tensors,
                        enum config_parts parts, char *why, size_t n) {
    struct tensors_entry to_entries[ALGORITHM_MAX_TENSORS];
    struct tensors_entry from_entries[ALGORITHM_MAX_TENSORS];
    struct list to = {.entries = to_entries}, from = {.entries = from_entries};
    const size_t count = list_beginnings(alg, tensors, parts, &to, &from);
    if (check_normalised(alg, tensors, why, n)) return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        if (check_entry(&to_entries[i], tensors, from_entries[i].name, why, n))
            return -EINVAL;
    }
    for (size_t i = 0; i < count; i++) {
        take_entry(&to_entries[i], tensors, from_entries[i].name);
    }
    for (size_t i = 0; i < alg->n_q; i++) network_restart(&alg->q[i]);
    network_restart(&alg->f);
    if (alg->moments.S > 0) moments_refresh(&alg->moments);
    return 0;
}
