/* What actors tell of their waiting adds up, and what was lately is apart. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learner/latency.h"
#include "tests/unit/test.h"

/* So many answers of so many microseconds. */
static void tell(struct latency *latency, uint64_t us, uint32_t n) {
    const uint32_t pair = (uint32_t)histogram_bucket(us) << 24 | n;
    const struct wire_latencies told = {.pairs = &pair, .n = 1};
    latency_take(latency, &told);
}

/* The number behind a name in what is printed; -1 when it is not there. */
static long printed(const struct latency *latency, const char *name) {
    char *text = NULL, word[64];
    size_t len = 0;
    long value = -1, each = 0;
    FILE *out = open_memstream(&text, &len);
    latency_print(latency, "insert", out);
    fclose(out);
    for (const char *at = text; at != NULL && *at != '\0';) {
        assert_int_equal(sscanf(at, "%63s %ld\n", word, &each), 2);
        if (strcmp(word, name) == 0) value = each;
        at = strchr(at, '\n') + 1;
    }
    free(text);
    return value;
}

static void all_of_it_adds_up(void **state) {
    (void)state;
    struct latency latency = {0};
    assert_int_equal(printed(&latency, "inserts"), 0);
    tell(&latency, 3, 900);
    tell(&latency, 7, 100);
    assert_int_equal(printed(&latency, "inserts"), 1000);
    assert_int_equal(printed(&latency, "insert_us_p50"), 3);
    assert_int_equal(printed(&latency, "insert_us_p95"), 7);
    assert_int_equal(printed(&latency, "insert_us_p999"), 7);
}

/* Two turns later nothing of it is recent. */
static void recent_is_five_to_ten_seconds(void **state) {
    (void)state;
    struct latency latency = {0};
    latency_turn(&latency, 5000);
    tell(&latency, 5, 10);
    latency_turn(&latency, 9999);
    assert_int_equal(printed(&latency, "recent_insert_us_p99"), 5);
    latency_turn(&latency, 10000);
    tell(&latency, 2, 1);
    assert_int_equal(printed(&latency, "recent_insert_us_p99"), 5);
    latency_turn(&latency, 15000);
    assert_int_equal(printed(&latency, "recent_insert_us_p99"), 2);
    latency_turn(&latency, 20000);
    assert_int_equal(printed(&latency, "recent_insert_us_p99"), 0);
    assert_int_equal(printed(&latency, "inserts"), 11);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_adds_up),
        cmocka_unit_test(recent_is_five_to_ten_seconds),
    };
    return cmocka_run_group_tests_name("latency", tests, NULL, NULL);
}
