#include "common/policy.h"

#include <assert.h>
#include <math.h>

#include "common/fastmath.h"

void policy_act(const struct mlp_shape *shape, float *a, float *u,
                const float *phi, const float *s, const float *xi, size_t B,
                size_t N, struct mlp_work *work) {
    assert(shape->X == shape->Y);
    float *out = u ? u : a;
    mlp_forward(shape, out, phi, s, xi, B, N, 0, work);
    for (size_t i = 0; i < B * N * shape->Y; i++) a[i] = fastmath_tanh(out[i]);
}

float policy_log_squash(const float *u, size_t A) {
    float sum = 0.0f;
    for (size_t i = 0; i < A; i++) {
        // softplus(x) = log(1 + e^x) = max(x, 0) + log1p(e^-|x|)
        const float x = -2.0f * u[i];
        const float softplus = fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)));
        sum += 2.0f * (0.69314718056f - u[i] - softplus);
    }
    return sum;
}

void policy_squash_score(float *g, const float *u, float alpha, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const float t = fastmath_tanh(u[i]);
        g[i] = g[i] * (1.0f - t * t) - 2.0f * alpha * t;
    }
}
