/* Rows of a run's rings as arrays: all of them, also of a ring in use. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replay/dataset.h"
#include "replay/extract.h"
#include "replay/ring_file.h"
#include "tests/unit/test.h"

enum { S = 3, A = 2, RUN = 0xE0, BATCH = 10 };

static char folder[64], file[96], why[1024];

static int set_up(void **state) {
    (void)state;
    char path[96];
    strcpy(folder, "/tmp/test_export_XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(path, sizeof path, "%s/replay", folder);
    snprintf(file, sizeof file, "%s/rows.npz", folder);
    return mkdir(path, 0700);
}

static int tear_down(void **state) {
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* Every number of a row follows from x. */
static void fill(struct batch *batch, uint64_t x) {
    batch->n = BATCH;
    for (size_t i = 0; i < BATCH; i++) {
        const float f = (float)(x + i);
        for (size_t k = 0; k < S; k++) {
            batch->s[i * S + k] = f;
            batch->next[i * S + k] = -f;
        }
        for (size_t k = 0; k < A; k++) batch->a[i * A + k] = f / 1e9f;
        batch->r[i] = f;
        batch->flags[i] = (uint8_t)((x + i) % 3);
        batch->version[i] = (x + i) << 40 | 5;
    }
}

static void open_ring(struct ring *ring, unsigned index, uint64_t run,
                      uint32_t actions, uint64_t capacity) {
    char path[128];
    const struct ring_spec spec = {
        .run = run, .capacity = capacity, .S = S, .A = actions};
    snprintf(path, sizeof path, "%s/replay/shard-%u.ring", folder, index);
    if (ring_open(ring, path, &spec, NULL, why, sizeof why) != 0)
        fail_msg("%s", why);
}

/* batches of BATCH rows: x of row i of batch b is 1000 index + 10 b + i */
static void make_ring(unsigned index, uint64_t capacity, uint64_t batches) {
    struct ring ring;
    struct batch batch;
    open_ring(&ring, index, RUN, A, capacity);
    assert_int_equal(batch_init(&batch, BATCH, S, A), 0);
    for (uint64_t b = 0; b < batches; b++) {
        fill(&batch, 1000 * index + BATCH * b);
        assert_int_equal(ring_insert(&ring, index + 3, 77, b, &batch),
                         RING_STORED);
    }
    batch_finish(&batch);
    ring_close(&ring);
}

/* All of the run into file. Returns 0 or the error; *figures out. */
static int extract_all(struct extract *figures) {
    int rc = extract_open(figures, folder, file, why, sizeof why);
    if (rc != 0) return rc;
    while (!extract_done(figures)) extract_step(figures);
    return extract_finish(figures, why, sizeof why);
}

/* As far as arrays of 4 bytes and 8 go; others are numpy's to read. */
static void assert_rows(const uint64_t *x, size_t n) {
    struct dataset d;
    struct batch batch;
    if (dataset_open(&d, file, why, sizeof why) != 0) fail_msg("%s", why);
    assert_int_equal(d.rows, n);
    assert_int_equal(batch_init(&batch, n, S, A), 0);
    for (size_t i = 0; i < n; i++) {
        dataset_row(&d, i, &batch);
        for (size_t k = 0; k < S; k++) {
            assert_close(batch.s[i * S + k], (float)x[i], 0);
            assert_close(batch.next[i * S + k], -(float)x[i], 0);
        }
        assert_close(batch.a[i * A], (float)x[i] / 1e9f, 0);
        assert_close(batch.r[i], (float)x[i], 0);
        assert_int_equal(batch.flags[i], x[i] % 3);
    }
    batch_finish(&batch);
    dataset_close(&d);
}

/* Shard after shard, each by number; one ring is wrapped. */
static void every_row_is_there_in_order(void **state) {
    (void)state;
    uint64_t x[60];
    struct extract figures;
    make_ring(1, 100, 3);
    make_ring(0, 30, 5);
    assert_int_equal(extract_all(&figures), 0);
    assert_int_equal(figures.rows, 60);
    assert_int_equal(figures.n, 2);
    assert_int_equal(figures.left_out, 0);
    for (size_t i = 0; i < 30; i++) {
        x[i] = 20 + i;
        x[30 + i] = 1000 + i;
    }
    assert_rows(x, 60);
}

/* So that a slot is as a writer leaves it half-way. */
static void poke(uint64_t row, size_t at, uint8_t byte) {
    char path[128];
    snprintf(path, sizeof path, "%s/replay/shard-0.ring", folder);
    FILE *ring = fopen(path, "r+b");
    fseek(ring, (long)(RING_FILE_HEADER + row * ring_file_row_bytes(S, A) + at),
          SEEK_SET);
    fputc(byte, ring);
    fclose(ring);
}

/* What is damaged is counted, not written. */
static void a_damaged_row_is_left_out(void **state) {
    (void)state;
    struct extract figures;
    uint64_t x[29];
    make_ring(0, 100, 3);
    poke(7, 50, 0x55);
    assert_int_equal(extract_all(&figures), 0);
    assert_int_equal(figures.rows, 29);
    assert_int_equal(figures.left_out, 1);
    for (uint64_t i = 0, n = 0; i < 30; i++)
        if (i != 7) x[n++] = i;
    assert_rows(x, 29);
}

