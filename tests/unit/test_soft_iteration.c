/*
 * Soft Q-iteration, Q <- r + gamma E[ V(s') ], on a small table through the
 * project's own soft value with every action as a proposal, log q = -log |A|,
 * against the soft optimum by policy iteration in double.
 */
#include "common/rng.h"
#include "learner/soft_value.h"
#include "tests/unit/test.h"

#include <string.h>

enum { S = 5, A = 4, MOST_SWEEPS = 400 };
static const double gamma_ = 0.875; // exact as a float, like the rewards

struct table {
    float r[S][A];     /* in [-1, 1] */
    double p[S][A][S]; /* of s' */
};

static void table_init(struct table *t) {
    struct rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    rng_fill_uniform(&rng, &t->r[0][0], (size_t)S * A, -1.0f, 1.0f);
    for (int i = 0; i < S * A; i++) {
        double *p = t->p[i / A][i % A], sum = 0.0;
        // far from even, so that states differ
        for (int k = 0; k < S; k++) sum += p[k] = pow(rng_uniform(&rng), 3.0);
        for (int k = 0; k < S; k++) p[k] /= sum;
    }
}

static double expected(const double *p, const double *v) {
    double sum = 0.0;
    for (int k = 0; k < S; k++) sum += p[k] * v[k];
    return sum;
}

/* --- the exact solution, in double --- */

/* m x = y by elimination with partial pivoting; x replaces y. */
static void solve(double m[S][S], double y[S]) {
    for (int c = 0; c < S; c++) {
        int best = c;
        for (int i = c; i < S; i++)
            best = fabs(m[i][c]) > fabs(m[best][c]) ? i : best;
        for (int k = 0; k < S; k++) {
            const double kept = m[c][k];
            m[c][k] = m[best][k], m[best][k] = kept;
        }
        const double kept = y[c];
        y[c] = y[best], y[best] = kept;
        for (int i = 0; i < S; i++) {
            if (i == c) continue;
            const double ratio = m[i][c] / m[c][c];
            for (int k = c; k < S; k++) m[i][k] -= ratio * m[c][k];
            y[i] -= ratio * y[c];
        }
    }
    for (int i = 0; i < S; i++) y[i] /= m[i][i];
}

/* pi = exp(Q / alpha) / sum; alpha 0: the largest. */
static void improve(double pi[S][A], double q[S][A], double alpha) {
    for (int s = 0; s < S; s++) {
        double sum = 0.0;
        int best = 0;
        for (int a = 1; a < A; a++) best = q[s][a] > q[s][best] ? a : best;
        for (int a = 0; a < A; a++) {
            const double below = q[s][a] - q[s][best];
            pi[s][a] = alpha > 0.0 ? exp(below / alpha) : a == best;
            sum += pi[s][a];
        }
        for (int a = 0; a < A; a++) pi[s][a] /= sum;
    }
}

/* V of pi with its entropy: (I - gamma P_pi) V = r_pi + alpha H. */
static void evaluate(double v[S], double pi[S][A], const struct table *t,
                     double alpha) {
    double m[S][S] = {{0}};
    for (int s = 0; s < S; s++) {
        m[s][s] = 1.0;
        v[s] = 0.0;
        for (int a = 0; a < A; a++) {
            const double w = pi[s][a];
            v[s] += w * (double)t->r[s][a];
            if (w > 0.0) v[s] -= alpha * w * log(w);
            for (int k = 0; k < S; k++) m[s][k] -= gamma_ * w * t->p[s][a][k];
        }
    }
    solve(m, v);
}

/* The optimum at temperature alpha; 0: Q-learning's. */
static void optimum(double q[S][A], const struct table *t, double alpha) {
    double pi[S][A], v[S];
    memset(q, 0, sizeof(double) * S * A);
    for (int round = 0; round < 100; round++) {
        improve(pi, q, alpha);
        evaluate(v, pi, t, alpha);
        for (int i = 0; i < S * A; i++) {
            const int s = i / A, a = i % A;
            q[s][a] = (double)t->r[s][a] + gamma_ * expected(t->p[s][a], v);
        }
    }
}

/* --- the project's iteration --- */

static void sweep(float q[S][A], const struct table *t, float alpha) {
    const uint8_t flags[A] = {0};
    float v[S], next[A], log_q[S * A];
    double exact_v[S];
    for (int i = 0; i < S * A; i++) log_q[i] = -logf(A);
    test_fill_nan(v, S);
    soft_value(v, &q[0][0], log_q, 0.0f, alpha, S, A);
    for (int s = 0; s < S; s++) exact_v[s] = (double)v[s];
    for (int s = 0; s < S; s++) {
        for (int a = 0; a < A; a++)
            next[a] = (float)expected(t->p[s][a], exact_v);
        test_fill_nan(q[s], A);
        soft_value_target(q[s], t->r[s], flags, next, 1.0f, (float)gamma_, A);
    }
}

static double distance(float q[S][A], double to[S][A]) {
    double most = 0.0;
    for (int i = 0; i < S * A; i++) {
        const double d = fabs((double)q[i / A][i % A] - to[i / A][i % A]);
        most = d <= most ? most : d; // a NaN stays
    }
    return most;
}

static double gap(double q[S][A], double to[S][A]) {
    double most = 0.0;
    for (int i = 0; i < S * A; i++)
        most = fmax(most, fabs(q[i / A][i % A] - to[i / A][i % A]));
    return most;
}

