#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/lifecycle.h"
#include "tests/unit/test.h"

struct program {
    uv_loop_t loop;
    struct lifecycle life;
    uv_timer_t busy; /* what keeps a program running */
    int stops;
};

static void on_stop(struct lifecycle *life, const char *why) {
    struct program *p = life->data;
    assert_non_null(why);
    p->stops++;
    lifecycle_close_all(&p->loop);
}

static void never(uv_timer_t *timer) {
    (void)timer;
}

static void start(struct program *p, int lifeline) {
    *p = (struct program){0};
    uv_loop_init(&p->loop);
    uv_timer_init(&p->loop, &p->busy);
    uv_timer_start(&p->busy, never, 60000, 60000);
    assert_int_equal(lifecycle_start(&p->life, &p->loop, lifeline, on_stop, p),
                     0);
}

static void run_and_close(struct program *p) {
    uv_run(&p->loop, UV_RUN_DEFAULT);
    assert_int_equal(p->stops, 1);
    assert_int_equal(uv_loop_close(&p->loop), 0);
}

/* SIGTERM and Ctrl-C stop a program once. */
static void signals_stop_a_program(void **state) {
    (void)state;
    const int signals[] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        struct program p;
        start(&p, -1);
        raise(signals[i]);
        raise(signals[i]);
        run_and_close(&p);
    }
}

/* Told again while it puts its things in order, it goes on with that. */
static void a_late_signal_kills_nobody(void **state) {
    (void)state;
    struct program p;
    start(&p, -1);
    raise(SIGTERM);
    run_and_close(&p);
    raise(SIGTERM);
    raise(SIGINT);
}

/* The launcher's death, even by kill -9, closes the lifeline. */
static void the_end_of_the_lifeline_stops_a_program(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct program p;
    start(&p, ends[0]);
    assert_int_equal(write(ends[1], "x", 1), 1); /* bytes mean nothing */
    uv_run(&p.loop, UV_RUN_NOWAIT);
    uv_run(&p.loop, UV_RUN_NOWAIT);
    assert_int_equal(p.stops, 0);
    close(ends[1]);
    run_and_close(&p);
}

/* A descriptor that is not there is an error, not a program without a line. */
static void a_missing_lifeline_is_an_error(void **state) {
    (void)state;
    struct program p = {0};
    uv_loop_init(&p.loop);
    assert_true(lifecycle_start(&p.life, &p.loop, 999, on_stop, &p) < 0);
    lifecycle_close_all(&p.loop);
    uv_run(&p.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&p.loop), 0);
}

/* The soft limit of open files rises to the hard one. */
static void the_limit_of_open_files_is_raised(void **state) {
    (void)state;
    unsigned long raised = lifecycle_raise_fd_limit();
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    assert_true(raised == limit.rlim_cur && limit.rlim_cur == limit.rlim_max);
}

#ifndef __SANITIZE_ADDRESS__ /* which brings a heap of its own */
static long rss_anon_kib(void) {
    char line[128];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        (void)sscanf(line, "RssAnon: %ld", &kib);
    fclose(file);
    return kib;
}

/* What ZeroMQ's thread takes for 100 connections, as it does. */
static void take_blocks(void *kept) {
    void **blocks = kept;
    for (int i = 0; i < 400; i++) {
        blocks[i] = malloc(16400);
        memset(blocks[i], 1, 16400);
    }
}

/* What was reserved serves every thread: nothing grows any more. */
static void reserved_memory_is_there_already(void **state) {
    (void)state;
    static void *blocks[400];
    uv_thread_t thread;
    lifecycle_one_heap();
    long before = rss_anon_kib();
    assert_int_equal(lifecycle_reserve(100), 0);
    long reserved = rss_anon_kib();
    assert_true(reserved - before >= 400 * 16400 / 1024);
    assert_int_equal(uv_thread_create(&thread, take_blocks, blocks), 0);
    uv_thread_join(&thread);
    assert_true(rss_anon_kib() - reserved < 256);
    for (int i = 0; i < 400; i++) free(blocks[i]);
    assert_int_equal(lifecycle_reserve(100), 0); /* again takes no more */
    assert_true(rss_anon_kib() - reserved < 256);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_stop_a_program),
        cmocka_unit_test(a_late_signal_kills_nobody),
        cmocka_unit_test(the_end_of_the_lifeline_stops_a_program),
        cmocka_unit_test(a_missing_lifeline_is_an_error),
        cmocka_unit_test(the_limit_of_open_files_is_raised),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(reserved_memory_is_there_already),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
