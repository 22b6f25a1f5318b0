/*
 * What holds of an update whatever its options are, over a table of all
 * variants.
 */
#include "learner/algorithm_state.h"
#include "tests/unit/test.h"
#include "tests/unit/training.h"

#include <errno.h>
#include <string.h>

struct variant {
    const char *options;
    size_t n_sources; /* of a composition */
};

static const struct variant variants[] = {
    {.options = ""},
    {.options = "value_proposals=sampler proposal_switch=0"},
    {.options = "value_proposals=sampler proposal_switch=3"},
    {.options = "shared_proposals=false"},
    {.options = "shared_proposals=false value_proposals=sampler "
                "proposal_switch=2 twin_q=true"},
    {.options = "value_measure=uniform"},
    {.options = "value_measure=uniform value_proposals=sampler "
                "proposal_switch=0"},
    {.options = "one_set=true particles_moved=5"},
    {.options = "svgd_space=action"},
    {.options = "svgd_space=action one_set=true particles_moved=5"},
    {.options = "svgd_alpha_ramp=10,6"},
    {.options = "temperature=anneal alpha_end=0.01 alpha_span=8"},
    {.options = "temperature=auto alpha_rate=0.05"},
    {.options = "temperature=auto alpha_rate=0.05 value_proposals=sampler "
                "proposal_switch=0 twin_q=true"},
    {.options = "noise_set=20 noise_set_span=12"},
    {.options = "noise_set=20 noise_set_span=6 value_proposals=sampler "
                "proposal_switch=0"},
    {.options = "observation_normalisation=true"},
    {.options = "observation_normalisation=true twin_q=true "
                "target_rate=0.05 sampler_average=0.9"},
    {.options = "twin_q=true value_proposals=sampler proposal_switch=0"},
    {.options = "algorithm=ddpg"},
    {.options = "algorithm=ddpg twin_q=true target_rate=0.05"},
    {.options = "algorithm=ddpg observation_normalisation=true "
                "sampler_average=0.9 noise_set=20"},
    {.options = "algorithm=compose ratio=0", .n_sources = 1},
    {.options = "algorithm=compose ratio=0", .n_sources = 2},
    {.options = "algorithm=compose ratio=0", .n_sources = 3},
    {.options = "algorithm=compose ratio=0 temperature=auto alpha_rate=0.05 "
                "one_set=true particles_moved=5",
     .n_sources = 3},
    {.options = "algorithm=compose ratio=0 observation_normalisation=true "
                "value_proposals=sampler noise_set=20 noise_set_span=12",
     .n_sources = 3},
};
enum { VARIANTS = sizeof(variants) / sizeof(variants[0]) };

static struct config options_of(const struct variant *variant) {
    struct config config = training_config();
    char why[256];
    snprintf(config.task, sizeof(config.task), "multigoal");
    training_set(&config, variant->options);
    if (config_check(&config, why, sizeof(why)) != 0)
        fail_msg("%s: %s", variant->options, why);
    return config;
}

/* seed: of all first weights, a composition's Q functions too. */
static void start(struct training *x, const struct variant *variant,
                  uint64_t seed, size_t threads) {
    struct config config = options_of(variant);
    config.seed = seed;
    if (variant->n_sources > 0) {
        training_init_composed(x, &config, threads, variant->n_sources,
                               seed + 10);
    } else {
        training_init(x, &config, threads);
    }
}

static void assert_same(struct training *x, struct training *y,
                        const struct variant *variant) {
    const float difference = training_difference(x, y);
    if (difference != 0.0f)
        fail_msg("%s: apart by %g", variant->options, (double)difference);
    assert_memory_equal(&x->figures, &y->figures, sizeof(x->figures));
}

/* The same arguments give the same bits. */
static void an_update_is_a_function_of_its_arguments(void **state) {
    (void)state;
    for (size_t v = 0; v < VARIANTS; v++) {
        struct training x, y;
        start(&x, &variants[v], 4, 2);
        start(&y, &variants[v], 4, 2);
        training_run(&x, 10);
        training_run(&y, 10);
        assert_same(&x, &y, &variants[v]);
        training_finish(&x);
        training_finish(&y);
    }
}

