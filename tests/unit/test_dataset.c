/* Transitions in an .npz file: taken as they are, or refused in words. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replay/dataset.h"
#include "replay/npz_write.h"
#include "tests/unit/test.h"

enum { ROWS = 5, S = 3, A = 2 };

static char path[64], why[512];

static const struct npz_write_column plain[DATASET_COLUMNS] = {
    {"observations", "<f4", 4, S}, {"actions", "<f8", 8, A},
    {"rewards", "<f4", 4, 0},      {"next_observations", "<f4", 4, S},
    {"terminals", "|b1", 1, 0},    {"truncations", "|u1", 1, 0}};

/* A file of these columns. Row i: s = i, a = i / 8, r = -i, s' = i + 0.5,
 * terminal when i is 1, truncated when i is 2. *spoil in column `spoilt` of row
 * 3 (the first number of it), -1: nowhere. */
static void write_file(const struct npz_write_column *columns, size_t n,
                       int spoilt, const void *spoil) {
    struct npz_write out;
    assert_int_equal(npz_write_start(&out, path, columns, n, ROWS), 0);
    for (int i = 0; i < ROWS; i++) {
        float s[4] = {(float)i, (float)i, (float)i, 0};
        double a[4] = {i / 8.0, i / 8.0, 0, 0};
        float r[4] = {(float)-i, 0, 0, 0};
        float next[4] = {(float)i + 0.5f, (float)i + 0.5f, (float)i + 0.5f, 0};
        uint64_t terminal[4] = {i == 1}, truncated[4] = {i == 2};
        void *cells[DATASET_COLUMNS] = {s, a, r, next, terminal, truncated};
        if (i == 3 && spoilt >= 0)
            memcpy(cells[spoilt], spoil, columns[spoilt].size);
        npz_write_row(&out, (const void *const *)cells);
    }
    assert_int_equal(npz_write_finish(&out), 0);
}

static int set_up(void **state) {
    (void)state;
    strcpy(path, "/tmp/test_dataset_XXXXXX");
    close(mkstemp(path));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    return unlink(path);
}

static void rows_are_taken_as_they_are(void **state) {
    (void)state;
    struct dataset d;
    struct batch batch;
    write_file(plain, DATASET_COLUMNS, -1, NULL);
    if (dataset_open(&d, path, why, sizeof why) != 0) fail_msg("%s", why);
    assert_int_equal(d.rows, ROWS);
    assert_int_equal(d.S, S);
    assert_int_equal(d.A, A);
    assert_int_equal(batch_init(&batch, ROWS, S, A), 0);
    test_fill_nan(batch.s, ROWS * S);
    for (uint64_t i = 0; i < ROWS; i++) dataset_row(&d, i, &batch);
    assert_int_equal(batch.n, ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t k = 0; k < S; k++) {
            assert_close(batch.s[i * S + k], (float)i, 0);
            assert_close(batch.next[i * S + k], (float)i + 0.5f, 0);
        }
        for (size_t k = 0; k < A; k++)
            assert_close(batch.a[i * A + k], (float)i / 8, 0);
        assert_close(batch.r[i], -(float)i, 0);
        assert_int_equal(batch.flags[i], i == 1   ? BATCH_TERMINAL
                                         : i == 2 ? BATCH_TRUNCATED
                                                  : 0);
        assert_int_equal(batch.version[i], 0);
    }
    batch_finish(&batch);
    dataset_close(&d);
}

/* The same numbers have the same id, others another. */
static void the_id_is_that_of_the_content(void **state) {
    (void)state;
    struct dataset d;
    uint64_t ids[3];
    for (int i = 0; i < 3; i++) {
        const float r = 17;
        write_file(plain, DATASET_COLUMNS, i == 2 ? DATASET_REWARDS : -1, &r);
        assert_int_equal(dataset_open(&d, path, why, sizeof why), 0);
        ids[i] = d.id;
        dataset_close(&d);
    }
    assert_true(ids[0] == ids[1] && ids[0] != ids[2]);
}

static void truncations_may_be_missing(void **state) {
    (void)state;
    struct dataset d;
    struct batch batch;
    write_file(plain, DATASET_COLUMNS - 1, -1, NULL);
    assert_int_equal(dataset_open(&d, path, why, sizeof why), 0);
    assert_int_equal(batch_init(&batch, 1, S, A), 0);
    dataset_row(&d, 2, &batch);
    assert_int_equal(batch.flags[0], 0);
    batch_finish(&batch);
    dataset_close(&d);
}

