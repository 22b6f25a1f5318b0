#include "tests/system/toy_sampler.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/policy.h"
#include "common/rng.h"
#include "learner/adam.h"
#include "learner/schedule.h"
#include "learner/svgd.h"

/* What one step needs, in one block. B rows, N the larger of K and M. */
struct workshop {
    const struct toy_sampler_options *o;
    struct mlp_shape shape;
    struct mlp_work work;
    struct svgd_dims dims;
    struct rng rng;
    size_t P;
    float *phi, *m, *v, *gradient; /* (P) */
    float *s;                      /* (B, 1) zeros: the state */
    float *xi;                     /* (B, N, A) */
    float *x, *x_a, *g;            /* (B, K, A) fixed, tanh of it, score */
    float *y, *D;                  /* (B, M, A) moved */
    float *d2, *h, *scratch;       /* svgd's */
    void *block;
};

static float *take(float **next, size_t n) {
    float *taken = *next;
    *next += n;
    return taken;
}

static int workshop_init(struct workshop *w,
                         const struct toy_sampler_options *o) {
    const size_t B = o->rows, K = o->K, M = o->M, A = o->A;
    const size_t N = K > M ? K : M;
    *w = (struct workshop){.o = o};
    w->shape = (struct mlp_shape){.S = 1, .X = A, .H = o->units, .Y = A};
    w->dims = (struct svgd_dims){
        .B = B, .K = K, .M = M, .A = A, .one_set = o->one_set};
    w->P = mlp_parameters(&w->shape);
    const size_t scratch = svgd_scratch_len(w->dims);
    float *next = calloc(4 * w->P + B + B * A * (N + 3 * K + 2 * M) +
                             B * (K * M + 1) + scratch,
                         sizeof(*next));
    w->block = next;
    if (!next || mlp_work_init(&w->work, &w->shape, B * N, B) < 0) {
        free(next);
        return -ENOMEM;
    }
    w->phi = take(&next, w->P);
    w->m = take(&next, w->P);
    w->v = take(&next, w->P);
    w->gradient = take(&next, w->P);
    w->s = take(&next, B);
    w->xi = take(&next, B * N * A);
    w->x = take(&next, B * K * A);
    w->x_a = take(&next, B * K * A);
    w->g = take(&next, B * K * A);
    w->y = take(&next, B * M * A);
    w->D = take(&next, B * M * A);
    w->d2 = take(&next, B * K * M);
    w->h = take(&next, B);
    w->scratch = take(&next, scratch);
    rng_init(&w->rng, o->seed, RNG_TEST, 0, 0, 0);
    mlp_init(&w->shape, w->phi, &w->rng);
    return 0;
}

static void workshop_finish(struct workshop *w) {
    mlp_work_finish(&w->work);
    free(w->block);
}

/* g at the fixed particles. */
static void score(struct workshop *w, uint64_t step) {
    const struct toy_sampler_options *o = w->o;
    const size_t n = o->rows * o->K * o->A;
    const double ramp = schedule_ramp(o->ramp_factor, o->ramp_steps, step - 1);
    o->slope(w->g, w->x_a, o->rows * o->K, o->A);
    policy_squash_score(w->g, w->x, o->alpha, n);
    for (size_t i = 0; ramp != 1.0 && i < n; i++) w->g[i] /= (float)ramp;
}

/* One step of the learner's f_slice(). */
static void step_once(struct workshop *w, uint64_t step) {
    const struct toy_sampler_options *o = w->o;
    const size_t B = o->rows, K = o->K, M = o->M, A = o->A;
    rng_fill_normal(&w->rng, w->xi, B * K * A);
    policy_act(&w->shape, w->x_a, w->x, w->phi, w->s, w->xi, B, K, &w->work);
    score(w, step);

    if (o->one_set || o->kept_diagonal) {
        memcpy(w->y, w->x, sizeof(float) * B * M * A);
    } else {
        rng_fill_normal(&w->rng, w->xi, B * M * A);
        mlp_forward(&w->shape, w->y, w->phi, w->s, w->xi, B, M, 0, &w->work);
    }
    svgd_distances(w->d2, w->x, w->y, w->dims, w->scratch);
    svgd_bandwidth(w->h, w->d2, w->dims);
    svgd_direction(w->D, w->x, w->y, w->g, w->d2, w->h, o->alpha, w->dims,
                   w->scratch);
    for (size_t i = 0; i < B * M * A; i++) w->D[i] /= -(float)(B * M);
    memset(w->gradient, 0, sizeof(float) * w->P);
    mlp_backward(&w->shape, w->gradient, NULL, w->D, w->phi, w->s, w->xi, B, M,
                 &w->work);
    adam_step(w->phi, w->m, w->v, w->gradient, w->P, step,
              adam_rate((double)o->rate, 0.02, step, o->steps));
}

int toy_sampler_train(struct toy_sampler *sampler,
                      const struct toy_sampler_options *o) {
    struct workshop w;
    assert(o->K == o->M || !(o->one_set || o->kept_diagonal));
    if (workshop_init(&w, o) < 0) return -ENOMEM;
    *sampler = (struct toy_sampler){.shape = w.shape};
    sampler->phi = calloc(w.P, sizeof(float));
    for (uint64_t step = 1; sampler->phi && step <= o->steps; step++) {
        const float share = fmaxf(2e-3f, 1.0f / (float)step);
        step_once(&w, step);
        for (size_t i = 0; i < w.P; i++)
            sampler->phi[i] += share * (w.phi[i] - sampler->phi[i]);
    }
    workshop_finish(&w);
    return sampler->phi ? 0 : -ENOMEM;
}

void toy_sampler_finish(struct toy_sampler *sampler) {
    free(sampler->phi);
    *sampler = (struct toy_sampler){0};
}

int toy_sampler_act(const struct toy_sampler *sampler, float *a, size_t n,
                    uint64_t seed) {
    const struct mlp_shape *shape = &sampler->shape;
    struct mlp_work work;
    struct rng rng;
    const float s = 0.0f;
    float *xi = malloc(sizeof(*xi) * n * shape->X);
    if (!xi || mlp_work_init(&work, shape, n, 1) < 0) {
        free(xi);
        return -ENOMEM;
    }
    rng_init(&rng, seed, RNG_TEST, 1, 0, 0);
    rng_fill_normal(&rng, xi, n * shape->X);
    policy_act(shape, a, NULL, sampler->phi, &s, xi, 1, n, &work);
    mlp_work_finish(&work);
    free(xi);
    return 0;
}
