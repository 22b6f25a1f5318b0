/* TensorBoard's event files, read by their format. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "learner/events.h"
#include "learner/events.pb-c.h"
#include "tests/unit/test.h"

enum { MOST = 64 };

struct run {
    char path[64], file[160];
    struct events events;
    size_t n;
    Events__Event *records[MOST];
};

static int set_up(void **state) {
    struct run *run = calloc(1, sizeof(*run));
    assert_non_null(run);
    strcpy(run->path, "/tmp/softq-events-XXXXXX");
    assert_non_null(mkdtemp(run->path));
    snprintf(run->file, sizeof(run->file),
             "%s/tensorboard/events.out.tfevents.0000000007.softq", run->path);
    *state = run;
    return 0;
}

static int tear_down(void **state) {
    struct run *run = *state;
    char command[128];
    for (size_t i = 0; i < run->n; i++)
        events__event__free_unpacked(run->records[i], NULL);
    events_finish(&run->events);
    snprintf(command, sizeof(command), "rm -r '%s'", run->path);
    assert_int_equal(system(command), 0);
    free(run);
    return 0;
}

static void start(struct run *run, uint64_t updates) {
    assert_int_equal(events_start(&run->events, run->path, 7, updates, 100.5),
                     0);
}

static void write_one(struct run *run, uint64_t step, double value) {
    const struct events_scalar scalars[] = {
        {"a/b", value}, {"a/nothing", (double)NAN}, {"c", -(double)step}};
    events_write(&run->events, 200.0, step, scalars, 3, NULL, 0);
}

static uint32_t unmask(uint32_t crc) {
    crc -= 0xA282EAD8u;
    return crc >> 17 | crc << 15;
}

/* Every record of the file, which must be whole to its end. */
static void read_records(struct run *run) {
    uint8_t data[65536];
    FILE *in = fopen(run->file, "re");
    assert_non_null(in);
    struct {
        uint64_t length;
        uint32_t crc;
    } head;
    while (fread(&head, 1, 12, in) == 12) {
        uint32_t crc = 0;
        assert_int_equal(unmask(head.crc), crc32c(&head.length, 8));
        assert_true(head.length < sizeof(data) && run->n < MOST);
        assert_int_equal(fread(data, 1, head.length, in), head.length);
        assert_int_equal(fread(&crc, 1, 4, in), 4);
        assert_int_equal(unmask(crc), crc32c(data, head.length));
        run->records[run->n] = events__event__unpack(NULL, head.length, data);
        assert_non_null(run->records[run->n++]);
    }
    assert_int_equal(ftell(in), (long)run->events.size);
    fclose(in);
}

/* A version first; a scalar has its tag, step and time, nothing else. */
static void a_row_is_one_event(void **state) {
    struct run *run = *state;
    start(run, 0);
    write_one(run, 11, 0.25);
    read_records(run);
    assert_int_equal(run->n, 3);
    assert_int_equal(run->records[1]->step, 0);
    assert_string_equal(run->records[0]->file_version, "brain.Event:2");
    const Events__Event *row = run->records[2];
    assert_int_equal(row->step, 11);
    assert_true(row->wall_time == 200.0);
    assert_int_equal(row->summary->n_value, 2);
    assert_string_equal(row->summary->value[0]->tag, "a/b");
    assert_true(row->summary->value[0]->simple_value == 0.25f);
    assert_string_equal(row->summary->value[1]->tag, "c");
}

/* What earlier learners wrote beyond the checkpoint is to be forgotten, the
 * checkpoint's own row is not. */
static void a_resumed_run_starts_a_session(void **state) {
    struct run *run = *state;
    start(run, 500);
    read_records(run);
    assert_int_equal(run->n, 2);
    assert_int_equal(run->records[1]->session_log->status,
                     EVENTS__SESSION_LOG__STATUS__START);
    assert_int_equal(run->records[1]->step, 501);
}

/* Counts are where they belong, edges and what lies beyond them too. */
static void histograms_count_all(void **state) {
    struct run *run = *state;
    struct events_histogram actions = {0}, ages = {0};
    const double a[] = {-1.0, -0.95, 0.05, 1.0, 1.5};
    const uint64_t age[] = {0, 1, 2, 3, 4, UINT64_MAX};
    for (size_t i = 0; i < 5; i++) events_count_action(&actions, a[i]);
    for (size_t i = 0; i < 6; i++) events_count_age(&ages, age[i]);
    const struct events_shown shown[] = {{"action/0", EVENTS_ACTION, &actions},
                                         {"ages", EVENTS_AGE, &ages}};
    start(run, 0);
    events_write(&run->events, 1.0, 2, NULL, 0, shown, 2);
    read_records(run);
    const Events__Summary *summary = run->records[2]->summary;
    const Events__Histogram *h = summary->value[0]->histo;
    assert_int_equal(h->n_bucket, 20);
    assert_int_equal(h->n_bucket_limit, 20);
    assert_close((float)h->bucket_limit[0], -0.9f, 1e-6f);
    assert_close((float)h->bucket_limit[19], 1.0f, 1e-6f);
    assert_true(h->num == 5.0 && h->min == -1.0 && h->max == 1.0);
    assert_true(h->bucket[0] == 2.0 && h->bucket[10] == 1.0);
    assert_true(h->bucket[19] == 2.0);
    assert_close((float)h->sum, 0.1f, 1e-6f);

    h = summary->value[1]->histo;
    for (size_t i = 0; i < 6; i++) { // below the limit, above the one before
        const double x = (double)age[i];
        size_t k = 0;
        while (k < h->n_bucket && x > h->bucket_limit[k]) k++;
        if (i < 5) assert_true(k < h->n_bucket && h->bucket[k] > 0.0);
    }
    assert_true(h->bucket[0] == 1.0 && h->bucket[2] == 2.0);
    assert_true(h->bucket[EVENTS_BUCKETS - 1] == 1.0);
}

/* A record that did not fit is taken back: all that are there stay readable,
 * and later ones too. */
static void a_full_disk_leaves_whole_records(void **state) {
    struct run *run = *state;
    struct rlimit before, small;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    start(run, 0);
    write_one(run, 1, 1.0);
    small = before;
    small.rlim_cur = run->events.size + 20;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    write_one(run, 2, 2.0);
    assert_true(run->events.failed);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    write_one(run, 3, 3.0);
    assert_false(run->events.failed);
    read_records(run);
    assert_int_equal(run->n, 4);
    assert_int_equal(run->records[3]->step, 3);
}

/* The larger the file the fewer the rows; in the end none. */
static void a_large_file_grows_slowly(void **state) {
    (void)state;
    struct events events = {.open = true, .size = 2 * EVENTS_SPARSER + 1};
    int due = 0;
    for (int i = 0; i < 100; i++) due += events_due(&events);
    assert_int_equal(due, 25);
    events.size = EVENTS_MOST;
    assert_false(events_due(&events));
    events = (struct events){0};
    assert_false(events_due(&events));
}

/* A folder that cannot be made is an error, and nothing is left open. */
static void a_start_that_fails_leaves_nothing(void **state) {
    struct run *run = *state;
    struct events events;
    assert_true(events_start(&events, "/proc/nowhere", 1, 0, 0.0) < 0);
    assert_false(events.open);
    start(run, 0);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_row_is_one_event),
        CASE(a_resumed_run_starts_a_session),
        CASE(histograms_count_all),
        CASE(a_full_disk_leaves_whole_records),
        CASE(a_large_file_grows_slowly),
        CASE(a_start_that_fails_leaves_nothing),
    };
#undef CASE
    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
