#include "tests/unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/tensors.h"

static char folder[64], path[96], why[256];

/* A file of these bytes; header's length is put before it. */
static void write_raw(const char *header, size_t len, size_t data_bytes) {
    const uint64_t length = len;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(&length, sizeof(length), 1, file), 1);
    assert_int_equal(fwrite(header, 1, len, file), len);
    for (size_t i = 0; i < data_bytes; i++) putc('\0', file);
    assert_int_equal(fclose(file), 0);
}

/* Two arrays, one number and two notes, written to path. */
static void write_sample(void) {
    float weights[6] = {1.0f, -2.0f, 3.5f, 0.0f, 1e-30f, 7.0f}, bias[1] = {4};
    double mean[2] = {0.1, -1e300};
    uint64_t counter = UINT64_MAX;
    char task[] = "swimmer \"3\"", format[] = "1";
    struct tensors_entry entries[] = {
        {"q.w2", TENSORS_F32, 2, {2, 3}, weights},
        {"mean", TENSORS_F64, 1, {2}, mean},
        {"q.b", TENSORS_F32, 1, {1}, bias},
        {"counter", TENSORS_U64, 0, {0}, &counter},
        {"empty", TENSORS_F32, 2, {0, 5}, weights},
    };
    struct tensors_note notes[] = {{"task", task}, {"format", format}};
    const struct tensors tensors = {
        .n = 5, .n_notes = 2, .entries = entries, .notes = notes};
    assert_int_equal(tensors_write(path, &tensors), 0);
}

/* Every array, shape, type and note comes back, to the bit and aligned. */
static void written_files_read_back(void **state) {
    (void)state;
    struct tensors tensors;
    write_sample();
    assert_int_equal(tensors_read(&tensors, path, why, sizeof(why)), 0);
    assert_int_equal(tensors.n, 5);

    const struct tensors_entry *w = tensors_find(&tensors, "q.w2");
    assert_non_null(w);
    assert_int_equal(w->rank, 2);
    assert_int_equal(w->shape[0], 2);
    assert_int_equal(w->shape[1], 3);
    assert_close(((float *)w->data)[2], 3.5f, 0.0f);
    assert_close(((float *)w->data)[4], 1e-30f, 0.0f);
    const struct tensors_entry *mean = tensors_find(&tensors, "mean");
    assert_int_equal((uintptr_t)mean->data % sizeof(double), 0);
    assert_true(((double *)mean->data)[1] == -1e300);
    const struct tensors_entry *counter = tensors_find(&tensors, "counter");
    assert_int_equal(counter->rank, 0);
    assert_int_equal(counter->type, TENSORS_U64);
    assert_int_equal(*(uint64_t *)counter->data, UINT64_MAX);
    assert_close(*(float *)tensors_find(&tensors, "q.b")->data, 4.0f, 0.0f);
    assert_int_equal(tensors_find(&tensors, "empty")->shape[1], 5);

    assert_null(tensors_find(&tensors, "q.w"));
    assert_string_equal(tensors_note(&tensors, "task"), "swimmer \"3\"");
    assert_null(tensors_note(&tensors, "Task"));
    tensors_finish(&tensors);
}

/* The same tensors make the same bytes: lockstep compares checkpoints so. */
static void same_tensors_make_the_same_bytes(void **state) {
    (void)state;
    char first[2048], again[2048];
    FILE *file;
    write_sample();
    assert_non_null(file = fopen(path, "r"));
    const size_t n = fread(first, 1, sizeof(first), file);
    fclose(file);
    write_sample();
    assert_non_null(file = fopen(path, "r"));
    assert_int_equal(fread(again, 1, sizeof(again), file), n);
    fclose(file);
    assert_memory_equal(first, again, n);
    assert_true(n < sizeof(first));
}

/* An empty file of tensors is a file, and a zeroed one may be finished. */
static void nothing_can_be_written_and_read(void **state) {
    (void)state;
    struct tensors tensors = {0};
    assert_int_equal(tensors_write(path, &tensors), 0);
    assert_int_equal(tensors_read(&tensors, path, why, sizeof(why)), 0);
    assert_int_equal(tensors.n, 0);
    tensors_finish(&tensors);
    tensors_finish(&tensors);
}

