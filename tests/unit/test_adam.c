#include "learner/adam.h"
#include "tests/unit/test.h"

/* Ten steps against the paper's formulas in double. */
static void steps_match_the_formulas_in_double(void **state) {
    (void)state;
    enum { P = 37 };
    float p[P], m[P] = {0}, v[P] = {0}, gradient[P];
    double p64[P], m64[P] = {0}, v64[P] = {0};
    test_fill_normal(p, P, 1);
    for (size_t i = 0; i < P; i++) p64[i] = (double)p[i];
    for (uint64_t step = 1; step <= 10; step++) {
        test_fill_normal(gradient, P, 100 + step);
        adam_step(p, m, v, gradient, P, step, 0.01f);
        for (size_t i = 0; i < P; i++) {
            const double g = (double)gradient[i];
            m64[i] = 0.9 * m64[i] + 0.1 * g;
            v64[i] = 0.999 * v64[i] + 0.001 * g * g;
            p64[i] -= 0.01 * (m64[i] / (1.0 - pow(0.9, (double)step))) /
                      (sqrt(v64[i] / (1.0 - pow(0.999, (double)step))) + 1e-8);
            assert_close(p[i], (float)p64[i], 1e-5f);
        }
    }
}

/* The first step moves by the rate against the gradient's sign, whatever its
 * size. */
static void first_step_has_the_length_of_the_rate(void **state) {
    (void)state;
    float p[3] = {0}, m[3] = {0}, v[3] = {0};
    const float gradient[3] = {1e-3f, -5.0f, 1e4f};
    adam_step(p, m, v, gradient, 3, 1, 0.01f);
    assert_close(p[0], -0.01f, 1e-6f);
    assert_close(p[1], 0.01f, 1e-6f);
    assert_close(p[2], -0.01f, 1e-6f);
}

/* No gradient ever: no motion and no 0 / 0. */
static void a_zero_gradient_moves_nothing(void **state) {
    (void)state;
    float p[1] = {1.0f}, m[1] = {0}, v[1] = {0};
    const float gradient[1] = {0};
    adam_step(p, m, v, gradient, 1, 1, 0.01f);
    assert_close(p[0], 1.0f, 0.0f);
}

/* A gradient that is not a number shows in the parameters. */
static void a_nan_is_not_hidden(void **state) {
    (void)state;
    float p[2] = {0}, m[2] = {0}, v[2] = {0};
    const float gradient[2] = {NAN, 1.0f};
    adam_step(p, m, v, gradient, 2, 1, 0.01f);
    assert_true(isnan(p[0]));
    assert_close(p[1], -0.01f, 1e-6f);
}

/* Linear from the rate to its end's share; constant without a limit. */
static void rate_falls_linearly(void **state) {
    (void)state;
    assert_close(adam_rate(1e-3, 0.1, 0, 1000), 1e-3f, 1e-9f);
    assert_close(adam_rate(1e-3, 0.1, 500, 1000), 0.55e-3f, 1e-9f);
    assert_close(adam_rate(1e-3, 0.1, 1000, 1000), 1e-4f, 1e-9f);
    assert_close(adam_rate(1e-3, 0.1, 5000, 1000), 1e-4f, 1e-9f);
    assert_close(adam_rate(1e-3, 1.0, 500, 1000), 1e-3f, 1e-9f);
    assert_close(adam_rate(1e-3, 0.1, 500, 0), 1e-3f, 1e-9f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_match_the_formulas_in_double),
        cmocka_unit_test(first_step_has_the_length_of_the_rate),
        cmocka_unit_test(a_zero_gradient_moves_nothing),
        cmocka_unit_test(a_nan_is_not_hidden),
        cmocka_unit_test(rate_falls_linearly),
    };
    return cmocka_run_group_tests_name("adam", tests, NULL, NULL);
}
