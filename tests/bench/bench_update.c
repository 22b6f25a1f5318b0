/*
 * How fast one update is beside the bound that sgemm sets in the same run.
 *
 *   bench_update [--json] [--rounds=N] [--observation_dim=S] [--action_dim=A]
 *                [--name=value ...]
 *
 * --name=value: options of the learner (units, minibatch, particles_fixed,
 * particles_moved, value_particles, value_proposals, one_set, algorithm,
 * threads, ...). Without any, the paper's settings: minibatch 64, K_V 50,
 * K = M = 32, 2 x 200 units, 28 observations, 8 actions, one thread.
 *
 * Updates, noise drawn for each, and sgemm take turns, first the one, then the
 * other; a ratio is that of two neighbours, and median and extremes are over
 * rounds (40). One thread is timed by its own time on a core, several by the
 * wall clock. Flops are those of the matrix products that the equations need,
 * first and last layers included and nothing else (no bias, ReLU, tanh, kernel,
 * Adam); see counted_flops(). sgemm: (rows, units) times (units, units), the
 * fastest of 256, 512, 1024 and 2048 rows, on as many threads, each its own.
 * With threads > 1 one thread takes its turns too, and "scaling" is N threads
 * over one, updates' beside sgemm's.
 *
 * --json: one line, an object:
 *   name ("update"), algorithm, observation_dim, action_dim, units, minibatch,
 *   particles_fixed, particles_moved, value_particles (those in use),
 *   value_proposals, one_set, threads, rounds, blas_core, sgemm_rows,
 *   gflop (counted, an update), updates_per_s, gflops, sgemm_gflops (medians),
 *   ratio_min, ratio_median, ratio_max;
 *   with threads > 1 also updates_per_s_one, scaling, sgemm_scaling (medians),
 *   scaling_ratio_min, scaling_ratio_median, scaling_ratio_max
 *
 * Exit status: 0 measured, whatever the figures; 1 no memory; 2 wrong option;
 * 3 the update's numbers are not finite.
 */
#include <cblas.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "learner/algorithm.h"
#include "common/pool.h"

enum { MOST_ROUNDS = 10000, MOST_ROWS = 2048 };
static const double turn_seconds = 0.04;

/* One thread: its time on a core, for others may want it too. Several, beside
 * which one takes its turns: the wall's. */
static double now(size_t threads) {
    struct timespec t;
    clock_gettime(threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void give_up(const char *why, int status) {
    fprintf(stderr, "bench_update: %s\n", why);
    exit(status);
}

struct setting {
    struct config config;
    size_t S, A, rounds;
    bool json;
};

/* ---- what is counted ---- */

/* y at N second inputs for each of B states, of which X(x) are different. */
static double forward(struct mlp_shape n, double B, double rows, double x) {
    const double S = (double)n.S, X = (double)n.X, H = (double)n.H;
    return 2.0 * H * (B * S + x * X + rows * (H + (double)n.Y));
}

/* dy/dx of one output: its W3 is a row, masked. */
static double to_input(struct mlp_shape n, double rows) {
    return 2.0 * (double)n.H * rows * (double)(n.H + n.X);
}

/* dy W3', d2 W2'; and the gradients of W2, Wx, W3 and Ws. */
static double to_parameters(struct mlp_shape n, double B, double rows) {
    const double S = (double)n.S;
    return 2.0 * (double)n.H *
           (rows * (double)(n.Y + n.H + n.H + n.X + n.Y) + B * S);
}

/* X tangents through W2 and W3. */
static double tangents(struct mlp_shape n, double rows) {
    return 2.0 * (double)n.H * rows * (double)n.X * (double)(n.H + n.Y);
}

static bool sampler_proposes(const struct config *c) {
    return c->value_proposals == PROPOSALS_SAMPLER && c->proposal_switch == 0;
}

static double counted_flops(const struct setting *set) {
    const struct config *c = &set->config;
    const struct mlp_shape q = {
        .S = set->S, .X = set->A, .H = c->units, .Y = 1};
    struct mlp_shape f = q;
    f.Y = set->A;
    const double B = (double)c->minibatch, n_q = c->twin_q ? 2.0 : 1.0;
    const double V = B * (double)c->value_particles;
    const double W = B * (double)c->value_particles_sampler;
    const double K = B * (double)c->particles_fixed;
    const double M = B * (double)c->particles_moved;
    // JQ
    double flops = n_q * (forward(q, B, B, B) + to_parameters(q, B, B));
    if (c->algorithm == ALGORITHM_DDPG) {
        f.X = 0; // it takes no noise
        flops += forward(f, B, B, 0) + n_q * forward(q, B, B, B);
        flops += n_q * (forward(q, B, B, B) + to_input(q, B));
        return flops + forward(f, B, B, 0) + to_parameters(f, B, B);
    }
    // VHAT
    if (sampler_proposes(c)) {
        flops += forward(f, B, W, W) + tangents(f, W);
        flops += n_q * forward(q, B, W, W);
    } else {
        flops += n_q * forward(q, B, V, c->shared_proposals ? V / B : V);
    }
    // SVGD and JF
    flops += forward(f, B, K, K) + n_q * (forward(q, B, K, K) + to_input(q, K));
    if (c->temperature == TEMPERATURE_AUTO) flops += tangents(f, K);
    if (!c->one_set) flops += forward(f, B, M, M);
    return flops + to_parameters(f, B, M);
}

/* ---- sgemm on its own ---- */

struct products {
    struct pool *pool;
    size_t rows, H, calls; /* calls of each thread */
    size_t timed;          /* threads of the whole run */
    float **x;             /* (threads) of (MOST_ROWS, H), y likewise, (H, H) */
};

static void multiply(void *arg, size_t thread) {
    const struct products *p = arg;
    const int n = (int)p->rows, H = (int)p->H;
    float *x = p->x[thread], *y = x + MOST_ROWS * p->H;
    const float *w = y + MOST_ROWS * p->H;
    for (size_t i = 0; i < p->calls; i++) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, H, H, 1.0f, x,
                    H, w, H, 0.0f, y, H);
    }
}

