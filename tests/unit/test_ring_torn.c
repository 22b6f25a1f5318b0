/* A ring file cut or altered anywhere: named, or only good rows are served. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/rng.h"
#include "replay/ring.h"
#include "tests/unit/test.h"

enum { S = 4, A = 2, CAPACITY = 1500, STORED = 2000, BATCH = 20, STEP = 1000 };

static const struct ring_spec spec = {
    .run = 0xA1, .capacity = CAPACITY, .S = S, .A = A};

static char folder[64], path[96];
static char *good; /* (length) the file as it was written */
static size_t length;

static void fill(struct batch *batch, uint64_t first, size_t n) {
    batch->n = n;
    for (size_t i = 0; i < n; i++) {
        const float x = (float)(first + i);
        for (size_t k = 0; k < S; k++) {
            batch->s[i * S + k] = x + 0.25f * (float)k;
            batch->next[i * S + k] = -x;
        }
        for (size_t k = 0; k < A; k++) batch->a[i * A + k] = 1.0f / (x + 1.0f);
        batch->r[i] = x;
        batch->flags[i] = 0;
        batch->version[i] = first + i;
    }
}

static void put_back(void) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(good, 1, length, file), length);
    fclose(file);
}

static int set_up(void **state) {
    (void)state;
    struct ring ring;
    struct batch batch;
    char why[256];
    strcpy(folder, "/tmp/test_torn_XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(path, sizeof path, "%s/a.ring", folder);
    if (ring_open(&ring, path, &spec, NULL, why, sizeof why) != 0 ||
        batch_init(&batch, BATCH, S, A) != 0)
        return -1;
    for (uint64_t seq = 0; seq < STORED / BATCH; seq++) {
        fill(&batch, seq * BATCH, BATCH);
        if (ring_insert(&ring, 1, 2, seq, &batch) != RING_STORED) return -1;
    }
    batch_finish(&batch);
    length = 4096 + CAPACITY * ring.row_bytes;
    ring_close(&ring);
    good = malloc(length);
    FILE *file = fopen(path, "r");
    if (file == NULL || fread(good, 1, length, file) != length) return -1;
    return fclose(file);
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    free(good);
    return rmdir(folder);
}

static void a_cut_file_is_named(void **state) {
    (void)state;
    struct ring ring;
    for (size_t at = 0; at < length; at += STEP) {
        char why[256] = "";
        put_back();
        assert_int_equal(truncate(path, (off_t)at), 0);
        int rc = ring_open_read(&ring, path, NULL, why, sizeof why);
        assert_int_equal(rc, -EBADMSG);
        assert_non_null(strstr(why, path));
        rc = ring_open(&ring, path, &spec, NULL, why, sizeof why);
        if (at > 0) {
            assert_int_equal(rc, -EBADMSG);
        } else { /* nothing was ever in it */
            assert_int_equal(rc, 0);
            assert_int_equal(ring.stored, 0);
            ring_close(&ring);
        }
    }
}

/* What is there is what was written under that number, and it is all but the
 * altered row, or its batch when that was the last one. */
static void check_rows(const struct ring *ring, struct rng *rng) {
    struct batch got, want;
    assert_int_equal(batch_init(&got, 1, S, A), 0);
    assert_int_equal(batch_init(&want, 1, S, A), 0);
    assert_true(ring->stored <= STORED && ring->stored + BATCH >= STORED);
    assert_true(ring->present + BATCH >= CAPACITY);
    assert_true(ring->present <= CAPACITY);
    for (int i = 0; i < 200; i++) {
        got.n = 0;
        const struct batch_columns to = batch_extend(&got, 1);
        ring_sample(ring, rng, 1, &to);
        fill(&want, got.version[0], 1);
        assert_true(got.version[0] < ring->stored);
        assert_memory_equal(got.s, want.s, S * sizeof(float));
        assert_memory_equal(got.next, want.next, S * sizeof(float));
        assert_memory_equal(got.a, want.a, A * sizeof(float));
        assert_true(got.r[0] == want.r[0] && got.flags[0] == 0);
    }
    batch_finish(&got);
    batch_finish(&want);
}

static void an_altered_byte_costs_its_row(void **state) {
    (void)state;
    struct ring ring;
    struct rng rng;
    unsigned refused = 0, opened = 0;
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    for (size_t at = 0; at < length; at += at < 64 ? 1 : STEP - 1) {
        char why[256] = "";
        uint64_t dropped = 0;
        good[at] ^= 0x10;
        put_back();
        good[at] ^= 0x10;
        int rc = ring_open(&ring, path, &spec, &dropped, why, sizeof why);
        if (rc != 0) {
            assert_true(at < 4096);
            assert_non_null(strstr(why, path));
            refused++;
            continue;
        }
        opened++;
        assert_true(dropped <= BATCH);
        check_rows(&ring, &rng);
        ring_close(&ring);
    }
    assert_true(refused > 40 && opened > 100);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test_setup_teardown(a_cut_file_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_altered_byte_costs_its_row, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
