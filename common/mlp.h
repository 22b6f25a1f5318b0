#ifndef COMMON_MLP_H
#define COMMON_MLP_H

#include <stddef.h>

/*
 * Two hidden ReLU layers over a state and a second input (an action for Q, a
 * noise vector for the sampler f), flat parameters:
 *
 *   y = W3 relu( W2 relu( Ws s + Wx x + b1 ) + b2 ) + b3
 *
 * The first layer is split by input: its state half is computed once a state,
 * its action half once a particle. The only caller of CBLAS. A ReLU turns a NaN
 * into 0: whoever may have one looks for it in the inputs and parameters.
 *
 *   B states   N particles a state   S, X input dims   H hidden   Y output
 *   P parameters: Ws (S,H), Wx (X,H), b1 (H), W2 (H,H), b2 (H), W3 (H,Y), b3
 * (Y)
 */
struct mlp_shape {
    size_t S, X, H, Y;
};

/* Named slices of the flat vector, for checkpoints: 7 of them, in order. */
enum { MLP_TENSORS = 7 };
struct mlp_slice {
    const char *name;          /* "ws" "wx" "b1" "w2" "b2" "w3" "b3" */
    size_t offset, rows, cols; /* cols 0: a vector */
};

size_t mlp_parameters(const struct mlp_shape *shape); /* P */
void mlp_slices(const struct mlp_shape *shape,
                struct mlp_slice slices[MLP_TENSORS]);

struct rng;
/* Xavier uniform per input block, biases 0. p out (P). */
void mlp_init(const struct mlp_shape *shape, float *p, struct rng *rng);

/* Rows at a time: a chunk of both hidden layers stays in the L2 cache. */
enum { MLP_CHUNK = 256 };

/*
 * What forward leaves for backward; one a thread. rows: the most B * N that is
 * kept, and at least N; states: the most B. A forward of more rows is fine, in
 * chunks that take each other's place in the cache, but leaves nothing. Returns
 * 0 or -ENOMEM; a zeroed one may be finished.
 */
struct mlp_work {
    size_t rows, states;
    /* private; L is H padded to whole vectors with what adds nothing */
    float *h0;         /* (B, L)    Ws s + b1 */
    float *h1;         /* (B, N, L) after ReLU */
    float *h2;         /* (B, N, L) after ReLU */
    float *d1;         /* (B, N, L) gradients of a chunk; shared x Wx */
    float *d2;         /* (B, N, L) */
    float *d0;         /* (B, L)    gradient of h0: d1 summed over particles */
    float *wx, *dwx;   /* (X, L)    Wx of the last forward, its gradient */
    float *w3t, *dw3t; /* (Y, L)    W3 transposed, likewise */
    float *b2;         /* (L) */
    void *block;
};
int mlp_work_init(struct mlp_work *work, const struct mlp_shape *shape,
                  size_t rows, size_t states);
void mlp_work_finish(struct mlp_work *work);

/*
 * y    out (B, N, Y)
 * p        (P)
 * s        (B, S)
 * x        (B, N, X), or (N, X) shared by every state when shared_x
 * Leaves the activations in work for mlp_backward().
 */
void mlp_forward(const struct mlp_shape *shape, float *y, const float *p,
                 const float *s, const float *x, size_t B, size_t N,
                 int shared_x, struct mlp_work *work);

/*
 * After mlp_forward() on B * N rows, each hidden unit's largest output so far:
 *
 * peak in/out (2, H)  0: it was never on
 */
void mlp_peaks(const struct mlp_shape *shape, float *peak, size_t rows,
               const struct mlp_work *work);

/*
 * After mlp_forward() on the same arguments (never with shared_x):
 *
 * dp   in/out (P)        += d loss / d p, or NULL
 * dx   out    (B, N, X)  d loss / d x, or NULL
 * dy          (B, N, Y)  d loss / d y
 */
void mlp_backward(const struct mlp_shape *shape, float *dp, float *dx,
                  const float *dy, const float *p, const float *s,
                  const float *x, size_t B, size_t N, struct mlp_work *work);

/*
 * After mlp_forward() on the same arguments, which it leaves in place for
 * mlp_backward(): the derivative of every output by every second input. X rows
 * of the hidden layers a particle; work->rows >= X.
 *
 * jacobian  out (B, N, Y, X)  d y / d x
 * p             (P)
 */
void mlp_jacobian(const struct mlp_shape *shape, float *jacobian,
                  const float *p, size_t B, size_t N, struct mlp_work *work);

/* OpenBLAS to one thread. Call at start, and in each thread that multiplies: the
 * OpenMP build keeps the number by the thread, and for a new one takes all
 * cores. Returns 0, or -ENOTSUP when several of our threads may not call it
 * (serial build, openblas_get_parallel() == 0). */
int mlp_blas_setup(void);

/* "0.3.21, kernel SkylakeX, NO_LAPACKE DYNAMIC_ARCH ...": the OpenBLAS that
 * runs, the processor's kernels that it chose, and how it was configured. */
void mlp_blas_version(char *text, size_t n);

#endif
