#ifndef LEARNER_ALGORITHM_STATE_H
#define LEARNER_ALGORITHM_STATE_H

/*
 * Private to the algorithm's own files (algorithm.c, ddpg.c: the methods;
 * critic.c: Q and its twins; algorithm_figures.c: what is told of an update;
 * algorithm_state.c, algorithm_tensors.c: memory and checkpoints): what is kept
 * between updates.
 *
 *   B rows   S observation   A action   V uniform and W sampler's value
 *   proposals   K fixed and M moved particles   P parameters
 */

#include <stdbool.h>

#include "common/mlp.h"
#include "common/moments.h"
#include "common/stored.h"
#include "learner/algorithm.h"
#include "learner/network.h"
#include "common/pool.h"

enum { ALGORITHM_MOST_Q = STORED_TWINS };

/* Over a slice's rows, of one update. */
struct algorithm_sums {
    double loss, q, q_squares, target, g_squares, D_squares, h, entropy;
    size_t entropies;                /* terms of entropy */
    double repulsion_squares;        /* when alg->looking */
    double v_uniform, v_sampler;     /* V(s') by kind of proposals */
    size_t n_v_uniform, n_v_sampler; /* states */
    struct policy_determinants seen;
};

/*
 * One thread's rows [from, from + B) of the minibatch and all it computes of
 * them. Arrays live in one block a slice; those of an option that is off are
 * NULL.
 */
struct algorithm_slice {
    size_t from, B;
    struct mlp_work work; /* f's passes and Q's of (s, a), to go back on */
    struct mlp_work pass; /* Q's of many actions, a chunk at a time */
    float *gradient[ALGORITHM_MOST_Q]; /* (P) of each Q; f's in the first */
    float *zeros;                      /* (B, A) noise of a deterministic f */
    /* the Q step */
    float *next_u; /* (B, W, A) f(s', xi_j) */
    float *next_a; /* (B, W, A) tanh of it */
    float *log_q;  /* (B, max(V, W)) log density of the proposals */
    float *q_next; /* (B, max(V, W)) Qbar(s', a_j); of twins the smaller */
    float *v;      /* (B)    V(s') */
    float *target; /* (B) */
    float *q;      /* (B)    Q(s, a) */
    float *dq;     /* (B) */
    /* the sampler's step */
    float *fixed_u; /* (B, K, A) x_j */
    float *fixed_a; /* (B, K, A) tanh x_j */
    float *q_fixed; /* (B, K)    Q(s, tanh x_j) */
    float *ones;    /* (B, K)    dQ/dQ */
    float *g;       /* (B, K, A) score at x_j */
    float *moved_u; /* (B, M, A) y_i; one set: fixed_u */
    float *moved_a; /* (B, M, A) tanh y_i; one set: fixed_a */
    float *d2;      /* (B, K, M) */
    float *h;       /* (B) */
    float *D;       /* (B, M, A), then -D / (rows M) */
    float *scratch; /* svgd's */
    /* densities: (B, W, A, A) or (B, K, A, A), and (B, K) of the particles */
    float *jacobian, *log_pi;
    /* of the other Q, until the smaller one or the mean is taken */
    float *other_q; /* (B, max(V, W, K)) */
    float *other_g; /* (B, K, A) */
    float *sum_g;   /* (B, K, A) over sources */
    float *no_g;    /* (B, K, A) zeros */
    float *q_peak;  /* (2, H) of the first Q's hidden units, when looking */
    float *f_peak;  /* (2, H) of f's */
    struct algorithm_sums sum;
    void *block;
};

/*
 * A Q function as the sampler sees it: one network, or two of which the smaller
 * counts. Soft Q-learning and DDPG have one source, their own Q; a composition
 * has one a run.
 */
struct algorithm_source {
    struct stored_q q; /* its own; or its theta are borrowed of algorithm.q */
    const float *s;    /* (rows, S) the minibatch's states as it sees them */
};

struct algorithm {
    /* settings */
    struct config config;
    size_t S, A, rows, K, M, V, W; /* rows: the whole minibatch */
    size_t n_q;                    /* 2: twin_q; 0: composition */
    float gamma, reward_scale, log_measure;
    double ramp_factor;
    uint64_t ramp_span;
    /* state */
    uint64_t updates;
    double temperature; /* alpha */
    struct network q[ALGORITHM_MOST_Q], f;
    struct moments moments; /* of observations; S 0: not normalised */
    float *noise_set;       /* (N, A); NULL: fresh noise */
    uint64_t noise_size;    /* of it in use */
    size_t n_sources;
    struct algorithm_source sources[ALGORITHM_MOST_SOURCES];
    /* workers */
    struct pool *pool;
    size_t n_slices;
    struct algorithm_slice *slices;
    float **parts; /* (n_slices) their gradients of one network */
    /* the update at hand: borrowed, and the minibatch as the networks see it */
    const struct batch *batch;
    const struct algorithm_noise *noise;
    const float *s, *next; /* (rows, S) */
    float alpha;
    bool looking;              /* also for what is too dear for every update */
    float *seen_s, *seen_next; /* (rows, S) private */
    float *source_s[ALGORITHM_MOST_SOURCES]; /* (rows, S) private */
    void *block;
};

/* Memory in one block: a first pass with base NULL counts, a second one takes.
 */
struct algorithm_arena {
    float *base;
    size_t used; /* floats */
};

/* n floats, or NULL while counting. */
float *algorithm_take(struct algorithm_arena *arena, size_t n);

/* ---- critic.c: Q, of twins the smaller, and its slope ---- */

/* Qbar(s', a) at N actions a state: at->q_next out (n, N). Rows [b, b + n) of
 * the slice; a (n, N, A), or (N, A) when shared. */
void critic_next(const struct algorithm *alg, struct algorithm_slice *at,
                 const float *a, size_t b, size_t n, size_t N, int shared);

/* JQ of every Q against at->target and its gradient in at->gradient; sums. */
void critic_regress(const struct algorithm *alg, struct algorithm_slice *at);

/* dQ/da at N actions a state of the slice, the mean over sources: at->g out,
 * a (B, N, A), N at most K. */
void critic_slope(const struct algorithm *alg, struct algorithm_slice *at,
                  const float *a, size_t N);

/* ---- algorithm_figures.c ---- */

/* Forget the last update's sums; alg->looking is as it is to be. */
void algorithm_figures_begin(struct algorithm *alg);

/* Means over the minibatch of what the slices summed; proposed: V was by the
 * sampler's proposals. Alpha, entropy and gradients are the caller's. */
void algorithm_figures_collect(const struct algorithm *alg, bool proposed,
                               struct algorithm_figures *figures);

/* ---- ddpg.c ---- */

/* at->v = Qbar(s', tanh mubar(s')): the hard Bellman backup's value. */
void ddpg_value(struct algorithm *alg, struct algorithm_slice *at);

/* The gradient that ascends mean Q(s, tanh mu(s)) on one slice. */
void ddpg_slice(void *arg, size_t index);

#endif
