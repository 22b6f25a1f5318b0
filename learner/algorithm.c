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
#include "learner/schedule.h"
#include "learner/soft_value.h"
#include "learner/svgd.h"

/* ---- the soft value of the next state ---- */

/*
 * V(s') (VHAT) of rows [b, b + n) of the slice by uniform proposals,
 *
 *   a_j ~ uniform on [-1, 1]^A,   log q(a_j) = -A log 2
 */
static void value_by_uniform(const struct algorithm *alg,
                             struct algorithm_slice *at, size_t b, size_t n) {
    const size_t V = alg->V, A = alg->A;
    const bool shared = alg->config.shared_proposals;
    const float *a_j = alg->noise->proposals;
    const float log_q = soft_value_uniform_log_density(A);
    if (!shared) a_j += (at->from + b) * V * A;

    critic_next(alg, at, a_j, b, n, V, shared);
    for (size_t j = 0; j < n * V; j++) at->log_q[j] = log_q;
    soft_value(at->v + b, at->q_next, at->log_q, alg->log_measure, alg->alpha,
               n, V);
    for (size_t i = b; i < b + n; i++) at->sum.v_uniform += (double)at->v[i];
    at->sum.n_v_uniform += n;
}

/*
 * The same by the sampler's own actions, which lie where exp(Q / alpha) does:
 *
 *   u_j = f(s', xi_j),   a_j = tanh u_j,   log q(a_j) by du/dxi
 *
 * A state whose proposals are all degenerate takes uniform ones.
 */
static void value_by_sampler(const struct algorithm *alg,
                             struct algorithm_slice *at) {
    const size_t B = at->B, W = alg->W, A = alg->A;
    const struct network *f = &alg->f;
    const float *next = alg->next + at->from * alg->S;
    const float *xi = alg->noise->xi_value + at->from * W * A;

    policy_act(&f->shape, at->next_a, at->next_u, f->p, next, xi, B, W,
               &at->work);
    // of the pass that policy_act() left in work
    mlp_jacobian(&f->shape, at->jacobian, f->p, B, W, &at->work);
    policy_log_density(at->log_q, &at->sum.seen, xi, at->next_u, at->jacobian,
                       B * W, A);
    critic_next(alg, at, at->next_a, 0, B, W, 0);
    soft_value(at->v, at->q_next, at->log_q, alg->log_measure, alg->alpha, B,
               W);
    for (size_t b = 0; b < B; b++) {
        if (at->v[b] == -INFINITY) {
            value_by_uniform(alg, at, b, 1);
            continue;
        }
        at->sum.v_sampler += (double)at->v[b];
        at->sum.n_v_sampler++;
    }
}

static bool sampler_proposes(const struct algorithm *alg) {
    return alg->config.value_proposals == PROPOSALS_SAMPLER &&
           alg->updates >= alg->config.proposal_switch;
}

/*
 * The gradient of JQ on one slice of the minibatch (s, a, r, s'):
 *
 *   V(s') ~= alpha log( 1/K_V sum_j exp(Qbar(s',a_j) / alpha) / q(a_j) ) (VHAT)
 *   target = reward_scale r + gamma (1 - terminal) V(s')                 (B)
 *   JQ     = 1/2 mean( Q(s, a) - target )^2                              (JQ)
 *
 * Twins: V by the smaller Qbar at each a_j; one target, a JQ for each. DDPG has
 * V(s') = Qbar(s', tanh mubar(s')) instead.
 */
static void q_slice(void *arg, size_t index) {
    struct algorithm *alg = arg;
    struct algorithm_slice *at = &alg->slices[index];
    const float *r = alg->batch->r + at->from;
    const uint8_t *flags = alg->batch->flags + at->from;

    if (alg->config.algorithm == ALGORITHM_DDPG) {
        ddpg_value(alg, at);
    } else if (sampler_proposes(alg)) {
        value_by_sampler(alg, at);
    } else {
        value_by_uniform(alg, at, 0, at->B);
    }
    soft_value_target(at->target, r, flags, at->v, alg->reward_scale,
                      alg->gamma, at->B);
    critic_regress(alg, at);
}

