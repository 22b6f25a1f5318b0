/* Exploration on its own, and in the rollout that executes and stores it. */

#include <stdlib.h>
#include <string.h>

#include "actor/exploration.h"
#include "actor/rollout.h"
#include "tests/unit/test.h"

enum { DRAWS = 200000, UNITS = 8, MOST_ROWS = 4096 };

static const struct exploration ou = {EXPLORATION_OU, 0.3f, 0.15f};
static const struct exploration gaussian = {EXPLORATION_GAUSSIAN, 0.2f, 0.15f};

/* Mean, variance and correlation with the step before of n's first component,
 * beside A - 1 others. */
struct moments {
    float mean, variance, lag;
};

static struct moments measure(const struct exploration *exploration, size_t A) {
    float a[5] = {0}, n[5] = {0}, last = 0.0f;
    double sum = 0.0, squares = 0.0, products = 0.0;
    struct rng rng;
    rng_init(&rng, 3, RNG_TEST, 0, 0, A);
    for (int i = -1000; i < DRAWS; i++) {
        memset(a, 0, sizeof(a));
        exploration_apply(exploration, a, n, A, &rng);
        if (i >= 0) {
            sum += (double)n[0];
            squares += (double)n[0] * (double)n[0];
            products += (double)n[0] * (double)last;
        }
        last = n[0];
    }
    const double mean = sum / DRAWS, variance = squares / DRAWS - mean * mean;
    return (struct moments){
        (float)mean, (float)variance,
        (float)((products / DRAWS - mean * mean) / variance)};
}

/* Of n <- (1 - decay) n + scale N(0, I): mean 0, variance scale^2 / (1 -
 * (1 - decay)^2), correlation 1 - decay from a step to the next. */
static void ou_has_its_stationary_law(void **unused) {
    (void)unused;
    const float variance = 0.3f * 0.3f / (1.0f - 0.85f * 0.85f);
    for (size_t A = 1; A <= 5; A += 4) {
        const struct moments m = measure(&ou, A);
        // 200,000 draws are worth 16,000 independent ones
        assert_close(m.mean, 0.0f, 4.0f * sqrtf(variance / 16000.0f));
        assert_close(m.variance, variance, 0.05f * variance);
        assert_close(m.lag, 0.85f, 0.01f);
    }
}

/* Fresh each step: variance scale^2 and no memory. */
static void gaussian_has_no_memory(void **unused) {
    (void)unused;
    for (size_t A = 1; A <= 5; A += 4) {
        const struct moments m = measure(&gaussian, A);
        assert_close(m.mean, 0.0f, 0.002f);
        assert_close(m.variance, 0.04f, 0.0006f);
        assert_close(m.lag, 0.0f, 0.01f);
    }
}

/* One step by hand, from the same stream's numbers. */
static void a_step_is_the_equation(void **unused) {
    (void)unused;
    struct rng rng, same;
    float z[3], a[3] = {0.5f, -0.95f, 0.0f}, n[3] = {0.1f, -0.2f, 0.0f};
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    same = rng;
    rng_fill_normal(&same, z, 3);
    const float was_a[3] = {0.5f, -0.95f, 0.0f}, was_n[3] = {0.1f, -0.2f, 0.0f};
    exploration_apply(&ou, a, n, 3, &rng);
    for (size_t i = 0; i < 3; i++) {
        const float next = was_n[i] - 0.15f * was_n[i] + 0.3f * z[i];
        assert_close(n[i], next, 1e-6f);
        assert_close(a[i], fminf(fmaxf(was_a[i] + next, -1.0f), 1.0f), 1e-6f);
    }
}

/* Actions stay in [-1, 1] and reach both ends; the noise itself is not
 * clipped. */
