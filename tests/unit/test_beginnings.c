/*
 * Learners that begin with other runs' networks: algorithm_init_from() and
 * compositions.
 */
#include "learner/algorithm_state.h"
#include "tests/unit/test.h"
#include "tests/unit/training.h"

#include <errno.h>
#include <string.h>

enum { S = TRAINING_S, A = TRAINING_A, H = TRAINING_UNITS };
enum { ROWS = TRAINING_ROWS, K = 5, FIXED_A = ROWS * K * A, ROWS_S = ROWS * S };

static void start(struct training *x, const char *options) {
    struct config config = training_config();
    training_set(&config, options);
    training_init(x, &config, 1);
}

/* A run that has learned for a while, as a file. */
static void train(struct tensors *file, const char *options) {
    struct training x;
    start(&x, options);
    training_run(&x, 9);
    training_copy(file, &x);
    training_finish(&x);
}

static size_t floats_of(const struct tensors_entry *entry) {
    size_t n = 1;
    for (size_t i = 0; i < entry->rank; i++) n *= entry->shape[i];
    return n;
}

/* Is the learner's network (all seven tensors) the file's of that name? */
static bool same_network(struct training *x, const char *name,
                         const struct tensors *file, const char *there) {
    static const char *const parts[] = {"ws", "wx", "b1", "w2",
                                        "b2", "w3", "b3"};
    bool same = true;
    for (size_t i = 0; i < MLP_TENSORS; i++) {
        char full[64];
        snprintf(full, sizeof(full), "%s.%s", there, parts[i]);
        const struct tensors_entry *entry = tensors_find(file, full);
        assert_non_null(entry);
        snprintf(full, sizeof(full), "%s.%s", name, parts[i]);
        same = same && memcmp(training_vector(x, full), entry->data,
                              sizeof(float) * floats_of(entry)) == 0;
    }
    return same;
}

static void assert_zeros(const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) assert_close(x[i], 0.0f, 0.0f);
}

static void begin_from(struct training *x, const struct tensors *file,
                       enum config_parts parts) {
    char why[200] = "";
    if (algorithm_init_from(x->alg, file, parts, why, sizeof(why)) != 0)
        fail_msg("%s", why);
}

/* ---- algorithm_init_from() ---- */

/* The networks that trained are taken; targets and what acts are copies of
 * them, Adam, counter and temperature are fresh. */
static void both_parts_begin_afresh(void **state) {
    (void)state;
    struct training x;
    struct tensors file;
    train(&file, "seed=7 sampler_average=0.9 alpha=3");
    start(&x, "sampler_average=0.9");
    training_run(&x, 2); // even a learner that has begun forgets it
    begin_from(&x, &file, PARTS_BOTH);
    assert_true(same_network(&x, "q", &file, "q"));
    assert_true(same_network(&x, "q_target", &file, "q"));
    assert_true(same_network(&x, "f_train", &file, "f_train"));
    assert_true(same_network(&x, "f", &file, "f_train"));
    assert_false(same_network(&x, "f", &file, "f"));
    assert_zeros(training_vector(&x, "adam.q.m"), x.alg->q[0].P);
    assert_zeros(training_vector(&x, "adam.q.v"), x.alg->q[0].P);
    assert_zeros(training_vector(&x, "adam.f.m"), x.alg->f.P);
    assert_zeros(training_vector(&x, "adam.f.v"), x.alg->f.P);
    assert_true(*(const double *)training_vector(&x, "temperature") == 0.5);
    training_run(&x, 3);
    training_free_copy(&file);
    training_finish(&x);
}

/* One part alone leaves the other as it was drawn. */
static void one_part_leaves_the_other(void **state) {
    (void)state;
    struct training x;
    struct tensors file, fresh;
    train(&file, "seed=7");
    start(&x, "");
    training_copy(&fresh, &x);
    begin_from(&x, &file, PARTS_Q);
    assert_true(same_network(&x, "q", &file, "q"));
    assert_true(same_network(&x, "q_target", &file, "q"));
    assert_true(same_network(&x, "f_train", &fresh, "f_train"));
    training_finish(&x);
    start(&x, "");
    begin_from(&x, &file, PARTS_F);
    assert_true(same_network(&x, "f_train", &file, "f_train"));
    assert_true(same_network(&x, "f", &file, "f_train"));
    assert_true(same_network(&x, "q", &fresh, "q"));
    assert_true(same_network(&x, "q_target", &fresh, "q"));
    training_free_copy(&file);
    training_free_copy(&fresh);
    training_finish(&x);
}

