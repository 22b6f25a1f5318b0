#ifndef LEARNER_ALGORITHM_H
#define LEARNER_ALGORITHM_H

#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "common/config.h"
#include "common/mlp.h"
#include "common/policy.h"
#include "common/rng.h"
#include "common/tensors.h"

/* What each stream of the learner's random numbers is for: no two share one. */
enum algorithm_stream {
    ALGORITHM_STREAM_NOISE, /* proposals and particles of the updates */
    ALGORITHM_STREAM_FEED,  /* shares of a minibatch over the shards */
    ALGORITHM_STREAM_Q,     /* first weights */
    ALGORITHM_STREAM_F,
    ALGORITHM_STREAM_Q2,
    ALGORITHM_STREAM_SET, /* the fixed noise set */
};

/*
 * All learning state, and one update (REFERENCE.md, "Order of one update").
 * algorithm_update() is the method's table of contents: soft Q-learning, DDPG
 * on the same networks, or (a composition) the sampler's half alone, for the
 * mean of other runs' Q functions.
 *
 * With twin_q there are two Q networks of one shape, each with a target copy
 * and an Adam of its own, both regressed on the same target: V takes the
 * smaller of the two Qbar at every proposal, before the exponent, and g is the
 * gradient of whichever Q is the smaller at that particle.
 */
struct algorithm; /* owned by one thread, plus its own workers */

/*
 * One update's random numbers, so that an update is a function of its
 * arguments.
 */
struct algorithm_noise {
    float *proposals; /* (V, A) uniform on [-1, 1], shared by the minibatch;
                         (B, V, A) without shared_proposals */
    float *xi_value;  /* (B, W, A) N(0, 1) of the sampler's proposals; NULL
                         without value_proposals = sampler */
    float *xi_fixed;  /* (B, K, A) N(0, 1), or from the noise set */
    float *xi_moved;  /* (B, M, A) likewise; with one_set it is xi_fixed */
    void *block;      /* private */
};

/* Doubles all; NAN: not measured in this update. */
struct algorithm_figures {
    double q_loss;      /* JQ; of twins their mean */
    double q_mean;      /* mean Q(s, a) of the minibatch; of twins their mean */
    double target_mean; /* mean of r + gamma V(s') */
    double stein_norm;  /* root mean square of D (DDPG: of dQ/da) */
    double alpha;       /* temperature of this update */
    double entropy;     /* of the sampler's actions, nats; NAN unless
                           temperature = auto, which measures it */
    double negative;    /* share of the sampler's determinants below 0: at 0
                           and at 1 it may be one-to-one, between it folds */
    double degenerate;  /* ... that are 0 or not finite */
    double q_gradient;  /* norms; of twins that of both gradients in a row */
    double f_gradient;
    double q_deviation;  /* of Q(s, a) over the minibatch; of twins over both */
    double td_deviation; /* of Q(s, a) - target likewise */
    double value_uniform; /* mean V(s') of states by uniform proposals */
    double value_sampler; /* ... by the sampler's */
    double score_norm;    /* root mean square of g at the fixed particles */
    double bandwidth;     /* mean h */
    /* looked at once in ALGORITHM_LOOK updates: */
    double repulsion_norm; /* root mean square of D without its g */
    double q_dead; /* share of the first Q's hidden units that no row of the
                      minibatch turned on */
    double f_dead; /* ... of f's, and no particle */
};
enum { ALGORITHM_LOOK = 16 };

/*
 * threads: workers that split the minibatch; 1 runs in the caller. NULL on
 * -ENOMEM. The networks are drawn from config->seed.
 */
struct algorithm *algorithm_new(const struct config *config, size_t S, size_t A,
                                size_t threads);

/*
 * Where a composition's Q functions are read from: tensors `<prefix>q.*`,
 * `<prefix>q2.*` when the run had twins, `<prefix>normal.*` when it normalised
 * its observations. Copied.
 */
enum { ALGORITHM_MOST_SOURCES = 8 };
struct algorithm_origin {
    const struct tensors *tensors;
    const char *prefix; /* "" of another run's checkpoint, "source0." of one of
                           the composition itself */
};

/* As algorithm_new(), for config->algorithm = compose. Returns 0, -ENOMEM, or
 * -EINVAL with one line in why (len bytes) naming the tensor. */
int algorithm_new_composed(struct algorithm **out, const struct config *config,
                           size_t S, size_t A, size_t threads,
                           const struct algorithm_origin *origins, size_t n,
                           char *why, size_t len);
void algorithm_free(struct algorithm *algorithm);

int algorithm_noise_init(struct algorithm_noise *noise,
                         const struct algorithm *algorithm);
void algorithm_noise_finish(struct algorithm_noise *noise);
void algorithm_noise_draw(struct algorithm_noise *noise,
                          const struct algorithm *algorithm, struct rng *rng);

/*
 * One update on batch (n == config minibatch). Returns 0, or -EDOM when a
 * loss, gradient or parameter is not finite (what: the name of it; state is
 * then unusable).
 */
int algorithm_update(struct algorithm *algorithm, const struct batch *batch,
                     const struct algorithm_noise *noise,
                     struct algorithm_figures *figures, const char **what);

uint64_t algorithm_updates(const struct algorithm *algorithm);

/* What acts: the sampler (averaged when sampler_average > 0), its noise and
 * temperature. Borrowed until the next update. */
struct policy algorithm_policy(const struct algorithm *algorithm);
const struct mlp_shape *algorithm_sampler_shape(const struct algorithm *a);
const struct mlp_shape *algorithm_q_shape(const struct algorithm *a);

/*
 * Everything a checkpoint needs to go on (networks, targets, averages, Adam,
 * counters), as named tensors that borrow the algorithm's memory; returns their
 * number:
 *
 *   f.*, f_train.*           the sampler to act with, and the one in training
 *   q.*, q_target.*          Q and its target; q2.*, q2_target.* of twins
 *   f_target.*               DDPG: mu's target
 *   adam.q.m, adam.q.v ...   Adam of q, q2, f
 *   temperature              alpha (F64)
 *   noise.set, noise.size    the noise set, rows of it in use
 *   normal.count, .mean, .m2 observation normalisation (F64)
 *   source0.q.* ...          composition: the Q functions whose mean is
 *                            sampled, each with q2.* and normal.* if it has any
 *   updates
 */
enum { ALGORITHM_MAX_TENSORS = 256 };
size_t algorithm_tensors(struct algorithm *algorithm,
                         struct tensors_entry entries[ALGORITHM_MAX_TENSORS]);

/*
 * Load them back. Returns 0 or -EINVAL with one line in why naming the tensor
 * and both shapes. With twin_q a file without the second network is refused so;
 * without twin_q the second network of a file is left out.
 */
int algorithm_load(struct algorithm *algorithm, const struct tensors *tensors,
                   char *why, size_t n);

/*
 * Begin with another run's networks (--init_from): Q with its targets, f, or
 * both, and the observations' normalisation; Adam, counters, temperature and
 * noise are fresh. Twins without a second network in the file both begin with
 * the first. Returns 0 or -EINVAL as algorithm_load().
 */
int algorithm_init_from(struct algorithm *algorithm,
                        const struct tensors *tensors, enum config_parts parts,
                        char *why, size_t n);

#endif
