/*
 * The sampler's actions as proposals of the soft value: their density by the
 * network's Jacobian, and VHAT where V is known.
 */
#include "common/policy.h"
#include "common/rng.h"
#include "learner/soft_value.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

enum { A_MAX = 8, N = 4096, BRUTE = 512 };
static const double log_sqrt_2pi = 0.91893853320467274;

/* A sampling network of one state with all that n of its actions need. */
struct proposals {
    size_t n;
    struct mlp_shape shape;
    struct mlp_work work;
    struct policy_determinants seen;
    float *phi;
    float *xi, *u, *a; /* (n, A) */
    float *jacobian;   /* (n, A, A) */
    float *log_q;      /* (n) */
};

static const float no_state = 0.0f;

static void proposals_init(struct proposals *to, size_t A, size_t H, size_t n) {
    *to = (struct proposals){.n = n, .shape = {.S = 1, .X = A, .H = H, .Y = A}};
    to->phi = calloc(mlp_parameters(&to->shape), sizeof(float));
    to->xi = malloc(sizeof(float) * n * (3 * A + A * A + 1));
    assert_true(to->phi && to->xi);
    to->u = to->xi + n * A;
    to->a = to->u + n * A;
    to->jacobian = to->a + n * A;
    to->log_q = to->jacobian + n * A * A;
    assert_int_equal(mlp_work_init(&to->work, &to->shape, n, 1), 0);
}

static void proposals_finish(struct proposals *of) {
    mlp_work_finish(&of->work);
    free(of->phi);
    free(of->xi);
}

static void propose(struct proposals *to, uint64_t seed) {
    const size_t A = to->shape.X, n = to->n;
    struct rng rng;
    rng_init(&rng, seed, RNG_TEST, 0, 0, 0);
    rng_fill_normal(&rng, to->xi, n * A);
    test_fill_nan(to->u, n * (2 * A + A * A + 1)); // u to log_q
    policy_act(&to->shape, to->a, to->u, to->phi, &no_state, to->xi, 1, n,
               &to->work);
    mlp_jacobian(&to->shape, to->jacobian, to->phi, 1, n, &to->work);
    policy_log_density(to->log_q, &to->seen, to->xi, to->u, to->jacobian, n, A);
}

static float *slice(struct proposals *of, size_t t) {
    struct mlp_slice slices[MLP_TENSORS];
    mlp_slices(&of->shape, slices);
    return of->phi + slices[t].offset;
}
enum { WX = 1, B1, W2, B2, W3, B3 };

/* u = shift + scale (positive relu(xi) - negative relu(-xi)), each axis. */
static void make_ramps(struct proposals *to, size_t A, const float *shift,
                       const float *scale, float positive, float negative) {
    const size_t H = 2 * A;
    proposals_init(to, A, H, N);
    for (size_t i = 0; i < A; i++) {
        const size_t up = 2 * i, down = 2 * i + 1;
        slice(to, WX)[i * H + up] = 1.0f;
        slice(to, WX)[i * H + down] = -1.0f;
        slice(to, W2)[up * H + up] = slice(to, W2)[down * H + down] = 1.0f;
        slice(to, W3)[up * A + i] = positive * scale[i];
        slice(to, W3)[down * A + i] = -negative * scale[i];
        slice(to, B3)[i] = shift[i];
    }
}

/* --- the density --- */

/* u (A) of the network in double; nothing here is the network's own code. */
static void forward(double *u, struct proposals *of, const double *xi) {
    enum { H_MAX = 64 };
    const size_t A = of->shape.X, H = of->shape.H;
    double h1[H_MAX], h2[H_MAX];
    assert_true(H <= H_MAX);
    for (size_t h = 0; h < H; h++) {
        h1[h] = (double)slice(of, B1)[h];
        for (size_t i = 0; i < A; i++)
            h1[h] += xi[i] * (double)slice(of, WX)[i * H + h];
        h1[h] = fmax(h1[h], 0.0);
    }
    for (size_t h = 0; h < H; h++) {
        h2[h] = (double)slice(of, B2)[h];
        for (size_t k = 0; k < H; k++)
            h2[h] += h1[k] * (double)slice(of, W2)[k * H + h];
        h2[h] = fmax(h2[h], 0.0);
    }
    for (size_t i = 0; i < A; i++) {
        u[i] = (double)slice(of, B3)[i];
        for (size_t h = 0; h < H; h++)
            u[i] += h2[h] * (double)slice(of, W3)[h * A + i];
    }
}