/* Largest |x| and |x - y| of Adam's mean, 0.1 times the first gradient. */
static void check_gradients(struct training *x, struct training *y,
                            const char *name, const char *options) {
    struct tensors_entry entries[ALGORITHM_MAX_TENSORS];
    const size_t n = algorithm_tensors(x->alg, entries);
    const size_t P = training_find(entries, n, name)->shape[0];
    const float *of_x = training_vector(x, name);
    const float *of_y = training_vector(y, name);
    float largest = 0.0f, apart = 0.0f;
    for (size_t i = 0; i < P; i++) {
        largest = fmaxf(largest, fabsf(of_x[i]));
        apart = fmaxf(apart, fabsf(of_x[i] - of_y[i]));
    }
    assert_true(largest > 0.0f);
    if (!(apart <= 1e-5f * largest)) {
        fail_msg("%s: %s of %g apart by %g", options, name, (double)largest,
                 (double)apart);
    }
}

/* How the minibatch is split changes rounding only. f sees the Q that Adam
 * has moved, and Adam makes a whole step of a gradient that is rounding: so
 * Q does not move here. */
static void threads_agree_to_rounding(void **state) {
    (void)state;
    for (size_t v = 0; v < VARIANTS; v++) {
        struct config config = options_of(&variants[v]);
        const size_t sources = variants[v].n_sources;
        const char *options = variants[v].options;
        config.learning_rate_q = 0.0;
        struct training one, more;
        for (size_t threads = 2; threads <= 4; threads++) {
            if (sources > 0) {
                training_init_composed(&one, &config, 1, sources, 10);
                training_init_composed(&more, &config, threads, sources, 10);
            } else {
                training_init(&one, &config, 1);
                training_init(&more, &config, threads);
            }
            training_run(&one, 1);
            training_run(&more, 1);
            check_gradients(&one, &more, "adam.f.m", options);
            if (sources == 0) check_gradients(&one, &more, "adam.q.m", options);
            if (config.twin_q && sources == 0)
                check_gradients(&one, &more, "adam.q2.m", options);
            const double *x = (const double *)&one.figures;
            const double *y = (const double *)&more.figures;
            for (size_t i = 0; i < sizeof(one.figures) / sizeof(double); i++) {
                const float most = 1e-5f * (1.0f + fabsf((float)x[i]));
                if (isnan(x[i]) && isnan(y[i])) continue; // no entropy
                assert_close((float)y[i], (float)x[i], most);
            }
            training_finish(&one);
            training_finish(&more);
        }
    }
}

/* What acts is the same to the bit. */
static void assert_same_policy(const struct training *x,
                               const struct training *y) {
    const struct policy p = algorithm_policy(x->alg);
    const struct policy q = algorithm_policy(y->alg);
    const size_t P = mlp_parameters(&p.shape);
    assert_memory_equal(p.phi, q.phi, sizeof(float) * P);
    assert_close(p.alpha, q.alpha, 0.0f);
    assert_int_equal(p.n_noise, q.n_noise);
    assert_int_equal(p.mean == NULL, q.mean == NULL);
    if (p.noise != NULL) {
        assert_memory_equal(p.noise, q.noise,
                            sizeof(float) * p.n_noise * p.shape.X);
    }
    if (p.mean == NULL) return;
    assert_memory_equal(p.mean, q.mean, sizeof(float) * p.shape.S);
    assert_memory_equal(p.scale, q.scale, sizeof(float) * p.shape.S);
}

/* Saved and loaded into a fresh learner, training goes on bit for bit: also
 * the temperature, the noise set and its size. */
static void a_checkpoint_continues_bit_for_bit(void **state) {
    (void)state;
    for (size_t v = 0; v < VARIANTS; v++) {
        struct training x, y;
        struct tensors saved;
        char why[200] = "";
        start(&x, &variants[v], 4, 2);
        training_run(&x, 5);
        training_copy(&saved, &x);
        start(&y, &variants[v], 99, 2); // everything comes from the file
        if (algorithm_load(y.alg, &saved, why, sizeof(why)) != 0)
            fail_msg("%s: %s", variants[v].options, why);
        assert_same_policy(&x, &y);
        y.rng = x.rng;
        training_run(&x, 6);
        training_run(&y, 6);
        assert_same(&x, &y, &variants[v]);
        assert_int_equal(algorithm_updates(y.alg), 11);
        training_free_copy(&saved);
        training_finish(&x);
        training_finish(&y);
    }
}