/* ---- the sampler ---- */

/* Automatic temperature: the entropy of the fixed particles' actions. */
static void measure_entropy(const struct algorithm *alg,
                            struct algorithm_slice *at, const float *xi) {
    const size_t n = at->B * alg->K;
    mlp_jacobian(&alg->f.shape, at->jacobian, alg->f.p, at->B, alg->K,
                 &at->work);
    policy_log_density(at->log_pi, &at->sum.seen, xi, at->fixed_u, at->jacobian,
                       n, alg->A);
    for (size_t j = 0; j < n; j++) {
        if (at->log_pi[j] == INFINITY) continue;
        at->sum.entropy -= (double)at->log_pi[j];
        at->sum.entropies++;
    }
}

/*
 * svgd_space = action, as the released code: at->g = dQ/da in, out
 *
 *   grad_a [ Q + alpha sum log(1 - a^2 + 1e-6) ]
 */
static void action_score(struct algorithm_slice *at, float alpha, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const float a = at->fixed_a[i];
        at->g[i] -= 2.0f * alpha * a / (1.0f - a * a + 1e-6f);
    }
}

/*
 * g_j = grad_u [ Q(s, tanh u) + alpha sum log(1 - tanh^2 u) ] at the fixed
 * particles u = x_j = f(s, xi_j): the slope of log pi(u|s), times alpha; with
 * svgd_alpha_ramp over its factor. Twins: the slope of the Q that is the
 * smaller there.
 */
static void score_fixed_particles(const struct algorithm *alg,
                                  struct algorithm_slice *at) {
    const struct network *f = &alg->f;
    const size_t B = at->B, K = alg->K, n = B * K * alg->A;
    const float *s = alg->s + at->from * alg->S;
    const float *xi = alg->noise->xi_fixed + at->from * K * alg->A;

    const bool measured = alg->config.temperature == TEMPERATURE_AUTO;
    // hidden layers that nobody goes back on need not leave the cache
    policy_act(&f->shape, at->fixed_a, at->fixed_u, f->p, s, xi, B, K,
               alg->config.one_set || measured ? &at->work : &at->pass);
    if (measured) measure_entropy(alg, at, xi);

    critic_slope(alg, at, at->fixed_a, K); // g = dQ/da
    if (alg->config.svgd_space == SPACE_ACTION) {
        action_score(at, alg->alpha, n);
    } else {
        policy_squash_score(at->g, at->fixed_u, alg->alpha, n);
    }
    const double ramp =
        schedule_ramp(alg->ramp_factor, alg->ramp_span, alg->updates);
    for (size_t i = 0; ramp != 1.0 && i < n; i++) at->g[i] /= (float)ramp;
    for (size_t i = 0; i < n; i++)
        at->sum.g_squares += (double)at->g[i] * (double)at->g[i];
}

/*
 * Where each y_i should go: at->D out, along u.
 *
 *   D(y_i) = 1/K sum_j [ kappa(x_j, y_i) g_j
 *                        + alpha grad_{x_j} kappa(x_j, y_i) ]           (SVGD)
 *
 * svgd_space = action: x, y and D are actions, and D goes on through the
 * squash.
 */
