#include <errno.h>
#include <string.h>

#include "learner/feed.h"
#include "tests/unit/test.h"

static const size_t S = 3, A = 2, MINIBATCH = 64, SLOTS = 4;
enum { ASKS = 4096 };

static struct feed feed;
static struct rng rng;
static struct feed_ask asks[ASKS];
static size_t n_asks;
static uint64_t clock_us; /* when answers come */

static void on_ask(void *data, const struct feed_ask *ask) {
    (void)data;
    assert_true(n_asks < ASKS);
    asks[n_asks++] = *ask;
}

static int set_up(void **state) {
    (void)state;
    rng_init(&rng, 5, RNG_TEST, 0, 0, 0);
    n_asks = 0;
    clock_us = 0;
    int rc = feed_init(&feed, SLOTS, MINIBATCH, S, A);
    feed.rng = &rng;
    feed.ask = on_ask;
    return rc;
}

static int tear_down(void **state) {
    (void)state;
    feed_finish(&feed);
    return 0;
}

/* Answer one question with rows whose reward is the shard's key. */
static int answer_as(const struct feed_ask *ask, uint64_t key, size_t n) {
    struct batch rows;
    assert_int_equal(batch_init(&rows, MINIBATCH, S, A), 0);
    rows.n = n;
    for (size_t i = 0; i < n; i++) rows.r[i] = (float)key;
    memset(rows.s, 0, n * S * sizeof(float));
    memset(rows.next, 0, n * S * sizeof(float));
    memset(rows.a, 0, n * A * sizeof(float));
    memset(rows.flags, 0, n);
    memset(rows.version, 0, n * sizeof(uint64_t));
    const struct wire_minibatch message = {
        .id = ask->id, .part = ask->part, .rows = rows, .size = 100};
    int rc = feed_answer(&feed, key, &message, clock_us);
    batch_finish(&rows);
    return rc;
}

static int answer(const struct feed_ask *ask) {
    return answer_as(ask, ask->key, ask->n);
}

/* Every slot is asked for, each minibatch's parts add up. */
static void the_parts_of_a_minibatch_add_up(void **state) {
    (void)state;
    const struct feed_source sources[] = {{7, 1000}, {9, 3000}, {4, 0}};
    feed_fill(&feed, sources, 3, 0);
    uint32_t sum[8] = {0};
    for (size_t i = 0; i < n_asks; i++) {
        assert_true(asks[i].id >= 1 && asks[i].id <= SLOTS);
        assert_int_not_equal(asks[i].key, 4); // has no rows
        sum[asks[i].id] += asks[i].n;
    }
    for (size_t i = 1; i <= SLOTS; i++) assert_int_equal(sum[i], MINIBATCH);
    const size_t before = n_asks;
    feed_fill(&feed, sources, 3, 0);
    assert_int_equal(n_asks, before); // nothing is free
}

/* Shares follow the sizes: 1 to 3, within five standard deviations. */
static void shares_are_multinomial_in_the_sizes(void **state) {
    (void)state;
    const struct feed_source sources[] = {{0, 1000}, {1, 3000}};
    double first = 0.0, rows = 0.0, squares = 0.0, batches = 0.0;
    for (int round = 0; round < 500; round++) {
        n_asks = 0;
        clock_us = 0;
        feed_fill(&feed, sources, 2, 0);
        for (size_t i = 0; i < n_asks; i++) {
            if (asks[i].key == 0) {
                first += asks[i].n;
                squares += (asks[i].n - 16.0) * (asks[i].n - 16.0);
            }
            assert_int_equal(answer(&asks[i]), 0);
        }
        struct feed_slot *slot;
        while ((slot = feed_take(&feed)) != NULL) {
            rows += (double)MINIBATCH;
            batches += 1.0;
            feed_give_back(&feed, slot);
        }
    }
    const double sd = sqrt(0.25 * 0.75 / rows);
    assert_close((float)(first / rows), 0.25f, (float)(5.0 * sd));
    // each share varies like a binomial: n p (1 - p) = 12
    assert_close((float)(squares / batches), 12.0f, 2.0f);
}

/* A minibatch is complete when all its parts are there, oldest first. */
static void complete_when_every_part_is_there(void **state) {
    (void)state;
    const struct feed_source sources[] = {{7, 1000}, {9, 1000}};
    feed_fill(&feed, sources, 2, 0);
    assert_int_equal(n_asks, 2 * SLOTS);
    assert_false(feed_has_complete(&feed));
    for (size_t i = n_asks; i-- > 0;) { // answered in reverse
        assert_int_equal(answer(&asks[i]), 0);
    }
    uint64_t last = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        struct feed_slot *slot = feed_take(&feed);
        assert_non_null(slot);
        assert_true(slot->id > last);
        last = slot->id;
        assert_int_equal(slot->rows.n, MINIBATCH);
        size_t sevens = 0;
        for (size_t r = 0; r < MINIBATCH; r++) sevens += slot->rows.r[r] == 7;
        assert_int_equal(sevens, asks[2 * i].key == 7 ? asks[2 * i].n
                                                      : asks[2 * i + 1].n);
    }
    assert_null(feed_take(&feed));
}