/* Twins begin with a run's twins, or both with its one Q; one Q begins with
 * the first of twins. */
static void twins_begin_with_what_there_is(void **state) {
    (void)state;
    struct training x;
    struct tensors one, two;
    train(&one, "seed=7");
    train(&two, "seed=7 twin_q=true");
    start(&x, "twin_q=true");
    begin_from(&x, &one, PARTS_Q);
    assert_true(same_network(&x, "q", &one, "q"));
    assert_true(same_network(&x, "q2", &one, "q"));
    assert_true(same_network(&x, "q2_target", &one, "q"));
    begin_from(&x, &two, PARTS_BOTH);
    assert_true(same_network(&x, "q", &two, "q"));
    assert_true(same_network(&x, "q2", &two, "q2"));
    assert_true(same_network(&x, "q2_target", &two, "q2"));
    training_finish(&x);
    start(&x, "");
    begin_from(&x, &two, PARTS_BOTH);
    assert_true(same_network(&x, "q", &two, "q"));
    training_free_copy(&one);
    training_free_copy(&two);
    training_finish(&x);
}

/* DDPG's actor has a target, which begins with it. */
static void ddpg_begins_with_its_target(void **state) {
    (void)state;
    struct training x;
    struct tensors file;
    train(&file, "seed=7 algorithm=ddpg");
    start(&x, "algorithm=ddpg");
    begin_from(&x, &file, PARTS_BOTH);
    assert_true(same_network(&x, "f_target", &file, "f_train"));
    assert_true(same_network(&x, "q_target", &file, "q"));
    training_free_copy(&file);
    training_finish(&x);
}

/* Normalised networks come with their normalisation. */
static void the_normalisation_comes_along(void **state) {
    (void)state;
    struct training x;
    struct tensors file;
    train(&file, "seed=7 observation_normalisation=true");
    start(&x, "observation_normalisation=true");
    begin_from(&x, &file, PARTS_F);
    const double *mean = tensors_find(&file, "normal.mean")->data;
    const double *m2 = tensors_find(&file, "normal.m2")->data;
    const struct policy policy = algorithm_policy(x.alg);
    for (size_t i = 0; i < S; i++) {
        assert_close(policy.mean[i], (float)mean[i], 0.0f);
        assert_close(policy.scale[i], 1.0f / sqrtf((float)m2[i] / (9 * ROWS)),
                     1e-5f);
    }
    training_free_copy(&file);
    training_finish(&x);
}

static void check_init_refused(const char *options, const char *of_file,
                               const char *words) {
    struct training x, same;
    struct tensors file;
    char why[200] = "";
    train(&file, of_file);
    start(&x, options);
    start(&same, options);
    assert_int_equal(
        algorithm_init_from(x.alg, &file, PARTS_BOTH, why, sizeof(why)),
        -EINVAL);
    assert_string_equal(why, words);
    assert_close(training_difference(&x, &same), 0.0f, 0.0f);
    training_free_copy(&file);
    training_finish(&x);
    training_finish(&same);
}

/* What does not fit is refused by name and changes nothing. */
static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    check_init_refused("units=20", "", "tensor q.ws is (3, 24), not (3, 20)");
    check_init_refused("", "observation_normalisation=true",
                       "its networks see normalised observations: give "
                       "observation_normalisation = true");
    check_init_refused("observation_normalisation=true", "",
                       "its networks see plain observations: give "
                       "observation_normalisation = false");
}

/* A composition has no Q to begin with; it lends its sampler. */
static void a_composition_lends_only_its_sampler(void **state) {
    (void)state;
    struct training x, composed;
    struct tensors file;
    char why[200] = "";
    struct config config = training_config();
    config.algorithm = ALGORITHM_COMPOSE;
    training_init_composed(&composed, &config, 1, 2, 10);
    training_run(&composed, 3);
    training_copy(&file, &composed);
    start(&x, "");
    assert_int_equal(
        algorithm_init_from(x.alg, &file, PARTS_BOTH, why, sizeof(why)),
        -EINVAL);
    assert_string_equal(why, "no tensor q.ws (3, 24)");
    begin_from(&x, &file, PARTS_F);
    assert_true(same_network(&x, "f", &file, "f_train"));
    training_run(&x, 1);
    training_free_copy(&file);
    // and the other way round: a composition begins with a run's sampler
    train(&file, "seed=7");
    begin_from(&composed, &file, PARTS_BOTH);
    assert_true(same_network(&composed, "f", &file, "f_train"));
    training_run(&composed, 1);
    training_free_copy(&file);
    training_finish(&x);
    training_finish(&composed);
}