/*
 * What one sweep in float adds to the error: V, its mean and the target are
 * each rounded once or twice (unit 2^-24 of |Q|), and alpha log sum exp has
 * fastmath_exp()'s 2e-7, three sums, a division and logf(): 12 units of alpha.
 */
static double rounding(double q[S][A], double alpha) {
    double largest = alpha * log(A);
    for (int i = 0; i < S * A; i++)
        largest = fmax(largest, fabs(q[i / A][i % A]));
    return ldexp(4.0 * largest + 12.0 * alpha, -24);
}

/* Far from the optimum, and no two alike. */
static void start(float q[S][A]) {
    test_fill_normal(&q[0][0], (size_t)S * A, 3);
    for (int i = 0; i < S * A; i++) q[i / A][i % A] *= 20.0f;
}

static const double alphas[] = {4.0, 1.0, 0.25, 0.0625, 0.015625, 0.00390625};
enum { ALPHAS = sizeof(alphas) / sizeof(*alphas) };

/* Every sweep brings Q nearer to the optimum, by gamma or more. */
static void a_sweep_is_a_gamma_contraction(void **state) {
    (void)state;
    struct table t;
    table_init(&t);
    for (size_t i = 0; i < ALPHAS; i++) {
        float q[S][A];
        double exact[S][A], worst = 0.0;
        optimum(exact, &t, alphas[i]);
        start(q);
        double before = distance(q, exact);
        for (int n = 0; n < MOST_SWEEPS; n++) {
            const double slack =
                rounding(exact, alphas[i]) + ldexp(4.0 * before, -24);
            sweep(q, &t, (float)alphas[i]);
            const double after = distance(q, exact);
            assert_true(after <= gamma_ * before + slack);
            if (before > 1e3 * slack) worst = fmax(worst, after / before);
            before = after;
        }
        print_message("alpha %.4f: largest ratio %.4f, gamma %.4f\n", alphas[i],
                      worst, gamma_);
        assert_true(worst > 0.0 && worst <= gamma_ + 1e-3);
    }
}

/* The end is the soft optimum but for rounding / (1 - gamma). */
static void sweeps_end_at_the_soft_optimum(void **state) {
    (void)state;
    struct table t;
    table_init(&t);
    for (size_t i = 0; i < ALPHAS; i++) {
        float q[S][A];
        double exact[S][A];
        optimum(exact, &t, alphas[i]);
        start(q);
        for (int n = 0; n < MOST_SWEEPS; n++) sweep(q, &t, (float)alphas[i]);
        const double error = distance(q, exact);
        const double most = rounding(exact, alphas[i]) / (1.0 - gamma_);
        print_message("alpha %.4f: off by %.1e, rounding allows %.1e\n",
                      alphas[i], error, most);
        assert_true(error <= most);
    }
}

/*
 * As alpha falls: between Q-learning's optimum and alpha log |A| gamma /
 * (1 - gamma) above it, nearer with each alpha.
 */
static void a_falling_temperature_ends_at_q_learning(void **state) {
    (void)state;
    struct table t;
    double hard[S][A], last = (double)INFINITY;
    table_init(&t);
    optimum(hard, &t, 0.0);
    for (size_t i = 0; i < ALPHAS; i++) {
        float q[S][A];
        double exact[S][A];
        optimum(exact, &t, alphas[i]);
        start(q);
        for (int n = 0; n < MOST_SWEEPS; n++) sweep(q, &t, (float)alphas[i]);
        const double slack = rounding(exact, alphas[i]) / (1.0 - gamma_);
        const double bound = alphas[i] * log(A) * gamma_ / (1.0 - gamma_);
        const double error = distance(q, hard);
        print_message("alpha %.4f: %.5f above Q-learning's, bound %.5f\n",
                      alphas[i], error, bound);
        for (int k = 0; k < S * A; k++) {
            assert_true((double)q[k / A][k % A] >= hard[k / A][k % A] - slack);
        }
        assert_true(error <= bound + slack);
        assert_true(error < last);
        last = error;
    }
}

/* The exact solver by another road: its Q is a fixed point in double. */
static void the_exact_solution_solves_bellman(void **state) {
    (void)state;
    struct table t;
    table_init(&t);
    for (size_t i = 0; i <= ALPHAS; i++) {
        const double alpha = i < ALPHAS ? alphas[i] : 0.0;
        double q[S][A], next[S][A], v[S];
        optimum(q, &t, alpha);
        for (int s = 0; s < S; s++) {
            double largest = q[s][0], sum = 0.0;
            for (int a = 1; a < A; a++) largest = fmax(largest, q[s][a]);
            for (int a = 0; a < A && alpha > 0.0; a++)
                sum += exp((q[s][a] - largest) / alpha);
            v[s] = largest + (alpha > 0.0 ? alpha * log(sum) : 0.0);
        }
        for (int k = 0; k < S * A; k++) {
            next[k / A][k % A] = (double)t.r[k / A][k % A] +
                                 gamma_ * expected(t.p[k / A][k % A], v);
        }
        assert_true(gap(q, next) < 1e-12);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exact_solution_solves_bellman),
        cmocka_unit_test(a_sweep_is_a_gamma_contraction),
        cmocka_unit_test(sweeps_end_at_the_soft_optimum),
        cmocka_unit_test(a_falling_temperature_ends_at_q_learning),
    };
    return cmocka_run_group_tests_name("soft_iteration", tests, NULL, NULL);
}