/* What another program writes (numpy's writer here) reads, in any order. */
static void files_of_others_read(void **state) {
    (void)state;
    static const char header[] =
        "{\"b\":{\"shape\":[2],\"data_offsets\":[8,16],\"dtype\":\"F32\"},"
        "\"a\":{\"dtype\":\"U64\",\"shape\":[1],\"data_offsets\":[0,8]}}  ";
    struct tensors tensors;
    write_raw(header, strlen(header), 16);
    assert_int_equal(tensors_read(&tensors, path, why, sizeof(why)), 0);
    assert_int_equal(tensors_find(&tensors, "b")->shape[0], 2);
    assert_ptr_equal((char *)tensors_find(&tensors, "a")->data + 8,
                     tensors_find(&tensors, "b")->data);
    tensors_finish(&tensors);
}

#define F32(shape, begin, end)                                                 \
    "\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" begin "," end \
    "]"
#define LONG16 "xxxxxxxxxxxxxxxx"

/* Each lie of a header is named; none is believed. */
static void lies_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data_bytes;
        const char *says;
    } cases[] = {
        {"", 0, "JSON"},
        {"{", 0, "JSON"},
        {"[]", 0, "object"},
        {"1", 0, "object"},
        {"{} {}", 0, "object"},
        {"{}", 1, "cover"},
        {"{\"a\":1}", 0, "not a tensor"},
        {"{\"a\":{}}", 0, "type"},
        {"{\"a\":{\"dtype\":\"F16\"}}", 0, "type"},
        {"{\"a\":{\"dtype\":\"F32\"}}", 0, "shape"},
        {"{\"a\":{" F32("1,1,1,1,1", "0", "4") "}}", 4, "shape"},
        {"{\"a\":{" F32("-1", "0", "4") "}}", 4, "shape"},
        {"{\"a\":{" F32("1.5", "0", "4") "}}", 4, "shape"},
        {"{\"a\":{" F32("\"1\"", "0", "4") "}}", 4, "shape"},
        {"{\"a\":{" F32("1e300", "0", "4") "}}", 4, "shape"},
        {"{\"a\":{" F32("4294967296,4294967296", "0", "0") "}}", 0, "large"},
        {"{\"a\":{" F32("4611686018427387904,4", "0", "0") "}}", 0, "shape"},
        {"{\"a\":{" F32("2", "0", "4") "}}", 4, "offsets"},
        {"{\"a\":{" F32("1", "4", "0") "}}", 4, "offsets"},
        {"{\"a\":{" F32("2", "0", "8") "}}", 4, "offsets"},
        {"{\"a\":{" F32("1", "1e18", "1e18") "}}", 4, "offsets"},
        {"{\"a\":{" F32("1", "2", "6") "}}", 6, "aligned"},
        {"{\"a\":{" F32("1", "4", "8") "}}", 8, "cover"},
        {"{\"a\":{" F32("1", "0", "4") "}}", 8, "cover"},
        {"{\"a\":{" F32("1", "0", "4") "},\"b\":{" F32("1", "0", "4") "}}", 4,
         "cover"},
        {"{\"a\":{" F32("1", "0", "4") "},\"a\":{" F32("1", "4", "8") "}}", 8,
         "twice"},
        {"{\"\":{" F32("1", "0", "4") "}}", 4, "name"},
        {"{\"" LONG16 LONG16 LONG16 LONG16 "\":{" F32("1", "0", "4") "}}", 4,
         "name"},
        {"{\"__metadata__\":[]}", 0, "metadata"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "metadata"},
        {"{\"__metadata__\":{\"" LONG16 LONG16 "\":\"\"}}", 0, "metadata"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "metadata"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct tensors tensors;
        write_raw(cases[i].header, strlen(cases[i].header),
                  cases[i].data_bytes);
        const int rc = tensors_read(&tensors, path, why, sizeof(why));
        if (rc != -EBADMSG || strstr(why, cases[i].says) == NULL) {
            fail_msg("%s: %d, %s", cases[i].header, rc, why);
        }
        tensors_finish(&tensors);
    }
}

/* Cut anywhere, a file is refused; so is one with a byte too many. */
static void cut_files_are_refused(void **state) {
    (void)state;
    struct tensors tensors;
    char bytes[2048];
    write_sample();
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    const size_t n = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    for (size_t len = 0; len < n; len++) {
        write_sample();
        assert_int_equal(truncate(path, (off_t)len), 0);
        if (tensors_read(&tensors, path, why, sizeof(why)) != -EBADMSG) {
            fail_msg("cut at %zu was taken", len);
        }
    }
    write_sample();
    assert_int_equal(truncate(path, (off_t)n + 1), 0);
    assert_int_equal(tensors_read(&tensors, path, why, sizeof(why)), -EBADMSG);
}

