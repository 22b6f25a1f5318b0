#include "tests/system/multigoal_grid.h"
#include "tests/unit/test.h"

static struct multigoal_grid grid;

static int solve(void **state) {
    (void)state;
    multigoal_grid_solve(&grid, 1e-3);
    return 0;
}

static double q_at(void *user, const double a[2]) {
    return multigoal_grid_q(&grid, user, a);
}

/* V(0,0) = -122.7 and V(-2.5,0) = -29.5, as a prototype found. */
static void values_match_the_reference(void **state) {
    (void)state;
    const double origin[2] = {0.0, 0.0}, left[2] = {-2.5, 0.0};
    assert_close((float)multigoal_grid_v(&grid, origin), -122.7f, 0.5f);
    assert_close((float)multigoal_grid_v(&grid, left), -29.5f, 0.5f);
}

/* The solution is its own backup: V = alpha log Integral exp(Q / alpha) da. */
static void the_solution_is_a_fixed_point(void **state) {
    (void)state;
    double points[][2] = {{0, 0}, {-2.5, 0}, {2.5, 2.5}, {6.75, -6.75}};
    for (size_t i = 0; i < 4; i++) {
        assert_close((float)multigoal_quadrature(q_at, points[i]),
                     (float)multigoal_grid_v(&grid, points[i]), 0.2f);
    }
}

/* One, four and two maxima, where the reference has them. */
static void maxima_match_the_reference(void **state) {
    (void)state;
    const struct {
        size_t n;
        double at[4][2];
    } expected[MULTIGOAL_STATES] = {
        {1, {{-0.48, 0}}},
        {4, {{-0.86, 0}, {0, -0.86}, {0, 0.86}, {0.86, 0}}},
        {2, {{-0.48, 0.48}, {0.48, -0.48}}},
    };
    for (size_t i = 0; i < MULTIGOAL_STATES; i++) {
        double x[2] = {multigoal_states[i][0], multigoal_states[i][1]};
        double found[8][2];
        assert_int_equal(multigoal_maxima(found, 8, q_at, x), expected[i].n);
        for (size_t k = 0; k < expected[i].n; k++) {
            for (int d = 0; d < 2; d++) {
                assert_close((float)found[k][d], (float)expected[i].at[k][d],
                             0.041f);
            }
        }
    }
}

/* At the origin the centre is 1.6 alpha below the maxima. */
static void standing_still_is_the_worst_at_the_origin(void **state) {
    (void)state;
    double origin[2] = {0, 0};
    const double still[2] = {0, 0}, right[2] = {0.86, 0};
    const double drop = q_at(origin, right) - q_at(origin, still);
    assert_close((float)drop, 16.0f, 1.0f);
}

/* Walking right, left, up or down is the same from the origin. */
static void values_are_symmetric(void **state) {
    (void)state;
    for (int i = 0; i < MULTIGOAL_SIDE; i++) {
        for (int j = 0; j < MULTIGOAL_SIDE; j++) {
            const int last = MULTIGOAL_SIDE - 1;
            assert_true(grid.v[i][j] == grid.v[last - i][j]);
            assert_true(grid.v[i][j] == grid.v[j][i]);
        }
    }
}

static double exact_q(void *user, const double x[2], const double a[2]) {
    (void)user;
    return multigoal_grid_q(&grid, x, a);
}

static double shifted_q(void *user, const double x[2], const double a[2]) {
    (void)user;
    return multigoal_grid_q(&grid, x, a) + 15.0;
}

/* The judge passes the solution and fails one whose V is 12 % off. */
static void the_judge_tells_right_from_wrong(void **state) {
    (void)state;
    assert_int_equal(multigoal_judge(&grid, exact_q, NULL), 0);
    assert_int_equal(multigoal_judge(&grid, shifted_q, NULL), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_match_the_reference),
        cmocka_unit_test(the_solution_is_a_fixed_point),
        cmocka_unit_test(maxima_match_the_reference),
        cmocka_unit_test(standing_still_is_the_worst_at_the_origin),
        cmocka_unit_test(values_are_symmetric),
        cmocka_unit_test(the_judge_tells_right_from_wrong),
    };
    return cmocka_run_group_tests_name("multigoal_grid", tests, solve, NULL);
}
