#include "learner/adam.h"

#include <assert.h>
#include <math.h>

#include "common/vector.h"

VECTOR_CLONES void adam_step(float *restrict p, float *restrict m,
                             float *restrict v, const float *restrict gradient,
                             size_t P, uint64_t step, float rate) {
    assert(step > 0);
    const float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
    // in double: 1 - beta2 at the first step has few digits as a float
    const float unbias1 = (float)(1.0 / (1.0 - pow(0.9, (double)step)));
    const float unbias2 = (float)(1.0 / (1.0 - pow(0.999, (double)step)));
    for (size_t i = 0; i < P; i++) {
        const float g = gradient[i];
        m[i] = beta1 * m[i] + (1.0f - beta1) * g;
        v[i] = beta2 * v[i] + (1.0f - beta2) * g * g;
        p[i] -= rate * (m[i] * unbias1) / (sqrtf(v[i] * unbias2) + epsilon);
    }
}

float adam_rate(double rate, double end, uint64_t updates,
                uint64_t max_updates) {
    if (max_updates == 0) return (float)rate;
    const double done = (double)updates / (double)max_updates;
    return (float)(rate * (1.0 - (1.0 - end) * fmin(done, 1.0)));
}
