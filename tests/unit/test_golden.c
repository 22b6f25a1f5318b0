#include "common/tensors.h"
#include "learner/algorithm.h"
#include "tests/unit/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Our updates against independent code: tests/golden/golden.py does the same
 * ones in float64, from the equations and by autograd, and a case is the file
 * it left. The file holds the case's options; initial parameters, minibatches
 * and noise are made here again, by the same counters.
 */

enum { ONE = 1, MANY = 100, MOST_NETWORKS = 3 };

/* What a stream of numbers is for, as in golden.py. */
enum what {
    Q,
    Q_TARGET,
    Q2,
    Q2_TARGET,
    F,
    F_TARGET,
    STATE = 8,
    ACTION,
    REWARD,
    NEXT,
    PROPOSALS,
    XI_VALUE,
    XI_FIXED,
    XI_MOVED,
};

static const uint64_t step_of_counter = 0x9E3779B97F4A7C15u;

/* The output function of splitmix64. */
static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Value i of a stream is mix(key + i step_of_counter). */
static uint64_t key_of(uint64_t seed, enum what what, uint64_t update) {
    return mix((seed << 48 | (uint64_t)what << 32 | update) + step_of_counter);
}

/* On (-1, 1), 24 bits: exact in float. */
static float uniform(uint64_t key, uint64_t i) {
    const uint64_t k = mix(key + i * step_of_counter) >> 40;
    return (float)(2 * (int64_t)k + 1 - (1 << 24)) * 0x1p-24f;
}

/* The sum of 12 uniforms of 16 bits, three words: nearly N(0, 1). */
static float normal(uint64_t key, uint64_t i) {
    int64_t sum = 0;
    for (uint64_t word = 3 * i; word < 3 * i + 3; word++) {
        const uint64_t bits = mix(key + word * step_of_counter);
        for (unsigned shift = 0; shift < 64; shift += 16) {
            sum += 2 * (int64_t)(bits >> shift & 0xFFFF) + 1 - (1 << 16);
        }
    }
    return (float)sum * 0x1p-17f;
}

/* A case's file and our algorithm with its options. */
struct golden {
    struct tensors file;
    size_t S, A;
    struct config config;
    struct algorithm *alg;
    struct algorithm_noise noise;
    struct batch batch;
    struct tensors_entry entries[ALGORITHM_MAX_TENSORS]; /* of alg */
    size_t n_entries;
};

/* A network in training and what golden.py calls it. */
struct network {
    const char *name;   /* "q" */
    const char *vector; /* "q.ws": the first of its tensors, in a row */
    const char *mean;   /* "adam.q.m" */
    enum what what;
    size_t P;
    float *start; /* (P) */
};

static const struct tensors_entry *find_own(const struct golden *golden,
                                            const char *name) {
    for (size_t i = 0; i < golden->n_entries; i++) {
        if (strcmp(golden->entries[i].name, name) == 0)
            return &golden->entries[i];
    }
    return NULL;
}

static void open_file(struct golden *golden, const char *name) {
    char path[512], why[200];
    snprintf(path, sizeof(path), "%s/%s.safetensors", GOLDEN_FOLDER, name);
    if (tensors_read(&golden->file, path, why, sizeof(why)))
        fail_msg("%s", why);

    const struct tensors_entry *dims = tensors_find(&golden->file, "dims");
    assert_non_null(dims);
    assert_int_equal(dims->type, TENSORS_U64);
    assert_int_equal(dims->shape[0], 2);
    const uint64_t *values = dims->data;
    golden->S = values[0];
    golden->A = values[1];

    config_defaults(&golden->config);
    for (size_t i = 0; i < golden->file.n_notes; i++) {
        const struct tensors_note *note = &golden->file.notes[i];
        if (config_set(&golden->config, note->key, note->value, why,
                       sizeof(why)))
            fail_msg("%s", why);
    }
}

/* Two threads, so that slices of the minibatch are summed. */
static void start(struct golden *golden, const char *name) {
    *golden = (struct golden){0};
    open_file(golden, name);
    const struct config *config = &golden->config;
    golden->alg = algorithm_new(config, golden->S, golden->A, 2);
    assert_non_null(golden->alg);
    golden->n_entries = algorithm_tensors(golden->alg, golden->entries);
    assert_int_equal(algorithm_noise_init(&golden->noise, golden->alg), 0);
    assert_int_equal(
        batch_init(&golden->batch, config->minibatch, golden->S, golden->A), 0);
}

