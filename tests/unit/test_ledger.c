#include "common/ledger.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/unit/test.h"

static char folder[64], path[128];

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/test_ledger_XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(path, sizeof path, "%s/book", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* The file of this kind, whole; it must be there. */
static const char *text_of(const char *kind) {
    static char text[4096];
    char file[256];
    snprintf(file, sizeof file, "%s/a-000000000000002a.%s", path, kind);
    FILE *stream = fopen(file, "r");
    assert_non_null(stream);
    text[fread(text, 1, sizeof text - 1, stream)] = '\0';
    fclose(stream);
    return text;
}

static void make_batch(struct batch *batch, size_t n) {
    assert_int_equal(batch_init(batch, 4, 2, 1), 0);
    for (size_t i = 0; i < 2 * n; i++) {
        batch->s[i] = (float)i;
        batch->next[i] = (float)i + 0.5f;
    }
    for (size_t i = 0; i < n; i++) {
        batch->a[i] = -0.25f * (float)i;
        batch->r[i] = (float)i;
        batch->flags[i] = (uint8_t)i;
        batch->version[i] = (uint64_t)1 << 40 | i;
    }
    batch->n = n;
}

/* A line each, as the header has it; a second process adds to its own. */
static void lines_are_as_documented(void **state) {
    (void)state;
    struct ledger ledger;
    struct batch batch;
    char want[128];
    make_batch(&batch, 2);
    assert_int_equal(ledger_open(&ledger, path, "a", 42, 4), 0);
    ledger_sent(&ledger, 3, 42, 0, 1, &batch);
    assert_string_equal(text_of("acked"), "");
    ledger_moved(&ledger, 42, 0, 0);
    ledger_acked(&ledger, 42, 0, 0, UINT64_MAX);
    snprintf(want, sizeof want, "sent 3 42 0 1 2 %08x %08x\nmoved 42 0 0\n",
             ledger_hash(&batch, 0), ledger_hash(&batch, 1));
    assert_string_equal(text_of("sent"), want);
    assert_string_equal(text_of("acked"),
                        "acked 42 0 0 18446744073709551615\n");
    ledger_close(&ledger);
    assert_int_equal(ledger_open(&ledger, path, "a", 42, 4), 0);
    ledger_acked(&ledger, 42, 1, 0, 7);
    ledger_close(&ledger);
    assert_string_equal(text_of("acked"),
                        "acked 42 0 0 18446744073709551615\nacked 42 1 0 7\n");
    batch_finish(&batch);
}

/* FNV-1a by hand: a row of zeros is 33 bytes of 0 after the offset basis. */
static void the_hash_is_the_documented_one(void **state) {
    (void)state;
    struct batch batch;
    make_batch(&batch, 1);
    memset(batch.s, 0, 2 * sizeof(float));
    memset(batch.next, 0, 2 * sizeof(float));
    batch.a[0] = batch.r[0] = 0.0f;
    batch.version[0] = 0;
    uint64_t hash = 14695981039346656037u;
    for (int i = 0; i < 33; i++) hash *= 1099511628211u;
    assert_int_equal(ledger_hash(&batch, 0), (uint32_t)(hash ^ hash >> 32));
    batch_finish(&batch);
}

/* Every number of a row changes its hash, and no number of another row. */
static void every_number_counts(void **state) {
    (void)state;
    struct batch batch;
    make_batch(&batch, 2);
    const uint32_t was = ledger_hash(&batch, 1);
    float *const columns[] = {batch.s + 2, batch.s + 3,    batch.a + 1,
                              batch.r + 1, batch.next + 2, batch.next + 3};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        *columns[i] += 1.0f;
        assert_int_not_equal(ledger_hash(&batch, 1), was);
        *columns[i] -= 1.0f;
    }
    batch.flags[1] ^= BATCH_TERMINAL;
    assert_int_not_equal(ledger_hash(&batch, 1), was);
    batch.flags[1] ^= BATCH_TERMINAL;
    batch.version[1] ^= (uint64_t)1 << 40;
    assert_int_not_equal(ledger_hash(&batch, 1), was);
    batch.version[1] ^= (uint64_t)1 << 40;
    batch.s[0] = batch.s[1] = batch.r[0] = 99.0f;
    assert_int_equal(ledger_hash(&batch, 1), was);
    batch_finish(&batch);
}

/* No ledger was asked for: nothing happens; one that cannot be says why. */
static void without_one_nothing_happens(void **state) {
    (void)state;
    struct ledger ledger = {0};
    struct batch batch;
    make_batch(&batch, 1);
    ledger_sent(&ledger, 0, 1, 0, 0, &batch);
    ledger_moved(&ledger, 1, 0, 1);
    ledger_acked(&ledger, 1, 0, 1, 1);
    ledger_close(&ledger);
    batch_finish(&batch);
    assert_int_equal(ledger_open(&ledger, "/nowhere/at/all", "a", 42, 4),
                     -ENOENT);
    ledger_close(&ledger);
}

/* A disk that is full ends the ledger, in words, and not the sender. */
static void a_full_disk_ends_it(void **state) {
    (void)state;
    struct ledger ledger;
    struct rlimit was, none;
    assert_int_equal(ledger_open(&ledger, path, "a", 42, 4), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    none = was;
    none.rlim_cur = 0;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    ledger_acked(&ledger, 42, 0, 0, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    ledger_acked(&ledger, 42, 1, 0, 1);
    assert_string_equal(text_of("acked"), "");
    ledger_close(&ledger);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest cases[] = {
        CASE(lines_are_as_documented), CASE(the_hash_is_the_documented_one),
        CASE(every_number_counts),     CASE(without_one_nothing_happens),
        CASE(a_full_disk_ends_it),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
