#include "learner/soft_value.h"

#include <assert.h>
#include <math.h>

#include "common/batch.h"
#include "common/fastmath.h"
#include "common/vector.h"

float soft_value_uniform_log_density(size_t A) {
    return -(float)A * 0.69314718056f;
}

/* The largest q of those whose weight is not 0; -INFINITY: there is none. */
VECTOR_INLINE float largest_q(const float *q, const float *log_q, size_t V) {
    float largest = -INFINITY;
#pragma omp simd reduction(max : largest)
    for (size_t j = 0; j < V; j++) {
        const float q_j = log_q[j] == INFINITY ? -INFINITY : q[j];
        largest = q_j > largest ? q_j : largest;
    }
    return largest;
}

VECTOR_CLONES void soft_value(float *v, const float *q, const float *log_q,
                              float log_m, float alpha, size_t B, size_t V) {
    assert(V > 0 && alpha > 0.0f);
    for (size_t b = 0; b < B; b++) {
        const float *q_b = q + b * V, *log_q_b = log_q + b * V; // (V)
        const float top = largest_q(q_b, log_q_b, V);
        if (top == -INFINITY) {
            v[b] = top;
            continue;
        }
        // log weights, less the largest Q: small numbers keep their digits
        float largest = -INFINITY;
#pragma omp simd reduction(max : largest)
        for (size_t j = 0; j < V; j++) {
            const float w = (q_b[j] - top) / alpha - log_q_b[j];
            largest = w > largest ? w : largest;
        }
        // terms are at most 1 and one of them is 1: the sum cannot overflow,
        // and its logarithm is between 0 and log V
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < V; j++) {
            const float w = (q_b[j] - top) / alpha - log_q_b[j];
            sum += fastmath_exp(w - largest);
        }
        v[b] = top + alpha * (largest + logf(sum / (float)V) + log_m);
    }
}

void soft_value_target(float *target, const float *r, const uint8_t *flags,
                       const float *v, float reward_scale, float gamma,
                       size_t B) {
    for (size_t b = 0; b < B; b++) {
        const float alive = flags[b] & BATCH_TERMINAL ? 0.0f : 1.0f;
        target[b] = reward_scale * r[b] + gamma * alive * v[b];
    }
}

double soft_value_error(float *dq, const float *q, const float *target,
                        size_t B, size_t rows) {
    double loss = 0.0;
    for (size_t b = 0; b < B; b++) {
        const float error = q[b] - target[b];
        dq[b] = error / (float)rows;
        loss += 0.5 * (double)error * (double)error;
    }
    return loss;
}
