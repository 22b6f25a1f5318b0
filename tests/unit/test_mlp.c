#include "common/mlp.h"
#include "common/rng.h"
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

/* Odd sizes, so that no loop may rely on a multiple of 8. */
enum { B = 3, N = 5, S = 4, X = 3, H = 19, Y = 2, P_MAX = 1024 };
static const struct mlp_shape shape = {.S = S, .X = X, .H = H, .Y = Y};

struct net {
    float p[P_MAX], s[B * S], x[B * N * X], y[B * N * Y], dy[B * N * Y];
    struct mlp_work work;
};

static int setup(void **state) {
    static struct net net;
    assert_true(mlp_parameters(&shape) <= P_MAX);
    assert_int_equal(mlp_work_init(&net.work, &shape, B * N, B), 0);
    // biases too, else their gradients would be tested at one point only
    test_fill_normal(net.p, P_MAX, 1);
    for (size_t i = 0; i < P_MAX; i++) net.p[i] *= 0.4f;
    test_fill_normal(net.s, B * S, 2);
    test_fill_normal(net.x, B * N * X, 3);
    test_fill_normal(net.dy, B * N * Y, 4);
    test_fill_nan(net.y, B * N * Y);
    *state = &net;
    return 0;
}

static int teardown(void **state) {
    struct net *net = *state;
    mlp_work_finish(&net->work);
    return 0;
}

/* The header's formula in double, one row. y out (Y) */
static void forward_in_double(double *y, const float *p, const float *s,
                              const float *x) {
    struct mlp_slice w[MLP_TENSORS];
    double h1[H], h2[H];
    mlp_slices(&shape, w);
    for (size_t h = 0; h < H; h++) {
        h1[h] = (double)p[w[2].offset + h];
        for (size_t i = 0; i < S; i++)
            h1[h] += (double)s[i] * (double)p[w[0].offset + i * H + h];
        for (size_t i = 0; i < X; i++)
            h1[h] += (double)x[i] * (double)p[w[1].offset + i * H + h];
        h1[h] = fmax(h1[h], 0.0);
    }
    for (size_t h = 0; h < H; h++) {
        h2[h] = (double)p[w[4].offset + h];
        for (size_t i = 0; i < H; i++)
            h2[h] += h1[i] * (double)p[w[3].offset + i * H + h];
        h2[h] = fmax(h2[h], 0.0);
    }
    for (size_t k = 0; k < Y; k++) {
        y[k] = (double)p[w[6].offset + k];
        for (size_t i = 0; i < H; i++)
            y[k] += h2[i] * (double)p[w[5].offset + i * Y + k];
    }
}

/* sum dy . y in double: the loss that backward differentiates. */
static double loss(const struct net *net) {
    double sum = 0.0, y[Y];
    for (size_t r = 0; r < B * N; r++) {
        forward_in_double(y, net->p, net->s + r / N * S, net->x + r * X);
        for (size_t k = 0; k < Y; k++) sum += y[k] * (double)net->dy[r * Y + k];
    }
    return sum;
}

/* The slope of the loss along one number. */
static float slope(const struct net *net, float *number) {
    const float kept = *number, eps = 1e-4f;
    *number = kept + eps;
    const float above = *number;
    const double up = loss(net);
    *number = kept - eps;
    const float below = *number;
    const double down = loss(net);
    *number = kept;
    return (float)((up - down) / ((double)above - (double)below));
}

/* y = W3 relu( W2 relu( Ws s + Wx x + b1 ) + b2 ) + b3 */
static void forward_matches_the_formula(void **state) {
    struct net *net = *state;
    mlp_forward(&shape, net->y, net->p, net->s, net->x, B, N, 0, &net->work);
    for (size_t r = 0; r < B * N; r++) {
        double y[Y];
        forward_in_double(y, net->p, net->s + r / N * S, net->x + r * X);
        for (size_t k = 0; k < Y; k++)
            assert_close(net->y[r * Y + k], (float)y[k], 1e-4f);
    }
}

/* (N, X) shared by every state is the same as copying it to each. */
static void shared_input_equals_copies(void **state) {
    struct net *net = *state;
    float shared[B * N * Y];
    test_fill_nan(shared, B * N * Y);
    for (size_t b = 1; b < B; b++)
        memcpy(net->x + b * N * X, net->x, sizeof(float) * N * X);
    mlp_forward(&shape, net->y, net->p, net->s, net->x, B, N, 0, &net->work);
    mlp_forward(&shape, shared, net->p, net->s, net->x, B, N, 1, &net->work);
    for (size_t i = 0; i < B * N * Y; i++)
        assert_close(shared[i], net->y[i], 1e-6f);
}

