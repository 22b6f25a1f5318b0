#include "common/policy.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/fastmath.h"
#include "common/vector.h"

/* n floats behind *next, which moves on; NULL stays NULL. */
static const float *append(float **next, const float *x, size_t n) {
    if (!x) return NULL;
    float *copy = *next;
    memcpy(copy, x, sizeof(*x) * n);
    *next += n;
    return copy;
}

struct policy *policy_copy(const struct policy *policy) {
    const size_t P = mlp_parameters(&policy->shape), S = policy->shape.S;
    const size_t noise = policy->n_noise * policy->shape.X;
    struct policy *copy =
        malloc(sizeof(*copy) + sizeof(float) * (P + noise + 2 * S));
    if (!copy) return NULL;
    float *next = (float *)(copy + 1);
    *copy = *policy;
    copy->phi = append(&next, policy->phi, P);
    copy->noise = noise > 0 ? append(&next, policy->noise, noise) : NULL;
    copy->mean = append(&next, policy->mean, S);
    copy->scale = append(&next, policy->scale, S);
    return copy;
}

size_t policy_most_floats(const struct mlp_shape *shape, size_t noise_set) {
    return mlp_parameters(shape) + (noise_set + 1) * shape->X + 2 * shape->S;
}

void policy_draw_noise(const struct policy *policy, float *xi, size_t n,
                       struct rng *rng) {
    const size_t A = policy->shape.X;
    if (policy->n_noise == 0) {
        rng_fill_normal(rng, xi, n * A);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const uint64_t row = rng_below(rng, policy->n_noise);
        memcpy(xi + i * A, policy->noise + row * A, sizeof(*xi) * A);
    }
}

void policy_normalise(float *x, const float *s, const float *mean,
                      const float *scale, size_t B, size_t S) {
    const float most = (float)POLICY_MOST_DEVIATIONS;
    if (!mean) {
        memcpy(x, s, sizeof(*x) * B * S);
        return;
    }
    for (size_t b = 0; b < B; b++) {
        for (size_t i = 0; i < S; i++) {
            const float z = (s[b * S + i] - mean[i]) * scale[i];
            x[b * S + i] = fminf(fmaxf(z, -most), most);
        }
    }
}

void policy_observe(const struct policy *policy, float *x, const float *s,
                    size_t B) {
    policy_normalise(x, s, policy->mean, policy->scale, B, policy->shape.S);
}

/* a = tanh u. a out, u (n) */
VECTOR_CLONES static void squash(float *a, const float *u, size_t n) {
    for (size_t i = 0; i < n; i++) a[i] = fastmath_tanh(u[i]);
}

void policy_act(const struct mlp_shape *shape, float *a, float *u,
                const float *phi, const float *s, const float *xi, size_t B,
                size_t N, struct mlp_work *work) {
    assert(shape->X == shape->Y);
    float *out = u ? u : a;
    mlp_forward(shape, out, phi, s, xi, B, N, 0, work);
    squash(a, out, B * N * shape->Y);
}

VECTOR_CLONES void policy_log_squash(float *restrict out,
                                     const float *restrict u, size_t n) {
    for (size_t i = 0; i < n; i++) {
        // softplus(x) = log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)
        const float x = -2.0f * u[i];
        const float softplus = (x > 0.0f ? x : 0.0f) +
                               fastmath_log(1.0f + fastmath_exp(-fabsf(x)));
        out[i] = 2.0f * (0.69314718056f - u[i] - softplus);
    }
}

VECTOR_CLONES void policy_squash_score(float *restrict g,
                                       const float *restrict u, float alpha,
                                       size_t n) {
    for (size_t i = 0; i < n; i++) {
        const float t = fastmath_tanh(u[i]);
        g[i] = g[i] * (1.0f - t * t) - 2.0f * alpha * t;
    }
}

/*
 * log|det| of m (A, A), overwritten, by LU with partial pivoting: the sum of
 * log|pivot|. negative out. INFINITY stands for a degenerate one: a pivot that
 * is 0 or not finite.
 */
static float log_determinant(float *m, size_t A, bool *negative) {
    float sum = 0.0f;
    *negative = false;
    for (size_t k = 0; k < A; k++) {
        size_t best = k;
        for (size_t r = k + 1; r < A; r++) {
            if (fabsf(m[r * A + k]) > fabsf(m[best * A + k])) best = r;
        }
        const float pivot = m[best * A + k];
        if (pivot == 0.0f || !isfinite(pivot)) return INFINITY;
        sum += logf(fabsf(pivot));
        *negative ^= (pivot < 0.0f) ^ (best != k);
        for (size_t c = k; c < A; c++) {
            const float kept = m[k * A + c];
            m[k * A + c] = m[best * A + c];
            m[best * A + c] = kept;
        }
        for (size_t r = k + 1; r < A; r++) {
            const float factor = m[r * A + k] / pivot;
            for (size_t c = k + 1; c < A; c++) {
                m[r * A + c] -= factor * m[k * A + c];
            }
        }
    }
    return sum;
}

void policy_log_density(float *log_q, struct policy_determinants *seen,
                        const float *xi, const float *u, float *jacobian,
                        size_t n, size_t A) {
    const float log_sqrt_2pi = 0.91893853320f;
    for (size_t i = 0; i < n; i++) {
        bool negative;
        log_q[i] = -log_determinant(jacobian + i * A * A, A, &negative);
        const bool degenerate = !isfinite(log_q[i]);
        if (degenerate) log_q[i] = INFINITY;
        if (!seen) continue;
        seen->degenerate += degenerate;
        seen->negative += negative && !degenerate;
    }
    float *slopes = jacobian; // whose determinants are taken
    policy_log_squash(slopes, u, n * A);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < A && log_q[i] != INFINITY; k++) {
            const float x = xi[i * A + k];
            log_q[i] -= 0.5f * x * x + log_sqrt_2pi + slopes[i * A + k];
        }
    }
}
