/* Rows of other runs' rings and of files in a ring of ours: all, equal, once,
 * or refused. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/rng.h"
#include "replay/extract.h"
#include "replay/import.h"
#include "tests/unit/test.h"

enum { S = 3, A = 2, OURS = 0xC0, MOST_ROWS = 4096 };

static char folder[64];
static char why[4096];

static int set_up(void **state) {
    (void)state;
    why[0] = '\0';
    strcpy(folder, "/tmp/test_import_XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* Every number of a row follows from x; version and flags too. */
static void fill(struct batch *batch, uint64_t x, size_t n) {
    batch->n = n;
    for (size_t i = 0; i < n; i++) {
        const float f = (float)(x + i);
        for (size_t k = 0; k < S; k++) {
            batch->s[i * S + k] = f + 0.25f * (float)k;
            batch->next[i * S + k] = -f - 0.25f * (float)k;
        }
        for (size_t k = 0; k < A; k++)
            batch->a[i * A + k] = f / (float)((k + 2) * MOST_ROWS);
        batch->r[i] = f;
        batch->flags[i] = (uint8_t)((x + i) % 3);
        batch->version[i] = (x + i) << 40 | 5;
    }
}

/* RUN/replay/shard-<index>.ring with rows x ... in batches of uneven sizes. */
static void make_source(const char *run, unsigned index, uint64_t run_id,
                        uint64_t capacity, uint64_t x, uint64_t rows) {
    char path[256];
    struct ring ring;
    struct batch batch;
    const struct ring_spec spec = {
        .run = run_id, .capacity = capacity, .S = S, .A = A};
    snprintf(path, sizeof path, "%s/%s", folder, run);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/%s/replay", folder, run);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/%s/replay/shard-%u.ring", folder, run,
             index);
    if (ring_open(&ring, path, &spec, NULL, why, sizeof why) != 0)
        fail_msg("%s", why);
    assert_int_equal(batch_init(&batch, 64, S, A), 0);
    for (uint64_t seq = 0, at = 0; at < rows; seq++) {
        size_t n = 1 + (size_t)(7 * seq % 40);
        if (n > rows - at) n = (size_t)(rows - at);
        if (n > capacity) n = (size_t)capacity;
        fill(&batch, x + at, n);
        assert_int_equal(ring_insert(&ring, 3, 1, seq, &batch), RING_STORED);
        at += n;
    }
    batch_finish(&batch);
    ring_close(&ring);
}

/* "folder/A:folder/B" */
static const char *runs(const char *names) {
    static char text[512];
    size_t at = 0;
    for (const char *c = names; *c; c++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s/%c",
                               at > 0 ? ":" : "", folder, *c);
    return text;
}

static struct import_place place(uint64_t capacity, uint64_t shards,
                                 uint64_t index) {
    return (struct import_place){
        .spec = {.run = OURS, .capacity = capacity, .S = S, .A = A},
        .shards = shards,
        .index = index};
}

static void open_ours(struct ring *ring, const struct import_place *where) {
    char path[256];
    snprintf(path, sizeof path, "%s/ours-%u.ring", folder,
             (unsigned)where->index);
    if (ring_open(ring, path, &where->spec, NULL, why, sizeof why) != 0)
        fail_msg("%s", why);
}

/* What the shard does, in one go. Returns 0 or the error, in why. */
static int import_named(const char *from, const struct import_place *where,
                        struct import *figures) {
    struct import import;
    struct ring ring;
    int rc = import_open(&import, from, where, why, sizeof why);
    if (rc != 0) return rc;
    open_ours(&ring, where);
    rc = import_begin(&import, &ring, why, sizeof why);
    while (rc == 0 && !import_done(&import))
        rc = import_step(&import, &ring, why, sizeof why);
    if (figures != NULL) *figures = import;
    import_close(&import);
    ring_close(&ring);
    return rc;
}

static int import_all(const char *names, const struct import_place *where,
                      struct import *figures) {
    return import_named(runs(names), where, figures);
}

/* How often each x is in our ring; each row must be what fill() makes of it,
 * with its version or, as a file's, with none. */
