/*
 * How fast one update is, against the bound that sgemm sets: the hidden layers'
 * products alone, as many flops, in the same run.
 *
 *   bench_update [--name=value ...]   options of the learner (units, minibatch,
 *                                     particles_*, value_particles, threads)
 */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "learner/algorithm.h"

enum { S = 2, A = 2, SECONDS = 3 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/*
 * Rows that pass the hidden layer in one update: Qbar on the proposals, Q on
 * (s, a) forward and twice back, f on both sets, Q on the fixed particles
 * forward and to its input, f on the moved ones twice back.
 */
static double hidden_rows(const struct config *c) {
    const double B = (double)c->minibatch, V = (double)c->value_particles;
    const double K = (double)c->particles_fixed, M = (double)c->particles_moved;
    return B * (V + 3.0 + (K + M) + 2.0 * K + 2.0 * M);
}

/* Seconds of that many rows in sgemm calls of 512. */
static double bound_seconds(const struct config *c) {
    const size_t n = 512, H = c->units;
    float *x = calloc((2 * n + H) * H, sizeof(*x));
    if (!x) exit(1);
    float *y = x + n * H, *w = y + n * H;
    for (size_t i = 0; i < n * H; i++) x[i] = (float)(i % 7) - 3.0f;
    for (size_t i = 0; i < H * H; i++) w[i] = (float)(i % 5) - 2.0f;
    size_t calls = 0;
    const double start = now();
    while (now() - start < 1.0) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)H,
                    (int)H, 1.0f, x, (int)H, w, (int)H, 0.0f, y, (int)H);
        calls++;
    }
    const double call = (now() - start) / (double)calls;
    free(x);
    return hidden_rows(c) / (double)n * call;
}

int main(int argc, char **argv) {
    struct config config;
    char why[200];
    size_t threads = 1;
    config_defaults(&config);
    config.value_particles = 16;
    for (int i = 1; i < argc; i++) {
        char name[64], value[64];
        if (sscanf(argv[i], "--%63[^=]=%63s", name, value) != 2 ||
            config_set(&config, name, value, why, sizeof(why)) < 0) {
            fprintf(stderr, "%s: want --name=value\n", argv[i]);
            return 2;
        }
    }
    if (config.threads > 0) threads = config.threads;
    if (mlp_blas_setup() < 0 && threads > 1) return 2;

    struct algorithm *alg = algorithm_new(&config, S, A, threads);
    struct algorithm_noise noise;
    struct batch batch;
    struct rng rng;
    if (!alg || algorithm_noise_init(&noise, alg) < 0 ||
        batch_init(&batch, config.minibatch, S, A) < 0) {
        return 1;
    }
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    batch.n = config.minibatch;
    rng_fill_normal(&rng, batch.s, batch.n * S);
    rng_fill_normal(&rng, batch.next, batch.n * S);
    rng_fill_uniform(&rng, batch.a, batch.n * A, -1.0f, 1.0f);
    rng_fill_normal(&rng, batch.r, batch.n);
    memset(batch.flags, 0, batch.n);

    const double bound = bound_seconds(&config);
    struct algorithm_figures figures;
    const char *what;
    double drawing = 0.0;
    size_t updates = 0;
    const double start = now();
    while (now() - start < SECONDS) {
        const double from = now();
        algorithm_noise_draw(&noise, alg, &rng);
        drawing += now() - from;
        if (algorithm_update(alg, &batch, &noise, &figures, &what) < 0) {
            fprintf(stderr, "not finite: %s\n", what);
            return 3;
        }
        updates++;
    }
    const double update = (now() - start) / (double)updates;
    printf("%zu thread(s): %.0f updates/s, %.2f ms each (noise %.2f ms); "
           "hidden layers' sgemm alone on one core %.2f ms (%.0f updates/s), "
           "ratio %.2f\n",
           threads, 1.0 / update, 1e3 * update, 1e3 * drawing / (double)updates,
           1e3 * bound, 1.0 / bound, bound / update);
    algorithm_noise_finish(&noise);
    batch_finish(&batch);
    algorithm_free(alg);
    return 0;
}