static void move_particles(const struct algorithm *alg,
                           struct algorithm_slice *at) {
    const struct svgd_dims dims = {.B = at->B,
                                   .K = alg->K,
                                   .M = alg->M,
                                   .A = alg->A,
                                   .one_set = alg->config.one_set};
    const size_t n = at->B * alg->M * alg->A;
    const bool squashed = alg->config.svgd_space == SPACE_ACTION;
    const float *x = squashed ? at->fixed_a : at->fixed_u;
    const float *y = squashed ? at->moved_a : at->moved_u;

    svgd_distances(at->d2, x, y, dims, at->scratch);
    svgd_bandwidth(at->h, at->d2, dims);
    for (size_t b = 0; b < at->B; b++) at->sum.h += (double)at->h[b];
    if (alg->looking) { // D without a score
        svgd_direction(at->D, x, y, at->no_g, at->d2, at->h, alg->alpha, dims,
                       at->scratch);
        for (size_t i = 0; i < n; i++)
            at->sum.repulsion_squares += (double)at->D[i] * (double)at->D[i];
    }
    svgd_direction(at->D, x, y, at->g, at->d2, at->h, alg->alpha, dims,
                   at->scratch);
    for (size_t i = 0; i < n; i++) {
        at->sum.D_squares += (double)at->D[i] * (double)at->D[i];
    }
    for (size_t i = 0; squashed && i < n; i++) {
        at->D[i] *= 1.0f - y[i] * y[i]; // da/du
    }
}

/*
 * The gradient that ascends JF on one slice: the sampler is told where its
 * moved particles y_i = f(s, xi_i) should go,
 *
 *   d JF / d phi = mean over rows and i of D(y_i)^T d y_i / d phi       (JF)
 */
static void f_slice(void *arg, size_t index) {
    struct algorithm *alg = arg;
    struct algorithm_slice *at = &alg->slices[index];
    const struct network *f = &alg->f;
    const size_t B = at->B, M = alg->M, n = B * M * alg->A;
    const float *s = alg->s + at->from * alg->S;
    const float *xi = alg->noise->xi_moved + at->from * M * alg->A;

    score_fixed_particles(alg, at);
    // one set: y_i = x_i, whose pass is still in work
    if (!alg->config.one_set)
        policy_act(&f->shape, at->moved_a, at->moved_u, f->p, s, xi, B, M,
                   &at->work);
    if (alg->looking) mlp_peaks(&f->shape, at->f_peak, B * M, &at->work);
    move_particles(alg, at);
    for (size_t i = 0; i < n; i++) {
        at->D[i] /= -(float)(alg->rows * M); // Adam descends
    }
    memset(at->gradient[0], 0, sizeof(float) * f->P);
    mlp_backward(&f->shape, at->gradient[0], NULL, at->D, f->p, s, xi, B, M,
                 &at->work);
}

/* ---- one update ---- */

/* Let Adam move a network by the slices' which-th gradients. */
static int descend(struct algorithm *alg, struct network *net, size_t which,
                   double rate, double *norm) {
    const struct config *config = &alg->config;
    for (size_t t = 0; t < alg->n_slices; t++) {
        alg->parts[t] = alg->slices[t].gradient[which];
    }
    const float now = adam_rate(rate, config->learning_rate_end, alg->updates,
                                config->max_updates);
    return network_descend(net, alg->parts, alg->n_slices, alg->updates, now,
                           norm);
}

/* The same for Q, or for both of the twins. norm: of all their gradients. */
static int descend_q(struct algorithm *alg, double *norm) {
    *norm = 0.0;
    for (size_t i = 0; i < alg->n_q; i++) {
        double own;
        if (descend(alg, &alg->q[i], i, alg->config.learning_rate_q, &own))
            return -EDOM;
        *norm = hypot(*norm, own);
    }
    return 0;
}

