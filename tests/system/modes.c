/*
 * Which of four modes the amortised sampler keeps, and how much of each:
 *
 *   modes DEPTH SEED [FACTOR,UPDATES]
 *
 *   Q / alpha = -DEPTH / 2 sum_i cos(2 pi a_i) + 0.6 a_1 + 0.3 a_2
 *
 * has its maxima near (+-0.5, +-0.5), DEPTH alpha above the saddles between
 * them. The sampler is trained by the learner's own SVGD, with g divided by
 * svgd_alpha_ramp's factor if one is given. Prints one line: DEPTH, SEED, modes
 * with a share of 10 % or more, the largest error of a share in points, the
 * four shares and the exact ones by quadrature in percent.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/system/toy_sampler.h"

enum { SAMPLES = 40000, QUADRANTS = 4, POINTS = 20000 };
static const double tilt[2] = {0.6, 0.3};
static double depth;

static void slope(float *g, const float *a, size_t n, size_t A) {
    for (size_t i = 0; i < n * A; i++) {
        g[i] = (float)(depth * M_PI * sin(2.0 * M_PI * (double)a[i]) +
                       tilt[i % A]);
    }
}

/* Share of a_i > 0, by the midpoint rule: the axes are independent. */
static double upper_share(int axis) {
    double half[2] = {0};
    for (int i = 0; i < POINTS; i++) {
        const double a = 2.0 * (i + 0.5) / POINTS - 1.0;
        half[a > 0.0] +=
            exp(-0.5 * depth * cos(2.0 * M_PI * a) + tilt[axis] * a);
    }
    return half[1] / (half[0] + half[1]);
}

int main(int argc, char **argv) {
    static float a[SAMPLES * 2];
    struct toy_sampler sampler;
    struct toy_sampler_options options = {
        .slope = slope,
        .alpha = 1.0f,
        .A = 2,
        .units = 128,
        .rows = 8,
        .K = 32,
        .M = 32,
        .steps = 8000,
        .rate = 2e-3f,
    };
    if (argc < 3) {
        fprintf(stderr, "usage: modes DEPTH SEED [FACTOR,UPDATES]\n");
        return 2;
    }
    depth = strtod(argv[1], NULL);
    options.seed = strtoull(argv[2], NULL, 10);
    if (argc > 3) {
        char *end;
        options.ramp_factor = strtod(argv[3], &end);
        options.ramp_steps = strtoull(end + (*end == ','), NULL, 10);
    }
    mlp_blas_setup();
    if (toy_sampler_train(&sampler, &options) < 0 ||
        toy_sampler_act(&sampler, a, SAMPLES, options.seed) < 0)
        return 1;

    const double upper[2] = {upper_share(0), upper_share(1)};
    double share[QUADRANTS] = {0}, exact[QUADRANTS], worst = 0.0;
    int kept = 0;
    for (size_t i = 0; i < SAMPLES; i++)
        share[2 * (a[2 * i] > 0.0f) + (a[2 * i + 1] > 0.0f)] += 1.0 / SAMPLES;
    for (int k = 0; k < QUADRANTS; k++) {
        exact[k] = (k / 2 ? upper[0] : 1.0 - upper[0]) *
                   (k % 2 ? upper[1] : 1.0 - upper[1]);
        worst = fmax(worst, fabs(share[k] - exact[k]));
        kept += share[k] >= 0.1;
    }
    printf("%g %llu %d %.1f ", depth, (unsigned long long)options.seed, kept,
           100.0 * worst);
    for (int k = 0; k < QUADRANTS; k++)
        printf(" %.1f (%.1f)", 100.0 * share[k], 100.0 * exact[k]);
    printf("\n");
    toy_sampler_finish(&sampler);
    return 0;
}
