#include "learner/algorithm_state.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learner/schedule.h"
#include "learner/soft_value.h"
#include "learner/svgd.h"

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

float *algorithm_take(struct algorithm_arena *arena, size_t n) {
    float *taken = arena->base ? arena->base + arena->used : NULL;
    arena->used += n;
    return taken;
}

/* ---- what outlives an update ---- */

static void place_network(struct network *net, struct algorithm_arena *arena,
                          struct mlp_shape shape, bool target, bool acting) {
    net->shape = shape;
    net->P = mlp_parameters(&shape);
    net->p = algorithm_take(arena, net->P);
    net->m = algorithm_take(arena, net->P);
    net->v = algorithm_take(arena, net->P);
    net->gradient = algorithm_take(arena, net->P);
    net->target = target ? algorithm_take(arena, net->P) : NULL;
    net->acting = acting ? algorithm_take(arena, net->P) : NULL;
}

/* Vectors of the noise set: DDPG's actor has one, of zeros. */
static size_t noise_rows(const struct algorithm *alg) {
    return alg->config.algorithm == ALGORITHM_DDPG ? 1 : alg->config.noise_set;
}

static void place_state(struct algorithm *alg, struct algorithm_arena *arena) {
    const struct config *config = &alg->config;
    const size_t S = alg->S, A = alg->A, H = config->units;
    const struct mlp_shape q = {.S = S, .X = A, .H = H, .Y = 1};
    const struct mlp_shape f = {.S = S, .X = A, .H = H, .Y = A};
    const bool ddpg = config->algorithm == ALGORITHM_DDPG;
    for (size_t i = 0; i < alg->n_q; i++) {
        place_network(&alg->q[i], arena, q, true, false);
    }
    place_network(&alg->f, arena, f, ddpg, true);
    if (noise_rows(alg) > 0)
        alg->noise_set = algorithm_take(arena, noise_rows(alg) * A);
    if (config->observation_normalisation) {
        alg->seen_s = algorithm_take(arena, alg->rows * S);
        alg->seen_next = algorithm_take(arena, alg->rows * S);
    }
    for (size_t k = 0; k < alg->n_sources; k++) {
        if (alg->sources[k].q.moments.S == 0) continue;
        alg->source_s[k] = algorithm_take(arena, alg->rows * S);
    }
}

static void draw(const struct algorithm *alg, struct network *net,
                 uint64_t stream) {
    struct rng rng;
    rng_init(&rng, alg->config.seed, RNG_LEARNER, 0, 0, stream);
    network_draw(net, &rng);
}

static int state_init(struct algorithm *alg) {
    struct algorithm_arena arena = {0};
    place_state(alg, &arena);
    arena.base = alg->block = calloc(arena.used, sizeof(float));
    arena.used = 0;
    if (!alg->block) return -ENOMEM;
    place_state(alg, &arena);
    draw(alg, &alg->f, ALGORITHM_STREAM_F);
    for (size_t i = 0; i < alg->n_q; i++) {
        draw(alg, &alg->q[i],
             i == 0 ? ALGORITHM_STREAM_Q : ALGORITHM_STREAM_Q2);
    }
    alg->noise_size = noise_rows(alg);
    if (alg->noise_set && alg->config.algorithm != ALGORITHM_DDPG) {
        struct rng rng;
        rng_init(&rng, alg->config.seed, RNG_LEARNER, 0, 0,
                 ALGORITHM_STREAM_SET);
        rng_fill_normal(&rng, alg->noise_set, noise_rows(alg) * alg->A);
    }
    if (!alg->config.observation_normalisation) return 0;
    return moments_init(&alg->moments, alg->S);
}

/* ---- an update's workspace ---- */

static size_t most_units(const struct algorithm *alg) {
    size_t H = alg->f.shape.H;
    for (size_t k = 0; k < alg->n_sources; k++) {
        H = larger(H, alg->sources[k].q.shape.H);
    }
    return H;
}

