#include <stdio.h>

#include "learner/hello_rate.h"
#include "tests/unit/test.h"

static unsigned take(struct hello_rate *rate, const char *who, uint64_t ms,
                     unsigned n) {
    unsigned taken = 0;
    for (unsigned i = 0; i < n; i++) taken += hello_rate_take(rate, who, ms);
    return taken;
}

/* A host that starts hundreds of actors at once is served at once. */
static void a_burst_is_served(void **state) {
    (void)state;
    struct hello_rate rate = {0};
    assert_int_equal(take(&rate, "a", 5, HELLO_RATE_BURST), HELLO_RATE_BURST);
    assert_int_equal(rate.over, 0);
}

/* Hammering is answered at the rate, whatever comes over it. */
static void hammering_is_answered_at_the_rate(void **state) {
    (void)state;
    struct hello_rate rate = {0};
    unsigned taken = 0;
    for (uint64_t ms = 1; ms <= 10000; ms++) taken += take(&rate, "a", ms, 10);
    const unsigned most = HELLO_RATE_BURST + 10 * HELLO_RATE_SECOND;
    assert_in_range(taken, most - 2, most + 1);
    assert_int_equal(taken + rate.over, 100000);
}

/* One who hammers takes nothing from the others. */
static void sources_do_not_share(void **state) {
    (void)state;
    struct hello_rate rate = {0};
    (void)take(&rate, "a", 5, 10 * HELLO_RATE_BURST);
    assert_int_equal(take(&rate, "b", 5, 3), 3);
    assert_int_equal(take(&rate, "a", 5, 3), 0);
    assert_int_equal(take(&rate, "a", 1005, 3), 3); /* and is let in later */
}

/* Many addresses do not make the limit void: together they get what all places
 * have, not a burst each. */
static void a_thousand_sources_share_the_places(void **state) {
    (void)state;
    struct hello_rate rate = {0};
    unsigned taken = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char who[16];
        snprintf(who, sizeof(who), "host-%u", i);
        taken += take(&rate, who, 1, HELLO_RATE_BURST);
    }
    assert_in_range(taken, HELLO_RATE_BURST * HELLO_RATE_SOURCES,
                    HELLO_RATE_BURST * HELLO_RATE_SOURCES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_served),
        cmocka_unit_test(hammering_is_answered_at_the_rate),
        cmocka_unit_test(sources_do_not_share),
        cmocka_unit_test(a_thousand_sources_share_the_places),
    };
    return cmocka_run_group_tests_name("hello_rate", tests, NULL, NULL);
}