/* d loss / d p, every parameter, against central differences. */
static void parameter_gradient_matches_finite_differences(void **state) {
    struct net *net = *state;
    float dp[P_MAX] = {0};
    mlp_forward(&shape, net->y, net->p, net->s, net->x, B, N, 0, &net->work);
    mlp_backward(&shape, dp, NULL, net->dy, net->p, net->s, net->x, B, N,
                 &net->work);
    for (size_t i = 0; i < mlp_parameters(&shape); i++)
        assert_close(dp[i], slope(net, &net->p[i]), 5e-3f);
}

/* d loss / d x, every input, alone and together with the parameters'. */
static void input_gradient_matches_finite_differences(void **state) {
    struct net *net = *state;
    float dx[B * N * X], both[B * N * X], dp[P_MAX] = {0};
    test_fill_nan(dx, B * N * X);
    test_fill_nan(both, B * N * X);
    mlp_forward(&shape, net->y, net->p, net->s, net->x, B, N, 0, &net->work);
    mlp_backward(&shape, NULL, dx, net->dy, net->p, net->s, net->x, B, N,
                 &net->work);
    mlp_backward(&shape, dp, both, net->dy, net->p, net->s, net->x, B, N,
                 &net->work);
    for (size_t i = 0; i < B * N * X; i++) {
        assert_close(dx[i], slope(net, &net->x[i]), 5e-3f);
        assert_close(both[i], dx[i], 0.0f);
    }
}

/* Gradients are added to what dp holds. */
static void parameter_gradient_accumulates(void **state) {
    struct net *net = *state;
    float once[P_MAX] = {0}, twice[P_MAX] = {0};
    mlp_forward(&shape, net->y, net->p, net->s, net->x, B, N, 0, &net->work);
    mlp_backward(&shape, once, NULL, net->dy, net->p, net->s, net->x, B, N,
                 &net->work);
    for (int i = 0; i < 2; i++)
        mlp_backward(&shape, twice, NULL, net->dy, net->p, net->s, net->x, B, N,
                     &net->work);
    for (size_t i = 0; i < mlp_parameters(&shape); i++)
        assert_close(twice[i], 2.0f * once[i], 1e-3f);
}

/* More rows than one sgemm takes give what one row at a time gives. */
static void many_rows_equal_single_rows(void **state) {
    (void)state;
    enum { MANY = 1201 };
    static float x[MANY * X], y[MANY * Y];
    struct net *net = *state;
    struct mlp_work work;
    assert_int_equal(mlp_work_init(&work, &shape, MANY, 1), 0);
    test_fill_normal(x, (size_t)MANY * X, 9);
    test_fill_nan(y, (size_t)MANY * Y);
    mlp_forward(&shape, y, net->p, net->s, x, 1, MANY, 0, &work);
    for (size_t r = 0; r < MANY; r++) {
        float one[Y];
        mlp_forward(&shape, one, net->p, net->s, x + r * X, 1, 1, 0, &work);
        for (size_t k = 0; k < Y; k++)
            assert_close(y[r * Y + k], one[k], 1e-4f);
    }
    mlp_work_finish(&work);
}

/* d y / d x, every output by every input, against central differences. */
static void jacobian_matches_finite_differences(void **state) {
    struct net *net = *state;
    float jacobian[B * N * Y * X];
    const float eps = 1e-4f;
    test_fill_nan(jacobian, B * N * Y * X);
    mlp_forward(&shape, net->y, net->p, net->s, net->x, B, N, 0, &net->work);
    mlp_jacobian(&shape, jacobian, net->p, B, N, &net->work);
    for (size_t r = 0; r < B * N; r++) {
        for (size_t i = 0; i < X; i++) {
            double y[2][Y];
            float x[X], at[2];
            for (size_t side = 0; side < 2; side++) {
                memcpy(x, net->x + r * X, sizeof(x));
                at[side] = x[i] += side ? eps : -eps;
                forward_in_double(y[side], net->p, net->s + r / N * S, x);
            }
            for (size_t k = 0; k < Y; k++) {
                const double slope =
                    (y[1][k] - y[0][k]) / ((double)at[1] - (double)at[0]);
                assert_close(jacobian[(r * Y + k) * X + i], (float)slope,
                             1e-3f);
            }
        }
    }
}

