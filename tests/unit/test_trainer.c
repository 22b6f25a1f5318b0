#include "learner/trainer.h"
#include "tests/unit/test.h"
#include "tests/unit/training.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { S = TRAINING_S, A = TRAINING_A, ROWS = TRAINING_ROWS };

/* A trainer and the rows that it is given, the same for each. */
struct bench {
    struct trainer *trainer;
    struct batch batch;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    size_t wakes;
};

static void wake(void *data) {
    struct bench *bench = data;
    pthread_mutex_lock(&bench->lock);
    bench->wakes++;
    pthread_cond_signal(&bench->woken);
    pthread_mutex_unlock(&bench->lock);
}

static int try_start(struct bench *bench, const struct config *config,
                     const struct origin *origin, char *why, size_t n) {
    struct rng rng;
    *bench = (struct bench){.lock = PTHREAD_MUTEX_INITIALIZER,
                            .woken = PTHREAD_COND_INITIALIZER};
    assert_int_equal(batch_init(&bench->batch, ROWS, S, A), 0);
    bench->batch.n = ROWS;
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    rng_fill_normal(&rng, bench->batch.s, (size_t)ROWS * S);
    rng_fill_uniform(&rng, bench->batch.a, (size_t)ROWS * A, -1, 1);
    rng_fill_normal(&rng, bench->batch.r, ROWS);
    rng_fill_normal(&rng, bench->batch.next, (size_t)ROWS * S);
    memset(bench->batch.flags, 0, ROWS);
    return trainer_start(&bench->trainer, config, S, A, 2, origin, wake, bench,
                         why, n);
}

static void start(struct bench *bench, const struct config *config,
                  const struct origin *origin) {
    char why[256] = "";
    if (try_start(bench, config, origin, why, sizeof(why)) != 0)
        fail_msg("%s", why);
}

static void stop(struct bench *bench) {
    trainer_stop(bench->trainer);
    batch_finish(&bench->batch);
    pthread_cond_destroy(&bench->woken);
    pthread_mutex_destroy(&bench->lock);
}

static void submit(struct bench *bench, enum trainer_kind kind) {
    const struct trainer_job job = {
        .kind = kind, .rows = &bench->batch, .data = bench};
    trainer_submit(bench->trainer, &job);
}

/* The next result, waited for at most 60 s. */
static struct trainer_result take(struct bench *bench) {
    struct trainer_result result;
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 60;
    for (;;) {
        // counted before looking: a wake in between is not lost
        pthread_mutex_lock(&bench->lock);
        const size_t wakes = bench->wakes;
        pthread_mutex_unlock(&bench->lock);
        if (trainer_next(bench->trainer, &result)) return result;
        pthread_mutex_lock(&bench->lock);
        while (bench->wakes == wakes) {
            assert_int_equal(
                pthread_cond_timedwait(&bench->woken, &bench->lock, &limit), 0);
        }
        pthread_mutex_unlock(&bench->lock);
    }
}

static struct checkpoint *checkpoint_of(struct bench *bench) {
    submit(bench, TRAINER_CHECKPOINT);
    const struct trainer_result result = take(bench);
    assert_int_equal(result.error, 0);
    assert_non_null(result.checkpoint);
    result.checkpoint->S = S, result.checkpoint->A = A;
    result.checkpoint->units = TRAINING_UNITS;
    return result.checkpoint;
}

static void train(struct bench *bench, size_t n) {
    for (size_t i = 0; i < n; i++) {
        submit(bench, TRAINER_UPDATE);
        assert_int_equal(take(bench).error, 0);
    }
}

static void assert_same(const struct checkpoint *x,
                        const struct checkpoint *y) {
    assert_int_equal(x->tensors.n, y->tensors.n);
    for (size_t i = 0; i < x->tensors.n; i++) {
        const struct tensors_entry *p = &x->tensors.entries[i];
        const struct tensors_entry *q = &y->tensors.entries[i];
        size_t bytes = p->type == TENSORS_F32 ? 4 : 8;
        for (size_t d = 0; d < p->rank; d++) bytes *= p->shape[d];
        assert_string_equal(p->name, q->name);
        if (memcmp(p->data, q->data, bytes) != 0) fail_msg("%s", p->name);
    }
    assert_int_equal(x->counters.updates, y->counters.updates);
    assert_int_equal(x->counters.rng_counter, y->counters.rng_counter);
}