static void count_rows(const struct import_place *where,
                       unsigned times[MOST_ROWS], bool versions) {
    struct ring ring;
    struct batch got, want;
    struct ring_row row;
    open_ours(&ring, where);
    assert_int_equal(batch_init(&got, 1, S, A), 0);
    assert_int_equal(batch_init(&want, 1, S, A), 0);
    for (uint64_t k = ring.oldest; k < ring.stored; k++) {
        got.n = 0;
        assert_true(ring_row(&ring, k, &row, &got));
        assert_true(got.r[0] >= 0.0f && got.r[0] < (float)MOST_ROWS);
        fill(&want, (uint64_t)got.r[0], 1);
        assert_memory_equal(got.s, want.s, sizeof(float) * S);
        assert_memory_equal(got.a, want.a, sizeof(float) * A);
        assert_memory_equal(got.next, want.next, sizeof(float) * S);
        assert_int_equal(got.flags[0], want.flags[0]);
        assert_int_equal(got.version[0], versions ? want.version[0] : 0);
        times[(size_t)got.r[0]]++;
    }
    batch_finish(&got);
    batch_finish(&want);
    ring_close(&ring);
}

static void count(const struct import_place *where, unsigned times[MOST_ROWS]) {
    count_rows(where, times, true);
}

/* Exactly these x, once each. */
static void assert_once(const unsigned times[MOST_ROWS], uint64_t from,
                        uint64_t to) {
    for (uint64_t x = 0; x < MOST_ROWS; x++)
        if (times[x] != (x >= from && x < to))
            fail_msg("row %u is there %u times", (unsigned)x, times[x]);
}

/* All rows of all rings of all runs arrive with their flags and versions; of a
 * ring that has gone round, those that are left. */
static void every_row_arrives_as_it_was(void **state) {
    (void)state;
    const struct import_place where = place(MOST_ROWS, 1, 0);
    unsigned times[MOST_ROWS] = {0};
    make_source("a", 0, 1, 1000, 0, 700);
    make_source("a", 1, 1, 1000, 700, 613);
    make_source("b", 0, 2, 500, 813, 1000); // its rows 500 ... 999 are left
    struct import figures;
    assert_int_equal(import_all("ab", &where, &figures), 0);
    assert_int_equal(figures.total, 1813);
    assert_int_equal(figures.copied, 1813);
    assert_int_equal(figures.there, 0);
    count(&where, times);
    assert_once(times, 0, 1813);
}

/* The same command again finds everything there. */
static void imported_twice_is_stored_once(void **state) {
    (void)state;
    const struct import_place where = place(MOST_ROWS, 1, 0);
    unsigned times[MOST_ROWS] = {0};
    make_source("a", 0, 1, 3000, 0, 3000);
    struct import figures;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(import_all("a", &where, &figures), 0);
        assert_int_equal(figures.total, 3000);
        assert_int_equal(figures.copied, i == 0 ? 3000 : 0);
        assert_int_equal(figures.there, i == 0 ? 0 : 3000);
    }
    count(&where, times);
    assert_once(times, 0, 3000);
}

/* A run more on the same command line is added to what is there. */
static void another_run_is_added(void **state) {
    (void)state;
    const struct import_place where = place(MOST_ROWS, 1, 0);
    unsigned times[MOST_ROWS] = {0};
    make_source("a", 0, 1, 2000, 0, 1500);
    make_source("b", 0, 2, 2000, 1500, 400);
    struct import figures;
    assert_int_equal(import_all("a", &where, &figures), 0);
    assert_int_equal(import_all("ba", &where, &figures), 0);
    assert_int_equal(figures.there, 1500);
    assert_int_equal(figures.copied, 400);
    count(&where, times);
    assert_once(times, 0, 1900);
}

/* Several shards share the rows, none twice, within one row a source ring. */
static void shards_share_the_rows_evenly(void **state) {
    (void)state;
    unsigned times[MOST_ROWS] = {0};
    make_source("a", 0, 1, 1300, 0, 1300);
    make_source("b", 0, 2, 900, 1300 - 600, 1500); // 1300 ... 2199 are left
    for (uint64_t i = 0; i < 3; i++) {
        const struct import_place where = place(800, 3, i);
        struct import figures;
        assert_int_equal(import_all("ab", &where, &figures), 0);
        assert_in_range(figures.copied, 2200 / 3 - 2, 2200 / 3 + 2);
        count(&where, times);
    }
    assert_once(times, 0, 2200);
}

/* What export makes of a run is taken as any file: all rows, over two shards,
 * once, however often it is imported. */
static void rows_of_a_file_arrive_once(void **state) {
    (void)state;
    unsigned times[MOST_ROWS] = {0};
    struct extract extract;
    char run[96], from[128];
    make_source("a", 0, 1, 2000, 0, 1500);
    snprintf(run, sizeof run, "%s/a", folder);
    snprintf(from, sizeof from, "%s/a.npz", folder);
    assert_int_equal(extract_open(&extract, run, from, why, sizeof why), 0);
    while (!extract_done(&extract)) extract_step(&extract);
    assert_int_equal(extract_finish(&extract, why, sizeof why), 0);
    for (uint64_t i = 0; i < 4; i++) {
        const struct import_place where = place(MOST_ROWS, 2, i % 2);
        struct import figures;
        int rc = import_named(from, &where, &figures);
        if (rc != 0) fail_msg("%s", why);
        assert_int_equal(figures.total, 750);
        assert_int_equal(figures.copied, i < 2 ? 750 : 0);
        if (i < 2) count_rows(&where, times, false);
    }
    assert_once(times, 0, 1500);
}

