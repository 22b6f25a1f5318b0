#include "common/pool.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum { THREADS = 3 };

struct calls {
    int count[THREADS];
    pthread_t thread[THREADS];
    int term_blocked[THREADS];
};

static void count_call(void *arg, size_t slice) {
    struct calls *calls = arg;
    sigset_t mask;
    calls->count[slice]++;
    calls->thread[slice] = pthread_self();
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    calls->term_blocked[slice] = sigismember(&mask, SIGTERM);
}

/* Every slice of every job runs once, and all of them before run returns. */
static void every_slice_runs_once_a_job(void **state) {
    (void)state;
    struct calls calls = {0};
    struct pool *pool = pool_new(THREADS);
    assert_non_null(pool);
    assert_int_equal(pool_threads(pool), THREADS);
    for (int job = 1; job <= 2000; job++) {
        pool_run(pool, count_call, &calls);
        for (size_t i = 0; i < THREADS; i++)
            assert_int_equal(calls.count[i], job);
    }
    pool_free(pool);
}

/* Slice 0 is the caller's; the others never see its signals. */
static void workers_leave_signals_to_the_caller(void **state) {
    (void)state;
    struct calls calls = {0};
    struct pool *pool = pool_new(THREADS);
    assert_non_null(pool);
    pool_run(pool, count_call, &calls);
    assert_true(pthread_equal(calls.thread[0], pthread_self()));
    assert_false(calls.term_blocked[0]);
    for (size_t i = 1; i < THREADS; i++) {
        assert_false(pthread_equal(calls.thread[i], pthread_self()));
        assert_true(calls.term_blocked[i]);
    }
    pool_free(pool);
}

/* An idle pool sleeps: 100 ms of it cost under 20 ms of this process. */
static void idle_workers_sleep(void **state) {
    (void)state;
    struct calls calls = {0};
    struct pool *pool = pool_new(THREADS);
    assert_non_null(pool);
    pool_run(pool, count_call, &calls);
    struct timespec before, after, pause = {.tv_nsec = 100000000};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    nanosleep(&pause, NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    assert_true((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec -
                    before.tv_nsec <
                20000000);
    pool_free(pool);
}

/* One thread is the caller alone. */
static void one_thread_is_the_caller(void **state) {
    (void)state;
    struct calls calls = {0};
    struct pool *pool = pool_new(1);
    assert_non_null(pool);
    pool_run(pool, count_call, &calls);
    assert_int_equal(calls.count[0], 1);
    assert_int_equal(calls.count[1], 0);
    pool_free(pool);
    pool_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_slice_runs_once_a_job),
        cmocka_unit_test(workers_leave_signals_to_the_caller),
        cmocka_unit_test(idle_workers_sleep),
        cmocka_unit_test(one_thread_is_the_caller),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
