/*
 * Soft Q-learning on a linear-quadratic problem, whose optimal soft policy is
 * known (REFERENCE.md, "Theory to hold as tests"):
 *
 *   lq ALPHA SEED [UPDATES]
 *
 *   r = -(s' Q s + a' R a),   s' = A s + B a,   uniform actions on [-1, 1]^2
 *
 * trains Q and the sampler with the learner's own update on transitions kept
 * in memory. Where |K s| + 3 sd <= 0.8 in both action dimensions the policy is
 * normal: mean -K s, covariance ALPHA (2 (R + gamma B' P B))^-1, P from the
 * Riccati recursion. Of the sampler there: its mean is off by at most 15 % of
 * -K s (root mean squares over states), each variance by at most 25 % (its mean
 * over states, and root mean square). Prints `# ` figures and `ok` or `not ok`
 * a claim; exits non-zero if one does not hold.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/policy.h"
#include "learner/algorithm.h"

enum {
    D = 2,            /* state and action dimensions */
    ROWS = 200000,    /* kept transitions */
    EPISODE = 25,     /* steps until truncation, which still bootstraps */
    SIDE = 41,        /* judged states lie on a grid of [-BOX, BOX]^2 */
    SAMPLES = 4000,   /* actions a judged state */
    QUADRATURE = 200, /* points a side over the actions */
};
static const double box = 1.2, gamma_ = 0.9;

/* A D by D matrix, and the problem's. */
struct matrix {
    double m[D][D];
};
static const struct matrix A = {{{0.8, 0.2}, {-0.2, 0.7}}};
static const struct matrix B = {{{0.4, 0.1}, {-0.1, 0.3}}};
static const struct matrix Q = {{{2.0, 0.4}, {0.4, 1.6}}};
static const struct matrix R = {{{1.0, 0.3}, {0.3, 0.8}}};

/* --- the exact solution --- */

struct solution {
    struct matrix P, K, covariance;
    double constant; /* V(s) = -s' P s + constant */
};

static struct matrix product(struct matrix x, struct matrix y) {
    struct matrix z = {0};
    for (int i = 0; i < D; i++) {
        for (int j = 0; j < D; j++) {
            for (int k = 0; k < D; k++) z.m[i][j] += x.m[i][k] * y.m[k][j];
        }
    }
    return z;
}

static struct matrix transposed(struct matrix x) {
    struct matrix z;
    for (int i = 0; i < D; i++) {
        for (int j = 0; j < D; j++) z.m[i][j] = x.m[j][i];
    }
    return z;
}

/* x + c y */
static struct matrix sum(struct matrix x, double c, struct matrix y) {
    for (int i = 0; i < D; i++) {
        for (int j = 0; j < D; j++) x.m[i][j] += c * y.m[i][j];
    }
    return x;
}

static double determinant(struct matrix x) {
    return x.m[0][0] * x.m[1][1] - x.m[0][1] * x.m[1][0];
}

static struct matrix inverse(struct matrix x) {
    const double d = determinant(x);
    return (struct matrix){
        {{x.m[1][1] / d, -x.m[0][1] / d}, {-x.m[1][0] / d, x.m[0][0] / d}}};
}

static double quadratic(struct matrix x, const double v[D]) {
    return v[0] * (x.m[0][0] * v[0] + x.m[0][1] * v[1]) +
           v[1] * (x.m[1][0] * v[0] + x.m[1][1] * v[1]);
}

/* The task: s' and r. */
static double step(double next[D], const double s[D], const double a[D]) {
    for (int i = 0; i < D; i++) {
        next[i] = A.m[i][0] * s[0] + A.m[i][1] * s[1] + B.m[i][0] * a[0] +
                  B.m[i][1] * a[1];
    }
    return -quadratic(Q, s) - quadratic(R, a);
}

