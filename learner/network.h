#ifndef LEARNER_NETWORK_H
#define LEARNER_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/mlp.h"

/*
 * A network in training, with Adam's state and its slow copies. The vectors
 * are the caller's memory; all are (P).
 */
struct network {
    struct mlp_shape shape;
    size_t P;
    float *p;        /* in training: theta of Q, phi of f */
    float *target;   /* delayed copy that Bellman targets see; may be NULL */
    float *acting;   /* exponential mean that acts; may be NULL */
    float *m, *v;    /* Adam's running means of the gradient and its square */
    float *gradient; /* of this update, summed over slices */
};

struct rng;
/* Draw first weights (mlp_init()) and copy them into the slow ones. */
void network_draw(struct network *net, struct rng *rng);
/* The slow copies become p, Adam forgets. */
void network_restart(struct network *net);

/*
 * Sum n slices' gradients (P), always in the same order, and let Adam move p.
 * updates: done before this one; norm out: of the gradient. Returns 0, or -EDOM
 * when the gradient or a moved parameter is not finite.
 */
int network_descend(struct network *net, float *const *slices, size_t n,
                    uint64_t updates, float rate, double *norm);

/*
 * Target network: a copy every `every` updates, or (Polyak, rate > 0) a share
 * of the way each update. updates: done, this one included.
 */
void network_follow(struct network *net, uint64_t updates, uint64_t every,
                    float rate);

/*
 * acting = exponential mean of p over the updates so far. The weight of a start
 * at 0 is divided out, so the first mean is p. decay 0: p itself.
 */
void network_average(struct network *net, uint64_t updates, double decay);

#endif