/* ---- compositions ---- */

/* The slope of one run's Q at the composition's particles, as an algorithm of
 * its own computes it. */
static void own_slope(float *g, const struct training *composed,
                      const char *options, const float *a) {
    struct training x;
    start(&x, options);
    x.rng.stream += x.alg->config.seed;
    training_run(&x, 3); // as training_init_composed() trained it
    const struct moments *seen = &x.alg->moments;
    struct algorithm_slice *at = &x.alg->slices[0];
    float s[ROWS_S];
    test_fill_nan(s, ROWS_S);
    policy_normalise(s, composed->batch.s, seen->shift, seen->scale, ROWS, S);
    x.alg->sources[0].s = s;
    critic_slope(x.alg, at, a, K);
    memcpy(g, at->g, sizeof(float) * FIXED_A);
    training_finish(&x);
}

/* Of different units, twins, and normalised: the mean of the slopes. Each run
 * sees the states in its own way, whatever the composition's sampler sees. */
static void check_mean_slope(bool normalised) {
    static const char *const runs[] = {
        "seed=10", "seed=11 units=29 twin_q=true",
        "seed=12 units=34 observation_normalisation=true"};
    struct training x;
    float one[FIXED_A], mean[FIXED_A] = {0}, a[FIXED_A];
    struct config config = training_config();
    config.algorithm = ALGORITHM_COMPOSE;
    config.observation_normalisation = normalised;
    training_init_composed(&x, &config, 1, 3, 10);
    training_run(&x, 2);
    struct algorithm_slice *at = &x.alg->slices[0];
    memcpy(a, at->fixed_a, sizeof(a));
    for (size_t k = 0; k < 3; k++) {
        test_fill_nan(one, FIXED_A);
        own_slope(one, &x, runs[k], a);
        for (size_t i = 0; i < FIXED_A; i++) mean[i] += one[i] / 3.0f;
    }
    test_fill_nan(at->g, FIXED_A);
    critic_slope(x.alg, at, a, K);
    for (size_t i = 0; i < FIXED_A; i++) assert_close(at->g[i], mean[i], 1e-5f);
    training_finish(&x);
}

static void the_slope_is_the_mean_of_the_runs(void **state) {
    (void)state;
    check_mean_slope(false);
    check_mean_slope(true);
}

/* Composed with itself a Q stays what it is, and so does the update of f. */
static void a_run_twice_is_that_run(void **state) {
    (void)state;
    struct training one, two;
    struct tensors file;
    char why[200] = "";
    struct config config = training_config();
    train(&file, "seed=7 twin_q=true");
    config.algorithm = ALGORITHM_COMPOSE;
    const struct algorithm_origin origins[2] = {
        {.tensors = &file, .prefix = ""}, {.tensors = &file, .prefix = ""}};
    training_init_composed(&one, &config, 1, 1, 10); // for its batch and noise
    training_init_composed(&two, &config, 1, 1, 10);
    algorithm_free(one.alg);
    algorithm_free(two.alg);
    assert_int_equal(algorithm_new_composed(&one.alg, &config, S, A, 1, origins,
                                            1, why, sizeof(why)),
                     0);
    assert_int_equal(algorithm_new_composed(&two.alg, &config, S, A, 1, origins,
                                            2, why, sizeof(why)),
                     0);
    training_run(&one, 5);
    training_run(&two, 5);
    assert_memory_equal(one.alg->f.p, two.alg->f.p,
                        sizeof(float) * one.alg->f.P);
    training_free_copy(&file);
    training_finish(&one);
    training_finish(&two);
}

/* Sources do not learn, and a checkpoint holds them whole. */
static void sources_stay_as_they_are(void **state) {
    (void)state;
    struct training x;
    struct tensors before, after;
    struct config config = training_config();
    config.algorithm = ALGORITHM_COMPOSE;
    training_init_composed(&x, &config, 2, 3, 10);
    training_copy(&before, &x);
    training_run(&x, 5);
    training_copy(&after, &x);
    assert_int_equal(before.n, after.n);
    size_t sources = 0;
    for (size_t i = 0; i < before.n; i++) {
        const struct tensors_entry *entry = &before.entries[i];
        if (strncmp(entry->name, "source", 6) != 0) continue;
        const size_t size = entry->type == TENSORS_F32 ? 4 : 8;
        assert_memory_equal(entry->data, after.entries[i].data,
                            size * floats_of(entry));
        sources++;
    }
    assert_int_equal(sources, 4 * MLP_TENSORS + 3); // q, q, q2, q, normal
    assert_null(tensors_find(&before, "q.ws"));
    assert_null(tensors_find(&before, "adam.q.m"));
    assert_int_equal(*(const uint64_t *)tensors_find(&after, "updates")->data,
                     5);
    training_free_copy(&before);
    training_free_copy(&after);
    training_finish(&x);
}