/* The minibatch as the networks see it, and the temperature of this update. */
static void begin(struct algorithm *alg, const struct batch *batch,
                  const struct algorithm_noise *noise) {
    const size_t S = alg->S, rows = alg->rows;
    alg->batch = batch;
    alg->noise = noise;
    if (alg->config.temperature != TEMPERATURE_AUTO)
        alg->temperature = schedule_alpha(&alg->config, alg->updates);
    alg->alpha = (float)alg->temperature;

    alg->s = batch->s;
    alg->next = batch->next;
    if (alg->moments.S > 0) {
        const struct moments *seen = &alg->moments;
        moments_add(&alg->moments, batch->s, rows);
        policy_normalise(alg->seen_s, batch->s, seen->shift, seen->scale, rows,
                         S);
        policy_normalise(alg->seen_next, batch->next, seen->shift, seen->scale,
                         rows, S);
        alg->s = alg->seen_s;
        alg->next = alg->seen_next;
    }
    alg->looking = alg->updates % ALGORITHM_LOOK == 0;
    algorithm_figures_begin(alg);
    for (size_t k = 0; k < alg->n_sources; k++) {
        struct algorithm_source *source = &alg->sources[k];
        const struct moments *seen = &source->q.moments;
        source->s = alg->n_q > 0 ? alg->s : batch->s;
        if (seen->S == 0) continue;
        policy_normalise(alg->source_s[k], batch->s, seen->shift, seen->scale,
                         rows, S);
        source->s = alg->source_s[k];
    }
}

/* Also as the float that the update divides by. */
static bool temperature_holds(const struct algorithm *alg) {
    const float alpha = (float)alg->temperature;
    return isfinite(alpha) && alpha > 0.0f;
}

/* The automatic temperature, and what follows from the number of updates. */
static void adapt(struct algorithm *alg, struct algorithm_figures *figures) {
    const struct config *config = &alg->config;
    double sum = 0.0;
    size_t n = 0;
    for (size_t t = 0; t < alg->n_slices; t++) {
        sum += alg->slices[t].sum.entropy;
        n += alg->slices[t].sum.entropies;
    }
    figures->alpha = alg->temperature;
    figures->entropy = n > 0 ? sum / (double)n : (double)NAN;
    if (config->temperature == TEMPERATURE_AUTO && n > 0) {
        alg->temperature = schedule_automatic(
            alg->temperature, figures->entropy,
            config->entropy_target * (double)alg->A, config->alpha_rate);
    }
    if (config->algorithm != ALGORITHM_DDPG) {
        alg->noise_size = schedule_noise_set(
            config->noise_set, config->noise_set_span, alg->updates);
    }
}

int algorithm_update(struct algorithm *alg, const struct batch *batch,
                     const struct algorithm_noise *noise,
                     struct algorithm_figures *figures, const char **what) {
    assert(batch->n == alg->rows && batch->S == alg->S && batch->A == alg->A);
    const struct config *config = &alg->config;
    const bool ddpg = config->algorithm == ALGORITHM_DDPG;
    const bool proposed = alg->n_q > 0 && !ddpg && sampler_proposes(alg);
    begin(alg, batch, noise);
    *what = "the temperature";
    if (!temperature_holds(alg)) return -EDOM;

    if (alg->n_q > 0) pool_run(alg->pool, q_slice, alg); // VHAT, B, JQ
    *what = "the gradient of Q or its parameters";
    if (descend_q(alg, &figures->q_gradient)) return -EDOM;

    pool_run(alg->pool, ddpg ? ddpg_slice : f_slice, alg); // with the new Q
    *what = "the sampler's gradient or its parameters";    // SVGD, JF
    if (descend(alg, &alg->f, 0, config->learning_rate_f,
                &figures->f_gradient)) {
        return -EDOM;
    }

    alg->updates++;
    const float rate = (float)config->target_rate;
    for (size_t i = 0; i < alg->n_q; i++) {
        network_follow(&alg->q[i], alg->updates, config->target_every, rate);
    }
    if (ddpg) network_follow(&alg->f, alg->updates, config->target_every, rate);
    network_average(&alg->f, alg->updates, config->sampler_average);
    adapt(alg, figures);

    algorithm_figures_collect(alg, proposed, figures);
    *what = "the loss of Q";
    if (!isfinite(figures->q_loss)) return -EDOM;
    *what = "the temperature";
    return temperature_holds(alg) ? 0 : -EDOM;
}