/* By cofactors of the first row. m (n, n) */
// NOLINTNEXTLINE(misc-no-recursion): as its definition
static double determinant(const double *m, size_t n) {
    double sum = 0.0, minor[A_MAX * A_MAX];
    if (n == 1) return m[0];
    for (size_t c = 0; c < n; c++) {
        size_t k = 0;
        for (size_t i = n; i < n * n; i++) {
            if (i % n != c) minor[k++] = m[i];
        }
        sum += (c % 2 ? -1.0 : 1.0) * m[c] * determinant(minor, n - 1);
    }
    return sum;
}

/*
 * log q and det du/dxi by central differences. The network is linear between
 * its kinks, so the step's size costs nothing.
 */
static double brute_log_density(double *det, struct proposals *of,
                                const float *xi) {
    const size_t A = of->shape.X;
    const double step = 1e-6;
    double x[A_MAX], u[A_MAX], up[A_MAX], down[A_MAX], m[A_MAX * A_MAX];
    for (size_t i = 0; i < A; i++) x[i] = (double)xi[i];
    for (size_t i = 0; i < A; i++) {
        x[i] = (double)xi[i] + step;
        forward(up, of, x);
        x[i] = (double)xi[i] - step;
        forward(down, of, x);
        x[i] = (double)xi[i];
        for (size_t k = 0; k < A; k++)
            m[k * A + i] = (up[k] - down[k]) / (2.0 * step);
    }
    forward(u, of, x);
    *det = determinant(m, A);
    double log_q = -log(fabs(*det));
    for (size_t i = 0; i < A; i++) // 1 - tanh^2 = 1 / cosh^2
        log_q += 2.0 * log(cosh(u[i])) - 0.5 * x[i] * x[i] - log_sqrt_2pi;
    return log_q;
}

/*
 * Untrained networks: every density and the sign of every determinant by
 * differences and cofactors. A small determinant is a difference of larger
 * numbers, so the tolerance grows as it falls.
 */
static void density_matches_brute_force(void **state) {
    (void)state;
    const size_t dims[] = {1, 2, 3, 5};
    for (size_t k = 0; k < 4; k++) {
        const size_t A = dims[k];
        struct proposals f;
        struct rng rng;
        size_t negative = 0;
        double worst = 0.0;
        proposals_init(&f, A, 32, BRUTE);
        rng_init(&rng, 7, RNG_TEST, 0, 0, 0);
        mlp_init(&f.shape, f.phi, &rng);
        // kinks away from 0: folds in one dimension too
        rng_fill_normal(&rng, slice(&f, B1), 32);
        rng_fill_normal(&rng, slice(&f, B2), 32);
        propose(&f, 1);
        for (size_t n = 0; n < BRUTE; n++) {
            double det;
            const double exact = brute_log_density(&det, &f, f.xi + n * A);
            const double error = fabs((double)f.log_q[n] - exact);
            negative += det < 0.0;
            worst = fmax(worst, error * fmin(fabs(det), 1.0));
            assert_true(error <= 2e-5 + 5e-6 / fabs(det));
        }
        print_message("d = %zu: log q off by %.1e / |det|, %zu of %d "
                      "determinants negative\n",
                      A, worst, negative, BRUTE);
        assert_int_equal(f.seen.negative, negative);
        assert_int_equal(f.seen.degenerate, 0);
        assert_true(negative > 0 && negative < BRUTE);
        proposals_finish(&f);
    }
}

/* An output that no noise reaches: every determinant is 0 and counts so. */
static void a_lost_dimension_is_degenerate(void **state) {
    (void)state;
    for (size_t A = 1; A <= 5; A++) {
        struct proposals f;
        struct rng rng;
        proposals_init(&f, A, 16, N);
        rng_init(&rng, 7, RNG_TEST, 0, 0, 0);
        mlp_init(&f.shape, f.phi, &rng);
        for (size_t h = 0; h < 16; h++) slice(&f, W3)[h * A + A - 1] = 0.0f;
        propose(&f, 1);
        for (size_t n = 0; n < N; n++) assert_true(f.log_q[n] == INFINITY);
        assert_int_equal(f.seen.degenerate, N);
        assert_int_equal(f.seen.negative, 0);
        proposals_finish(&f);
    }
}