/* n origins of one file are refused in these words. */
static void check_refused(const struct tensors *file, size_t n,
                          const char *words) {
    struct algorithm_origin origins[ALGORITHM_MOST_SOURCES + 1];
    struct config config = training_config();
    struct algorithm *alg = NULL;
    char why[200] = "";
    config.algorithm = ALGORITHM_COMPOSE;
    for (size_t k = 0; k < n; k++)
        origins[k] = (struct algorithm_origin){.tensors = file, .prefix = ""};
    assert_int_equal(algorithm_new_composed(&alg, &config, S, A, 1, origins, n,
                                            why, sizeof(why)),
                     -EINVAL);
    assert_string_equal(why, words);
    assert_null(alg);
}

static struct tensors_entry *entry_of(struct tensors *file, const char *name) {
    for (size_t i = 0; i < file->n; i++)
        if (strcmp(file->entries[i].name, name) == 0) return &file->entries[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

#define FIRST "run 1 of the composition: "

/* A tensor that is absent or of another size, or too many runs. */
static void bad_sources_are_refused_in_words(void **state) {
    (void)state;
    struct tensors file;
    train(&file, "seed=7 twin_q=true observation_normalisation=true");
    check_refused(&file, 9, "9 runs are composed: at most 8");
    struct tensors_entry *entry = entry_of(&file, "q.w2");
    strcpy(entry->name, "q.w4");
    check_refused(&file, 1, FIRST "its tensor q.w2 is missing: 24 x 24 F32");
    strcpy(entry->name, "q.w2");
    entry->shape[1]--;
    check_refused(&file, 1, FIRST "its tensor q.w2 is not 24 x 24 F32");
    entry->shape[1]++;
    entry = entry_of(&file, "q.b1");
    entry->rank = 2;
    check_refused(&file, 1, FIRST "its tensor q.b1 is not 24 F32");
    entry->rank = 1;
    entry = entry_of(&file, "q2.b3");
    strcpy(entry->name, "q2.b4");
    check_refused(&file, 2, FIRST "its tensor q2.b3 is missing: 1 F32");
    strcpy(entry->name, "q2.b3");
    entry = entry_of(&file, "q.ws");
    entry->shape[0] = S + 2;
    check_refused(&file, 1, FIRST "its tensor q.ws is not 3 x 24 F32");
    entry->shape[0] = S, entry->shape[1] = 0;
    check_refused(&file, 1, FIRST "its tensor q.ws has no units");
    entry->shape[1] = H;
    strcpy(entry->name, "q.w0");
    check_refused(&file, 1, FIRST "its tensor q.ws is missing");
    strcpy(entry->name, "q.ws");
    entry = entry_of(&file, "q.wx");
    entry->shape[0] = A + 1;
    check_refused(&file, 1, FIRST "its tensor q.wx is not 2 x 24 F32");
    entry->shape[0] = A;
    entry = entry_of(&file, "normal.mean");
    entry->shape[0] = S - 1;
    check_refused(&file, 1, FIRST "its tensor normal.mean is not 3 F64");
    entry->shape[0] = S;
    training_free_copy(&file);
}

int main(void) {
    mlp_blas_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_parts_begin_afresh),
        cmocka_unit_test(one_part_leaves_the_other),
        cmocka_unit_test(twins_begin_with_what_there_is),
        cmocka_unit_test(ddpg_begins_with_its_target),
        cmocka_unit_test(the_normalisation_comes_along),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_composition_lends_only_its_sampler),
        cmocka_unit_test(the_slope_is_the_mean_of_the_runs),
        cmocka_unit_test(a_run_twice_is_that_run),
        cmocka_unit_test(sources_stay_as_they_are),
        cmocka_unit_test(bad_sources_are_refused_in_words),
    };
    return cmocka_run_group_tests_name("beginnings", tests, NULL, NULL);
}
