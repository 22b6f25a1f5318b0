#include "common/moments.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Of a variance: an observation that never moves is not divided by 0. */
static const double floor_variance = 1e-8;

int moments_init(struct moments *moments, size_t S) {
    double *block = calloc(3 * S, sizeof(*block)); // 2 S floats fit in S
    *moments = (struct moments){.S = S, .block = block};
    if (!block) return -ENOMEM;
    moments->mean = block;
    moments->m2 = block + S;
    moments->shift = (float *)(block + 2 * S);
    moments->scale = moments->shift + S;
    moments_refresh(moments);
    return 0;
}

void moments_finish(struct moments *moments) {
    free(moments->block);
    *moments = (struct moments){0};
}

void moments_add(struct moments *moments, const float *s, size_t n) {
    const size_t S = moments->S;
    const double old = moments->count, more = (double)n, all = old + more;
    for (size_t i = 0; i < S; i++) {
        double mean = 0.0, m2 = 0.0;
        for (size_t b = 0; b < n; b++) mean += (double)s[b * S + i] / more;
        for (size_t b = 0; b < n; b++) {
            const double off = (double)s[b * S + i] - mean;
            m2 += off * off;
        }
        const double apart = mean - moments->mean[i];
        moments->mean[i] += apart * more / all;
        moments->m2[i] += m2 + apart * apart * old * more / all;
    }
    moments->count = all;
    moments_refresh(moments);
}

void moments_refresh(struct moments *moments) {
    for (size_t i = 0; i < moments->S; i++) {
        const double variance =
            moments->count > 0.0 ? moments->m2[i] / moments->count : 1.0;
        moments->shift[i] = (float)moments->mean[i];
        moments->scale[i] = (float)(1.0 / sqrt(variance + floor_variance));
    }
}