/* A file of another task, the same one twice, or none. */
static void what_is_wrong_with_a_file_is_said(void **state) {
    (void)state;
    struct import_place where = place(MOST_ROWS, 1, 0);
    struct extract extract;
    char run[96], from[128], twice[260];
    make_source("a", 0, 1, 2000, 0, 15);
    snprintf(run, sizeof run, "%s/a", folder);
    snprintf(from, sizeof from, "%s/a.npz", folder);
    snprintf(twice, sizeof twice, "%s:%s", from, from);
    assert_int_equal(import_named(from, &where, NULL), -ENOENT);
    assert_non_null(strstr(why, "a.npz: No such file"));
    assert_int_equal(extract_open(&extract, run, from, why, sizeof why), 0);
    while (!extract_done(&extract)) extract_step(&extract);
    assert_int_equal(extract_finish(&extract, why, sizeof why), 0);
    assert_int_equal(import_named(twice, &where, NULL), -EINVAL);
    assert_non_null(strstr(why, "hold the same rows"));
    where.spec.A = 3;
    assert_int_equal(import_named(from, &where, NULL), -EINVAL);
    assert_non_null(strstr(why, "observations of 3 and actions of 2, this run "
                                "3 and 3"));
}

/* Copy until killed, after so many blocks by ourselves. */
static void child(const struct import_place *where, int blocks) {
    struct import import;
    struct ring ring;
    char path[256];
    snprintf(path, sizeof path, "%s/ours-0.ring", folder);
    if (import_open(&import, runs("ab"), where, why, sizeof why) != 0 ||
        ring_open(&ring, path, &where->spec, NULL, why, sizeof why) != 0 ||
        import_begin(&import, &ring, why, sizeof why) != 0)
        _exit(9);
    for (; !import_done(&import); blocks--) {
        if (blocks == 0) kill(getpid(), SIGKILL);
        if (import_step(&import, &ring, why, sizeof why) != 0) _exit(8);
    }
    _exit(0);
}

/* kill -9 at any moment: started again until it ends, it completes without a
 * row twice. */
static void killed_half_way_it_completes(void **state) {
    (void)state;
    const struct import_place where = place(MOST_ROWS, 1, 0);
    unsigned times[MOST_ROWS] = {0};
    int status = -1, kills = 0;
    struct rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    make_source("a", 0, 1, 2000, 0, 2000);
    make_source("b", 0, 2, 2000, 2000, 1900);
    for (int i = 0; i < 300 && status != 0; i++) {
        pid_t pid = fork();
        // later and later, so that it ends at last; at a block's end where a
        // busy machine lets the child run on for too long
        if (pid == 0) child(&where, 1 + i / 2);
        const long most = 1000L * (20 + 10 * i);
        nanosleep(&(struct timespec){.tv_nsec =
                                         (long)rng_below(&rng, (uint64_t)most)},
                  NULL);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        kills += WIFSIGNALED(status);
    }
    assert_true(kills > 5);
    assert_int_equal(import_all("ab", &where, NULL), 0);
    count(&where, times);
    assert_once(times, 0, 3900);
}

