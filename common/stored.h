#ifndef COMMON_STORED_H
#define COMMON_STORED_H

#include <stdbool.h>
#include <stddef.h>

#include "common/mlp.h"
#include "common/moments.h"
#include "common/tensors.h"

/*
 * Networks as they stand in a checkpoint, for whoever plays, draws or composes
 * them. Every reader checks types, shapes and finite numbers, and refuses in
 * one line (why, n bytes) that names the tensor: -EBADMSG, or -ENOMEM.
 */
struct stored {
    const struct tensors *tensors; /* borrowed */
    char *why;
    size_t n;
};

/* Write the line; returns -EBADMSG. */
int stored_refuse(const struct stored *stored, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Is there any tensor whose name begins like this? */
bool stored_has(const struct stored *stored, const char *prefix);

/* The tensor's data if it is of this type and shape (cols 0: a vector, rows 0:
 * one number), borrowed; NULL: refused. */
const void *stored_find(const struct stored *stored, const char *name,
                        enum tensors_type type, size_t rows, size_t cols);

/* n finite floats of the tensor `name` whose data this is, into out (n). */
int stored_copy(const struct stored *stored, float *out, const char *name,
                const float *data, size_t n);

/* "<name>.ws" ... into one flat vector (P of shape), malloc'ed, the caller's,
 * also when refused (free() it: it may be NULL). */
int stored_network(const struct stored *stored, float **out, const char *name,
                   const struct mlp_shape *shape);

/* "<prefix>normal.count", ".mean" and ".m2", if any of them is there, into
 * zeroed moments, which may be finished also when refused; S 0: none. */
int stored_moments(const struct stored *stored, struct moments *moments,
                   const char *prefix, size_t S);

/*
 * A Q function: "<prefix>q.*", "<prefix>q2.*" of twins, of which the smaller
 * counts, and the moments by which it sees observations. Its units are its own.
 */
enum { STORED_TWINS = 2 };
struct stored_q {
    size_t n; /* networks */
    struct mlp_shape shape;
    float *theta[STORED_TWINS]; /* (P) owned */
    struct moments moments;     /* S 0: it sees observations as they are */
};

/* Into a zeroed q, which may be finished also when refused. */
int stored_q_read(const struct stored *stored, struct stored_q *q,
                  const char *prefix, size_t S, size_t A);
void stored_q_finish(struct stored_q *q);

#endif