/* Results come in the jobs' order and carry what the kind says. */
static void results_come_in_order(void **state) {
    (void)state;
    const struct config config = training_config();
    const struct origin none = {0};
    struct bench bench;
    start(&bench, &config, &none);
    assert_int_equal(trainer_room(bench.trainer), TRAINER_QUEUE);
    for (size_t i = 0; i < TRAINER_QUEUE; i++)
        submit(&bench, (enum trainer_kind)(i % 3));
    assert_int_equal(trainer_room(bench.trainer), 0);
    for (size_t i = 0; i < TRAINER_QUEUE; i++) {
        const struct trainer_result result = take(&bench);
        assert_int_equal(result.kind, i % 3);
        assert_int_equal(result.error, 0);
        assert_ptr_equal(result.data, &bench);
        assert_int_equal(result.updates, i / 3 + 1);
        assert_int_equal(result.policy != NULL, i % 3 == TRAINER_PARAMETERS);
        assert_int_equal(result.checkpoint != NULL,
                         i % 3 == TRAINER_CHECKPOINT);
        free(result.policy);
        checkpoint_free(result.checkpoint);
    }
    assert_int_equal(trainer_room(bench.trainer), TRAINER_QUEUE);
    stop(&bench);
}

/* The policy has no more floats than announced, and is the checkpoint's f. */
static void the_policy_is_the_checkpoints(void **state) {
    (void)state;
    struct config config = training_config();
    const struct origin none = {0};
    struct bench bench;
    training_set(&config, "noise_set=20 observation_normalisation=true "
                          "sampler_average=0.9");
    start(&bench, &config, &none);
    train(&bench, 3);
    struct checkpoint *checkpoint = checkpoint_of(&bench);
    submit(&bench, TRAINER_PARAMETERS);
    const struct trainer_result result = take(&bench);
    const struct policy *policy = result.policy;
    const struct tensors_entry *ws = tensors_find(&checkpoint->tensors, "f.ws");
    assert_memory_equal(policy->phi, ws->data,
                        sizeof(float) * ws->shape[0] * ws->shape[1]);
    assert_int_equal(policy->n_noise, 20);
    assert_non_null(policy->mean);
    assert_true(trainer_parameters(bench.trainer) >=
                mlp_parameters(&policy->shape) + (size_t)20 * A +
                    (size_t)2 * S);
    checkpoint_free(checkpoint);
    free(result.policy);
    stop(&bench);
}

/* Begun again from its checkpoint a run goes on bit for bit, noise too. */
static void check_resuming(const struct config *config,
                           const struct origin *origin) {
    struct bench x, y;
    start(&x, config, origin);
    train(&x, 4);
    struct checkpoint *middle = checkpoint_of(&x);
    train(&x, 4);
    const struct origin resumed = {.resume = middle};
    start(&y, config, &resumed);
    train(&y, 4);
    struct checkpoint *of_x = checkpoint_of(&x), *of_y = checkpoint_of(&y);
    assert_int_equal(of_x->counters.updates, 8);
    assert_same(of_x, of_y);
    checkpoint_free(middle);
    checkpoint_free(of_x);
    checkpoint_free(of_y);
    stop(&x);
    stop(&y);
}

static void a_run_resumes_bit_for_bit(void **state) {
    (void)state;
    struct config config = training_config();
    const struct origin none = {0};
    check_resuming(&config, &none);
    training_set(&config, "temperature=auto alpha_rate=0.05 twin_q=true "
                          "value_proposals=sampler proposal_switch=2");
    check_resuming(&config, &none);
}

/* A run's newest checkpoint, as origin_open() reads it. */
static struct checkpoint *source_of(const char *options) {
    struct config config = training_config();
    const struct origin none = {0};
    struct bench bench;
    training_set(&config, options);
    start(&bench, &config, &none);
    train(&bench, 2);
    struct checkpoint *checkpoint = checkpoint_of(&bench);
    stop(&bench);
    return checkpoint;
}

/* A composition reads its runs once; resumed, it has them from its own
 * checkpoint alone. */
static void a_composition_resumes_from_itself(void **state) {
    (void)state;
    struct config config = training_config();
    struct origin origin = {
        .n_sources = 3,
        .sources = {source_of("seed=7"),
                    source_of("seed=8 units=30 twin_q=true"),
                    source_of("seed=9 observation_normalisation=true")}};
    training_set(&config, "algorithm=compose ratio=0 temperature=anneal "
                          "alpha_span=6 alpha_end=0.1 noise_set=20 "
                          "noise_set_span=8");
    check_resuming(&config, &origin);
    for (size_t i = 0; i < 3; i++) checkpoint_free(origin.sources[i]);
}