/* Half a batch, as a kill leaves it, is taken back and copied again. */
static void a_batch_cut_off_is_copied_again(void **state) {
    (void)state;
    const struct import_place where = place(MOST_ROWS, 1, 0);
    unsigned times[MOST_ROWS] = {0};
    struct import import;
    struct ring ring;
    char path[256];
    make_source("a", 0, 1, 2000, 0, 2000);
    assert_int_equal(import_open(&import, runs("a"), &where, why, sizeof why),
                     0);
    open_ours(&ring, &where);
    assert_int_equal(import_begin(&import, &ring, why, sizeof why), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(import_step(&import, &ring, why, sizeof why), 0);
    const size_t cut = 100 * ring.row_bytes;
    const size_t at = 4096 + 3 * IMPORT_BLOCK * ring.row_bytes - cut;
    ring_close(&ring);
    import_close(&import);
    snprintf(path, sizeof path, "%s/ours-0.ring", folder);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    fseek(file, (long)at, SEEK_SET);
    for (size_t i = 0; i < cut; i++) fputc(0, file);
    fclose(file);

    struct import figures;
    assert_int_equal(import_all("a", &where, &figures), 0);
    assert_int_equal(figures.there, 2 * IMPORT_BLOCK);
    count(&where, times);
    assert_once(times, 0, 2000);
}

/* What cannot be taken is refused in words, before a ring of ours is there. */
static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    struct import import;
    struct import_place where = place(MOST_ROWS, 1, 0);
    char path[128];
    make_source("a", 0, 1, 100, 0, 100);
    make_source("o", 0, OURS, 100, 0, 100);
    make_source("e", 0, 5, 100, 0, 0);
    snprintf(path, sizeof path, "%s/n", folder);
    mkdir(path, 0700);

    assert_int_equal(import_all("ax", &where, NULL), -ENOENT);
    assert_non_null(strstr(why, "there is no run '"));
    assert_int_equal(import_open(&import, "", &where, why, sizeof why),
                     -ENOENT);
    assert_int_equal(import_all("an", &where, NULL), -ENOENT);
    assert_non_null(strstr(why, "/n/replay holds no shard-*.ring"));
    assert_int_equal(import_all("e", &where, NULL), -ENODATA);
    assert_int_equal(import_all("o", &where, NULL), -EINVAL);
    assert_non_null(strstr(why, "of this run itself"));
    assert_int_equal(import_all("aa", &where, NULL), -EINVAL);
    assert_non_null(strstr(why, "hold the same rows"));
    where.spec.S = 8;
    assert_int_equal(import_all("a", &where, NULL), -EINVAL);
    assert_non_null(strstr(why, "observations of 3 and actions of 2, this run "
                                "8 and 2"));
    snprintf(path, sizeof path, "%s/ours-0.ring", folder);
    assert_int_equal(access(path, F_OK), -1);
}

/* Too little room: how many rows there are and what replay_size they need, the
 * same from every shard; beside rows of our own too. */
static void too_small_a_ring_is_refused(void **state) {
    (void)state;
    struct import_place where = place(500, 2, 1);
    make_source("a", 0, 1, 2000, 0, 1001);
    make_source("b", 0, 2, 2000, 1001, 700);
    assert_int_equal(import_all("a", &where, NULL), -ENOSPC);
    assert_non_null(strstr(why, "1001 rows, but replay_size is 1000 over 2"));
    assert_non_null(strstr(why, "--replay_size=1002 or more"));

    where.spec.capacity = 501;
    assert_int_equal(import_all("a", &where, NULL), 0);
    where = place(1200, 1, 0);
    assert_int_equal(import_all("a", &where, NULL), 0);
    assert_int_equal(import_all("b", &where, NULL), -ENOSPC);
    assert_non_null(strstr(why, "700 rows more behind the 1001"));
    assert_non_null(strstr(why, "--replay_size=1701 or more"));
}

/* A live shard's ring is refused; while it is read no shard can open it. */
static void a_live_ring_is_refused(void **state) {
    (void)state;
    const struct import_place where = place(MOST_ROWS, 1, 0);
    const struct ring_spec spec = {.run = 1, .capacity = 100, .S = S, .A = A};
    struct import import, second;
    struct ring live;
    char path[256];
    make_source("a", 0, 1, 100, 0, 100);
    snprintf(path, sizeof path, "%s/a/replay/shard-0.ring", folder);
    assert_int_equal(ring_open(&live, path, &spec, NULL, why, sizeof why), 0);
    assert_int_equal(import_all("a", &where, NULL), -EWOULDBLOCK);
    assert_non_null(strstr(why, "in use by another process: end its run"));
    ring_close(&live);

    assert_int_equal(import_open(&import, runs("a"), &where, why, sizeof why),
                     0);
    assert_int_equal(ring_open(&live, path, &spec, NULL, why, sizeof why),
                     -EWOULDBLOCK);
    assert_int_equal(import_open(&second, runs("a"), &where, why, sizeof why),
                     0);
    import_close(&second);
    import_close(&import);
    assert_int_equal(ring_open(&live, path, &spec, NULL, why, sizeof why), 0);
    ring_close(&live);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest cases[] = {
        CASE(every_row_arrives_as_it_was),
        CASE(imported_twice_is_stored_once),
        CASE(another_run_is_added),
        CASE(shards_share_the_rows_evenly),
        CASE(rows_of_a_file_arrive_once),
        CASE(what_is_wrong_with_a_file_is_said),
        CASE(killed_half_way_it_completes),
        CASE(a_batch_cut_off_is_copied_again),
        CASE(what_does_not_fit_is_refused),
        CASE(too_small_a_ring_is_refused),
        CASE(a_live_ring_is_refused),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
