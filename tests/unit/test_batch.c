#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>

#include "common/batch.h"

/* A batch of n rows whose every number tells its row and column. */
static void fill(struct batch *batch, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (size_t d = 0; d < batch->S; d++) {
            batch->s[i * batch->S + d] = (float)(100 * i + d);
            batch->next[i * batch->S + d] = (float)(100 * i + d) + 0.5f;
        }
        for (size_t d = 0; d < batch->A; d++) {
            batch->a[i * batch->A + d] = -(float)(100 * i + d);
        }
        batch->r[i] = 1000.0f + (float)i;
        batch->flags[i] = (uint8_t)(i % 4);
        batch->version[i] = (uint64_t)1 << 40 | i;
    }
    batch->n = n;
}

/* Appended rows are the source's rows, behind those that were there. */
static void append_copies_every_column(void **state) {
    (void)state;
    struct batch src, dst;
    assert_int_equal(batch_init(&src, 5, 3, 2), 0);
    assert_int_equal(batch_init(&dst, 4, 3, 2), 0);
    fill(&src, 5);
    test_fill_nan(dst.s, 4 * 3);
    test_fill_nan(dst.next, 4 * 3);
    test_fill_nan(dst.a, 4 * 2);
    test_fill_nan(dst.r, 4);

    batch_append(&dst, &src, 4, 1);
    batch_append(&dst, &src, 0, 3);
    batch_append(&dst, &src, 5, 0);

    const size_t expected[] = {4, 0, 1, 2};
    assert_int_equal(dst.n, 4);
    for (size_t i = 0; i < 4; i++) {
        const size_t e = expected[i];
        assert_memory_equal(dst.s + 3 * i, src.s + 3 * e, 3 * sizeof(float));
        assert_memory_equal(dst.next + 3 * i, src.next + 3 * e,
                            3 * sizeof(float));
        assert_memory_equal(dst.a + 2 * i, src.a + 2 * e, 2 * sizeof(float));
        assert_close(dst.r[i], src.r[e], 0.0f);
        assert_int_equal(dst.flags[i], src.flags[e]);
        assert_int_equal(dst.version[i], src.version[e]);
    }
    batch_finish(&src);
    batch_finish(&dst);
}

/* Columns do not overlap and are aligned, odd sizes included. */
static void columns_are_apart(void **state) {
    (void)state;
    struct batch batch;
    assert_int_equal(batch_init(&batch, 7, 5, 3), 0);
    fill(&batch, 7);
    assert_int_equal((uintptr_t)batch.version % sizeof(uint64_t), 0);
    assert_int_equal((uintptr_t)batch.s % sizeof(float), 0);
    assert_close(batch.s[6 * 5 + 4], 604.0f, 0.0f);
    assert_close(batch.next[6 * 5 + 4], 604.5f, 0.0f);
    assert_close(batch.a[6 * 3 + 2], -602.0f, 0.0f);
    assert_close(batch.r[0], 1000.0f, 0.0f);
    assert_int_equal(batch.flags[6], 2);
    assert_int_equal(batch.version[0], (uint64_t)1 << 40);
    batch_finish(&batch);
}

/* The earliest bad row is named, whichever column holds it. */
static void first_non_finite_is_the_earliest_row(void **state) {
    (void)state;
    struct batch batch;
    assert_int_equal(batch_init(&batch, 6, 3, 2), 0);
    fill(&batch, 6);
    assert_int_equal(batch_first_non_finite(&batch), 6);
    batch.s[5 * 3 + 2] = NAN;
    assert_int_equal(batch_first_non_finite(&batch), 5);
    batch.next[4 * 3] = INFINITY;
    assert_int_equal(batch_first_non_finite(&batch), 4);
    batch.a[3 * 2 + 1] = -INFINITY;
    assert_int_equal(batch_first_non_finite(&batch), 3);
    batch.r[2] = NAN;
    assert_int_equal(batch_first_non_finite(&batch), 2);
    batch.n = 2; // rows that do not count are not looked at
    assert_int_equal(batch_first_non_finite(&batch), 2);
    batch_finish(&batch);
}

/* Sizes that overflow are out of memory, not a small block. */
static void absurd_sizes_are_refused(void **state) {
    (void)state;
    struct batch batch;
    assert_int_equal(batch_init(&batch, SIZE_MAX / 8, 100, 100), -ENOMEM);
    batch_finish(&batch);
    assert_int_equal(batch_init(&batch, 1, SIZE_MAX / 4, 1), -ENOMEM);
    batch_finish(&batch);
}

/* Zeroed and empty batches are batches. */
static void empty_batches_are_fine(void **state) {
    (void)state;
    struct batch batch = {0}, other = {0};
    batch_append(&batch, &other, 0, 0);
    assert_int_equal(batch_first_non_finite(&batch), 0);
    batch_finish(&batch);
    assert_int_equal(batch_init(&batch, 0, 3, 2), 0);
    batch_finish(&batch);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(append_copies_every_column),
        cmocka_unit_test(columns_are_apart),
        cmocka_unit_test(first_non_finite_is_the_earliest_row),
        cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(empty_batches_are_fine),
    };
    return cmocka_run_group_tests_name("batch", cases, NULL, NULL);
}
