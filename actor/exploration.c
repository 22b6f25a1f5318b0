#include "actor/exploration.h"

#include <math.h>

struct exploration exploration_of(const struct config *config,
                                  uint64_t ordinal) {
    const uint64_t N = config->actors > 0 ? config->actors : 1;
    const double rung = N > 1 ? (double)(ordinal % N) / (double)(N - 1) : 0.0;
    return (struct exploration){
        .kind = config->exploration,
        .scale = (float)(config->exploration_scale *
                         pow(config->exploration_ladder, rung)),
        .decay = (float)config->exploration_decay,
    };
}

/* fminf() would make a number of NaN, and hide a policy that has left them. */
static float clip(float x) {
    return x > 1.0f ? 1.0f : x < -1.0f ? -1.0f : x;
}

void exploration_apply(const struct exploration *exploration, float *a,
                       float *n, size_t A, struct rng *rng) {
    if (exploration->kind == EXPLORATION_NONE) return;
    const float kept =
        exploration->kind == EXPLORATION_OU ? 1.0f - exploration->decay : 0.0f;
    for (size_t i = 0; i < A; i += 4) { // a block of the generator
        float z[4];
        const size_t many = A - i < 4 ? A - i : 4;
        rng_fill_normal(rng, z, many);
        for (size_t k = 0; k < many; k++) {
            n[i + k] = kept * n[i + k] + exploration->scale * z[k];
            a[i + k] = clip(a[i + k] + n[i + k]);
        }
    }
}

const char *exploration_name(const struct exploration *exploration) {
    switch (exploration->kind) {
    case EXPLORATION_OU:
        return "ou";
    case EXPLORATION_GAUSSIAN:
        return "gaussian";
    default:
        return "none";
    }
}
