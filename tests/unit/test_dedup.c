/* Which batches a ring remembers. */

#include <string.h>

#include "replay/dedup.h"
#include "tests/unit/test.h"

static enum dedup_verdict store(struct dedup *dedup, uint64_t actor,
                                uint64_t epoch, uint64_t seq) {
    enum dedup_verdict verdict = dedup_check(dedup, actor, epoch, seq);
    if (verdict == DEDUP_NEW) {
        assert_int_equal(dedup_add(dedup, actor, epoch, 1), 0);
        dedup_mark(dedup, actor, epoch, seq);
    }
    return verdict;
}

/* Out of order within 64 is new once; below is stale, known or not. */
static void mask_covers_64_seqs(void **state) {
    (void)state;
    struct dedup dedup;
    assert_int_equal(dedup_init(&dedup), 0);
    assert_int_equal(store(&dedup, 1, 7, 100), DEDUP_NEW);
    assert_int_equal(store(&dedup, 1, 7, 37), DEDUP_NEW);
    assert_int_equal(store(&dedup, 1, 7, 37), DEDUP_DUPLICATE);
    assert_int_equal(store(&dedup, 1, 7, 36), DEDUP_STALE);
    assert_int_equal(store(&dedup, 1, 7, 101), DEDUP_NEW);
    assert_int_equal(store(&dedup, 1, 7, 37), DEDUP_STALE);
    assert_int_equal(store(&dedup, 1, 7, 38), DEDUP_NEW);
    assert_int_equal(store(&dedup, 1, 7, 100), DEDUP_DUPLICATE);
    assert_int_equal(store(&dedup, 1, 7, 165), DEDUP_NEW);
    assert_int_equal(store(&dedup, 1, 7, 102), DEDUP_NEW);
    assert_int_equal(store(&dedup, 1, 7, 101), DEDUP_STALE);
    assert_int_equal(store(&dedup, 1, 8, 0), DEDUP_NEW);
    assert_int_equal(store(&dedup, 2, 7, 0), DEDUP_NEW);
    assert_int_equal(dedup.used, 3);
    dedup_finish(&dedup);
}

/* Seqs of all 64 bits: no overflow at either end. */
static void seqs_reach_the_largest_number(void **state) {
    (void)state;
    struct dedup dedup;
    assert_int_equal(dedup_init(&dedup), 0);
    assert_int_equal(store(&dedup, 0, 0, 0), DEDUP_NEW);
    assert_int_equal(store(&dedup, 0, 0, UINT64_MAX), DEDUP_NEW);
    assert_int_equal(store(&dedup, 0, 0, 0), DEDUP_STALE);
    assert_int_equal(store(&dedup, 0, 0, UINT64_MAX), DEDUP_DUPLICATE);
    dedup_finish(&dedup);
}

/* Against a plain list, while pairs come, go and share places. */
static void table_agrees_with_a_list(void **state) {
    (void)state;
    enum { PAIRS = 500, STEPS = 200000 };
    struct dedup dedup;
    assert_int_equal(dedup_init(&dedup), 0);
    uint64_t rows[PAIRS] = {0}, x = 88172645463325252u;
    size_t alive = 0;
    for (int step = 0; step < STEPS; step++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint64_t pair = x % PAIRS, actor = pair % 10, epoch = pair / 10;
        if ((x >> 40 & 3) < 2) {
            assert_int_equal(dedup_add(&dedup, actor, epoch, 1), 0);
            if (rows[pair]++ == 0) {
                alive++;
                dedup_mark(&dedup, actor, epoch, pair);
            }
        } else if (rows[pair] > 0) {
            while (rows[pair] > 0) {
                dedup_drop(&dedup, actor, epoch, 1);
                rows[pair]--;
            }
            alive--;
        }
        assert_int_equal(dedup.used, alive);
        uint64_t other = (x >> 20) % PAIRS;
        assert_int_equal(dedup_check(&dedup, other % 10, other / 10, other),
                         rows[other] > 0 ? DEDUP_DUPLICATE : DEDUP_NEW);
    }
    dedup_finish(&dedup);
}

/* Many rows go at once as one by one; more than there were are all. */
static void rows_go_together(void **state) {
    (void)state;
    struct dedup dedup;
    assert_int_equal(dedup_init(&dedup), 0);
    assert_int_equal(dedup_add(&dedup, 1, 2, 32), 0);
    dedup_mark(&dedup, 1, 2, 7);
    dedup_drop(&dedup, 1, 2, 31);
    assert_int_equal(dedup_check(&dedup, 1, 2, 7), DEDUP_DUPLICATE);
    dedup_drop(&dedup, 1, 2, 5);
    assert_int_equal(dedup_check(&dedup, 1, 2, 7), DEDUP_NEW);
    assert_int_equal(dedup.used, 0);
    dedup_finish(&dedup);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(rows_go_together),
        cmocka_unit_test(mask_covers_64_seqs),
        cmocka_unit_test(seqs_reach_the_largest_number),
        cmocka_unit_test(table_agrees_with_a_list),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