/* flop/s of a turn */
static double products_turn(struct products *p) {
    const double start = now(p->timed);
    pool_run(p->pool, multiply, p);
    const double seconds = now(p->timed) - start;
    const double call = 2.0 * (double)p->rows * (double)(p->H * p->H);
    return call * (double)(p->calls * pool_threads(p->pool)) / seconds;
}

/* As many calls as fill a turn at this rate of one thread. */
static void fill_turn(struct products *p, double rate) {
    const double call = 2.0 * (double)p->rows * (double)(p->H * p->H);
    p->calls = 1 + (size_t)(turn_seconds * rate / call);
}

static void products_init(struct products *p, size_t H, size_t threads,
                          size_t timed) {
    const size_t n = (2 * MOST_ROWS + H) * H;
    *p = (struct products){.pool = pool_new(threads), .H = H, .timed = timed};
    p->x = calloc(threads, sizeof(*p->x));
    if (!p->pool || !p->x) give_up("no memory or threads", 1);
    for (size_t t = 0; t < threads; t++) {
        p->x[t] = malloc(n * sizeof(float));
        if (!p->x[t]) give_up("no memory", 1);
        for (size_t i = 0; i < n; i++) p->x[t][i] = (float)(i % 7) - 3.0f;
    }
}

static void products_finish(struct products *p) {
    for (size_t t = 0; t < pool_threads(p->pool); t++) free(p->x[t]);
    pool_free(p->pool);
    free(p->x);
}

/* The fastest number of rows, by one thread. */
static size_t fastest_rows(struct products *p) {
    double most = 0.0;
    size_t fastest = 0;
    for (int round = 0; round < 5; round++) {
        for (p->rows = 256; p->rows <= MOST_ROWS; p->rows *= 2) {
            fill_turn(p, 50e9);
            const double rate = products_turn(p);
            if (rate <= most) continue;
            most = rate;
            fastest = p->rows;
        }
    }
    p->rows = fastest;
    fill_turn(p, most);
    return fastest;
}

/* ---- updates ---- */

struct updates {
    struct algorithm *alg;
    struct algorithm_noise noise;
    struct batch batch;
    struct rng rng;
    double flops; /* of one */
    size_t calls, timed;
};

/* flop/s of a turn */
static double updates_turn(struct updates *u) {
    const double start = now(u->timed);
    for (size_t i = 0; i < u->calls; i++) {
        struct algorithm_figures figures;
        const char *what;
        algorithm_noise_draw(&u->noise, u->alg, &u->rng);
        if (algorithm_update(u->alg, &u->batch, &u->noise, &figures, &what))
            give_up(what, 3);
    }
    return u->flops * (double)u->calls / (now(u->timed) - start);
}

static void updates_init(struct updates *u, const struct setting *set,
                         size_t threads, size_t timed) {
    const size_t S = set->S, A = set->A, B = set->config.minibatch;
    *u = (struct updates){
        .calls = 1, .timed = timed, .flops = counted_flops(set)};
    u->alg = algorithm_new(&set->config, S, A, threads);
    if (!u->alg || algorithm_noise_init(&u->noise, u->alg) ||
        batch_init(&u->batch, B, S, A)) {
        give_up("no memory or threads", 1);
    }
    rng_init(&u->rng, 1, RNG_TEST, 0, 0, 0);
    u->batch.n = B;
    rng_fill_normal(&u->rng, u->batch.s, B * S);
    rng_fill_normal(&u->rng, u->batch.next, B * S);
    rng_fill_uniform(&u->rng, u->batch.a, B * A, -1.0f, 1.0f);
    rng_fill_normal(&u->rng, u->batch.r, B);
    memset(u->batch.flags, 0, B);
    updates_turn(u); // pages and caches
    u->calls = 1 + (size_t)(turn_seconds * updates_turn(u) / u->flops);
}

