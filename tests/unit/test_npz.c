/* Arrays out of .npz bytes: what our writer and others make, and anything. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "replay/npz.h"
#include "replay/npz_write.h"
#include "tests/unit/test.h"

enum { ROWS = 3000, WIDTH = 11, MOST = 1 << 20 };

static char why[512];
static uint8_t file[MOST];

/* The file at path; its length. */
static size_t load(const char *path) {
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    size_t n = fread(file, 1, sizeof file, in);
    fclose(in);
    return n;
}

/* x (rows, WIDTH) and flag (rows), room for `most`; the file's length. */
static size_t write_rows(uint64_t rows, uint64_t most) {
    static const struct npz_write_column columns[] = {{"x", "<f4", 4, WIDTH},
                                                      {"flag", "|b1", 1, 0}};
    struct npz_write out;
    char path[] = "/tmp/test_npz_XXXXXX";
    close(mkstemp(path));
    assert_int_equal(npz_write_start(&out, path, columns, 2, most), 0);
    for (uint64_t row = 0; row < rows; row++) {
        float x[WIDTH];
        for (size_t i = 0; i < WIDTH; i++) x[i] = (float)(row * WIDTH + i);
        const uint8_t flag = row % 3 == 0;
        npz_write_row(&out, (const void *[]){x, &flag});
    }
    assert_int_equal(npz_write_finish(&out), 0);
    size_t n = load(path);
    assert_int_equal(n, out.bytes);
    unlink(path);
    return n;
}

static void assert_rows(size_t len, size_t rows) {
    struct npz_array x, flag;
    if (npz_read(&x, file, len, "x", why, sizeof why) != 0) fail_msg("%s", why);
    if (npz_read(&flag, file, len, "flag", why, sizeof why) != 0)
        fail_msg("%s", why);
    assert_int_equal(x.rank, 2);
    assert_int_equal(x.shape[0], rows);
    assert_int_equal(x.shape[1], WIDTH);
    assert_int_equal(flag.rank, 1);
    assert_int_equal(flag.shape[0], rows);
    for (size_t i = 0; i < rows * WIDTH; i++)
        assert_true(npz_number(&x, i) == (double)i);
    for (size_t i = 0; i < rows; i++)
        assert_true(npz_number(&flag, i) == (double)(i % 3 == 0));
    npz_finish(&x);
    npz_finish(&flag);
}

/* More rows than a block; and fewer than there was room for. */
static void what_is_written_is_read(void **state) {
    (void)state;
    assert_rows(write_rows(ROWS, ROWS), ROWS);
    assert_rows(write_rows(7, ROWS), 7);
    assert_rows(write_rows(0, 0), 0);
}

static void put(uint8_t **at, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++) *(*at)++ = (uint8_t)(value >> (8 * i));
}

/* A zip as others write it: one member x.npy of these bytes, deflated, 32-bit
 * sizes, with a comment at its end. Returns its length. */
