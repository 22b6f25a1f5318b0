#include "common/rng.h"
#include "learner/network.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>

enum { S = 2, X = 1, H = 4, Y = 1, P_MAX = 64, BYTES = P_MAX * sizeof(float) };

struct memory {
    struct network net;
    float p[P_MAX], m[P_MAX], v[P_MAX], gradient[P_MAX];
    float target[P_MAX], acting[P_MAX];
};

static int setup(void **state) {
    static struct memory memory;
    struct rng rng;
    const struct mlp_shape shape = {.S = S, .X = X, .H = H, .Y = Y};
    test_fill_nan(memory.p, P_MAX);
    test_fill_nan(memory.m, P_MAX);
    test_fill_nan(memory.v, P_MAX);
    test_fill_nan(memory.gradient, P_MAX);
    test_fill_nan(memory.target, P_MAX);
    test_fill_nan(memory.acting, P_MAX);
    memory.net = (struct network){.shape = shape,
                                  .P = mlp_parameters(&shape),
                                  .p = memory.p,
                                  .target = memory.target,
                                  .acting = memory.acting,
                                  .m = memory.m,
                                  .v = memory.v,
                                  .gradient = memory.gradient};
    assert_true(memory.net.P <= P_MAX);
    rng_init(&rng, 3, RNG_TEST, 0, 0, 0);
    network_draw(&memory.net, &rng);
    *state = &memory;
    return 0;
}

/* Drawing fills p and nothing beyond it; the slow copies are p, Adam is 0. */
static void drawing_starts_all_copies(void **state) {
    const struct memory *memory = *state;
    const size_t P = memory->net.P, bytes = sizeof(float) * P;
    for (size_t i = 0; i < P; i++) {
        assert_true(isfinite(memory->p[i]));
        assert_close(memory->m[i], 0.0f, 0.0f);
        assert_close(memory->v[i], 0.0f, 0.0f);
    }
    assert_true(isnan(memory->p[P]));
    assert_memory_equal(memory->target, memory->p, bytes);
    assert_memory_equal(memory->acting, memory->p, bytes);
}

/* A restart takes p as it is now; absent copies are left out. */
static void restarting_forgets_and_copies(void **state) {
    struct memory *memory = *state;
    struct network *net = &memory->net;
    test_fill_normal(memory->p, net->P, 1);
    test_fill_normal(memory->m, net->P, 2);
    test_fill_normal(memory->v, net->P, 3);
    net->acting = NULL;
    network_restart(net);
    assert_memory_equal(memory->target, memory->p, sizeof(float) * net->P);
    assert_true(memory->acting[0] != memory->p[0]);
    net->target = NULL;
    network_restart(net);
    for (size_t i = 0; i < net->P; i++) {
        assert_close(memory->m[i], 0.0f, 0.0f);
        assert_close(memory->v[i], 0.0f, 0.0f);
    }
}

/* Slices are summed; Adam's first step is the rate against the sign. */
static void descending_sums_the_slices(void **state) {
    struct memory *memory = *state;
    struct network *net = &memory->net;
    float before[P_MAX], x[P_MAX], y[P_MAX], z[P_MAX];
    float *slices[] = {x, y, z};
    double norm = (double)NAN, squares = 0.0;
    test_fill_normal(x, P_MAX, 1);
    test_fill_normal(y, P_MAX, 2);
    test_fill_normal(z, P_MAX, 3);
    memcpy(before, memory->p, BYTES);
    assert_int_equal(network_descend(net, slices, 3, 0, 0.01f, &norm), 0);
    for (size_t i = 0; i < net->P; i++) {
        const double g = (double)x[i] + (double)y[i] + (double)z[i];
        squares += g * g;
        assert_close(memory->gradient[i], (float)g, 1e-5f);
        assert_close(memory->m[i], 0.1f * (float)g, 1e-5f);
        assert_close(memory->p[i], before[i] - copysignf(0.01f, (float)g),
                     1e-5f);
    }
    assert_close((float)norm, (float)sqrt(squares), 1e-4f);
    assert_true(isnan(memory->p[net->P]));
}