static void finish(struct golden *golden) {
    tensors_finish(&golden->file);
    algorithm_free(golden->alg);
    algorithm_noise_finish(&golden->noise);
    batch_finish(&golden->batch);
}

/* One tensor: centre + bound * uniform, in double, from value `from` on. */
static void fill_tensor(float *p, size_t n, double centre, double bound,
                        uint64_t key, size_t from) {
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(centre + bound * (double)uniform(key, from + i));
}

/*
 * Xavier uniform per input block; b2 is near 1/4, so that few units are nearly
 * dead (golden.py says why). Returns whether the algorithm has such a network.
 * prefix: "q" for "q.ws", "q.wx" ...
 */
static bool fill_network(const struct golden *golden, const char *prefix,
                         enum what what) {
    static const char *const names[MLP_TENSORS] = {"ws", "wx", "b1", "w2",
                                                   "b2", "w3", "b3"};
    const uint64_t key = key_of(golden->config.seed, what, 0);
    size_t from = 0;
    for (size_t t = 0; t < MLP_TENSORS; t++) {
        char name[64];
        snprintf(name, sizeof(name), "%s.%s", prefix, names[t]);
        const struct tensors_entry *entry = find_own(golden, name);
        if (!entry) return false;
        const bool matrix = entry->rank == 2;
        const size_t rows = entry->shape[0];
        const size_t cols = matrix ? entry->shape[1] : 1;
        const double bound = matrix ? sqrt(6.0 / (double)(rows + cols)) : 0.1;
        fill_tensor(entry->data, rows * cols, t == 4 ? 0.25 : 0.0, bound, key,
                    from);
        from += rows * cols;
    }
    return true;
}

/* Every network and target network, from its own numbers. */
static void fill_networks(const struct golden *golden) {
    const bool twin = golden->config.twin_q;
    const struct {
        const char *prefix;
        enum what what;
        bool expected;
    } all[] = {
        {"q", Q, true},
        {"q_target", Q_TARGET, true},
        {"q2", Q2, twin},
        {"q2_target", Q2_TARGET, twin},
        {"f_train", F, true},
        {"f_target", F_TARGET, golden->config.algorithm == ALGORITHM_DDPG},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_true(fill_network(golden, all[i].prefix, all[i].what) ==
                    all[i].expected);
    }
}

/* x (n), or NULL: the algorithm has no use for it. */
static void fill_normal(const struct golden *golden, float *x, size_t n,
                        enum what what, uint64_t update) {
    const uint64_t key = key_of(golden->config.seed, what, update);
    for (size_t i = 0; x && i < n; i++) x[i] = normal(key, i);
}

static void fill_uniform(const struct golden *golden, float *x, size_t n,
                         enum what what, uint64_t update) {
    const uint64_t key = key_of(golden->config.seed, what, update);
    for (size_t i = 0; x && i < n; i++) x[i] = uniform(key, i);
}

/* The minibatch and the noise of an update, from 1. */
static void draw(struct golden *golden, uint64_t update) {
    const struct config *config = &golden->config;
    const size_t B = config->minibatch, S = golden->S, A = golden->A;
    const size_t shared = config->shared_proposals ? 1 : B;
    struct batch *batch = &golden->batch;
    struct algorithm_noise *noise = &golden->noise;

    batch->n = B;
    fill_normal(golden, batch->s, B * S, STATE, update);
    fill_uniform(golden, batch->a, B * A, ACTION, update);
    fill_normal(golden, batch->r, B, REWARD, update);
    fill_normal(golden, batch->next, B * S, NEXT, update);
    for (size_t b = 0; b < B; b++) {
        batch->flags[b] = b % 4 == 1   ? BATCH_TERMINAL
                          : b % 4 == 2 ? BATCH_TRUNCATED
                                       : 0;
    }
    fill_uniform(golden, noise->proposals, shared * config->value_particles * A,
                 PROPOSALS, update);
    fill_normal(golden, noise->xi_value,
                B * config->value_particles_sampler * A, XI_VALUE, update);
    fill_normal(golden, noise->xi_fixed, B * config->particles_fixed * A,
                XI_FIXED, update);
    if (config->one_set) return; // xi_moved is xi_fixed
    fill_normal(golden, noise->xi_moved, B * config->particles_moved * A,
                XI_MOVED, update);
}

static void update(struct golden *golden, uint64_t t) {
    struct algorithm_figures figures;
    const char *what = NULL;
    draw(golden, t);
    if (algorithm_update(golden->alg, &golden->batch, &golden->noise, &figures,
                         &what))
        fail_msg("update %d: %s is not finite", (int)t, what);
}

