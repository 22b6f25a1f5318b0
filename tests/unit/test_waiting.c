/* Who is woken when the grant rises, and in what order. */

#include <errno.h>
#include <string.h>

#include "replay/waiting.h"
#include "tests/unit/test.h"

static struct link_route route(uint16_t i) {
    struct link_route r = {.len = 5};
    memcpy(r.id + 1, &i, sizeof i);
    return r;
}

struct woken {
    size_t n;
    uint16_t list[WAITING_MOST];
    uint16_t gone; /* this one is not there any more; 0: all are */
};

static int wake(void *data, const struct link_route *r) {
    struct woken *w = data;
    uint16_t i = 0;
    memcpy(&i, r->id + 1, sizeof i);
    if (i == w->gone) return -EHOSTUNREACH;
    w->list[w->n++] = i;
    return 0;
}

static struct waiting waiting;
static struct woken woken;

static int empty(void **state) {
    (void)state;
    memset(&waiting, 0, sizeof waiting);
    memset(&woken, 0, sizeof woken);
    return 0;
}

static void add(uint16_t i, uint64_t seq, uint64_t rows) {
    struct link_route r = route(i);
    waiting_add(&waiting, &r, seq, rows);
}

static bool may(uint16_t i, uint64_t rows, uint64_t room, uint64_t now) {
    struct link_route r = route(i);
    return waiting_may(&waiting, &r, rows, room, now);
}

static void come(uint16_t i, uint64_t rows) {
    struct link_route r = route(i);
    waiting_stored(&waiting, &r, rows);
}

/* As many as there is room for, in the order they were told Busy; room that is
 * there for those on their way wakes nobody twice. */
static void first_come_is_first_woken(void **state) {
    (void)state;
    for (uint16_t i = 1; i <= 9; i++) add(i, 1, 32);
    waiting_wake(&waiting, 0, 0, wake, &woken);
    assert_int_equal(woken.n, 0);
    waiting_wake(&waiting, 96, 0, wake, &woken);
    assert_int_equal(woken.n, 3);
    waiting_wake(&waiting, 127, 0, wake, &woken);
    assert_int_equal(woken.n, 3);
    waiting_wake(&waiting, 128, 0, wake, &woken);
    assert_int_equal(woken.n, 4);
    for (uint16_t i = 1; i <= 4; i++) come(i, 32);
    assert_int_equal(waiting.n, 5);
    waiting_wake(&waiting, 10000, 0, wake, &woken);
    assert_int_equal(woken.n, 9);
    for (uint16_t i = 0; i < 9; i++) assert_int_equal(woken.list[i], i + 1);
    for (uint16_t i = 5; i <= 9; i++) come(i, 32);
    assert_int_equal(waiting.n, 0);
}

/* Room goes to those who were woken for it, not to who asks in between. */
static void nobody_comes_before_those_who_wait(void **state) {
    (void)state;
    assert_true(may(7, 32, 32, 0)); /* nobody waits */
    assert_false(may(7, 32, 31, 0));
    for (uint16_t i = 1; i <= 2; i++) add(i, 1, 32);
    assert_false(may(7, 32, 32, 0));
    waiting_wake(&waiting, 32, 0, wake, &woken);
    assert_true(may(1, 32, 32, 5));
    assert_false(may(2, 32, 32, 5));
    assert_false(may(7, 32, 500, 5)); /* 2 is to be woken first */
    waiting_wake(&waiting, 70, 5, wake, &woken);
    assert_true(may(2, 32, 70, 6));
    assert_false(may(7, 32, 70, 6));
    assert_true(may(7, 6, 70, 6)); /* what is kept for nobody */
    come(1, 32);
    come(2, 32);
    assert_true(may(7, 32, 32, 7));
}

/* Who was woken and does not come holds the others up for a second. */
static void a_place_is_kept_for_a_second(void **state) {
    (void)state;
    for (uint16_t i = 1; i <= 2; i++) add(i, 1, 32);
    waiting_wake(&waiting, 32, 100, wake, &woken);
    waiting_wake(&waiting, 32, 1099, wake, &woken);
    assert_int_equal(woken.n, 1);
    waiting_wake(&waiting, 32, 1100, wake, &woken);
    assert_int_equal(woken.n, 2);
    assert_int_equal(woken.list[1], 2);
    assert_false(may(1, 32, 32, 1101));
    assert_true(may(2, 32, 32, 1101));
}