static void place_slice(const struct algorithm *alg, struct algorithm_slice *at,
                        struct algorithm_arena *arena) {
    const size_t A = alg->A, K = alg->K, M = alg->M, V = alg->V, B = at->B;
    const struct config *config = &alg->config;
    const bool sampler = config->value_proposals == PROPOSALS_SAMPLER;
    const bool entropy = config->temperature == TEMPERATURE_AUTO;
    const size_t W = sampler ? alg->W : 0, VW = larger(V, W);
    const size_t densities = larger(W, entropy ? K : 0);
    const struct svgd_dims dims = {.B = B, .K = K, .M = M, .A = A};
    for (size_t i = 0; i < larger(alg->n_q, 1); i++) {
        // f has no fewer parameters than Q
        at->gradient[i] = algorithm_take(arena, alg->f.P);
    }
    at->zeros = algorithm_take(arena, B * A);
    at->next_u = algorithm_take(arena, B * W * A);
    at->next_a = algorithm_take(arena, B * W * A);
    at->log_q = algorithm_take(arena, B * VW);
    at->q_next = algorithm_take(arena, B * VW);
    at->v = algorithm_take(arena, B);
    at->target = algorithm_take(arena, B);
    at->q = algorithm_take(arena, B);
    at->dq = algorithm_take(arena, B);
    at->fixed_u = algorithm_take(arena, B * K * A);
    at->fixed_a = algorithm_take(arena, B * K * A);
    at->q_fixed = algorithm_take(arena, B * K);
    at->ones = algorithm_take(arena, B * K);
    at->g = algorithm_take(arena, B * K * A);
    at->moved_u =
        config->one_set ? at->fixed_u : algorithm_take(arena, B * M * A);
    at->moved_a =
        config->one_set ? at->fixed_a : algorithm_take(arena, B * M * A);
    at->d2 = algorithm_take(arena, B * K * M);
    at->h = algorithm_take(arena, B);
    at->D = algorithm_take(arena, B * M * A);
    at->scratch = algorithm_take(arena, svgd_scratch_len(dims));
    at->jacobian = algorithm_take(arena, B * densities * A * A);
    at->log_pi = algorithm_take(arena, entropy ? B * K : 0);
    at->other_q = algorithm_take(arena, B * larger(VW, K));
    at->other_g = algorithm_take(arena, B * K * A);
    at->sum_g = algorithm_take(arena, alg->n_sources > 1 ? B * K * A : 0);
    at->no_g = algorithm_take(arena, B * K * A);
    at->q_peak = algorithm_take(arena, 2 * most_units(alg));
    at->f_peak = algorithm_take(arena, 2 * alg->f.shape.H);
}

static int slice_init(struct algorithm *alg, struct algorithm_slice *at,
                      size_t from, size_t B) {
    const size_t KM = larger(alg->K, alg->M), W = alg->W;
    struct mlp_shape widest = alg->f.shape; // its output is the wider one
    struct algorithm_arena arena = {0};
    widest.H = most_units(alg);
    at->from = from;
    at->B = B;
    // mlp_jacobian() wants A
    const size_t rows = larger(B * larger(KM, W), alg->A);
    const size_t passed = larger(MLP_CHUNK, larger(KM, larger(alg->V, W)));
    if (mlp_work_init(&at->work, &widest, rows, B) ||
        mlp_work_init(&at->pass, &widest, passed, B)) {
        return -ENOMEM;
    }
    place_slice(alg, at, &arena);
    arena.base = at->block = calloc(arena.used, sizeof(float));
    arena.used = 0;
    if (!at->block) return -ENOMEM;
    place_slice(alg, at, &arena);
    for (size_t i = 0; i < B * alg->K; i++) at->ones[i] = 1.0f;
    return 0;
}

static void one_blas_thread(void *unused, size_t slice) {
    (void)unused;
    (void)slice;
    (void)mlp_blas_setup();
}