/*
 * |x - expected| / |expected| of one of the file's vectors, where x is
 * scale * (ours - origin). NULL origin: 0.
 */
static double distance(const struct golden *golden, const char *name,
                       const float *ours, const float *origin, double scale,
                       size_t P) {
    const struct tensors_entry *entry = tensors_find(&golden->file, name);
    double error = 0.0, size = 0.0;
    if (!entry) {
        fail_msg("no tensor %s", name);
        return (double)NAN;
    }
    assert_int_equal(entry->type, TENSORS_F32);
    assert_int_equal(entry->rank, 1);
    assert_int_equal(entry->shape[0], P);
    const float *expected = entry->data;
    for (size_t i = 0; i < P; i++) {
        const double from = origin ? (double)origin[i] : 0.0;
        const double x = scale * ((double)ours[i] - from);
        const double wanted = (double)expected[i];
        error += (x - wanted) * (x - wanted);
        size += wanted * wanted;
    }
    return sqrt(error / size);
}

static bool within(const char *name, const char *of, double error,
                   double bound) {
    const bool good = error <= bound; // not so for NaN
    print_message("# %s %s: %.1e%s\n", name, of, error,
                  good ? "" : ", too much");
    return good;
}

/* |p - p64| / |p64 - p0| after so many updates. */
static bool check_moved(const struct golden *golden, const struct network *net,
                        unsigned updates, double bound) {
    char name[64];
    snprintf(name, sizeof(name), "%s.after_%u", net->name, updates);
    const float *p = find_own(golden, net->vector)->data;
    return within("|p - p64| / |p64 - p0| of", name,
                  distance(golden, name, p, net->start, 1.0, net->P), bound);
}

/* Of the first update: Adam's first mean is (1 - 0.9) of the gradient. */
static bool check_gradient(const struct golden *golden,
                           const struct network *net) {
    char name[64];
    snprintf(name, sizeof(name), "%s.gradient", net->name);
    const float *mean = find_own(golden, net->mean)->data;
    return within(
        "error of", name,
        distance(golden, name, mean, NULL, 1.0 / (double)(1.0f - 0.9f), net->P),
        1e-5);
}

/* The networks in training, and their first parameters. Returns how many. */
static size_t networks_of(const struct golden *golden,
                          struct network networks[MOST_NETWORKS]) {
    static const struct network all[MOST_NETWORKS] = {
        {.name = "q", .vector = "q.ws", .mean = "adam.q.m"},
        {.name = "f", .vector = "f_train.ws", .mean = "adam.f.m"},
        {.name = "q2", .vector = "q2.ws", .mean = "adam.q2.m"},
    };
    const size_t n = golden->config.twin_q ? 3 : 2;
    for (size_t i = 0; i < n; i++) {
        networks[i] = all[i];
        networks[i].P = find_own(golden, all[i].mean)->shape[0];
        const size_t bytes = sizeof(float) * networks[i].P;
        networks[i].start = malloc(bytes);
        assert_non_null(networks[i].start);
        memcpy(networks[i].start, find_own(golden, all[i].vector)->data, bytes);
    }
    return n;
}

/* The case of the file of that name. */
static void agrees(void **state) {
    const char *name = *state;
    struct golden golden;
    struct network networks[MOST_NETWORKS];
    bool good = true;
    start(&golden, name);
    fill_networks(&golden);
    const size_t n = networks_of(&golden, networks);

    update(&golden, 1);
    for (size_t i = 0; i < n; i++) {
        good &= check_gradient(&golden, &networks[i]);
        good &= check_moved(&golden, &networks[i], ONE, 2e-4);
    }
    for (uint64_t t = 2; good && t <= MANY; t++) update(&golden, t);
    for (size_t i = 0; i < n; i++) {
        good = good && check_moved(&golden, &networks[i], MANY, 1e-3);
        free(networks[i].start);
    }
    finish(&golden);
    assert_true(good);
}

#define AGREES(name) \
    { name, agrees, NULL, NULL, name }

int main(void) {
    const struct CMUnitTest tests[] = {
        AGREES("sql"),
        AGREES("sql_twin"),
        AGREES("sql_large"),
        AGREES("sql_action"),
        AGREES("sql_one_set"),
        AGREES("sql_sampler"),
        AGREES("sql_uniform_measure"),
        AGREES("sql_proposals_a_state"),
        AGREES("sql_auto_temperature"),
        AGREES("sql_schedules"),
        AGREES("ddpg"),
        AGREES("ddpg_twin"),
    };
    return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}