/* More tangents than one chunk holds give what one particle at a time gives. */
static void many_jacobians_equal_single_ones(void **state) {
    enum { STATES = 3, EACH = 200, ROWS = STATES * EACH }; // 1800 tangents
    static float x[ROWS * X], y[ROWS * Y], s[STATES * S];
    static float jacobian[ROWS * Y * X];
    struct net *net = *state;
    struct mlp_work work, single;
    assert_int_equal(mlp_work_init(&work, &shape, ROWS, STATES), 0);
    assert_int_equal(mlp_work_init(&single, &shape, X, 1), 0);
    test_fill_normal(x, (size_t)ROWS * X, 9);
    test_fill_normal(s, (size_t)STATES * S, 10);
    test_fill_nan(jacobian, (size_t)ROWS * Y * X);
    mlp_forward(&shape, y, net->p, s, x, STATES, EACH, 0, &work);
    mlp_jacobian(&shape, jacobian, net->p, STATES, EACH, &work);
    for (size_t r = 0; r < ROWS; r++) {
        float one[Y], alone[Y * X];
        test_fill_nan(alone, (size_t)Y * X);
        mlp_forward(&shape, one, net->p, s + r / EACH * S, x + r * X, 1, 1, 0,
                    &single);
        mlp_jacobian(&shape, alone, net->p, 1, 1, &single);
        for (size_t i = 0; i < Y * X; i++)
            assert_close(jacobian[r * Y * X + i], alone[i], 1e-5f);
    }
    mlp_work_finish(&work);
    mlp_work_finish(&single);
}

/* mlp_backward() afterwards gives the bits that it gives without. */
static void jacobian_leaves_the_activations(void **state) {
    struct net *net = *state;
    float jacobian[B * N * Y * X], dx[2][B * N * X], dp[2][P_MAX] = {{0}};
    for (size_t with = 0; with < 2; with++) {
        test_fill_nan(dx[with], B * N * X);
        mlp_forward(&shape, net->y, net->p, net->s, net->x, B, N, 0,
                    &net->work);
        if (with) mlp_jacobian(&shape, jacobian, net->p, B, N, &net->work);
        mlp_backward(&shape, dp[with], dx[with], net->dy, net->p, net->s,
                     net->x, B, N, &net->work);
    }
    assert_memory_equal(dx[1], dx[0], sizeof(dx[0]));
    assert_memory_equal(dp[1], dp[0], sizeof(dp[0]));
}

/* Xavier: each block within +-sqrt(6 / (in + out)) and close to it; biases 0.
 */
static void initial_weights_fill_their_blocks_bounds(void **state) {
    (void)state;
    const struct mlp_shape big = {.S = 20, .X = 6, .H = 64, .Y = 3};
    struct mlp_slice w[MLP_TENSORS];
    float *p = calloc(mlp_parameters(&big), sizeof(*p));
    struct rng rng;
    assert_non_null(p);
    test_fill_nan(p, mlp_parameters(&big));
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    mlp_init(&big, p, &rng);
    mlp_slices(&big, w);
    size_t end = 0;
    for (size_t t = 0; t < MLP_TENSORS; t++) {
        const size_t n = w[t].rows * (w[t].cols ? w[t].cols : 1);
        const float limit =
            w[t].cols ? sqrtf(6.0f / (float)(w[t].rows + w[t].cols)) : 0.0f;
        float largest = 0.0f;
        assert_int_equal(w[t].offset, end);
        end += n;
        for (size_t i = 0; i < n; i++) {
            assert_true(fabsf(p[w[t].offset + i]) <= limit);
            largest = fmaxf(largest, fabsf(p[w[t].offset + i]));
        }
        assert_true(largest >= 0.95f * limit);
    }
    assert_int_equal(end, mlp_parameters(&big));
    free(p);
}

/* OpenBLAS here may be called by several of our threads. */
static void blas_is_safe_for_threads(void **state) {
    (void)state;
    assert_int_equal(mlp_blas_setup(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(forward_matches_the_formula, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(shared_input_equals_copies, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            parameter_gradient_matches_finite_differences, setup, teardown),
        cmocka_unit_test_setup_teardown(
            input_gradient_matches_finite_differences, setup, teardown),
        cmocka_unit_test_setup_teardown(parameter_gradient_accumulates, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(many_rows_equal_single_rows, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(jacobian_matches_finite_differences,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(many_jacobians_equal_single_ones, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(jacobian_leaves_the_activations, setup,
                                        teardown),
        cmocka_unit_test(initial_weights_fill_their_blocks_bounds),
        cmocka_unit_test(blas_is_safe_for_threads),
    };
    return cmocka_run_group_tests_name("mlp", tests, NULL, NULL);
}