/* P = Q + gamma A' P (A - B K), K = (R + gamma B' P B)^-1 gamma B' P A. */
static struct solution solve(double alpha) {
    struct solution x = {.P = Q};
    struct matrix M = R;
    for (int sweep = 0; sweep < 1000; sweep++) {
        const struct matrix BP = product(transposed(B), x.P);
        M = sum(R, gamma_, product(BP, B));
        x.K = product(inverse(M), product(BP, A));
        for (int i = 0; i < D * D; i++) x.K.m[i / D][i % D] *= gamma_;
        x.P = sum(Q, gamma_,
                  product(product(transposed(A), x.P),
                          sum(A, -1.0, product(B, x.K))));
    }
    x.covariance = inverse(M);
    for (int i = 0; i < D * D; i++) x.covariance.m[i / D][i % D] *= alpha / 2.0;
    // V = gamma V + alpha log Integral exp(-(a + K s)' M (a + K s) / alpha) da
    x.constant =
        alpha * log(M_PI * alpha / sqrt(determinant(M))) / (1.0 - gamma_);
    return x;
}

static double policy_mean(const struct solution *x, const double s[D], int i) {
    return -x->K.m[i][0] * s[0] - x->K.m[i][1] * s[1];
}

static bool is_judged(const struct solution *x, const double s[D]) {
    for (int i = 0; i < D; i++) {
        const double sd = sqrt(x->covariance.m[i][i]);
        if (fabs(policy_mean(x, s, i)) + 3.0 * sd > 0.8) return false;
    }
    return true;
}

/* The judged states into s; their number. */
static size_t judged_states(double (*s)[D], const struct solution *x) {
    size_t n = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        const int row = i / SIDE, column = i % SIDE;
        s[n][0] = box * (2.0 * row / (SIDE - 1) - 1.0);
        s[n][1] = box * (2.0 * column / (SIDE - 1) - 1.0);
        if (is_judged(x, s[n])) n++;
    }
    return n;
}

/*
 * What the solution leaves of V(s) = alpha log Integral exp(Q(s, a) / alpha) da
 * over [-1, 1]^2, by the task alone: nothing here knows Riccati.
 */
static double bellman_residual(const struct solution *x, double alpha,
                               const double s[D]) {
    const double v = x->constant - quadratic(x->P, s), side = 2.0 / QUADRATURE;
    double total = 0.0;
    for (int i = 0; i < QUADRATURE * QUADRATURE; i++) {
        const int row = i / QUADRATURE, column = i % QUADRATURE;
        const double a[D] = {(row + 0.5) * side - 1.0,
                             (column + 0.5) * side - 1.0};
        double next[D];
        const double r = step(next, s, a);
        const double q = r + gamma_ * (x->constant - quadratic(x->P, next));
        total += side * side * exp((q - v) / alpha);
    }
    return alpha * log(total);
}

/* --- training --- */

/* Episodes from uniform starts in the box with uniform actions. */
static void play(struct batch *memory, uint64_t seed) {
    struct rng rng;
    double s[D] = {0}, next[D];
    rng_init(&rng, seed, RNG_ACTOR, 0, 0, 0);
    for (size_t row = 0; row < memory->capacity; row++) {
        double a[D];
        for (int i = 0; i < D; i++) {
            if (row % EPISODE == 0)
                s[i] = box * (2.0 * rng_uniform(&rng) - 1.0);
            a[i] = 2.0 * rng_uniform(&rng) - 1.0;
        }
        memory->r[row] = (float)step(next, s, a);
        memory->flags[row] = (row + 1) % EPISODE ? 0 : BATCH_TRUNCATED;
        for (int i = 0; i < D; i++) {
            memory->s[row * D + (size_t)i] = (float)s[i];
            memory->a[row * D + (size_t)i] = (float)a[i];
            memory->next[row * D + (size_t)i] = (float)next[i];
            s[i] = next[i];
        }
    }
    memory->n = memory->capacity;
}

static void configure(struct config *config, double alpha, uint64_t seed,
                      uint64_t updates) {
    config_defaults(config);
    config->seed = seed;
    config->gamma = gamma_;
    config->alpha = alpha;
    config->units = 128;
    config->minibatch = 64;
    config->particles_fixed = config->particles_moved = 32;
    config->value_particles = 64;
    config->learning_rate_q = 1e-3;
    config->learning_rate_f = 1e-3;
    config->learning_rate_end = 0.01;
    config->sampler_average = 0.999;
    config->target_rate = 0.01;
    config->max_updates = updates;
}