/* A NaN or an infinity in any slice is an error, before anything moves. */
static void a_bad_gradient_moves_nothing(void **state) {
    struct memory *memory = *state;
    struct network *net = &memory->net;
    float before[P_MAX], x[P_MAX], y[P_MAX];
    float *slices[] = {x, y};
    const float bad[] = {NAN, INFINITY};
    double norm;
    memcpy(before, memory->p, BYTES);
    for (size_t i = 0; i < 2 * net->P; i++) {
        test_fill_normal(x, P_MAX, 1);
        test_fill_normal(y, P_MAX, 2);
        slices[i % 2][i / 2] = bad[i % 3 == 0];
        assert_int_equal(network_descend(net, slices, 2, 0, 0.01f, &norm),
                         -EDOM);
        assert_memory_equal(memory->p, before, sizeof(float) * net->P);
        assert_close(memory->m[0], 0.0f, 0.0f);
    }
}

/* So is a parameter that is not finite afterwards. */
static void a_bad_parameter_is_found(void **state) {
    struct memory *memory = *state;
    struct network *net = &memory->net;
    float x[P_MAX], *slices[] = {x};
    double norm;
    test_fill_normal(x, P_MAX, 1);
    memory->p[net->P - 1] = NAN;
    assert_int_equal(network_descend(net, slices, 1, 0, 0.01f, &norm), -EDOM);
}

/* Hard copies: at multiples of `every` and at no other update. */
static void the_target_is_copied_on_time(void **state) {
    struct memory *memory = *state;
    struct network *net = &memory->net;
    for (uint64_t updates = 1; updates <= 12; updates++) {
        float kept[P_MAX];
        test_fill_normal(memory->p, net->P, updates);
        memcpy(kept, memory->target, BYTES);
        network_follow(net, updates, 4, 0.0f);
        assert_memory_equal(memory->target, updates % 4 == 0 ? memory->p : kept,
                            sizeof(float) * net->P);
    }
}

/* Polyak: a quarter of the way, whatever `every` says. */
static void the_target_follows_smoothly(void **state) {
    struct memory *memory = *state;
    struct network *net = &memory->net;
    for (size_t i = 0; i < net->P; i++) {
        memory->target[i] = 1.0f;
        memory->p[i] = 5.0f;
    }
    network_follow(net, 4, 4, 0.25f);
    for (size_t i = 0; i < net->P; i++)
        assert_close(memory->target[i], 2.0f, 1e-6f);
    network_follow(net, 5, 4, 0.25f);
    for (size_t i = 0; i < net->P; i++)
        assert_close(memory->target[i], 2.75f, 1e-6f);
    network_follow(net, 6, 4, 1.0f);
    for (size_t i = 0; i < net->P; i++)
        assert_close(memory->target[i], 5.0f, 1e-6f);
}

/* p = 1, 2, 3 at decay 1/2: (4 * 3 + 2 * 2 + 1 * 1) / 7 = 17 / 7. */
static void the_mean_starts_without_bias(void **state) {
    struct memory *memory = *state;
    struct network *net = &memory->net;
    const float expected[] = {1.0f, 5.0f / 3.0f, 17.0f / 7.0f};
    for (uint64_t updates = 1; updates <= 3; updates++) {
        for (size_t i = 0; i < net->P; i++) memory->p[i] = (float)updates;
        network_average(net, updates, 0.5);
        for (size_t i = 0; i < net->P; i++)
            assert_close(memory->acting[i], expected[updates - 1], 1e-6f);
    }
    network_average(net, 4, 0.0); // no mean: p itself
    for (size_t i = 0; i < net->P; i++)
        assert_close(memory->acting[i], 3.0f, 0.0f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(drawing_starts_all_copies, setup),
        cmocka_unit_test_setup(restarting_forgets_and_copies, setup),
        cmocka_unit_test_setup(descending_sums_the_slices, setup),
        cmocka_unit_test_setup(a_bad_gradient_moves_nothing, setup),
        cmocka_unit_test_setup(a_bad_parameter_is_found, setup),
        cmocka_unit_test_setup(the_target_is_copied_on_time, setup),
        cmocka_unit_test_setup(the_target_follows_smoothly, setup),
        cmocka_unit_test_setup(the_mean_starts_without_bias, setup),
    };
    return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}
