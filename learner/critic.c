#include <math.h>
#include <string.h>

#include "learner/algorithm_state.h"
#include "learner/soft_value.h"

/*
 * Twins: whether x is the one that counts. A NaN is below everything, so that
 * no comparison hides it.
 */
static bool is_smaller(float x, float than) {
    return !(isnan(than) || x >= than);
}

void critic_next(const struct algorithm *alg, struct algorithm_slice *at,
                 const float *a, size_t b, size_t n, size_t N, int shared) {
    const struct network *q = alg->q;
    const float *next = alg->next + (at->from + b) * alg->S;
    mlp_forward(&q[0].shape, at->q_next, q[0].target, next, a, n, N, shared,
                &at->pass);
    if (alg->n_q == 1) return;
    mlp_forward(&q[1].shape, at->other_q, q[1].target, next, a, n, N, shared,
                &at->pass);
    for (size_t i = 0; i < n * N; i++) {
        if (is_smaller(at->other_q[i], at->q_next[i]))
            at->q_next[i] = at->other_q[i];
    }
}

void critic_regress(const struct algorithm *alg, struct algorithm_slice *at) {
    const float *s = alg->s + at->from * alg->S;
    const float *a = alg->batch->a + at->from * alg->A;
    const size_t B = at->B;
    for (size_t i = 0; i < alg->n_q; i++) {
        const struct network *q = &alg->q[i];
        mlp_forward(&q->shape, at->q, q->p, s, a, B, 1, 0, &at->work);
        if (alg->looking && i == 0)
            mlp_peaks(&q->shape, at->q_peak, B, &at->work);
        at->sum.loss +=
            soft_value_error(at->dq, at->q, at->target, B, alg->rows);
        memset(at->gradient[i], 0, sizeof(float) * q->P);
        mlp_backward(&q->shape, at->gradient[i], NULL, at->dq, q->p, s, a, B, 1,
                     &at->work);
        for (size_t b = 0; b < B; b++) {
            at->sum.q += (double)at->q[b];
            at->sum.q_squares += (double)at->q[b] * (double)at->q[b];
        }
    }
    for (size_t b = 0; b < B; b++) at->sum.target += (double)at->target[b];
}

/* Q(s, a) and dQ/da by one network, of as many states at a time as stay in the
 * cache. */
static void slope(struct algorithm_slice *at, const struct mlp_shape *shape,
                  const float *theta, const float *s, const float *a, size_t N,
                  float *value, float *g) {
    const size_t A = shape->X, step = at->pass.rows / N;
    for (size_t b = 0; b < at->B; b += step) {
        const size_t n = at->B - b < step ? at->B - b : step;
        const float *s_b = s + b * shape->S, *a_b = a + b * N * A;
        mlp_forward(shape, value + b * N, theta, s_b, a_b, n, N, 0, &at->pass);
        mlp_backward(shape, NULL, g + b * N * A, at->ones, theta, s_b, a_b, n,
                     N, &at->pass);
    }
}

/* at->g = dQ/da by one source: of twins by whichever is the smaller there. */
static void source_slope(const struct algorithm_source *source, size_t S,
                         size_t A, struct algorithm_slice *at, const float *a,
                         size_t N) {
    const float *s = source->s + at->from * S;
    slope(at, &source->q.shape, source->q.theta[0], s, a, N, at->q_fixed,
          at->g);
    if (source->q.n == 1) return;
    slope(at, &source->q.shape, source->q.theta[1], s, a, N, at->other_q,
          at->other_g);
    for (size_t j = 0; j < at->B * N; j++) {
        if (!is_smaller(at->other_q[j], at->q_fixed[j])) continue;
        at->q_fixed[j] = at->other_q[j];
        memcpy(at->g + j * A, at->other_g + j * A, sizeof(float) * A);
    }
}

void critic_slope(const struct algorithm *alg, struct algorithm_slice *at,
                  const float *a, size_t N) {
    const size_t n = at->B * N * alg->A;
    source_slope(&alg->sources[0], alg->S, alg->A, at, a, N);
    if (alg->n_sources == 1) return;
    // a composition: the slope of the mean is the mean of the slopes
    memcpy(at->sum_g, at->g, sizeof(float) * n);
    for (size_t k = 1; k < alg->n_sources; k++) {
        source_slope(&alg->sources[k], alg->S, alg->A, at, a, N);
        for (size_t i = 0; i < n; i++) at->sum_g[i] += at->g[i];
    }
    const float share = 1.0f / (float)alg->n_sources;
    for (size_t i = 0; i < n; i++) at->g[i] = at->sum_g[i] * share;
}