/* Rows that a writer replaces once the ring was opened are left out. */
static void an_overwritten_row_is_left_out(void **state) {
    (void)state;
    struct extract figures;
    struct ring ring;
    struct batch batch;
    uint64_t x[30];
    make_ring(0, 50, 5);
    assert_int_equal(extract_open(&figures, folder, file, why, sizeof why), 0);
    open_ring(&ring, 0, RUN, A, 50); /* a lock that the reader does not mind */
    assert_int_equal(batch_init(&batch, BATCH, S, A), 0);
    for (uint64_t b = 5; b < 7; b++) {
        fill(&batch, BATCH * b);
        assert_int_equal(ring_insert(&ring, 3, 77, b, &batch), RING_STORED);
    }
    while (!extract_done(&figures)) extract_step(&figures);
    assert_int_equal(extract_finish(&figures, why, sizeof why), 0);
    batch_finish(&batch);
    ring_close(&ring);
    assert_int_equal(figures.left_out, 20);
    for (uint64_t i = 0; i < 30; i++) x[i] = 20 + i;
    assert_rows(x, 30);
}

/* A row whose body changes once the ring was opened, or whose sum is cleared.
 */
static void a_row_being_written_is_left_out(void **state) {
    (void)state;
    struct extract figures;
    uint64_t x[27];
    make_ring(0, 50, 3);
    assert_int_equal(extract_open(&figures, folder, file, why, sizeof why), 0);
    const size_t sum = 48 + 4 * (2 * S + A + 1) + 4;
    poke(4, 60, 0x55);
    poke(5, 8, 0x55);
    for (size_t i = 0; i < 4; i++) poke(6, sum + i, 0);
    while (!extract_done(&figures)) extract_step(&figures);
    assert_int_equal(extract_finish(&figures, why, sizeof why), 0);
    assert_int_equal(figures.left_out, 3);
    for (uint64_t i = 0, n = 0; i < 30; i++)
        if (i < 4 || i > 6) x[n++] = i;
    assert_rows(x, 27);
}

/* A writer at full speed: every row is one that it wrote, none is torn. */
static void rows_of_a_ring_in_use_are_whole(void **state) {
    (void)state;
    make_ring(0, 5000, 500);
    const pid_t writer = fork();
    if (writer == 0) {
        struct ring ring;
        struct batch batch;
        open_ring(&ring, 0, RUN, A, 5000);
        if (batch_init(&batch, BATCH, S, A) != 0) _exit(1);
        for (uint64_t b = 500;; b++) {
            fill(&batch, BATCH * b);
            ring_insert(&ring, 3, 78, b, &batch);
        }
    }
    for (int i = 0; i < 20; i++) {
        struct extract figures;
        struct dataset d;
        struct batch row;
        if (extract_all(&figures) != 0) fail_msg("%s", why);
        if (figures.rows == 0) continue;
        assert_int_equal(dataset_open(&d, file, why, sizeof why), 0);
        assert_int_equal(batch_init(&row, 1, S, A), 0);
        for (uint64_t k = 0; k < d.rows; k++) {
            row.n = 0;
            dataset_row(&d, k, &row);
            assert_true(row.s[0] == row.r[0] && row.s[S - 1] == row.r[0]);
            assert_true(row.next[0] == -row.r[0] &&
                        row.next[S - 1] == -row.r[0]);
        }
        batch_finish(&row);
        dataset_close(&d);
    }
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
}

static void assert_refused(int rc, const char *word) {
    struct extract figures;
    assert_int_equal(extract_all(&figures), rc);
    if (strstr(why, word) == NULL) fail_msg("'%s' lacks '%s'", why, word);
}

/* In words, and a file that was there stays. */
static void what_cannot_be_exported_is_refused(void **state) {
    (void)state;
    struct ring ring;
    struct stat info;
    char path[128], gone[160];
    FILE *old = fopen(file, "w");
    fputs("old", old);
    fclose(old);
    assert_refused(-ENOENT, "holds no shard-*.ring");
    open_ring(&ring, 0, RUN, A, 100);
    ring_close(&ring);
    assert_refused(-ENODATA, "hold no rows yet");
    make_ring(0, 100, 2);
    open_ring(&ring, 1, RUN, A + 1, 100);
    ring_close(&ring);
    assert_refused(-EINVAL, "actions of 3");
    snprintf(path, sizeof path, "%s/replay/shard-1.ring", folder);
    unlink(path);
    open_ring(&ring, 1, RUN + 1, A, 100);
    ring_close(&ring);
    assert_refused(-EINVAL, "different runs");
    assert_int_equal(truncate(path, 5000), 0);
    assert_refused(-EBADMSG, "cut");
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_size, 3);
    snprintf(gone, sizeof gone, "%s.tmp", file);
    assert_int_equal(access(gone, F_OK), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_row_is_there_in_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_row_is_left_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_overwritten_row_is_left_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_row_being_written_is_left_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(rows_of_a_ring_in_use_are_whole, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_exported_is_refused,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests_name("extract", tests, NULL, NULL);
}