static void actions_are_clipped(void **unused) {
    (void)unused;
    const struct exploration wild = {EXPLORATION_GAUSSIAN, 3.0f, 0.15f};
    struct rng rng;
    float n[2] = {0}, most = 0.0f;
    size_t low = 0, high = 0;
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < 1000; i++) {
        float a[2] = {0.9f, -0.9f};
        exploration_apply(&wild, a, n, 2, &rng);
        for (size_t k = 0; k < 2; k++) {
            assert_true(a[k] >= -1.0f && a[k] <= 1.0f);
            low += a[k] == -1.0f;
            high += a[k] == 1.0f;
            most = fmaxf(most, fabsf(n[k]));
        }
    }
    assert_true(low > 500 && high > 500 && most > 5.0f);
}

/* What is not a number is not made one: the rollout has to see it. */
static void nan_stays_nan(void **unused) {
    (void)unused;
    struct rng rng;
    float a[2] = {NAN, 0.0f}, n[2] = {0};
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    exploration_apply(&ou, a, n, 2, &rng);
    assert_true(isnan(a[0]) && isfinite(a[1]));
}

/* None draws nothing and changes nothing. */
static void none_does_nothing(void **unused) {
    (void)unused;
    const struct exploration none = {EXPLORATION_NONE, 0.3f, 0.15f};
    struct rng rng, before;
    float a[2] = {0.25f, 1.0f}, n[2] = {0};
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    before = rng;
    exploration_apply(&none, a, n, 2, &rng);
    assert_true(a[0] == 0.25f && a[1] == 1.0f && n[0] == 0.0f && n[1] == 0.0f);
    assert_memory_equal(&rng, &before, sizeof(rng));
}

/* The first actor has the scale, the last its share, equal ratios between; a
 * single one has the scale, and one too many begins again. */
static void the_ladder_is_geometric(void **unused) {
    (void)unused;
    struct config config;
    config_defaults(&config);
    config.exploration = EXPLORATION_OU;
    config.exploration_ladder = 1.0 / 16.0;
    config.exploration_scale = 0.8;
    config.actors = 5;
    static const float expected[5] = {0.8f, 0.4f, 0.2f, 0.1f, 0.05f};
    for (uint64_t i = 0; i < 12; i++) {
        const struct exploration x = exploration_of(&config, i);
        assert_close(x.scale, expected[i % 5], 1e-6f);
        assert_close(x.decay, 0.15f, 1e-6f);
        assert_int_equal(x.kind, EXPLORATION_OU);
        assert_string_equal(exploration_name(&x), "ou");
    }
    for (uint64_t actors = 0; actors < 2; actors++) {
        config.actors = actors;
        assert_close(exploration_of(&config, 3).scale, 0.8f, 1e-6f);
    }
    config.actors = 7;
    config.exploration_ladder = 1.0; // all alike
    assert_close(exploration_of(&config, 6).scale, 0.8f, 1e-6f);
}

/* Rows of `steps` steps of E environments of the multigoal task, horizon 7, by
 * a sampler that always says (action, action). */
static void roll(struct batch *rows, size_t E, size_t steps, float action,
                 const struct exploration *exploration) {
    struct config config = {.seed = 4,
                            .units = UNITS,
                            .environments = E,
                            .horizon = 7,
                            .multigoal_start_sd = 0.1,
                            .exploration = EXPLORATION_OU};
    strcpy(config.task, "multigoal");
    strcpy(config.multigoal_reward, "gaussian"); // no goal ends an episode
    struct rollout r;
    char why[256] = "";
    assert_int_equal(
        rollout_init(&r, &config, RNG_TEST, 0, 0, why, sizeof(why)), 0);
    const size_t P = mlp_parameters(&r.shape);
    float *phi = calloc(P, sizeof(*phi));
    assert_non_null(phi);
    phi[P - 1] = phi[P - 2] = atanhf(action);
    const struct policy policy = {.shape = r.shape, .phi = phi, .alpha = 1.0f};
    assert_int_equal(rollout_set_policy(&r, &policy, 1), 0);
    if (exploration) rollout_explore(&r, exploration);
    assert_true(E * steps <= MOST_ROWS);
    assert_int_equal(batch_init(rows, E * steps, 2, 2), 0);
    test_fill_nan(rows->a, E * steps * 2);
    test_fill_nan(rows->next, E * steps * 2);
    for (size_t i = 0; i < steps; i++)
        assert_int_equal(rollout_step(&r, rows, why, sizeof(why)), 0);
    rollout_finish(&r);
    free(phi);
}