/* Whoever comes and finds the room gone is the next to be woken. */
static void told_busy_again_it_is_still_the_first(void **state) {
    (void)state;
    for (uint16_t i = 1; i <= 3; i++) add(i, 1, 32);
    waiting_wake(&waiting, 64, 0, wake, &woken);
    assert_false(may(1, 32, 0, 1)); /* the grant went down */
    add(1, 1, 32);
    assert_int_equal(waiting.woken, 0);
    waiting_wake(&waiting, 32, 2, wake, &woken);
    assert_int_equal(woken.list[2], 1);
}

/* Less room than the first one's batch needs: it keeps its place. */
static void nobody_is_woken_in_vain(void **state) {
    (void)state;
    add(1, 7, 32);
    add(1, 8, 8);
    add(2, 1, 4);
    waiting_wake(&waiting, 31, 0, wake, &woken);
    assert_int_equal(woken.n, 0);
    waiting_wake(&waiting, 39, 0, wake, &woken);
    assert_int_equal(woken.n, 1);
    assert_int_equal(woken.list[0], 1);
    come(1, 32);
    waiting_wake(&waiting, 8 + 4, 0, wake, &woken);
    assert_int_equal(woken.n, 2);
}

/* One entry a connection, and a batch asked again weighs nothing. */
static void repeated_batches_keep_their_place(void **state) {
    (void)state;
    add(1, 5, 32);
    add(2, 9, 32);
    add(1, 6, 32);
    add(1, 5, 32);
    add(1, 6, 32);
    assert_int_equal(waiting.n, 2);
    assert_int_equal(waiting.peers[0].rows, 64);
    waiting_wake(&waiting, 64, 0, wake, &woken);
    assert_int_equal(woken.n, 1);
    assert_int_equal(woken.list[0], 1);
}

/* The share of one that is gone wakes the next. */
static void peer_that_is_gone_takes_no_room(void **state) {
    (void)state;
    for (uint16_t i = 1; i <= 3; i++) add(i, 1, 32);
    woken.gone = 1;
    waiting_wake(&waiting, 32, 0, wake, &woken);
    assert_int_equal(woken.n, 1);
    assert_int_equal(woken.list[0], 2);
    assert_int_equal(waiting.n, 2); /* it and 3 */
}

/* Each has a new batch as soon as one is stored, which finds no room and is told
 * Busy: that is not part of its turn, which would never end. */
static void nobody_waits_for_ever(void **state) {
    (void)state;
    enum { PEERS = 3, WINDOW = 4, GRANTS = 300 };
    uint64_t next[PEERS + 1] = {0};
    int stored[PEERS + 1] = {0};
    for (uint16_t i = 1; i <= PEERS; i++)
        while (next[i] < WINDOW) add(i, next[i]++, 32);
    for (uint64_t t = 0; t < GRANTS; t++) {
        waiting_wake(&waiting, 32, t, wake, &woken);
        uint16_t i = 1;
        while (i <= PEERS && !may(i, 32, 32, t)) i++;
        assert_true(i <= PEERS);
        come(i, 32);
        stored[i]++;
        add(i, next[i]++, 32);
    }
    for (uint16_t i = 1; i <= PEERS; i++)
        assert_in_range(stored[i], GRANTS / PEERS - WINDOW,
                        GRANTS / PEERS + WINDOW);
}

static void full_list_forgets_the_newest(void **state) {
    (void)state;
    for (uint16_t i = 1; i <= WAITING_MOST + 5; i++) add(i, 1, 1);
    assert_int_equal(waiting.n, WAITING_MOST);
    waiting_wake(&waiting, UINT64_MAX, 0, wake, &woken);
    assert_int_equal(woken.n, WAITING_MOST);
    assert_int_equal(woken.list[WAITING_MOST - 1], WAITING_MOST);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup(name, empty)
    const struct CMUnitTest cases[] = {
        CASE(first_come_is_first_woken),
        CASE(nobody_is_woken_in_vain),
        CASE(nobody_comes_before_those_who_wait),
        CASE(a_place_is_kept_for_a_second),
        CASE(told_busy_again_it_is_still_the_first),
        CASE(repeated_batches_keep_their_place),
        CASE(peer_that_is_gone_takes_no_room),
        CASE(nobody_waits_for_ever),
        CASE(full_list_forgets_the_newest),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