/* init_from through the thread: the first policy is the other run's. */
static void another_runs_sampler_acts_first(void **state) {
    (void)state;
    const struct config config = training_config();
    struct checkpoint *init = source_of("seed=7");
    const struct origin origin = {.init = init};
    struct bench bench;
    start(&bench, &config, &origin);
    submit(&bench, TRAINER_PARAMETERS);
    const struct trainer_result result = take(&bench);
    const struct tensors_entry *ws = tensors_find(&init->tensors, "f_train.ws");
    assert_int_equal(result.updates, 0);
    assert_memory_equal(result.policy->phi, ws->data,
                        sizeof(float) * ws->shape[0] * ws->shape[1]);
    free(result.policy);
    stop(&bench);
    checkpoint_free(init);
}

/* What does not fit is refused before there is a thread. */
static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    struct config config = training_config();
    struct checkpoint *other = source_of("seed=7 units=30");
    const struct origin resumed = {.resume = other}, init = {.init = other};
    struct bench bench;
    char why[256] = "";
    assert_int_equal(try_start(&bench, &config, &resumed, why, sizeof(why)),
                     -EINVAL);
    assert_string_equal(why,
                        "the newest checkpoint: tensor f.ws is (3, 30), not "
                        "(3, 24)");
    assert_null(bench.trainer);
    stop(&bench);
    other->units = 30;
    assert_int_equal(try_start(&bench, &config, &init, why, sizeof(why)),
                     -EINVAL);
    assert_non_null(strstr(why, "give units = 30"));
    stop(&bench);
    config.units = 30;
    config.observation_normalisation = true;
    assert_int_equal(try_start(&bench, &config, &init, why, sizeof(why)),
                     -EINVAL);
    assert_string_equal(why, "init_from = : its networks see plain "
                             "observations: give observation_normalisation = "
                             "false");
    stop(&bench);
    config = training_config();
    config.algorithm = ALGORITHM_COMPOSE;
    assert_int_equal(try_start(&bench, &config, &resumed, why, sizeof(why)),
                     -EINVAL);
    assert_string_equal(why,
                        "its checkpoint holds no Q function (source0.q.ws)");
    stop(&bench);
    checkpoint_free(other);
}

/* Any tensor that a checkpoint lacks is missed before it is gone on from. */
static void a_missing_tensor_is_named(void **state) {
    (void)state;
    const struct config config = training_config();
    struct checkpoint *whole = source_of("seed=7");
    whole->S = S, whole->A = A;
    char why[256] = "", want[96];
    assert_int_equal(trainer_check(&config, whole, why, sizeof(why)), 0);
    for (size_t i = 0; i < whole->tensors.n; i++) {
        char *name = whole->tensors.entries[i].name;
        snprintf(want, sizeof(want), "no tensor %s ", name);
        name[0] ^= 1;
        assert_int_equal(trainer_check(&config, whole, why, sizeof(why)),
                         -EINVAL);
        name[0] ^= 1;
        assert_non_null(strstr(why, want));
    }
    checkpoint_free(whole);
}

/* After an update that is not finite nothing else runs; stopping is safe with
 * jobs and results left. */
static void a_broken_update_ends_the_thread(void **state) {
    (void)state;
    const struct config config = training_config();
    const struct origin none = {0};
    struct bench bench;
    start(&bench, &config, &none);
    bench.batch.r[3] = INFINITY;
    submit(&bench, TRAINER_CHECKPOINT);
    submit(&bench, TRAINER_UPDATE);
    submit(&bench, TRAINER_CHECKPOINT);
    checkpoint_free(take(&bench).checkpoint);
    const struct trainer_result result = take(&bench);
    assert_int_equal(result.error, -EDOM);
    assert_string_equal(result.what, "the gradient of Q or its parameters");
    struct trainer_result more;
    assert_false(trainer_next(bench.trainer, &more));
    stop(&bench);
    start(&bench, &config, &none);
    submit(&bench, TRAINER_PARAMETERS);
    submit(&bench, TRAINER_CHECKPOINT);
    submit(&bench, TRAINER_UPDATE);
    stop(&bench); // results that nobody took are freed
}

int main(void) {
    mlp_blas_setup();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_come_in_order),
        cmocka_unit_test(the_policy_is_the_checkpoints),
        cmocka_unit_test(a_run_resumes_bit_for_bit),
        cmocka_unit_test(a_composition_resumes_from_itself),
        cmocka_unit_test(another_runs_sampler_acts_first),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_missing_tensor_is_named),
        cmocka_unit_test(a_broken_update_ends_the_thread),
    };
    return cmocka_run_group_tests_name("trainer", tests, NULL, NULL);
}
