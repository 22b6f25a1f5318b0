/* A log is bounded, whatever there is to say. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/unit/test.h"

static int file, stderr_before;

/* stderr goes to a file that nobody else has. */
static int set_up(void **state) {
    (void)state;
    char path[] = "/tmp/test_log_XXXXXX";
    file = mkstemp(path);
    unlink(path);
    stderr_before = dup(STDERR_FILENO);
    return file < 0 || dup2(file, STDERR_FILENO) < 0;
}

static int tear_down(void **state) {
    (void)state;
    dup2(stderr_before, STDERR_FILENO);
    close(stderr_before);
    close(file);
    return 0;
}

static long written(void) {
    struct stat info;
    assert_int_equal(fstat(file, &info), 0);
    return (long)info.st_size;
}

/* What may be written by now: half of an hour's at once, half over each hour.
 */
static long most_by_now(void) {
    static struct timespec first;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (first.tv_sec == 0) first = now;
    return LOG_BYTES_AN_HOUR / 2 +
           (now.tv_sec - first.tv_sec + 1) * (LOG_BYTES_AN_HOUR / 2) / 3600;
}

/* What was written from that byte on, as a string. */
static const char *text_from(long at) {
    static char text[4096];
    ssize_t n = pread(file, text, sizeof(text) - 1, at);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* One flood after the other, in this order: the bucket is the process's. */
static void a_flood_ends_and_what_matters_more_passes(void **state) {
    (void)state;
    const long most = most_by_now();
    log_init("test_log", LOG_INFO);
    for (int i = 0; i < 50000; i++) log_info("somebody is here again: %d", i);
    long flood = written();
    assert_true(flood <= most_by_now() && flood >= most / 2);
    log_warn("a shard is silent");
    assert_non_null(strstr(text_from(flood), "warning: a shard is silent\n"));

    for (int i = 0; i < 50000; i++) log_warn("the same again and again: %d", i);
    flood = written();
    assert_true(flood <= most_by_now() && flood >= most * 3 / 4);

    log_error("the disk is on fire");
    const char *text = text_from(flood);
    assert_non_null(strstr(text, "lines before this one left out"));
    assert_non_null(strstr(text, "error: the disk is on fire\n"));
    long at = written();
    log_info("this one is still too much");
    assert_int_equal(written(), at);

    for (int i = 0; i < 50000; i++) log_error("and again");
    assert_true(written() <= most_by_now());

    /* who asks for debug lines gets all */
    at = written();
    log_init("test_log", LOG_DEBUG);
    for (int i = 0; i < 1000; i++) log_debug("step %d", i);
    assert_true(written() - at > 1000 * 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_flood_ends_and_what_matters_more_passes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
