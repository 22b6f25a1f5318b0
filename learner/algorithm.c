/*
 * Soft Q-learning (REFERENCE.md; Haarnoja et al. 2017). Two networks learn:
 *
 *   Q(s, a)   the soft value of an action: reward plus entropy to come
 *   f(s, xi)  the sampler: noise to action, so that its actions follow
 *
 *             pi(a|s) = exp( (Q(s, a) - V(s)) / alpha )                 (PI)
 *             V(s)    = alpha log Integral exp(Q(s, a) / alpha) da      (V)
 *
 * One update moves Q towards its Bellman backup, then moves f's actions along
 * the direction that turns their law into pi. Read from algorithm_update() at
 * the end upwards; each call there is one step and each equation a function.
 */
#include "learner/algorithm.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/policy.h"
#include "learner/adam.h"
#include "learner/algorithm_state.h"
#include "learner/soft_value.h"
#include "learner/svgd.h"

/*
 * Twins: whether x is the one that counts. A NaN is below everything, so that
 * no comparison hides it.
 */
static bool is_smaller(float x, float than) {
    return !(isnan(than) || x >= than);
}

/* Qbar(s', a_j) at every proposal: of twins the smaller, for (VHAT). */
static void evaluate_proposals(const struct algorithm *alg,
                               struct algorithm_slice *at) {
    const struct algorithm_network *q = alg->q;
    const float *next = alg->batch->next + at->from * alg->S;
    const float *a_j = alg->noise->proposals;
    const size_t B = at->B, V = alg->V;

    mlp_forward(&q[0].shape, at->q_next, q[0].slow, next, a_j, B, V, 1,
                &at->work);
    if (alg->n_q == 1) return;
    mlp_forward(&q[1].shape, at->twin_next, q[1].slow, next, a_j, B, V, 1,
                &at->work);
    for (size_t i = 0; i < B * V; i++) {
        if (is_smaller(at->twin_next[i], at->q_next[i]))
            at->q_next[i] = at->twin_next[i];
    }
}

/*
 * The gradient of JQ on one slice of the minibatch (s, a, r, s'):
 *
 *   a_j ~ uniform on [-1, 1]^A
 *   V(s') ~= alpha log( 1/V sum_j exp(Qbar(s', a_j) / alpha) / q(a_j) )  (VHAT)
 *   target = reward_scale r + gamma (1 - terminal) V(s')                 (B)
 *   JQ     = 1/2 mean( Q(s, a) - target )^2                              (JQ)
 *
 * Twins: V by the smaller Qbar at each a_j; one target, a JQ for each.
 */
static void q_slice(void *arg, size_t index) {
    struct algorithm *alg = arg;
    struct algorithm_slice *at = &alg->slices[index];
    const struct batch *rows = alg->batch;
    const float *s = rows->s + at->from * alg->S;
    const float *a = rows->a + at->from * alg->A;
    const float *r = rows->r + at->from;
    const uint8_t *flags = rows->flags + at->from;
    const float log_q = soft_value_uniform_log_density(alg->A);
    const float alpha = alg->alpha, gamma = alg->gamma;
    const float scale = alg->reward_scale;
    const size_t B = at->B;

    // Qbar(s', a_j), then V(s') (VHAT), then its backup (B)
    evaluate_proposals(alg, at);
    soft_value(at->v, at->q_next, log_q, alpha, B, alg->V);
    soft_value_target(at->target, r, flags, at->v, scale, gamma, B);

    // Q(s, a), its error and the gradient of that (JQ)
    at->loss = at->q_sum = at->target_sum = 0.0;
    for (size_t i = 0; i < alg->n_q; i++) {
        const struct algorithm_network *q = &alg->q[i];
        mlp_forward(&q->shape, at->q, q->p, s, a, B, 1, 0, &at->work);
        at->loss += soft_value_error(at->dq, at->q, at->target, B, alg->rows);
        memset(at->gradient[i], 0, sizeof(float) * q->P);
        mlp_backward(&q->shape, at->gradient[i], NULL, at->dq, q->p, s, a, B, 1,
                     &at->work);
        for (size_t b = 0; b < B; b++) at->q_sum += (double)at->q[b];
    }
    for (size_t b = 0; b < B; b++) at->target_sum += (double)at->target[b];
}