/* Every figure is a number; the entropy is one where it is measured. */
static void figures_are_finite(void **state) {
    (void)state;
    for (size_t v = 0; v < VARIANTS; v++) {
        const struct config config = options_of(&variants[v]);
        struct training x;
        const bool entropy = config.temperature == TEMPERATURE_AUTO;
        start(&x, &variants[v], 4, 1);
        for (size_t t = 0; t < 12; t++) {
            memset(&x.figures, 0xff, sizeof(x.figures)); // NaN
            training_run(&x, 1);
            const struct algorithm_figures *f = &x.figures;
            const double all[] = {f->q_loss,     f->q_mean,     f->target_mean,
                                  f->stein_norm, f->alpha,      f->negative,
                                  f->degenerate, f->q_gradient, f->f_gradient};
            for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
                if (!isfinite(all[i]))
                    fail_msg("%s: figure %zu", variants[v].options, i);
            }
            assert_true(f->stein_norm > 0.0 && f->f_gradient > 0.0);
            assert_true(f->alpha > 0.0);
            assert_true(f->negative >= 0.0 && f->negative <= 1.0);
            assert_true(f->degenerate >= 0.0 && f->degenerate <= 1.0);
            assert_true(isfinite(f->entropy) == entropy);
        }
        training_finish(&x);
    }
}

/* One number of a file replaced: refused in these words, nothing changed. */
static void check_refused(const char *options, const char *name,
                          const void *value, const char *words) {
    const struct variant variant = {.options = options};
    struct training x, before;
    struct tensors file;
    char why[200] = "";
    start(&x, &variant, 4, 1);
    start(&before, &variant, 4, 1);
    training_run(&before, 2);
    training_copy(&file, &before);
    struct tensors_entry *entry =
        (struct tensors_entry *)tensors_find(&file, name);
    assert_non_null(entry);
    memcpy(entry->data, value, 8);
    training_finish(&before);
    start(&before, &variant, 4, 1);
    assert_int_equal(algorithm_load(x.alg, &file, why, sizeof(why)), -EINVAL);
    assert_string_equal(why, words);
    assert_close(training_difference(&x, &before), 0.0f, 0.0f);
    training_free_copy(&file);
    training_finish(&x);
    training_finish(&before);
}

/* Numbers of a file that no learner writes are not believed. */
static void a_files_numbers_are_checked(void **state) {
    (void)state;
    const double alphas[] = {0.0, -1.0, (double)INFINITY};
    const uint64_t sizes[] = {0, 21};
    check_refused("", "temperature", &alphas[0],
                  "temperature is 0, not above 0");
    check_refused("", "temperature", &alphas[1],
                  "temperature is -1, not above 0");
    check_refused("temperature=auto", "temperature", &alphas[2],
                  "temperature is inf, not above 0");
    check_refused("noise_set=20", "noise.size", &sizes[0],
                  "noise.size is 0, not in [1, 20]");
    check_refused("noise_set=20", "noise.size", &sizes[1],
                  "noise.size is 21, not in [1, 20]");
}

/* Networks that saw normalised observations do not go on without. */
static void a_normalised_checkpoint_needs_the_option(void **state) {
    (void)state;
    const struct variant with = {.options = "observation_normalisation=true"};
    const struct variant without = {.options = ""};
    struct training x, y;
    struct tensors file;
    char why[200] = "";
    start(&x, &with, 4, 1);
    start(&y, &without, 4, 1);
    training_copy(&file, &x);
    assert_int_equal(algorithm_load(y.alg, &file, why, sizeof(why)), -EINVAL);
    assert_string_equal(why, "its networks see normalised observations: give "
                             "observation_normalisation = true");
    training_free_copy(&file);
    training_copy(&file, &y);
    assert_int_equal(algorithm_load(x.alg, &file, why, sizeof(why)), -EINVAL);
    assert_string_equal(why, "its networks see plain observations: give "
                             "observation_normalisation = false");
    training_free_copy(&file);
    training_finish(&x);
    training_finish(&y);
}

int main(void) {
    mlp_blas_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_is_a_function_of_its_arguments),
        cmocka_unit_test(threads_agree_to_rounding),
        cmocka_unit_test(a_checkpoint_continues_bit_for_bit),
        cmocka_unit_test(figures_are_finite),
        cmocka_unit_test(a_files_numbers_are_checked),
        cmocka_unit_test(a_normalised_checkpoint_needs_the_option),
    };
    return cmocka_run_group_tests_name("variants", tests, NULL, NULL);
}