static int slices_init(struct algorithm *alg, size_t threads) {
    // a slice without rows would be asked for nothing
    alg->n_slices = threads < alg->rows ? threads : alg->rows;
    alg->slices = calloc(alg->n_slices, sizeof(*alg->slices));
    alg->parts = calloc(alg->n_slices, sizeof(*alg->parts));
    alg->pool = pool_new(alg->n_slices);
    if (!alg->slices || !alg->parts || !alg->pool) return -ENOMEM;
    pool_run(alg->pool, one_blas_thread, NULL);
    for (size_t t = 0; t < alg->n_slices; t++) {
        const size_t from = alg->rows * t / alg->n_slices;
        const size_t to = alg->rows * (t + 1) / alg->n_slices;
        if (slice_init(alg, &alg->slices[t], from, to - from)) return -ENOMEM;
    }
    return 0;
}

/* ---- creation ---- */

static struct algorithm *configured(const struct config *config, size_t S,
                                    size_t A) {
    assert(S > 0 && A > 0);
    struct algorithm *alg = calloc(1, sizeof(*alg));
    if (!alg) return NULL;
    const bool uniform = config->value_measure == MEASURE_UNIFORM;
    *alg = (struct algorithm){
        .config = *config,
        .S = S,
        .A = A,
        .rows = config->minibatch,
        .K = config->particles_fixed,
        .M = config->particles_moved,
        .V = config->value_particles,
        .W = config->value_particles_sampler,
        .gamma = (float)config->gamma,
        .reward_scale = (float)config->reward_scale,
        .log_measure = uniform ? soft_value_uniform_log_density(A) : 0.0f,
        .temperature = config->alpha,
        .alpha = (float)config->alpha,
    };
    if (config_alpha_ramp(config, &alg->ramp_factor, &alg->ramp_span)) {
        alg->ramp_factor = 1.0; // config_check() refused it
    }
    return alg;
}

static int complete(struct algorithm *alg, size_t threads) {
    int rc = state_init(alg);
    return rc == 0 ? slices_init(alg, threads) : rc;
}

struct algorithm *algorithm_new(const struct config *config, size_t S, size_t A,
                                size_t threads) {
    assert(config->algorithm != ALGORITHM_COMPOSE && threads > 0);
    struct algorithm *alg = configured(config, S, A);
    if (!alg) return NULL;
    alg->n_q = config->twin_q ? 2 : 1;
    if (complete(alg, threads)) {
        algorithm_free(alg);
        return NULL;
    }
    struct stored_q *own = &alg->sources[0].q;
    alg->n_sources = 1;
    own->n = alg->n_q;
    own->shape = alg->q[0].shape;
    for (size_t i = 0; i < own->n; i++) own->theta[i] = alg->q[i].p;
    return alg;
}

/* A composition's Q functions. 0, -ENOMEM or -EINVAL. */
static int read_sources(struct algorithm *alg,
                        const struct algorithm_origin *origins, size_t n,
                        char *why, size_t len) {
    if (n > ALGORITHM_MOST_SOURCES) {
        snprintf(why, len, "%zu runs are composed: at most %d", n,
                 ALGORITHM_MOST_SOURCES);
        return -EINVAL;
    }
    for (size_t k = 0; k < n; k++) {
        char wrong[256];
        const struct stored file = {origins[k].tensors, wrong, sizeof(wrong)};
        alg->n_sources = k + 1; // algorithm_free() frees a half read one
        int rc = stored_q_read(&file, &alg->sources[k].q, origins[k].prefix,
                               alg->S, alg->A);
        if (rc == 0) continue;
        snprintf(why, len, "run %zu of the composition: %s", k + 1, wrong);
        return rc == -EBADMSG ? -EINVAL : rc;
    }
    return 0;
}

int algorithm_new_composed(struct algorithm **out, const struct config *config,
                           size_t S, size_t A, size_t threads,
                           const struct algorithm_origin *origins, size_t n,
                           char *why, size_t len) {
    assert(n > 0 && threads > 0);
    struct algorithm *alg = configured(config, S, A);
    if (!alg) return -ENOMEM;
    int rc = read_sources(alg, origins, n, why, len);
    if (rc == 0) rc = complete(alg, threads);
    if (rc != 0) {
        algorithm_free(alg);
        return rc;
    }
    *out = alg;
    return 0;
}