/* A minibatch took from its first question to its last answer, also where a
 * part was asked again. */
static void latency_is_from_first_asked_to_complete(void **state) {
    (void)state;
    const struct feed_source sources[] = {{7, 1000}, {9, 1000}};
    feed_fill(&feed, sources, 2, 1000);
    clock_us = 1003;
    assert_int_equal(answer(&asks[0]), 0);
    assert_int_equal(feed.latency.n, 0);
    clock_us = 1005;
    assert_int_equal(answer(&asks[1]), 0);
    assert_int_equal(feed.latency.n, 1);
    assert_int_equal(histogram_quantile(&feed.latency, 1.0), 5);
    assert_int_equal(answer(&asks[2]), 0);
    feed_expire(&feed, sources, 2, 1500, 500);
    clock_us = 2000;
    for (size_t i = 3; i < n_asks; i++) answer(&asks[i]);
    assert_int_equal(feed.latency.n, SLOTS);
    assert_int_equal(histogram_quantile(&feed.latency, 1.0),
                     histogram_top(histogram_bucket(1000)));
}

/* Twice, from another shard, of another minibatch: dropped and counted. */
static void what_is_not_awaited_is_dropped(void **state) {
    (void)state;
    const struct feed_source one[] = {{7, 1000}};
    feed_fill(&feed, one, 1, 0);
    assert_int_equal(answer_as(&asks[0], 9, asks[0].n), -ESTALE);
    assert_int_equal(answer(&asks[0]), 0);
    assert_int_equal(answer(&asks[0]), -ESTALE);
    struct feed_ask odd = asks[1];
    odd.part = 5;
    assert_int_equal(answer(&odd), -ESTALE);
    odd = asks[1];
    odd.id = 999;
    assert_int_equal(answer(&odd), -ESTALE);
    assert_int_equal(feed.late, 4);
}

/* Too few rows are no answer; the part is still awaited. */
static void a_short_answer_is_refused(void **state) {
    (void)state;
    const struct feed_source one[] = {{7, 1000}};
    feed_fill(&feed, one, 1, 0);
    assert_int_equal(answer_as(&asks[0], 7, MINIBATCH - 1), -EBADMSG);
    assert_int_equal(answer_as(&asks[0], 7, 0), -EBADMSG);
    assert_int_equal(answer(&asks[0]), 0);
}

/* A late part is redrawn from the others; its own answer comes too late. */
static void a_late_part_is_redrawn_from_the_others(void **state) {
    (void)state;
    const struct feed_source sources[] = {{7, 1000}, {9, 1000}, {8, 1000}};
    feed_fill(&feed, sources, 3, 0);
    const size_t first = n_asks;
    for (size_t i = 0; i < first; i++) {
        if (asks[i].key != 7) assert_int_equal(answer(&asks[i]), 0);
    }
    feed_expire(&feed, sources, 3, 499, 500);
    assert_int_equal(n_asks, first);
    feed_expire(&feed, sources, 3, 500, 500);
    assert_true(n_asks > first);
    assert_int_equal(feed.redrawn, SLOTS);
    for (size_t i = 0; i < first; i++) {
        if (asks[i].key == 7) assert_int_equal(answer(&asks[i]), -ESTALE);
    }
    for (size_t i = first; i < n_asks; i++) {
        assert_int_not_equal(asks[i].key, 7);
        assert_int_equal(answer(&asks[i]), 0);
    }
    for (size_t i = 0; i < SLOTS; i++) assert_non_null(feed_take(&feed));
}

/* All its parts move with the first late one, and it is asked for none until it
 * is heard: one timeout in all. */