static size_t pack(const void *npy, size_t len, const char *comment) {
    static uint8_t packed[MOST];
    z_stream z = {.next_in = (z_const Bytef *)npy,
                  .avail_in = (uInt)len,
                  .next_out = packed,
                  .avail_out = sizeof packed};
    deflateInit2(&z, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    const uint32_t crc = (uint32_t)crc32_z(0, npy, len);
    uint8_t *at = file;
    put(&at, 0x04034b50, 4), put(&at, 20, 2), put(&at, 0, 2), put(&at, 8, 2);
    put(&at, 0, 4), put(&at, crc, 4), put(&at, z.total_out, 4);
    put(&at, len, 4), put(&at, 5, 2), put(&at, 0, 2);
    at = (uint8_t *)memcpy(at, "x.npy", 5) + 5;
    at = (uint8_t *)memcpy(at, packed, z.total_out) + z.total_out;
    const size_t from = (size_t)(at - file);
    put(&at, 0x02014b50, 4), put(&at, 20, 2), put(&at, 20, 2), put(&at, 0, 2);
    put(&at, 8, 2), put(&at, 0, 4), put(&at, crc, 4);
    put(&at, z.total_out, 4), put(&at, len, 4), put(&at, 5, 2);
    put(&at, 0, 8), put(&at, 0, 8);
    at = (uint8_t *)memcpy(at, "x.npy", 5) + 5;
    const size_t size = (size_t)(at - file) - from;
    put(&at, 0x06054b50, 4), put(&at, 0, 4), put(&at, 1, 2), put(&at, 1, 2);
    put(&at, size, 4), put(&at, from, 4), put(&at, strlen(comment), 2);
    at = (uint8_t *)memcpy(at, comment, strlen(comment)) + strlen(comment);
    return (size_t)(at - file);
}

/* An npy array with this dictionary, n bytes of numbers, in a zip. */
static size_t pack_array(const char *dict, size_t n) {
    static uint8_t npy[MOST / 2];
    const size_t len = strlen(dict);
    memcpy(npy, "\x93NUMPY\1\0", 8);
    npy[8] = (uint8_t)(len + 1);
    npy[9] = 0;
    memcpy(npy + 10, dict, len);
    npy[10 + len] = '\n';
    for (size_t i = 0; i < n; i++) npy[11 + len + i] = (uint8_t)(i % 5);
    return pack(npy, 11 + len + n, "a comment");
}

static void deflated_arrays_are_read(void **state) {
    (void)state;
    struct npz_array x;
    const char *dict = "{'shape': (50000,), 'fortran_order': False, 'descr': "
                       "'|u1'}";
    size_t len = pack_array(dict, 50000);
    if (npz_read(&x, file, len, "x", why, sizeof why) != 0) fail_msg("%s", why);
    assert_int_equal(x.type, NPZ_U1);
    assert_int_equal(x.shape[0], 50000);
    for (size_t i = 0; i < 50000; i++)
        assert_true(npz_number(&x, i) == (double)(i % 5));
    npz_finish(&x);
    assert_int_equal(npz_read(&x, file, len, "y", why, sizeof why), -ENOENT);
    assert_int_equal(npz_read(&x, file, len, "", why, sizeof why), -ENOENT);
}

/* Each header, and the word that its refusal says. */
static void other_arrays_are_refused_in_words(void **state) {
    (void)state;
    static const struct {
        const char *dict, *word;
    } cases[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (5, 4), }",
         "dtype '>f4', expected '<f4'"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (10,), }",
         "dtype '<i8'"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (10,), }",
         "dtype '|O'"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (20,), }",
         "structured"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (5, 4), }",
         "ascontiguousarray"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (5, 5), }",
         "float32 of (5, 5), but 80 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-5, 4), }",
         "another kind"},
        {"{'descr': '<f4', 'fortran_order': False, "
         "'shape': (4294967296, 4294967296), }",
         "but 80 bytes"},
        {"{'descr': '<f4', 'fortran_order': False, "
         "'shape': (99999999999999999999, 1), }",
         "another kind"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,4,5), }",
         "another kind"},
        {"{'descr': '<f4', 'shape': (5, 4), }", "without"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (5, 4), ",
         "another kind"},
        {"{'x': 1}", "another kind"},
        {"", "no npy header"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct npz_array x;
        size_t len = pack_array(cases[i].dict, 80);
        assert_int_equal(npz_read(&x, file, len, "x", why, sizeof why),
                         -EBADMSG);
        if (strstr(why, cases[i].word) == NULL)
            fail_msg("'%s' lacks '%s'", why, cases[i].word);
        assert_null(x.data);
    }
}

/* Never past its end, and never taken for whole. */
static void a_cut_file_is_refused(void **state) {
    (void)state;
    const size_t len = write_rows(20, 20);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut + 1); /* so that a sanitiser sees the end */
        struct npz_array x;
        memcpy(copy, file, cut);
        assert_int_equal(npz_read(&x, copy, cut, "x", why, sizeof why),
                         -EBADMSG);
        free(copy);
    }
}

/* A flipped byte is refused, or does not matter: dates, the other array. */
static void a_flipped_byte_changes_no_number(void **state) {
    (void)state;
    const size_t deflated = pack_array(
        "{'descr': '|u1', 'fortran_order': False, 'shape': (400,), }", 400);
    size_t refused = 0;
    for (size_t at = 0; at < deflated; at++) {
        struct npz_array x;
        file[at] ^= 0x21;
        int rc = npz_read(&x, file, deflated, "x", why, sizeof why);
        for (size_t i = 0; rc == 0 && i < 400; i++)
            assert_true(npz_number(&x, i) == (double)(i % 5));
        refused += rc != 0;
        npz_finish(&x);
        file[at] ^= 0x21;
    }
    assert_true(refused > deflated / 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(deflated_arrays_are_read),
        cmocka_unit_test(other_arrays_are_refused_in_words),
        cmocka_unit_test(a_cut_file_is_refused),
        cmocka_unit_test(a_flipped_byte_changes_no_number),
    };
    return cmocka_run_group_tests_name("npz", tests, NULL, NULL);
}