/* Q(s, a) and dQ/da of one network at the fixed particles. */
static void q_slope(const struct algorithm *alg, struct algorithm_slice *at,
                    const struct algorithm_network *q, const float *s,
                    float *value, float *slope) {
    mlp_forward(&q->shape, value, q->p, s, at->fixed_a, at->B, alg->K, 0,
                &at->work);
    mlp_backward(&q->shape, NULL, slope, at->ones, q->p, s, at->fixed_a, at->B,
                 alg->K, &at->work);
}

/*
 * g_j = grad_u [ Q(s, tanh u) + alpha sum log(1 - tanh^2 u) ] at the fixed
 * particles u = x_j = f(s, xi_j): the slope of log pi(u|s), times alpha.
 * Twins: the slope of the Q that is the smaller there.
 */
static void score_fixed_particles(struct algorithm *alg,
                                  struct algorithm_slice *at, const float *s) {
    const struct algorithm_network *f = &alg->f;
    const size_t B = at->B, K = alg->K, A = alg->A;
    const float *xi = alg->noise->xi_fixed + at->from * K * A;

    policy_act(&f->shape, at->fixed_a, at->fixed_u, f->p, s, xi, B, K,
               &at->work);
    q_slope(alg, at, &alg->q[0], s, at->q_fixed, at->g); // g = dQ/da
    if (alg->n_q > 1) {
        q_slope(alg, at, &alg->q[1], s, at->twin_fixed, at->twin_g);
        for (size_t j = 0; j < B * K; j++) {
            if (!is_smaller(at->twin_fixed[j], at->q_fixed[j])) continue;
            memcpy(at->g + j * A, at->twin_g + j * A, sizeof(float) * A);
        }
    }
    policy_squash_score(at->g, at->fixed_u, alg->alpha, B * K * A);
}

/*
 * The gradient that ascends JF on one slice. The sampler is told where its
 * moved particles y_i = f(s, xi_i) should go:
 *
 *   D(y_i) = 1/K sum_j [ kappa(x_j, y_i) g_j
 *                        + alpha grad_{x_j} kappa(x_j, y_i) ]           (SVGD)
 *   d JF / d phi = mean over rows and i of D(y_i)^T d y_i / d phi       (JF)
 */
static void f_slice(void *arg, size_t index) {
    struct algorithm *alg = arg;
    struct algorithm_slice *at = &alg->slices[index];
    const struct algorithm_network *f = &alg->f;
    const size_t B = at->B, M = alg->M, A = alg->A;
    const struct svgd_dims dims = {.B = B, .K = alg->K, .M = M, .A = A};
    const float *s = alg->batch->s + at->from * alg->S;
    const float *xi = alg->noise->xi_moved + at->from * M * A;

    score_fixed_particles(alg, at, s);
    mlp_forward(&f->shape, at->moved_u, f->p, s, xi, B, M, 0, &at->work);
    // where each y_i should go (SVGD)
    svgd_distances(at->d2, at->fixed_u, at->moved_u, dims, at->scratch);
    svgd_bandwidth(at->h, at->d2, dims, at->scratch);
    svgd_direction(at->D, at->fixed_u, at->moved_u, at->g, at->d2, at->h,
                   alg->alpha, dims, at->scratch);

    // and the gradient that moves phi there (JF)
    at->D_squares = 0.0;
    for (size_t i = 0; i < B * M * A; i++) {
        at->D_squares += (double)at->D[i] * (double)at->D[i];
        at->D[i] /= -(float)(alg->rows * M); // Adam descends
    }
    memset(at->gradient[0], 0, sizeof(float) * f->P);
    mlp_backward(&f->shape, at->gradient[0], NULL, at->D, f->p, s, xi, B, M,
                 &at->work);
}

static double sum_of_squares(const float *x, size_t n) {
    double lane[4] = {0};
    for (size_t i = 0; i < n; i++) lane[i % 4] += (double)x[i] * (double)x[i];
    return lane[0] + lane[1] + lane[2] + lane[3];
}

/*
 * Sum the slices' gradients, the which-th of each, always in the same order,
 * and let Adam move the network. norm out: of the gradient. Returns 0, or -EDOM
 * when the gradient or a moved parameter is not finite.
 */