/* The stored action, clipped, is the one that moved the mass. */
static void what_is_stored_was_executed(void **unused) {
    (void)unused;
    struct batch rows;
    size_t clipped = 0;
    roll(&rows, 5, 200, 0.8f, &ou);
    for (size_t i = 0; i < 2 * rows.n; i++) {
        assert_true(rows.a[i] >= -1.0f && rows.a[i] <= 1.0f);
        const float to = fminf(fmaxf(rows.s[i] + rows.a[i], -7.0f), 7.0f);
        assert_close(rows.next[i], to, 1e-5f);
        clipped += rows.a[i] == 1.0f;
    }
    assert_true(clipped > rows.n / 4);
    batch_finish(&rows);
}

/* Noise begins at 0 with every episode: over many, the variance of the first
 * step is scale^2 and grows to 2 and 3 steps' worth. */
static void an_episode_begins_without_noise(void **unused) {
    (void)unused;
    const struct exploration gentle = {EXPLORATION_OU, 0.05f, 0.15f};
    double squares[7] = {0};
    struct batch rows;
    const size_t E = 20, steps = 203; // 29 episodes of 7 steps
    roll(&rows, E, steps, 0.0f, &gentle);
    for (size_t i = 0; i < rows.n; i++)
        for (size_t k = 0; k < 2; k++)
            squares[i / E % 7] +=
                (double)rows.a[2 * i + k] * (double)rows.a[2 * i + k];
    float expected = 0.0f;
    for (size_t t = 0; t < 7; t++) {
        expected = 0.85f * 0.85f * expected + 0.05f * 0.05f;
        assert_close((float)squares[t] / (29 * 2 * (float)E), expected,
                     0.2f * expected);
    }
    batch_finish(&rows);
}

/* An environment's noise is its own, however many others there are, and takes
 * nothing from the streams of the sampler and of the starts. */
static void streams_do_not_depend_on_their_number(void **unused) {
    (void)unused;
    struct batch many, one, calm;
    roll(&many, 5, 50, 0.3f, &ou);
    roll(&one, 1, 50, 0.3f, &ou);
    roll(&calm, 5, 50, 0.3f, NULL);
    for (size_t i = 0; i < 50; i++) {
        assert_memory_equal(one.a + 2 * i, many.a + 10 * i, 2 * sizeof(float));
        // two environments are not alike
        assert_true(many.a[10 * i] != many.a[10 * i + 2] ||
                    fabsf(many.a[10 * i]) == 1.0f);
        if (i % 7 == 0) // the starts of an episode
            assert_memory_equal(many.s + 10 * i, calm.s + 10 * i,
                                10 * sizeof(float));
    }
    batch_finish(&many);
    batch_finish(&one);
    batch_finish(&calm);
}

/* A rollout explores when told to, not because of its config: evaluation and
 * benchmarks play the sampler alone. */
static void nobody_explores_unasked(void **unused) {
    (void)unused;
    struct batch rows;
    roll(&rows, 3, 20, 0.3f, NULL);
    for (size_t i = 0; i < 2 * rows.n; i++)
        assert_close(rows.a[i], 0.3f, 1e-3f);
    batch_finish(&rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ou_has_its_stationary_law),
        cmocka_unit_test(gaussian_has_no_memory),
        cmocka_unit_test(a_step_is_the_equation),
        cmocka_unit_test(actions_are_clipped),
        cmocka_unit_test(nan_stays_nan),
        cmocka_unit_test(none_does_nothing),
        cmocka_unit_test(the_ladder_is_geometric),
        cmocka_unit_test(what_is_stored_was_executed),
        cmocka_unit_test(an_episode_begins_without_noise),
        cmocka_unit_test(streams_do_not_depend_on_their_number),
        cmocka_unit_test(nobody_explores_unasked),
    };
    return cmocka_run_group_tests_name("exploration", tests, NULL, NULL);
}