static int train(struct algorithm *alg, const struct batch *memory,
                 const struct config *config) {
    struct batch minibatch = {0};
    struct algorithm_noise noise = {0};
    struct algorithm_figures figures;
    struct rng rng;
    const char *what = "memory";
    int status = -1;
    rng_init(&rng, config->seed, RNG_LEARNER, 1, 0, 0);
    if (algorithm_noise_init(&noise, alg) < 0 ||
        batch_init(&minibatch, config->minibatch, D, D) < 0)
        goto end;
    for (uint64_t update = 0; update < config->max_updates; update++) {
        minibatch.n = 0;
        while (minibatch.n < minibatch.capacity)
            batch_append(&minibatch, memory, rng_below(&rng, memory->n), 1);
        algorithm_noise_draw(&noise, alg, &rng);
        if (algorithm_update(alg, &minibatch, &noise, &figures, &what) < 0)
            goto end;
    }
    status = 0;
end:
    if (status < 0) fprintf(stderr, "lq: %s\n", what);
    algorithm_noise_finish(&noise);
    batch_finish(&minibatch);
    return status;
}

/* --- judging --- */

struct verdict {
    size_t states;
    double mean_error, mean_size; /* root mean squares, of -K s too */
    double variance[D];           /* over the exact one: mean over states */
    double spread[D];             /* root mean square of that less 1 */
    double within;                /* share of variances off by 25 % or less */
    double correlation;           /* mean over states */
};

/* Mean and covariance of the sampler's actions at s. */
static void moments(double mean[D], double cov[D][D], struct mlp_work *work,
                    const struct policy *policy, const double s[D],
                    struct rng *rng) {
    static float xi[SAMPLES * D], a[SAMPLES * D];
    const float state[D] = {(float)s[0], (float)s[1]};
    rng_fill_normal(rng, xi, (size_t)SAMPLES * D);
    policy_act(&policy->shape, a, NULL, policy->phi, state, xi, 1, SAMPLES,
               work);
    for (int i = 0; i < D; i++) {
        mean[i] = 0.0;
        for (int k = 0; k < SAMPLES; k++)
            mean[i] += (double)a[k * D + i] / SAMPLES;
    }
    for (int i = 0; i < D; i++) {
        for (int j = 0; j < D; j++) {
            cov[i][j] = 0.0;
            for (int k = 0; k < SAMPLES; k++)
                cov[i][j] += ((double)a[k * D + i] - mean[i]) *
                             ((double)a[k * D + j] - mean[j]) / SAMPLES;
        }
    }
}

static int judge(struct verdict *to, const struct policy *policy,
                 const struct solution *x, const double (*s)[D], size_t n,
                 uint64_t seed) {
    struct mlp_work work;
    struct rng rng;
    double mean[D], cov[D][D];
    if (mlp_work_init(&work, &policy->shape, SAMPLES, 1) < 0) return -1;
    rng_init(&rng, seed, RNG_EVALUATOR, 0, 0, 0);
    *to = (struct verdict){.states = n};
    for (size_t k = 0; k < n; k++) {
        moments(mean, cov, &work, policy, s[k], &rng);
        for (int i = 0; i < D; i++) {
            const double exact = policy_mean(x, s[k], i);
            const double ratio = cov[i][i] / x->covariance.m[i][i];
            to->mean_error += (mean[i] - exact) * (mean[i] - exact);
            to->mean_size += exact * exact;
            to->variance[i] += ratio / (double)n;
            to->within += (fabs(ratio - 1.0) <= 0.25) / (double)(n * D);
            to->spread[i] += (ratio - 1.0) * (ratio - 1.0) / (double)n;
        }
        to->correlation += cov[0][1] / sqrt(cov[0][0] * cov[1][1]) / (double)n;
    }
    to->mean_error = sqrt(to->mean_error / (double)(n * D));
    to->mean_size = sqrt(to->mean_size / (double)(n * D));
    for (int i = 0; i < D; i++) to->spread[i] = sqrt(to->spread[i]);
    mlp_work_finish(&work);
    return 0;
}