static int descend(struct algorithm *alg, struct algorithm_network *net,
                   size_t which, double rate, double *norm) {
    memcpy(net->gradient, alg->slices[0].gradient[which],
           sizeof(float) * net->P);
    for (size_t t = 1; t < alg->n_slices; t++) {
        const float *part = alg->slices[t].gradient[which];
        for (size_t i = 0; i < net->P; i++) net->gradient[i] += part[i];
    }
    *norm = sqrt(sum_of_squares(net->gradient, net->P));
    if (!isfinite(*norm)) return -EDOM;
    adam_step(net->p, net->m, net->v, net->gradient, net->P, alg->updates + 1,
              adam_rate(rate, alg->rate_end, alg->updates, alg->max_updates));
    return isfinite(sum_of_squares(net->p, net->P)) ? 0 : -EDOM;
}

/* The same for Q, or for both of the twins. norm: of all their gradients. */
static int descend_q(struct algorithm *alg, double *norm) {
    *norm = 0.0;
    for (size_t i = 0; i < alg->n_q; i++) {
        double own;
        if (descend(alg, &alg->q[i], i, alg->rate_q, &own)) return -EDOM;
        *norm = hypot(*norm, own);
    }
    return 0;
}

/*
 * The sampler that acts: an exponential mean of phi over the updates so far.
 * The weights of a start at 0 are divided out, so the first mean is phi.
 */
static void average_sampler(struct algorithm *alg) {
    struct algorithm_network *f = &alg->f;
    const double decay = alg->average;
    const double share =
        (1.0 - decay) / (1.0 - pow(decay, (double)alg->updates));
    const float weight = (float)share;
    if (weight >= 1.0f) {
        memcpy(f->slow, f->p, sizeof(float) * f->P);
        return;
    }
    for (size_t i = 0; i < f->P; i++) {
        f->slow[i] += weight * (f->p[i] - f->slow[i]);
    }
}

/* Qbar: a copy of Q every so many updates, or (Polyak) a little of it each. */
static void move_target(const struct algorithm *alg,
                        struct algorithm_network *q) {
    const float rate = (float)alg->target_rate;
    if (rate > 0.0f) {
        for (size_t i = 0; i < q->P; i++) {
            q->slow[i] += rate * (q->p[i] - q->slow[i]);
        }
    } else if (alg->updates % alg->target_every == 0) {
        memcpy(q->slow, q->p, sizeof(float) * q->P);
    }
}

/* Means over the minibatch of what the slices summed. */
static void collect_figures(const struct algorithm *alg,
                            struct algorithm_figures *figures) {
    double loss = 0.0, q = 0.0, target = 0.0, squares = 0.0;
    for (size_t t = 0; t < alg->n_slices; t++) {
        const struct algorithm_slice *at = &alg->slices[t];
        loss += at->loss;
        q += at->q_sum;
        target += at->target_sum;
        squares += at->D_squares;
    }
    const double rows = (double)alg->rows;
    figures->q_loss = loss / (rows * (double)alg->n_q);
    figures->q_mean = q / (rows * (double)alg->n_q);
    figures->target_mean = target / rows;
    figures->stein_norm = sqrt(squares / (rows * (double)(alg->M * alg->A)));
}

int algorithm_update(struct algorithm *alg, const struct batch *batch,
                     const struct algorithm_noise *noise,
                     struct algorithm_figures *figures, const char **what) {
    assert(batch->n == alg->rows && batch->S == alg->S && batch->A == alg->A);
    alg->batch = batch;
    alg->noise = noise;

    pool_run(alg->pool, q_slice, alg); // VHAT, B, JQ
    *what = "the gradient of Q or its parameters";
    if (descend_q(alg, &figures->q_gradient)) return -EDOM;

    pool_run(alg->pool, f_slice, alg); // SVGD, JF: with the new Q
    *what = "the sampler's gradient or its parameters";
    if (descend(alg, &alg->f, 0, alg->rate_f, &figures->f_gradient))
        return -EDOM;

    alg->updates++;
    for (size_t i = 0; i < alg->n_q; i++) move_target(alg, &alg->q[i]);
    average_sampler(alg);

    collect_figures(alg, figures);
    *what = "the loss of Q";
    return isfinite(figures->q_loss) ? 0 : -EDOM;
}