/* One line that names file, array, expectation and finding. */
static void assert_refused(const char *array, const char *word) {
    struct dataset d;
    memset(why, 0, sizeof why);
    assert_int_equal(dataset_open(&d, path, why, sizeof why), -EBADMSG);
    char start[128];
    snprintf(start, sizeof start, "%s: %s: ", path, array);
    if (strncmp(why, start, strlen(start)) != 0 || strstr(why, word) == NULL ||
        strchr(why, '\n') != NULL)
        fail_msg("'%s' is not '%s...%s'", why, start, word);
}

static void other_shapes_and_types_are_refused(void **state) {
    (void)state;
    static const struct {
        enum dataset_column column;
        struct npz_write_column other;
        const char *word;
    } cases[] = {
        {DATASET_OBSERVATIONS,
         {"observations", "<f4", 4, 0},
         "float32 of (5,), expected (rows, observation numbers)"},
        {DATASET_OBSERVATIONS,
         {"observations", "|u1", 1, 4},
         "uint8 of (5, 4), expected float32 or float64"},
        {DATASET_ACTIONS, {"actions", "<f8", 8, 0}, "float64 of (5,)"},
        {DATASET_REWARDS,
         {"rewards", "<f4", 4, 1},
         "float32 of (5, 1), expected (rows,), with 5 rows: give it .ravel()"},
        {DATASET_NEXT_OBSERVATIONS,
         {"next_observations", "<f4", 4, 4},
         "float32 of (5, 4), expected the shape of observations"},
        {DATASET_TERMINALS, {"terminals", "<i8", 8, 0}, "dtype '<i8'"},
        {DATASET_TERMINALS, {"dones", "|b1", 1, 0}, "no such array"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct npz_write_column columns[DATASET_COLUMNS];
        memcpy(columns, plain, sizeof columns);
        columns[cases[i].column] = cases[i].other;
        write_file(columns, DATASET_COLUMNS, -1, NULL);
        assert_refused(plain[cases[i].column].name, cases[i].word);
    }
}

static void other_numbers_are_refused(void **state) {
    (void)state;
    const float not_a_number = NAN, infinite = -INFINITY;
    const double beyond = 1.25, huge = 1e300;
    const uint8_t two = 2;
    struct npz_write_column doubles[DATASET_COLUMNS];
    memcpy(doubles, plain, sizeof doubles);

    write_file(plain, DATASET_COLUMNS, DATASET_OBSERVATIONS, &not_a_number);
    assert_refused("observations", "nan in row 3, expected finite");
    write_file(plain, DATASET_COLUMNS, DATASET_NEXT_OBSERVATIONS, &infinite);
    assert_refused("next_observations", "-inf in row 3, expected finite");
    write_file(plain, DATASET_COLUMNS, DATASET_ACTIONS, &beyond);
    assert_refused("actions", "1.25 in row 3, expected numbers of [-1, 1]");
    write_file(plain, DATASET_COLUMNS, DATASET_TRUNCATIONS, &two);
    assert_refused("truncations", "2 in row 3, expected 0 or 1");
    doubles[DATASET_REWARDS] =
        (struct npz_write_column){"rewards", "<f8", 8, 0};
    write_file(doubles, DATASET_COLUMNS, DATASET_REWARDS, &huge);
    assert_refused("rewards", "1e+300 in row 3, expected finite float32");
}

static void other_files_are_refused(void **state) {
    (void)state;
    struct dataset d;
    assert_int_equal(dataset_open(&d, path, why, sizeof why), -ENODATA);
    assert_int_equal(dataset_open(&d, "/nowhere.npz", why, sizeof why),
                     -ENOENT);
    assert_int_equal(dataset_open(&d, "/tmp", why, sizeof why), -EINVAL);
    FILE *file = fopen(path, "w");
    fputs("observations,actions\n1,2\n", file);
    fclose(file);
    assert_int_equal(dataset_open(&d, path, why, sizeof why), -EBADMSG);
    assert_non_null(strstr(why, "not an .npz file"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_taken_as_they_are, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_id_is_that_of_the_content, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(truncations_may_be_missing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(other_shapes_and_types_are_refused,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_numbers_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(other_files_are_refused, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("dataset", tests, NULL, NULL);
}
