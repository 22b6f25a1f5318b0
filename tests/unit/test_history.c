#include "learner/history.h"

#include "tests/unit/test.h"

static struct history history;

static void add(double seconds) {
    double point[HISTORY_SERIES] = {seconds, 2 * seconds};
    history_add(&history, point);
}

/* All points while there is room. */
static void a_short_course_is_kept_whole(void **unused) {
    (void)unused;
    history = (struct history){0};
    for (int i = 0; i < HISTORY_MOST; i++) add(i);
    assert_int_equal(history.n, HISTORY_MOST);
    for (int i = 0; i < HISTORY_MOST; i++) {
        assert_true(history.points[i][0] == i);
        assert_true(history.points[i][1] == 2 * i);
    }
}

/* However long it gets: bounded, from the start, and evenly spaced. */
static void a_long_course_is_thinned_out_evenly(void **unused) {
    (void)unused;
    history = (struct history){0};
    for (int i = 0; i < 100000; i++) {
        add(i);
        assert_true(history.n <= HISTORY_MOST);
    }
    assert_true(history.n >= HISTORY_MOST / 2);
    const double step = history.points[1][0] - history.points[0][0];
    assert_true(history.points[0][0] == 0.0 && step >= 100000 / HISTORY_MOST);
    for (size_t i = 1; i < history.n; i++)
        assert_true(history.points[i][0] - history.points[i - 1][0] == step);
    assert_true(100000 - history.points[history.n - 1][0] <= step);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_course_is_kept_whole),
        cmocka_unit_test(a_long_course_is_thinned_out_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