/*
 * Jacobians by hand: a swap is negative and not degenerate, two swaps are
 * neither; a zero, a NaN or an infinite pivot is degenerate, wherever it is.
 */
static void pivots_tell_signs_and_degeneration(void **state) {
    (void)state;
    enum { CASES = 7, A = 3 };
    const float nan = NAN, inf = INFINITY, xi[CASES * A] = {0},
                u[CASES * A] = {0};
    float log_q[CASES], jacobian[CASES][A * A] = {
                            {0, 2, 0, 1, 0, 0, 0, 0, 1},   // one swap
                            {0, 2, 0, 0, 0, 1, 1, 0, 0},   // two
                            {-1, 5, 5, 0, 2, 5, 0, 0, 1},  // -2
                            {1, 2, 3, 2, 4, 6, 0, 0, 1},   // two rows alike
                            {1, 0, 0, 0, nan, 0, 0, 0, 1}, //
                            {1, 0, 0, 0, 1, 0, nan, 0, 1}, //
                            {1, 0, 0, 0, inf, 0, 0, 0, 1}, //
                        };
    struct policy_determinants seen = {.negative = 10, .degenerate = 20};
    test_fill_nan(log_q, CASES);
    policy_log_density(log_q, &seen, xi, u, &jacobian[0][0], CASES, A);
    const float expected = (float)(-3.0 * log_sqrt_2pi - log(2.0));
    for (size_t n = 0; n < 3; n++) assert_close(log_q[n], expected, 1e-6f);
    for (size_t n = 3; n < CASES; n++) assert_true(log_q[n] == INFINITY);
    assert_int_equal(seen.negative, 12); // added to
    assert_int_equal(seen.degenerate, 24);
}

/* --- the soft value --- */

/* log of the normal density of u, as one of the action tanh u. */
static double log_normal(const float *u, const float *mean, const float *sd,
                         size_t A) {
    double sum = 0.0;
    for (size_t i = 0; i < A; i++) {
        const double x = (double)u[i];
        const double z = (x - (double)mean[i]) / (double)sd[i];
        sum += 2.0 * log(cosh(x)) - 0.5 * z * z - log_sqrt_2pi -
               log((double)sd[i]);
    }
    return sum;
}

/* The estimates' mean, and their largest size in *most. All alpha are 0.7. */
static const float alpha = 0.7f;

static double mean_value(double *most, const float *q, const float *log_q,
                         size_t V) {
    const size_t B = N / V;
    float *v = malloc(sizeof(*v) * B);
    double sum = 0.0;
    assert_non_null(v);
    test_fill_nan(v, B);
    soft_value(v, q, log_q, 0.0f, alpha, B, V);
    *most = 0.0;
    for (size_t b = 0; b < B; b++) {
        const double size = fabs((double)v[b]);
        sum += (double)v[b] / (double)B;
        *most = size <= *most ? *most : size; // a NaN stays
    }
    free(v);
    return sum;
}

static const float wide_shift[A_MAX] = {0.3f,  -0.4f, 0.0f, 0.2f,
                                        -0.1f, 0.5f,  0.1f, -0.3f};
static const float wide_scale[A_MAX] = {0.1f,  0.3f, 0.2f, 0.15f,
                                        0.25f, 0.1f, 0.3f, 0.2f};

/*
 * A sampler whose law is the policy: every proposal has the same weight, and
 * one is enough for the exact V = 0.
 */
static void a_perfect_sampler_needs_one_proposal(void **state) {
    (void)state;
    struct proposals f;
    float *q = malloc(sizeof(*q) * N);
    double most;
    assert_non_null(q);
    make_ramps(&f, A_MAX, wide_shift, wide_scale, 1.0f, 1.0f);
    propose(&f, 2);
    for (size_t n = 0; n < N; n++)
        q[n] = alpha * (float)log_normal(f.u + n * A_MAX, wide_shift,
                                         wide_scale, A_MAX);
    mean_value(&most, q, f.log_q, 1);
    print_message("d = 8: V off by %.1e at most\n", most);
    assert_true(most <= 1e-4);
    free(q);
    proposals_finish(&f);
}

