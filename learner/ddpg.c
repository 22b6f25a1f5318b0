/*
 * DDPG (Lillicrap et al. 2016; REFERENCE.md, section 3), the paper's baseline,
 * on soft Q-learning's networks, replay and actors: the hard Bellman backup,
 *
 *   target = reward_scale r + gamma (1 - terminal) Qbar(s', tanh mubar(s'))
 *
 * and an actor that ascends mean Q(s, tanh mu(s)). mu takes no noise: it is the
 * sampling network with its noise held at 0, mu(s) = f(s, 0).
 */
#include <string.h>

#include "common/policy.h"
#include "learner/algorithm_state.h"

void ddpg_value(struct algorithm *alg, struct algorithm_slice *at) {
    const struct network *mu = &alg->f;
    const float *next = alg->next + at->from * alg->S;
    policy_act(&mu->shape, at->fixed_a, at->fixed_u, mu->target, next,
               at->zeros, at->B, 1, &at->work);
    critic_next(alg, at, at->fixed_a, 0, at->B, 1, 0);
    memcpy(at->v, at->q_next, sizeof(float) * at->B);
}

void ddpg_slice(void *arg, size_t index) {
    struct algorithm *alg = arg;
    struct algorithm_slice *at = &alg->slices[index];
    const struct network *mu = &alg->f;
    const float *s = alg->s + at->from * alg->S;
    const size_t B = at->B, n = B * alg->A;

    policy_act(&mu->shape, at->fixed_a, at->fixed_u, mu->p, s, at->zeros, B, 1,
               &at->work);
    critic_slope(alg, at, at->fixed_a, 1); // g = dQ/da at a = tanh mu(s)
    for (size_t i = 0; i < n; i++) {
        const float a = at->fixed_a[i];
        at->sum.D_squares += (double)at->g[i] * (double)at->g[i];
        // through the squash; Adam descends
        at->D[i] = -at->g[i] * (1.0f - a * a) / (float)alg->rows;
    }
    memset(at->gradient[0], 0, sizeof(float) * mu->P);
    // of the pass that policy_act() left in work
    if (alg->looking) mlp_peaks(&mu->shape, at->f_peak, B, &at->work);
    mlp_backward(&mu->shape, at->gradient[0], NULL, at->D, mu->p, s, at->zeros,
                 B, 1, &at->work);
}
