#include <stdlib.h>

#include "actor/turns.h"
#include "tests/unit/test.h"

enum { MOST = 300 };

static const uint64_t ms = 1000000;

/* Actors that always could step, on cores that nobody else wants. */
struct host {
    size_t n, cores;
    struct rng chance;
    struct turns turns[MOST];
    uint64_t awake_at[MOST]; /* ns */
    double left[MOST];       /* ns on a core until the batch is whole */
    double wanting, busy;    /* means: actors that want a core, cores */
};

static const double batch_ns = 1.3e6;

/* One millisecond in which those that want a core share all alike. */
static void share(struct host *h, uint64_t now) {
    size_t wanting = 0;
    for (size_t i = 0; i < h->n; i++) wanting += h->awake_at[i] <= now;
    const size_t busy = wanting < h->cores ? wanting : h->cores;
    h->wanting += (double)wanting;
    h->busy += (double)busy;
    for (size_t i = 0; i < h->n; i++) {
        if (h->awake_at[i] > now) continue;
        h->left[i] -= (double)ms * (double)busy / (double)wanting;
        if (h->left[i] > 0.0) continue;
        h->left[i] += batch_ns;
        const uint64_t rest = turns_rest(&h->turns[i], now + ms, &h->chance);
        if (rest > 0) h->awake_at[i] = now + (1 + rest) * ms;
    }
}

static void simulate(struct host *h, size_t n, size_t cores) {
    const size_t warm = 3000, measured = 20000;
    *h = (struct host){.n = n, .cores = cores};
    rng_init(&h->chance, 1, RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < n; i++) {
        turns_init(&h->turns[i], n, cores);
        turns_begin(&h->turns[i], ms);
        h->left[i] = batch_ns;
    }
    for (size_t t = 1; t <= warm + measured; t++) {
        if (t == warm) h->wanting = h->busy = 0.0;
        share(h, t * ms);
    }
    h->wanting /= (double)measured;
    h->busy /= (double)measured;
}

/* Of hundreds about eight a core want one at a time, and none stays unused. */
static void eight_a_core_are_awake(void **state) {
    (void)state;
    static struct host host;
    const size_t cases[][2] = {{256, 2}, {64, 2}, {20, 1}, {300, 4}};
    for (size_t i = 0; i < 4; i++) {
        const double want = TURNS_A_CORE * (double)cases[i][1];
        simulate(&host, cases[i][0], cases[i][1]);
        assert_in_range((uint64_t)(100.0 * host.wanting / want), 75, 135);
        assert_true(host.busy > 0.99 * (double)cases[i][1]);
    }
}

/* As many as that, or fewer, never rest. */
static void few_never_rest(void **state) {
    (void)state;
    struct rng chance;
    struct turns turns, zeroed = {0};
    rng_init(&chance, 1, RNG_TEST, 0, 0, 0);
    turns_init(&turns, 16, 2);
    turns_begin(&turns, ms);
    turns_begin(&zeroed, ms);
    assert_true(turns_crowd(&turns) == 1.0 && turns_crowd(&zeroed) == 1.0);
    for (uint64_t i = 1; i < 1000; i++) {
        assert_int_equal(turns_rest(&turns, i * 100 * ms, &chance), 0);
        assert_int_equal(turns_rest(&zeroed, i * 100 * ms, &chance), 0);
    }
}

/* Means over many actors that are twice as long at rest as at steps. */
static void mean_is(const struct turns *turns, uint64_t now, double want) {
    enum { N = 20000 };
    struct rng chance;
    double sum = 0.0;
    rng_init(&chance, 2, RNG_TEST, 0, 0, 0);
    for (int i = 0; i < N; i++) {
        struct turns copy = *turns;
        sum += (double)turns_rest(&copy, now, &chance);
    }
    assert_close((float)(sum / N), (float)want, 0.03f * (float)want);
}

/* Time in which no step could be made asks for no rest; what there was before
 * it still does. */
static void other_pauses_do_not_count(void **state) {
    (void)state;
    struct rng chance;
    struct turns turns;
    rng_init(&chance, 1, RNG_TEST, 0, 0, 0);
    turns_init(&turns, 48, 2);
    assert_true(turns_crowd(&turns) == 3.0);
    turns_begin(&turns, 1000 * ms);
    turns_end(&turns, 1006 * ms);
    turns_end(&turns, 1050 * ms);
    struct turns paused = turns; // rows go away days later all the same
    assert_int_equal(turns_rest(&paused, 200000000 * ms, &chance), 0);
    turns_begin(&turns, 2000 * ms);
    turns_begin(&turns, 2003 * ms);
    assert_int_equal(turns_rest(&turns, 2003 * ms, &chance), 0);
    mean_is(&turns, 2044 * ms, 100.5);
}

/* To have waited for a core after a rest counts as steps do. */
static void waiting_for_a_core_counts(void **state) {
    (void)state;
    struct rng chance;
    struct turns turns;
    rng_init(&chance, 1, RNG_TEST, 0, 0, 0);
    turns_init(&turns, 48, 2);
    turns_begin(&turns, 1000 * ms);
    uint64_t woken = 1100 * ms;
    woken += ms * turns_rest(&turns, woken, &chance);
    turns_end(&turns, 1101 * ms); // while it rests
    turns_begin(&turns, woken);
    turns_begin(&turns, woken + 250 * ms); // late
    mean_is(&turns, woken + 260 * ms, 520.5);
}

/* However long it waited, and by whatever chance. */
static void a_rest_is_bounded(void **state) {
    (void)state;
    struct rng chance;
    struct turns turns;
    rng_init(&chance, 1, RNG_TEST, 0, 0, 0);
    turns_init(&turns, 10000, 1);
    for (int i = 0; i < 1000; i++) {
        struct turns copy = turns;
        turns_begin(&copy, ms);
        assert_in_range(turns_rest(&copy, 1000 * ms, &chance), 1, 10000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_a_core_are_awake),
        cmocka_unit_test(few_never_rest),
        cmocka_unit_test(other_pauses_do_not_count),
        cmocka_unit_test(waiting_for_a_core_counts),
        cmocka_unit_test(a_rest_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