static void updates_finish(struct updates *u) {
    algorithm_noise_finish(&u->noise);
    batch_finish(&u->batch);
    algorithm_free(u->alg);
}

/* ---- the turns ---- */

/* Of every round, flop/s; what[1] on one thread, what[0] on all. */
struct rates {
    double *updates[2], *products[2];
};

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct spread {
    double min, median, max;
};

/* Of x / y over n rounds; y NULL: of x. */
static struct spread spread_of(const double *x, const double *y, size_t n) {
    double ratio[MOST_ROUNDS];
    for (size_t i = 0; i < n; i++) ratio[i] = y ? x[i] / y[i] : x[i];
    qsort(ratio, n, sizeof(*ratio), compare);
    return (struct spread){ratio[0], ratio[n / 2], ratio[n - 1]};
}

static void take_turns(const struct setting *set, struct updates *updates,
                       struct products *products, size_t kinds,
                       struct rates *rates) {
    for (size_t k = 0; k < kinds; k++) {
        rates->updates[k] = calloc(set->rounds, sizeof(double));
        rates->products[k] = calloc(set->rounds, sizeof(double));
        if (!rates->updates[k] || !rates->products[k]) give_up("no memory", 1);
    }
    for (size_t i = 0; i < set->rounds; i++) {
        for (size_t k = 0; k < kinds; k++) {
            if (i % 2) rates->products[k][i] = products_turn(&products[k]);
            rates->updates[k][i] = updates_turn(&updates[k]);
            if (i % 2 == 0) rates->products[k][i] = products_turn(&products[k]);
        }
    }
}

/* ---- what is told ---- */

/* Of the setting's threads: flop/s, the one over the other, an update's flops.
 */
struct result {
    struct spread ours, theirs, ratio;
    double flops;
};

static struct result result_of(const struct setting *set,
                               const struct rates *rates) {
    const size_t n = set->rounds;
    return (struct result){
        .ours = spread_of(rates->updates[0], NULL, n),
        .theirs = spread_of(rates->products[0], NULL, n),
        .ratio = spread_of(rates->updates[0], rates->products[0], n),
        .flops = counted_flops(set),
    };
}

static void tell(const struct result *r, size_t threads, size_t rows) {
    printf("%zu thread(s): %.1f updates/s of %.3f GFLOP, %.1f GFLOP/s; sgemm "
           "of %zu rows %.1f GFLOP/s; ratio %.3f (%.3f to %.3f)\n",
           threads, r->ours.median / r->flops, r->flops * 1e-9,
           r->ours.median * 1e-9, rows, r->theirs.median * 1e-9,
           r->ratio.median, r->ratio.min, r->ratio.max);
}

/* Threads over one: updates', sgemm's, and the one over the other. */
static void scaling_of(const struct rates *rates, size_t n,
                       struct spread out[3]) {
    double *x = calloc(2 * n, sizeof(*x)), *y = x + n;
    if (!x) give_up("no memory", 1);
    for (size_t i = 0; i < n; i++) {
        x[i] = rates->updates[0][i] / rates->updates[1][i];
        y[i] = rates->products[0][i] / rates->products[1][i];
    }
    out[0] = spread_of(x, NULL, n);
    out[1] = spread_of(y, NULL, n);
    out[2] = spread_of(x, y, n);
    free(x);
}

static void tell_scaling(const struct rates *rates, size_t n) {
    struct spread s[3];
    scaling_of(rates, n, s);
    printf("over one thread: %.3f times the updates, %.3f times sgemm; ratio "
           "%.3f (%.3f to %.3f)\n",
           s[0].median, s[1].median, s[2].median, s[2].min, s[2].max);
}

