#ifndef LEARNER_ALGORITHM_STATE_H
#define LEARNER_ALGORITHM_STATE_H

/*
 * Private to algorithm.c (the method) and algorithm_state.c (memory and
 * checkpoints): what soft Q-learning keeps between updates.
 *
 *   B rows   S observation   A action   V value proposals   K fixed and M
 *   moved particles   P parameters
 */

#include "common/mlp.h"
#include "learner/algorithm.h"
#include "learner/pool.h"

enum { ALGORITHM_MOST_Q = 2 };

/* A network in training; five (P) vectors of the algorithm's one block. */
struct algorithm_network {
    struct mlp_shape shape;
    size_t P;
    float *p;        /* in training: theta of Q, phi of f */
    float *slow;     /* Q: the target network Qbar. f: the average that acts */
    float *m;        /* Adam's running means of the gradient */
    float *v;        /* ... and of its square */
    float *gradient; /* of this update, summed over slices */
};

/*
 * One thread's rows [from, from + B) of the minibatch and all it computes of
 * them. Arrays live in one block a slice.
 */
struct algorithm_slice {
    size_t from, B;
    struct mlp_work work;              /* used by one network after the other */
    float *gradient[ALGORITHM_MOST_Q]; /* (P) of each Q; f's in the first */
    /* the Q step */
    float *q_next; /* (B, V) Qbar(s', a_j); of twins the smaller */
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
    float *moved_u; /* (B, M, A) y_i */
    float *d2;      /* (B, K, M) */
    float *h;       /* (B) */
    float *D;       /* (B, M, A), then -D / (rows M) */
    float *scratch; /* svgd's */
    /* of the second Q, until the smaller is taken; twin_q only */
    float *twin_next;  /* (B, V) */
    float *twin_fixed; /* (B, K) */
    float *twin_g;     /* (B, K, A) */
    /* sums over the slice's rows */
    double loss, q_sum, target_sum, D_squares;
    void *block;
};

struct algorithm {
    /* settings */
    size_t S, A, rows, K, M, V; /* rows: the whole minibatch */
    size_t n_q;                 /* 2: twin_q */
    float alpha, gamma, reward_scale;
    double rate_q, rate_f, rate_end, average, target_rate;
    uint64_t max_updates, target_every;
    /* state */
    uint64_t updates;
    struct algorithm_network q[ALGORITHM_MOST_Q], f;
    /* workers */
    struct pool *pool;
    size_t n_slices;
    struct algorithm_slice *slices;
    /* the update at hand, borrowed */
    const struct batch *batch;
    const struct algorithm_noise *noise;
    void *block;
};

#endif
