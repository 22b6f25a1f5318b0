#include "tests/unit/training.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { S = TRAINING_S, A = TRAINING_A };

struct config training_config(void) {
    struct config config;
    config_defaults(&config);
    config.seed = 4;
    config.units = TRAINING_UNITS;
    config.minibatch = TRAINING_ROWS;
    config.particles_fixed = 5;
    config.particles_moved = 7;
    config.value_particles = 9;
    config.value_particles_sampler = 6;
    config.alpha = 0.5;
    config.gamma = 0.9;
    config.reward_scale = 2.0;
    config.learning_rate_q = 1e-3;
    config.learning_rate_f = 1e-3;
    config.learning_rate_end = 1.0;
    config.sampler_average = 0.0;
    config.target_every = 7;
    return config;
}

void training_set(struct config *config, const char *options) {
    char list[512], why[256], *rest = list, *one;
    snprintf(list, sizeof(list), "%s", options);
    while ((one = strsep(&rest, " ")) != NULL) {
        char *name = strsep(&one, "=");
        if (*name == '\0') continue;
        if (config_set(config, name, one, why, sizeof(why)) != 0)
            fail_msg("%s", why);
    }
}

static void begin(struct training *training, const struct config *config) {
    assert_non_null(training->alg);
    assert_int_equal(algorithm_noise_init(&training->noise, training->alg), 0);
    assert_int_equal(batch_init(&training->batch, config->minibatch, S, A), 0);
    training->batch.n = config->minibatch;
    rng_init(&training->rng, 1, RNG_TEST, 0, 0, 0);
}

void training_init(struct training *training, const struct config *config,
                   size_t threads) {
    *training = (struct training){
        .alg = algorithm_new(config, S, A, threads),
    };
    begin(training, config);
}

void training_init_composed(struct training *training,
                            const struct config *config, size_t threads,
                            size_t n, uint64_t seed) {
    struct tensors files[ALGORITHM_MOST_SOURCES];
    struct algorithm_origin origins[ALGORITHM_MOST_SOURCES] = {{0}};
    char why[200] = "";
    for (size_t k = 0; k < n; k++) {
        struct config own = training_config();
        struct training source;
        own.seed = seed + k;
        own.units += 5 * k;
        own.twin_q = k == 1;
        own.observation_normalisation = k == 2;
        training_init(&source, &own, 1);
        source.rng.stream += own.seed; // minibatches of its own
        training_run(&source, 3);
        training_copy(&files[k], &source);
        training_finish(&source);
        origins[k] =
            (struct algorithm_origin){.tensors = &files[k], .prefix = ""};
    }
    *training = (struct training){0};
    if (algorithm_new_composed(&training->alg, config, S, A, threads, origins,
                               n, why, sizeof(why)) != 0) {
        fail_msg("%s", why);
    }
    for (size_t k = 0; k < n; k++) training_free_copy(&files[k]);
    begin(training, config);
}

void training_finish(struct training *training) {
    algorithm_free(training->alg);
    algorithm_noise_finish(&training->noise);
    batch_finish(&training->batch);
}

void training_draw(struct training *training) {
    struct batch *batch = &training->batch;
    const size_t rows = batch->n;
    rng_fill_normal(&training->rng, batch->s, rows * S);
    rng_fill_uniform(&training->rng, batch->a, rows * A, -1, 1);
    rng_fill_normal(&training->rng, batch->r, rows);
    rng_fill_normal(&training->rng, batch->next, rows * S);
    for (size_t b = 0; b < rows; b++)
        batch->flags[b] = b % 4 == 0 ? BATCH_TERMINAL : 0;
    algorithm_noise_draw(&training->noise, training->alg, &training->rng);
}

void training_update(struct training *training) {
    const char *what = NULL;
    training_draw(training);
    if (algorithm_update(training->alg, &training->batch, &training->noise,
                         &training->figures, &what) != 0) {
        fail_msg("not finite: %s", what);
    }
}

void training_run(struct training *training, size_t n) {
    for (size_t i = 0; i < n; i++) training_update(training);
}

static size_t entry_values(const struct tensors_entry *entry) {
    size_t n = 1;
    for (size_t i = 0; i < entry->rank; i++) n *= entry->shape[i];
    return n;
}

static double value_of(const struct tensors_entry *entry, size_t i) {
    switch (entry->type) {
    case TENSORS_F32:
        return (double)((const float *)entry->data)[i];
    case TENSORS_F64:
        return ((const double *)entry->data)[i];
    case TENSORS_U64:
        return (double)((const uint64_t *)entry->data)[i];
    }
    return (double)NAN;
}

float training_difference(struct training *x, struct training *y) {
    struct tensors_entry of_x[ALGORITHM_MAX_TENSORS];
    struct tensors_entry of_y[ALGORITHM_MAX_TENSORS];
    const size_t n = algorithm_tensors(x->alg, of_x);
    double largest = 0.0;
    assert_int_equal(algorithm_tensors(y->alg, of_y), n);
    for (size_t t = 0; t < n; t++) {
        assert_string_equal(of_x[t].name, of_y[t].name);
        for (size_t i = 0; i < entry_values(&of_x[t]); i++) {
            const double difference =
                fabs(value_of(&of_x[t], i) - value_of(&of_y[t], i));
            assert_true(isfinite(difference));
            assert_true(of_x[t].type != TENSORS_U64 || difference == 0.0);
            largest = fmax(largest, difference);
        }
    }
    return (float)largest;
}

const struct tensors_entry *training_find(const struct tensors_entry *entries,
                                          size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(entries[i].name, name) == 0) return &entries[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

float *training_vector(struct training *training, const char *name) {
    struct tensors_entry entries[ALGORITHM_MAX_TENSORS];
    const size_t n = algorithm_tensors(training->alg, entries);
    return training_find(entries, n, name)->data;
}

void training_copy(struct tensors *copy, struct training *training) {
    struct tensors_entry *entries =
        calloc(ALGORITHM_MAX_TENSORS, sizeof(*entries));
    assert_non_null(entries);
    *copy = (struct tensors){.entries = entries};
    copy->n = algorithm_tensors(training->alg, entries);
    for (size_t i = 0; i < copy->n; i++) {
        const size_t bytes = entry_values(&entries[i]) *
                             (entries[i].type == TENSORS_F32 ? 4 : 8);
        void *data = malloc(bytes);
        assert_non_null(data);
        memcpy(data, entries[i].data, bytes);
        entries[i].data = data;
    }
}

void training_free_copy(struct tensors *copy) {
    for (size_t i = 0; i < copy->n; i++) free(copy->entries[i].data);
    free(copy->entries);
}
