#include "learner/algorithm_state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "learner/svgd.h"

/* n floats off the front of a block. */
static float *take(float **next, size_t n) {
    float *taken = *next;
    *next += n;
    return taken;
}

static void network_init(struct algorithm_network *net, struct mlp_shape shape,
                         float **next, uint64_t seed, uint64_t stream) {
    struct rng rng;
    net->shape = shape;
    net->P = mlp_parameters(&shape);
    net->p = take(next, net->P);
    net->slow = take(next, net->P);
    net->m = take(next, net->P);
    net->v = take(next, net->P);
    net->gradient = take(next, net->P);
    rng_init(&rng, seed, RNG_LEARNER, 0, 0, stream);
    mlp_init(&shape, net->p, &rng);
    memcpy(net->slow, net->p, sizeof(float) * net->P);
}

static int networks_init(struct algorithm *alg, uint64_t seed, size_t H) {
    const size_t S = alg->S, A = alg->A;
    const struct mlp_shape q = {.S = S, .X = A, .H = H, .Y = 1};
    const struct mlp_shape f = {.S = S, .X = A, .H = H, .Y = A};
    const size_t P = alg->n_q * mlp_parameters(&q) + mlp_parameters(&f);
    float *next = calloc(5 * P, sizeof(*next));
    if (!next) return -ENOMEM;
    alg->block = next;
    network_init(&alg->q[0], q, &next, seed, ALGORITHM_STREAM_Q);
    network_init(&alg->f, f, &next, seed, ALGORITHM_STREAM_F);
    if (alg->n_q > 1)
        network_init(&alg->q[1], q, &next, seed, ALGORITHM_STREAM_Q2);
    return 0;
}

static int slice_init(struct algorithm *alg, struct algorithm_slice *at,
                      size_t from, size_t B) {
    const size_t A = alg->A, K = alg->K, M = alg->M, V = alg->V;
    const size_t KM = K > M ? K : M, N = KM > V ? KM : V;
    const struct svgd_dims dims = {.B = B, .K = K, .M = M, .A = A};
    const size_t P = alg->q[0].P > alg->f.P ? alg->q[0].P : alg->f.P;
    const size_t scratch = svgd_scratch_len(dims);
    const size_t per_row = V + 4 + 3 * K * A + 2 * K + 2 * M * A + K * M + 1;
    const size_t of_twin = alg->n_q > 1 ? P + B * (V + K + K * A) : 0;
    at->from = from;
    at->B = B;
    // f's shape: its output is the wider one
    if (mlp_work_init(&at->work, &alg->f.shape, B * N, B)) return -ENOMEM;
    float *next = calloc(P + B * per_row + scratch + of_twin, sizeof(*next));
    if (!next) return -ENOMEM;
    at->block = next;
    at->gradient[0] = take(&next, P);
    at->q_next = take(&next, B * V);
    at->v = take(&next, B);
    at->target = take(&next, B);
    at->q = take(&next, B);
    at->dq = take(&next, B);
    at->fixed_u = take(&next, B * K * A);
    at->fixed_a = take(&next, B * K * A);
    at->g = take(&next, B * K * A);
    at->q_fixed = take(&next, B * K);
    at->ones = take(&next, B * K);
    at->moved_u = take(&next, B * M * A);
    at->D = take(&next, B * M * A);
    at->d2 = take(&next, B * K * M);
    at->h = take(&next, B);
    at->scratch = take(&next, scratch);
    if (of_twin > 0) {
        at->gradient[1] = take(&next, P);
        at->twin_next = take(&next, B * V);
        at->twin_fixed = take(&next, B * K);
        at->twin_g = take(&next, B * K * A);
    }
    for (size_t i = 0; i < B * K; i++) at->ones[i] = 1.0f;
    return 0;
}

struct algorithm *algorithm_new(const struct config *config, size_t S, size_t A,
                                size_t threads) {
    assert(S > 0 && A > 0 && threads > 0);
    struct algorithm *alg = calloc(1, sizeof(*alg));
    if (!alg) return NULL;
    *alg = (struct algorithm){
        .S = S,
        .A = A,
        .rows = config->minibatch,
        .K = config->particles_fixed,
        .M = config->particles_moved,
        .V = config->value_particles,
        .n_q = config->twin_q ? 2 : 1,
        .alpha = (float)config->alpha,
        .gamma = (float)config->gamma,
        .reward_scale = (float)config->reward_scale,
        .rate_q = config->learning_rate_q,
        .rate_f = config->learning_rate_f,
        .rate_end = config->learning_rate_end,
        .average = config->sampler_average,
        .max_updates = config->max_updates,
        .target_every = config->target_every,
        .target_rate = config->target_rate,
    };
    // a slice without rows would be asked for nothing
    alg->n_slices = threads < alg->rows ? threads : alg->rows;
    alg->slices = calloc(alg->n_slices, sizeof(*alg->slices));
    alg->pool = pool_new(alg->n_slices);
    if (!alg->slices || !alg->pool) goto error;
    if (networks_init(alg, config->seed, config->units)) goto error;
    for (size_t t = 0; t < alg->n_slices; t++) {
        const size_t from = alg->rows * t / alg->n_slices;
        const size_t to = alg->rows * (t + 1) / alg->n_slices;
        if (slice_init(alg, &alg->slices[t], from, to - from)) goto error;
    }
    return alg;
error:
    algorithm_free(alg);
    return NULL;
}

void algorithm_free(struct algorithm *alg) {
    if (!alg) return;
    pool_free(alg->pool);
    for (size_t t = 0; alg->slices && t < alg->n_slices; t++) {
        mlp_work_finish(&alg->slices[t].work);
        free(alg->slices[t].block);
    }
    free(alg->slices);
    free(alg->block);
    free(alg);
}

int algorithm_noise_init(struct algorithm_noise *noise,
                         const struct algorithm *alg) {
    const size_t proposals = alg->V * alg->A;
    const size_t fixed = alg->rows * alg->K * alg->A;
    const size_t moved = alg->rows * alg->M * alg->A;
    float *next = calloc(proposals + fixed + moved, sizeof(*next));
    *noise = (struct algorithm_noise){.block = next};
    if (!next) return -ENOMEM;
    noise->proposals = take(&next, proposals);
    noise->xi_fixed = take(&next, fixed);
    noise->xi_moved = take(&next, moved);
    return 0;
}

void algorithm_noise_finish(struct algorithm_noise *noise) {
    free(noise->block);
    *noise = (struct algorithm_noise){0};
}

void algorithm_noise_draw(struct algorithm_noise *noise,
                          const struct algorithm *alg, struct rng *rng) {
    const size_t A = alg->A;
    rng_fill_uniform(rng, noise->proposals, alg->V * A, -1.0f, 1.0f);
    rng_fill_normal(rng, noise->xi_fixed, alg->rows * alg->K * A);
    rng_fill_normal(rng, noise->xi_moved, alg->rows * alg->M * A);
}

uint64_t algorithm_updates(const struct algorithm *alg) {
    return alg->updates;
}

struct policy algorithm_policy(const struct algorithm *alg) {
    return (struct policy){
        .shape = alg->f.shape, .phi = alg->f.slow, .alpha = alg->alpha};
}

const struct mlp_shape *algorithm_sampler_shape(const struct algorithm *alg) {
    return &alg->f.shape;
}

const struct mlp_shape *algorithm_q_shape(const struct algorithm *alg) {
    return &alg->q[0].shape;
}