/* A byte of the header or the data that is another one is found out. */
static void an_altered_byte_is_refused(void **state) {
    (void)state;
    char bytes[2048];
    struct tensors tensors;
    write_sample();
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    const size_t n = fread(bytes, 1, sizeof(bytes), file);
    const char *word = memmem(bytes, n, "\"checksum\"", 10);
    assert_non_null(word);
    for (size_t i = 0; i < n; i++) {
        const char wrong = (char)(bytes[i] ^ 1);
        if (i >= (size_t)(word - bytes) && i < (size_t)(word - bytes) + 13)
            continue; // without the word there is no checksum, and no harm
        fseek(file, (long)i, SEEK_SET);
        fwrite(&wrong, 1, 1, file);
        fflush(file);
        if (tensors_read(&tensors, path, why, sizeof(why)) != -EBADMSG)
            fail_msg("byte %zu was taken", i);
        fseek(file, (long)i, SEEK_SET);
        fwrite(&bytes[i], 1, 1, file);
    }
    fclose(file);
    assert_int_equal(tensors_read(&tensors, path, why, sizeof(why)), 0);
    tensors_finish(&tensors);
}

/* Without a checksum, as other programs write, any byte of the header may be
 * wrong: an error or other names, no crash. */
static void flipped_bytes_never_crash(void **state) {
    (void)state;
    char bytes[2048];
    write_sample();
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    const size_t n = fread(bytes, 1, sizeof(bytes), file);
    *(char *)memmem(bytes, n, "checksum", 8) = 'C';
    rewind(file);
    fwrite(bytes, 1, n, file);
    for (size_t i = 0; i < n; i++) {
        static const char flips[] = {1, 16, 127, '"', '9'};
        for (size_t f = 0; f < sizeof(flips); f++) {
            struct tensors tensors;
            const char wrong = (char)(bytes[i] ^ flips[f]);
            fseek(file, (long)i, SEEK_SET);
            fwrite(&wrong, 1, 1, file);
            fflush(file);
            const int rc = tensors_read(&tensors, path, why, sizeof(why));
            assert_true(rc == 0 || rc == -EBADMSG);
            tensors_finish(&tensors);
        }
        fseek(file, (long)i, SEEK_SET);
        fwrite(&bytes[i], 1, 1, file);
    }
    fclose(file);
}

/* A header that nests deeply is refused before it exhausts the stack. */
static void deep_headers_are_refused(void **state) {
    (void)state;
    enum { DEPTH = 100000 };
    struct tensors tensors;
    char *header = malloc(DEPTH);
    assert_non_null(header);
    memset(header, '[', DEPTH);
    write_raw(header, DEPTH, 0);
    free(header);
    assert_int_equal(tensors_read(&tensors, path, why, sizeof(why)), -EBADMSG);
}

/* No file, a folder, and a folder to write to that is not there. */
static void missing_files_are_named(void **state) {
    (void)state;
    struct tensors tensors = {0};
    assert_int_equal(
        tensors_read(&tensors, "/tmp/softq-none", why, sizeof(why)), -ENOENT);
    assert_non_null(strstr(why, "/tmp/softq-none"));
    assert_int_equal(tensors_read(&tensors, folder, why, sizeof(why)), -EISDIR);
    assert_int_equal(tensors_write("/tmp/softq-none/x", &tensors), -ENOENT);
}

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/softq-test-tensors-XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(path, sizeof(path), "%s/x.safetensors", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(written_files_read_back),
        cmocka_unit_test(same_tensors_make_the_same_bytes),
        cmocka_unit_test(nothing_can_be_written_and_read),
        cmocka_unit_test(files_of_others_read),
        cmocka_unit_test(lies_are_refused),
        cmocka_unit_test(cut_files_are_refused),
        cmocka_unit_test(an_altered_byte_is_refused),
        cmocka_unit_test(flipped_bytes_never_crash),
        cmocka_unit_test(deep_headers_are_refused),
        cmocka_unit_test(missing_files_are_named),
    };
    return cmocka_run_group_tests_name("tensors", cases, make_folder,
                                       remove_folder);
}
