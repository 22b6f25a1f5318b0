#include <stdlib.h>
#include <string.h>

#include "actor/env.h"
#include "tests/unit/test.h"

/* One environment of one of the three tasks. */
struct fixture {
    const struct env_class *class;
    struct env_spec spec;
    void *model, *state;
    float at[2]; /* where it is */
};

static const char *const names[3] = {"point-x", "point-y", "point-xy"};

static struct fixture load(const char *name, uint64_t horizon) {
    struct fixture f = {.class = env_find(name)};
    char why[128] = "";
    assert_non_null(f.class);
    assert_string_equal(f.class->name, name);
    const struct env_options options = {.horizon = horizon};
    assert_int_equal(
        f.class->load(f.class, &f.model, &f.spec, &options, why, sizeof(why)),
        0);
    f.state = f.class->create(f.model);
    assert_non_null(f.state);
    return f;
}

static void unload(struct fixture *f) {
    f->class->destroy(f->state);
    f->class->unload(f->model);
}

static void begin(struct fixture *f, struct rng *rng) {
    test_fill_nan(f->at, 2);
    f->class->reset(f->state, rng, f->at);
}

static struct env_result move(struct fixture *f, double x, double y) {
    struct env_result result = {.reward = (double)NAN};
    test_fill_nan(f->at, 2);
    f->class->step(f->state, (double[]){x, y}, f->at, &result);
    return result;
}

static struct rng stream(uint64_t seed) {
    struct rng rng;
    rng_init(&rng, seed, RNG_TEST, 0, 0, 0);
    return rng;
}

/* The reward is taken after the move: -x^2, -y^2, and for both their mean. */
static void each_pays_for_its_own_axes(void **unused) {
    (void)unused;
    for (int i = 0; i < 3; i++) {
        struct fixture f = load(names[i], 0);
        struct rng rng = stream(2);
        begin(&f, &rng);
        const float x = f.at[0] + 0.5f, y = f.at[1] - 0.75f;
        const float want[3] = {-x * x, -y * y, -0.5f * (x * x + y * y)};

        const struct env_result result = move(&f, 0.5, -0.75);

        assert_close(f.at[0], x, 1e-6f);
        assert_close(f.at[1], y, 1e-6f);
        assert_close((float)result.reward, want[i], 1e-5f);
        unload(&f);
    }
}

/* What point-xy pays is the mean of what the other two pay, along one path:
 * so the mean of their Q functions is worth comparing with its own. */
static void the_third_pays_the_mean_of_the_others(void **unused) {
    (void)unused;
    struct fixture f[3];
    for (int i = 0; i < 3; i++) {
        struct rng rng = stream(4);
        f[i] = load(names[i], 0);
        begin(&f[i], &rng);
        assert_memory_equal(f[i].at, f[0].at, sizeof(f->at));
    }
    float a[60];
    test_fill_normal(a, 60, 5);
    for (int t = 0; t < 30; t++) {
        double r[3];
        for (int i = 0; i < 3; i++)
            r[i] = move(&f[i], (double)a[2 * t], (double)a[2 * t + 1]).reward;
        assert_close((float)r[2], (float)(0.5 * (r[0] + r[1])), 1e-5f);
    }
    for (int i = 0; i < 3; i++) unload(&f[i]);
}

/* An action beyond +-1 moves like +-1; the plane ends at +-7. */
static void actions_and_positions_are_clipped(void **unused) {
    (void)unused;
    struct fixture f = load("point-xy", 0);
    struct rng rng = stream(3);
    begin(&f, &rng);
    const float x = f.at[0], y = f.at[1];
    move(&f, 40.0, -3.0);
    assert_close(f.at[0], x + 1, 1e-6f);
    assert_close(f.at[1], y - 1, 1e-6f);
    struct env_result result = {0};
    for (int i = 0; i < 12; i++) result = move(&f, 1.0, -1.0);
    assert_true(f.at[0] == 7.0f && f.at[1] == -7.0f);
    assert_close((float)result.reward, -49.0f, 1e-5f);
    unload(&f);
}

/* Nothing ends an episode but the time limit, which is no end of the task. */
static void only_the_horizon_ends_an_episode(void **unused) {
    (void)unused;
    for (uint64_t horizon = 0; horizon <= 8; horizon += 8) {
        struct fixture f = load("point-x", horizon);
        const int last = horizon > 0 ? 8 : 30;
        assert_int_equal(f.spec.horizon, last);
        struct rng rng = stream(5);
        begin(&f, &rng);
        for (int t = 1; t <= last; t++) {
            const double a = f.at[0] > 0.0f ? -1.0 : 1.0; // across the target
            const struct env_result result = move(&f, a, 0.0);
            assert_false(result.terminal || result.unstable);
            assert_int_equal(result.truncated, t == last);
        }
        unload(&f);
    }
}

/* All three tell the distance from the origin, by which a composition is
 * judged, and the one from where their own reward is highest. */
static void the_end_is_measured_from_origin_and_target(void **unused) {
    (void)unused;
    for (int i = 0; i < 3; i++) {
        struct fixture f = load(names[i], 0);
        assert_int_equal(f.spec.n_stats, 2);
        assert_string_equal(f.spec.stat_names[0], "distance");
        assert_string_equal(f.spec.stat_names[1], "off_target");
        struct rng rng = stream(6);
        begin(&f, &rng);
        for (int t = 0; t < 12; t++) move(&f, 1.0, -1.0);
        move(&f, -1.0, 1.0);
        move(&f, -1.0, 0.0); // (5, -6)
        double stats[2] = {(double)NAN, (double)NAN}, xy[2];
        const float off[3] = {5.0f, 6.0f, sqrtf(61.0f)};
        f.class->statistics(f.state, stats);
        assert_close((float)stats[0], sqrtf(61.0f), 1e-5f);
        assert_close((float)stats[1], off[i], 1e-5f);
        f.class->position(f.state, xy);
        assert_true(xy[0] == 5.0 && xy[1] == -6.0);
        unload(&f);
    }
}

/* Starts are uniform on [-3, 3]^2, and a seed repeats them. */
static void starts_are_uniform_and_repeat(void **unused) {
    (void)unused;
    struct fixture f = load("point-y", 0);
    struct rng one = stream(11), two = stream(11);
    float again[2], most = 0.0f;
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < 4000; i++) {
        begin(&f, &one);
        f.class->reset(f.state, &two, again);
        assert_memory_equal(f.at, again, sizeof(again));
        for (int k = 0; k < 2; k++) {
            sum += (double)f.at[k];
            squares += (double)(f.at[k] * f.at[k]);
            most = fmaxf(most, fabsf(f.at[k]));
        }
    }
    assert_true(most <= 3.0f && most > 2.99f);
    assert_close((float)(sum / 8000), 0.0f, 0.08f);
    assert_close((float)(squares / 8000), 3.0f, 0.12f); // 6^2 / 12
    unload(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_pays_for_its_own_axes),
        cmocka_unit_test(the_third_pays_the_mean_of_the_others),
        cmocka_unit_test(actions_and_positions_are_clipped),
        cmocka_unit_test(only_the_horizon_ends_an_episode),
        cmocka_unit_test(the_end_is_measured_from_origin_and_target),
        cmocka_unit_test(starts_are_uniform_and_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