/* Two modes and a sampler on one of them: alpha log 2 too low, unseen. */
static void a_collapsed_sampler_reads_log_2_too_low(void **state) {
    (void)state;
    enum { A = 2, V = 32 };
    const float here[A] = {0.6f, 0.1f}, there[A] = {-0.6f, 0.1f};
    const float sd[A] = {0.12f, 0.2f};
    struct proposals f;
    float q[N];
    double most;
    make_ramps(&f, A, here, sd, 1.0f, 1.0f);
    propose(&f, 3);
    for (size_t n = 0; n < N; n++) {
        const double both = exp(log_normal(f.u + n * A, here, sd, A)) +
                            exp(log_normal(f.u + n * A, there, sd, A));
        q[n] = alpha * (float)log(both / 2.0);
    }
    const double mean = mean_value(&most, q, f.log_q, V);
    print_message("V %.4f alpha, exact 0, -log 2 = %.4f\n",
                  mean / (double)alpha, -log(2.0));
    assert_close((float)mean / alpha, -logf(2.0f), 0.02f);
    assert_int_equal(f.seen.negative + f.seen.degenerate, 0);
    proposals_finish(&f);
}

/* log of the density of |xi| scale at u > 0, as one of the action. */
static void fill_half_normal(float *q, const struct proposals *f,
                             const float *scale) {
    const float zero = 0.0f;
    for (size_t n = 0; n < N; n++) {
        const double half = log_normal(f->u + n, &zero, scale, 1);
        q[n] = alpha * (float)(log(2.0) + half);
    }
}

/* u = scale |xi| reaches every action twice: alpha log 2 too high, and half of
 * the determinants are negative. */
static void a_folded_sampler_reads_log_2_too_high(void **state) {
    (void)state;
    const float shift = 0.0f, scale = 0.4f;
    struct proposals f;
    float q[N];
    double most;
    make_ramps(&f, 1, &shift, &scale, 1.0f, -1.0f);
    propose(&f, 4);
    fill_half_normal(q, &f, &scale);
    const double mean = mean_value(&most, q, f.log_q, 32);
    print_message("V %.4f alpha, exact 0, log 2 = %.4f; %zu of %d negative\n",
                  mean / (double)alpha, log(2.0), f.seen.negative, N);
    assert_close((float)mean / alpha, logf(2.0f), 0.02f);
    assert_close((float)f.seen.negative / N, 0.5f, 0.03f);
    proposals_finish(&f);
}

/* u = scale relu(xi): half of the proposals are degenerate and weigh nothing,
 * but count in K_V. The others cover the actions once: V = 0. */
static void degenerate_proposals_count_in_their_number(void **state) {
    (void)state;
    const float shift = 0.0f, scale = 0.4f;
    struct proposals f;
    float q[N];
    double most;
    make_ramps(&f, 1, &shift, &scale, 1.0f, 0.0f);
    propose(&f, 5);
    fill_half_normal(q, &f, &scale);
    const double v = mean_value(&most, q, f.log_q, N);
    print_message("V %.4f alpha, exact 0; %zu of %d degenerate\n",
                  v / (double)alpha, f.seen.degenerate, N);
    assert_close((float)v / alpha, 0.0f, 0.06f);
    assert_close((float)f.seen.degenerate / N, 0.5f, 0.03f);
    // exactly the share of the others
    const double share = 1.0 - (double)f.seen.degenerate / N;
    assert_close((float)v / alpha, (float)log(2.0 * share), 1e-5f);
    proposals_finish(&f);
}

int main(void) {
    mlp_blas_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(density_matches_brute_force),
        cmocka_unit_test(a_lost_dimension_is_degenerate),
        cmocka_unit_test(pivots_tell_signs_and_degeneration),
        cmocka_unit_test(a_perfect_sampler_needs_one_proposal),
        cmocka_unit_test(a_collapsed_sampler_reads_log_2_too_low),
        cmocka_unit_test(a_folded_sampler_reads_log_2_too_high),
        cmocka_unit_test(degenerate_proposals_count_in_their_number),
    };
    return cmocka_run_group_tests_name("proposals", tests, NULL, NULL);
}