static void tell_json(const struct setting *set, const struct result *r,
                      size_t threads, size_t rows, const struct rates *rates) {
    const struct config *c = &set->config;
    const size_t n = set->rounds;
    const bool ddpg = c->algorithm == ALGORITHM_DDPG;
    const bool sampler = sampler_proposes(c);
    printf("{\"name\": \"update\", \"algorithm\": \"%s\", "
           "\"observation_dim\": %zu, \"action_dim\": %zu, \"units\": %zu, "
           "\"minibatch\": %zu, \"particles_fixed\": %zu, "
           "\"particles_moved\": %zu, \"value_particles\": %zu, "
           "\"value_proposals\": \"%s\", \"one_set\": %s, \"threads\": %zu, "
           "\"rounds\": %zu, \"blas_core\": \"%s\", \"sgemm_rows\": %zu, ",
           ddpg ? "ddpg" : "sql", set->S, set->A, (size_t)c->units,
           (size_t)c->minibatch, (size_t)c->particles_fixed,
           (size_t)c->particles_moved,
           (size_t)(sampler ? c->value_particles_sampler : c->value_particles),
           sampler ? "sampler" : "uniform", c->one_set ? "true" : "false",
           threads, n, openblas_get_corename(), rows);
    printf("\"gflop\": %.6g, \"updates_per_s\": %.6g, \"gflops\": %.5g, "
           "\"sgemm_gflops\": %.5g, \"ratio_min\": %.4f, "
           "\"ratio_median\": %.4f, \"ratio_max\": %.4f",
           r->flops * 1e-9, r->ours.median / r->flops, r->ours.median * 1e-9,
           r->theirs.median * 1e-9, r->ratio.min, r->ratio.median,
           r->ratio.max);
    if (threads > 1) {
        struct spread s[3];
        scaling_of(rates, n, s);
        printf(", \"updates_per_s_one\": %.6g, \"scaling\": %.4f, "
               "\"sgemm_scaling\": %.4f, \"scaling_ratio_min\": %.4f, "
               "\"scaling_ratio_median\": %.4f, \"scaling_ratio_max\": %.4f",
               spread_of(rates->updates[1], NULL, n).median / r->flops,
               s[0].median, s[1].median, s[2].min, s[2].median, s[2].max);
    }
    printf("}\n");
}

/* ---- options ---- */

/* --name=value of the bench itself. */
static bool own_option(struct setting *set, const char *name, size_t value) {
    if (strcmp(name, "observation_dim") == 0) return set->S = value, value > 0;
    if (strcmp(name, "action_dim") == 0) return set->A = value, value > 0;
    if (strcmp(name, "rounds") != 0) return false;
    set->rounds = value;
    return value > 0 && value <= MOST_ROUNDS;
}

static void read_options(struct setting *set, int argc, char **argv) {
    config_defaults(&set->config);
    set->config.units = 200;
    set->config.particles_fixed = set->config.particles_moved = 32;
    for (int i = 1; i < argc; i++) {
        char name[64], value[64], why[200] = "want --name=value";
        if (strcmp(argv[i], "--json") == 0) {
            set->json = true;
            continue;
        }
        if (strcmp(argv[i], "--help") == 0) {
            puts("bench_update [--json] [--rounds=N] [--observation_dim=S] "
                 "[--action_dim=A] [--name=value ...]\n"
                 "One update's speed beside sgemm's. --name=value: options of "
                 "the learner (softq-learner --help).");
            exit(0);
        }
        if (sscanf(argv[i], "--%63[^=]=%63s", name, value) == 2 &&
            (own_option(set, name, strtoul(value, NULL, 10)) ||
             config_set(&set->config, name, value, why, sizeof(why)) == 0)) {
            continue;
        }
        fprintf(stderr, "bench_update: %s: %s\n", argv[i], why);
        exit(2);
    }
}

int main(int argc, char **argv) {
    struct setting set = {.S = 28, .A = 8, .rounds = 40};
    read_options(&set, argc, argv);
    const size_t threads = set.config.threads > 0 ? set.config.threads : 1;
    if (mlp_blas_setup() < 0 && threads > 1)
        give_up("the serial OpenBLAS takes one thread", 2);

    const size_t kinds = threads > 1 ? 2 : 1;
    struct updates updates[2];
    struct products products[2];
    struct rates rates;
    products_init(&products[kinds - 1], set.config.units, 1, threads);
    const size_t rows = fastest_rows(&products[kinds - 1]);
    updates_init(&updates[kinds - 1], &set, 1, threads);
    if (threads > 1) {
        products_init(&products[0], set.config.units, threads, threads);
        products[0].rows = rows;
        products[0].calls = products[1].calls;
        updates_init(&updates[0], &set, threads, threads);
    }
    take_turns(&set, updates, products, kinds, &rates);
    const struct result result = result_of(&set, &rates);
    if (set.json) {
        tell_json(&set, &result, threads, rows, &rates);
    } else {
        tell(&result, threads, rows);
        if (threads > 1) tell_scaling(&rates, set.rounds);
    }
    for (size_t k = 0; k < kinds; k++) {
        free(rates.updates[k]);
        free(rates.products[k]);
        products_finish(&products[k]);
        updates_finish(&updates[k]);
    }
    return 0;
}
