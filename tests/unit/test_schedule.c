#include "learner/schedule.h"
#include "tests/unit/test.h"

static struct config annealed(double from, double to, uint64_t span) {
    struct config config;
    config_defaults(&config);
    config.temperature = TEMPERATURE_ANNEAL;
    config.alpha = from;
    config.alpha_end = to;
    config.alpha_span = span;
    return config;
}

/* |x / y - 1| of doubles. */
static void assert_ratio(double x, double y) {
    assert_close((float)(x / y - 1.0), 0.0f, 1e-12f);
}

/* From 10 to 0.001 over 8 updates: half of the logarithm is at 0.1. */
static void annealing_is_linear_in_the_logarithm(void **state) {
    (void)state;
    const struct config config = annealed(10.0, 0.001, 8);
    assert_ratio(schedule_alpha(&config, 2), 1.0);
    assert_ratio(schedule_alpha(&config, 4), 0.1);
    assert_ratio(schedule_alpha(&config, 6), 0.01);
    for (uint64_t t = 0; t < 8; t++) {
        assert_ratio(schedule_alpha(&config, t) /
                         schedule_alpha(&config, t + 1),
                     pow(10.0, 0.5));
    }
}

/* The ends are the options to the last bit: runs are compared by them. */
static void annealing_ends_exactly(void **state) {
    (void)state;
    const double alphas[] = {10.0, 1.0, 0.1, 0.01, 0.001, 5.0, 1e-7};
    for (size_t i = 0; i < 7; i++) {
        const struct config down = annealed(10.0, alphas[i], 100);
        const struct config up = annealed(alphas[i], 20.0, 100);
        assert_true(schedule_alpha(&down, 100) == alphas[i]);
        assert_true(schedule_alpha(&down, 101) == alphas[i]);
        assert_true(schedule_alpha(&down, UINT64_MAX) == alphas[i]);
        assert_true(schedule_alpha(&up, 0) == alphas[i]);
    }
}

/* Other temperatures do not move with the number of updates. */
static void only_annealing_follows_the_plan(void **state) {
    (void)state;
    struct config config = annealed(10.0, 0.001, 8);
    config.temperature = TEMPERATURE_CONSTANT;
    assert_true(schedule_alpha(&config, 5) == 10.0);
    config.temperature = TEMPERATURE_AUTO;
    assert_true(schedule_alpha(&config, 5) == 10.0);
}

/* Half a nat too much at eta 0.1 takes 0.05 off log alpha; too few adds it. */
static void the_automatic_step_is_plain(void **state) {
    (void)state;
    assert_ratio(schedule_automatic(2.0, -1.5, -2.0, 0.1), 2.0 * exp(-0.05));
    assert_ratio(schedule_automatic(2.0, -2.5, -2.0, 0.1), 2.0 * exp(0.05));
    assert_true(schedule_automatic(2.0, -2.0, -2.0, 0.1) == 2.0);
    assert_true(schedule_automatic(1e-9, 50.0, -2.0, 1.0) > 0.0);
}

/* From 10 to 1 over 4 updates, and 1 to the bit from then on. */
static void the_ramp_falls_to_one(void **state) {
    (void)state;
    const double expected[] = {10.0, 7.75, 5.5, 3.25, 1.0, 1.0};
    for (uint64_t t = 0; t < 6; t++)
        assert_true(schedule_ramp(10.0, 4, t) == expected[t]);
    // odd factors too: anything but 1 would go on dividing g
    double factor = 1.0;
    for (size_t i = 0; i < 44; i++, factor *= 1.37) // up to 1e6
        assert_true(schedule_ramp(factor, 7, 7) == 1.0);
}

/* "1,0", the default, divides by 1; a span of 0 is over at once. */
static void no_ramp_is_one(void **state) {
    (void)state;
    assert_true(schedule_ramp(1.0, 0, 0) == 1.0);
    assert_true(schedule_ramp(1.0, 9, 4) == 1.0);
    assert_true(schedule_ramp(10.0, 0, 0) == 1.0);
}

/* 1000 vectors over 999 updates: one less an update, then 1. */
static void the_noise_set_falls_linearly_to_one(void **state) {
    (void)state;
    for (uint64_t t = 0; t < 999; t++)
        assert_int_equal(schedule_noise_set(1000, 999, t), 1000 - t);
    assert_int_equal(schedule_noise_set(1000, 999, 999), 1);
    assert_int_equal(schedule_noise_set(1000, 999, 1u << 30), 1);
    // 5 over 8: half an update's share is not taken off yet
    const uint64_t expected[] = {5, 5, 4, 4, 3, 3, 2, 2, 1, 1};
    for (uint64_t t = 0; t < 10; t++)
        assert_int_equal(schedule_noise_set(5, 8, t), expected[t]);
}

/* Whatever the sizes it is never 0, which would mean fresh noise. */
static void the_noise_set_is_never_empty(void **state) {
    (void)state;
    for (uint64_t size = 1; size < 40; size++) {
        for (uint64_t span = 1; span < 40; span++) {
            uint64_t before = size;
            for (uint64_t t = 0; t < span + 2; t++) {
                const uint64_t now = schedule_noise_set(size, span, t);
                assert_true(now >= 1 && now <= before);
                before = now;
            }
            assert_int_equal(before, 1);
        }
    }
}

/* Span 0 keeps the set whole; size 0 is no set at any time. */
static void a_noise_set_may_stay(void **state) {
    (void)state;
    assert_int_equal(schedule_noise_set(1000, 0, 0), 1000);
    assert_int_equal(schedule_noise_set(1000, 0, 123456), 1000);
    assert_int_equal(schedule_noise_set(0, 10, 0), 0);
    assert_int_equal(schedule_noise_set(0, 10, 20), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(annealing_is_linear_in_the_logarithm),
        cmocka_unit_test(annealing_ends_exactly),
        cmocka_unit_test(only_annealing_follows_the_plan),
        cmocka_unit_test(the_automatic_step_is_plain),
        cmocka_unit_test(the_ramp_falls_to_one),
        cmocka_unit_test(no_ramp_is_one),
        cmocka_unit_test(the_noise_set_falls_linearly_to_one),
        cmocka_unit_test(the_noise_set_is_never_empty),
        cmocka_unit_test(a_noise_set_may_stay),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