/* Fewest kept transitions within 0.1 of a judged state. */
static size_t least_visited(const struct batch *memory, const double (*s)[D],
                            size_t n) {
    size_t least = memory->n;
    for (size_t k = 0; k < n; k++) {
        size_t near = 0;
        for (size_t row = 0; row < memory->n; row++) {
            near += hypot((double)memory->s[row * D] - s[k][0],
                          (double)memory->s[row * D + 1] - s[k][1]) < 0.1;
        }
        least = near < least ? near : least;
    }
    return least;
}

static int claim(bool holds, const char *name, double alpha, uint64_t seed) {
    printf("%s lq_%s (alpha %g, seed %llu)\n", holds ? "ok" : "not ok", name,
           alpha, (unsigned long long)seed);
    return holds ? 0 : 1;
}

/* The row of the table, in the order of lq.sh's heading. */
static int report(const struct verdict *v, const struct solution *x,
                  double alpha, uint64_t seed) {
    const double sd[D] = {sqrt(x->covariance.m[0][0]),
                          sqrt(x->covariance.m[1][1])};
    const double error = v->mean_error / v->mean_size;
    const double exact = x->covariance.m[0][1] / (sd[0] * sd[1]);
    bool variances_hold = true;
    for (int i = 0; i < D; i++) {
        variances_hold &= fabs(v->variance[i] - 1.0) <= 0.25;
        variances_hold &= v->spread[i] <= 0.25;
    }
    printf("# %5g %4llu %6zu  %.3f %.3f %.3f  %5.1f  %.2f %.2f %6.1f %5.1f "
           "%6.0f  %.2f %.2f\n",
           alpha, (unsigned long long)seed, v->states, v->mean_size, sd[0],
           sd[1], 100.0 * error, v->variance[0], v->variance[1],
           100.0 * v->spread[0], 100.0 * v->spread[1], 100.0 * v->within,
           v->correlation, exact);
    return claim(error <= 0.15, "mean_is_the_regulators", alpha, seed) |
           claim(variances_hold, "variance_is_the_temperatures", alpha, seed);
}

int main(int argc, char **argv) {
    static double s[SIDE * SIDE][D];
    struct config config;
    struct batch memory = {0};
    struct verdict verdict;
    double residual = 0.0;
    if (argc < 3) {
        fprintf(stderr, "usage: lq ALPHA SEED [UPDATES]\n");
        return 2;
    }
    const double alpha = strtod(argv[1], NULL);
    const uint64_t seed = strtoull(argv[2], NULL, 10);
    configure(&config, alpha, seed,
              argc > 3 ? strtoull(argv[3], NULL, 10) : 20000);
    mlp_blas_setup();
    const struct solution x = solve(alpha);
    const size_t n = judged_states(s, &x);
    struct algorithm *alg = algorithm_new(&config, D, D, 1);
    if (!alg || batch_init(&memory, ROWS, D, D) < 0) return 1;
    play(&memory, seed);
    for (size_t k = 0; k < n; k++)
        residual = fmax(residual, fabs(bellman_residual(&x, alpha, s[k])));
    printf("# K %.3f %.3f, %.3f %.3f; Bellman residual at most %.1e alpha; %zu "
           "transitions or more within 0.1 of a judged state\n",
           x.K.m[0][0], x.K.m[0][1], x.K.m[1][0], x.K.m[1][1], residual / alpha,
           least_visited(&memory, s, n));
    int failed =
        claim(residual < 0.01 * alpha, "solution_solves_bellman", alpha, seed);
    const clock_t start = clock();
    if (train(alg, &memory, &config) < 0) return 1;
    const struct policy policy = algorithm_policy(alg);
    if (judge(&verdict, &policy, &x, (const double(*)[D])s, n, seed) < 0)
        return 1;
    failed |= report(&verdict, &x, alpha, seed);
    printf("# %llu updates in %.0f s of one core\n",
           (unsigned long long)config.max_updates,
           (double)(clock() - start) / CLOCKS_PER_SEC);
    algorithm_free(alg);
    batch_finish(&memory);
    return failed;
}