static void a_silent_shard_costs_one_timeout(void **state) {
    (void)state;
    const struct feed_source both[] = {{7, 1000}, {9, 1000}};
    feed_fill(&feed, both, 2, 0);
    struct feed_slot *taken = NULL;
    for (size_t i = 0; i < n_asks && taken == NULL; i++) {
        if (asks[i].id == asks[0].id) assert_int_equal(answer(&asks[i]), 0);
        taken = feed_take(&feed);
    }
    feed_give_back(&feed, taken);
    feed_fill(&feed, both, 2, 400); // what is asked for later moves as well
    size_t first = n_asks;
    for (size_t i = 0; i < first; i++) {
        if (asks[i].key == 9) (void)answer(&asks[i]); // some the second time
    }
    feed_expire(&feed, both, 2, 500, 500);
    assert_int_equal(feed.redrawn, SLOTS);
    assert_true(n_asks > first);
    for (size_t i = first; i < n_asks; i++) {
        assert_int_equal(asks[i].key, 9);
        assert_int_equal(answer(&asks[i]), 0);
    }
    for (size_t i = 0; i < SLOTS; i++) feed_give_back(&feed, feed_take(&feed));
    first = n_asks;
    feed_fill(&feed, both, 2, 1000);
    for (size_t i = first; i < n_asks; i++) {
        assert_int_equal(asks[i].key, 9);
        assert_int_equal(answer(&asks[i]), 0);
    }
    for (size_t i = 0; i < SLOTS; i++) feed_give_back(&feed, feed_take(&feed));
    feed_heard(&feed, 7);
    first = n_asks;
    feed_fill(&feed, both, 2, 2000);
    size_t again = 0;
    for (size_t i = first; i < n_asks; i++) again += asks[i].key == 7;
    assert_true(again > 0);
}

/* Where all are silent they are asked all the same. */
static void nobody_left_is_no_reason_to_stop(void **state) {
    (void)state;
    const struct feed_source both[] = {{7, 1000}, {9, 1000}};
    feed_fill(&feed, both, 2, 0);
    const size_t first = n_asks;
    feed_expire(&feed, both, 2, 500, 500);
    assert_true(n_asks > first);
    size_t to[2] = {0};
    for (size_t i = first; i < n_asks; i++) to[asks[i].key == 9]++;
    assert_true(to[0] > 0 && to[1] > 0);
}

/* With no other shard the same part is asked again, unchanged. */
static void alone_a_shard_is_asked_again(void **state) {
    (void)state;
    const struct feed_source one[] = {{7, 1000}};
    feed_fill(&feed, one, 1, 0);
    feed_expire(&feed, one, 1, 500, 500);
    assert_int_equal(n_asks, 2 * SLOTS);
    assert_memory_equal(&asks[0], &asks[SLOTS], sizeof(asks[0]));
    assert_int_equal(feed.asked_again, SLOTS);
    feed_expire(&feed, one, 1, 999, 500);
    assert_int_equal(n_asks, 2 * SLOTS); // its time began anew
}

/* Parts of a shard that is gone do not wait for the timeout. */
static void a_dead_shards_parts_move_at_once(void **state) {
    (void)state;
    const struct feed_source both[] = {{7, 1000}, {9, 1000}};
    feed_fill(&feed, both, 2, 0);
    const size_t first = n_asks;
    feed_expire(&feed, &both[1], 1, 1, 500);
    assert_true(n_asks > first);
    for (size_t i = first; i < n_asks; i++) assert_int_equal(asks[i].key, 9);
    // and when nobody is left they wait for whoever comes back
    const size_t second = n_asks;
    feed_expire(&feed, NULL, 0, 2, 500);
    assert_int_equal(n_asks, second);
    feed_expire(&feed, &both[0], 1, 3, 500);
    assert_true(n_asks > second);
    for (size_t i = second; i < n_asks; i++) assert_int_equal(asks[i].key, 7);
}

/* Shards that fail for ever cannot make a minibatch grow out of bounds. */
static void endless_redrawing_stays_in_bounds(void **state) {
    (void)state;
    const struct feed_source both[] = {{7, 1000}, {9, 1000}, {8, 1000}};
    feed_fill(&feed, both, 3, 0);
    uint64_t now = 0;
    for (int round = 0; round < 2000; round++) {
        now += 500;
        n_asks = 0;
        clock_us = 0;
        feed_expire(&feed, both, 3, now, 500);
    }
    n_asks = 0;
    clock_us = 0;
    feed_expire(&feed, both, 3, now + 500, 500);
    for (size_t i = 0; i < n_asks; i++) (void)answer(&asks[i]);
    for (size_t i = 0; i < SLOTS; i++) {
        struct feed_slot *slot = feed_take(&feed);
        assert_non_null(slot);
        assert_int_equal(slot->rows.n, MINIBATCH);
    }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_parts_of_a_minibatch_add_up),
        CASE(shares_are_multinomial_in_the_sizes),
        CASE(complete_when_every_part_is_there),
        CASE(latency_is_from_first_asked_to_complete),
        CASE(what_is_not_awaited_is_dropped),
        CASE(a_short_answer_is_refused),
        CASE(a_late_part_is_redrawn_from_the_others),
        CASE(a_silent_shard_costs_one_timeout),
        CASE(nobody_left_is_no_reason_to_stop),
        CASE(alone_a_shard_is_asked_again),
        CASE(a_dead_shards_parts_move_at_once),
        CASE(endless_redrawing_stays_in_bounds),
    };
#undef CASE
    return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}