void algorithm_free(struct algorithm *alg) {
    if (!alg) return;
    pool_free(alg->pool);
    for (size_t t = 0; alg->slices && t < alg->n_slices; t++) {
        mlp_work_finish(&alg->slices[t].work);
        mlp_work_finish(&alg->slices[t].pass);
        free(alg->slices[t].block);
    }
    for (size_t k = 0; alg->n_q == 0 && k < alg->n_sources; k++) {
        stored_q_finish(&alg->sources[k].q);
    }
    moments_finish(&alg->moments);
    free(alg->slices);
    free(alg->parts);
    free(alg->block);
    free(alg);
}

/* ---- noise ---- */

static void place_noise(const struct algorithm *alg,
                        struct algorithm_noise *noise,
                        struct algorithm_arena *arena) {
    const struct config *config = &alg->config;
    const size_t A = alg->A, rows = alg->rows;
    const size_t sets = config->shared_proposals ? 1 : rows;
    const bool sampler = config->value_proposals == PROPOSALS_SAMPLER;
    noise->proposals = algorithm_take(arena, sets * alg->V * A);
    noise->xi_value = sampler ? algorithm_take(arena, rows * alg->W * A) : NULL;
    noise->xi_fixed = algorithm_take(arena, rows * alg->K * A);
    noise->xi_moved = config->one_set
                          ? noise->xi_fixed
                          : algorithm_take(arena, rows * alg->M * A);
}

int algorithm_noise_init(struct algorithm_noise *noise,
                         const struct algorithm *alg) {
    struct algorithm_arena arena = {0};
    place_noise(alg, noise, &arena);
    arena.base = calloc(arena.used, sizeof(float));
    arena.used = 0;
    *noise = (struct algorithm_noise){.block = arena.base};
    if (!arena.base) return -ENOMEM;
    place_noise(alg, noise, &arena);
    return 0;
}

void algorithm_noise_finish(struct algorithm_noise *noise) {
    free(noise->block);
    *noise = (struct algorithm_noise){0};
}

void algorithm_noise_draw(struct algorithm_noise *noise,
                          const struct algorithm *alg, struct rng *rng) {
    const struct config *config = &alg->config;
    const struct policy policy = algorithm_policy(alg);
    const size_t A = alg->A, rows = alg->rows;
    const size_t sets = config->shared_proposals ? 1 : rows;
    if (config->algorithm == ALGORITHM_DDPG) return; // it takes none
    if (alg->n_q > 0)
        rng_fill_uniform(rng, noise->proposals, sets * alg->V * A, -1.0f, 1.0f);
    // the density of a proposal is that of all noise, not of a set
    if (alg->n_q > 0 && noise->xi_value)
        rng_fill_normal(rng, noise->xi_value, rows * alg->W * A);
    policy_draw_noise(&policy, noise->xi_fixed, rows * alg->K, rng);
    if (!config->one_set)
        policy_draw_noise(&policy, noise->xi_moved, rows * alg->M, rng);
}

/* ---- what others see ---- */

uint64_t algorithm_updates(const struct algorithm *alg) {
    return alg->updates;
}

struct policy algorithm_policy(const struct algorithm *alg) {
    return (struct policy){
        .shape = alg->f.shape,
        .phi = alg->f.acting,
        .alpha = (float)alg->temperature,
        .n_noise = (size_t)alg->noise_size,
        .noise = alg->noise_set,
        .mean = alg->moments.shift,
        .scale = alg->moments.scale,
    };
}

const struct mlp_shape *algorithm_sampler_shape(const struct algorithm *alg) {
    return &alg->f.shape;
}

const struct mlp_shape *algorithm_q_shape(const struct algorithm *alg) {
    return &alg->sources[0].q.shape;
}
