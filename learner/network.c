#include "learner/network.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/rng.h"
#include "common/vector.h"
#include "learner/adam.h"

void network_draw(struct network *net, struct rng *rng) {
    mlp_init(&net->shape, net->p, rng);
    network_restart(net);
}

void network_restart(struct network *net) {
    const size_t bytes = sizeof(float) * net->P;
    if (net->target) memcpy(net->target, net->p, bytes);
    if (net->acting) memcpy(net->acting, net->p, bytes);
    memset(net->m, 0, bytes);
    memset(net->v, 0, bytes);
}

VECTOR_CLONES static double sum_of_squares(const float *x, size_t n) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

/* to += part. (P) */
VECTOR_CLONES static void add(float *restrict to, const float *restrict part,
                              size_t P) {
    for (size_t i = 0; i < P; i++) to[i] += part[i];
}

int network_descend(struct network *net, float *const *slices, size_t n,
                    uint64_t updates, float rate, double *norm) {
    memcpy(net->gradient, slices[0], sizeof(float) * net->P);
    for (size_t t = 1; t < n; t++) add(net->gradient, slices[t], net->P);
    *norm = sqrt(sum_of_squares(net->gradient, net->P));
    if (!isfinite(*norm)) return -EDOM;
    adam_step(net->p, net->m, net->v, net->gradient, net->P, updates + 1, rate);
    return isfinite(sum_of_squares(net->p, net->P)) ? 0 : -EDOM;
}

VECTOR_CLONES static void
approach(float *restrict slow, const float *restrict p, size_t P, float share) {
    for (size_t i = 0; i < P; i++) slow[i] += share * (p[i] - slow[i]);
}

void network_follow(struct network *net, uint64_t updates, uint64_t every,
                    float rate) {
    if (rate > 0.0f) {
        approach(net->target, net->p, net->P, rate);
    } else if (updates % every == 0) {
        memcpy(net->target, net->p, sizeof(float) * net->P);
    }
}

void network_average(struct network *net, uint64_t updates, double decay) {
    const double share = (1.0 - decay) / (1.0 - pow(decay, (double)updates));
    if ((float)share >= 1.0f) {
        memcpy(net->acting, net->p, sizeof(float) * net->P);
    } else {
        approach(net->acting, net->p, net->P, (float)share);
    }
}
