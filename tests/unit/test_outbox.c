#include "actor/outbox.h"
#include "tests/unit/test.h"

static void push(struct outbox *outbox, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) {
        struct wire_episode e = {.length = outbox->first + outbox->n};
        outbox_push(outbox, &e);
    }
}

/* What was not told to have arrived is in the next list again. */
static void a_list_is_repeated_until_received(void **state) {
    (void)state;
    struct outbox outbox;
    struct wire_episode list[4];
    uint64_t number = 99;
    assert_int_equal(outbox_init(&outbox, 8), 0);
    push(&outbox, 6);
    assert_int_equal(outbox_list(&outbox, 0, list, 4, &number), 4);
    assert_int_equal(number, 0);
    assert_int_equal(outbox_list(&outbox, 0, list, 4, &number), 4);
    outbox_received(&outbox, 4);
    assert_int_equal(outbox_list(&outbox, 0, list, 4, &number), 2);
    assert_int_equal(number, 4);
    assert_int_equal(list[1].length, 5);
    outbox_received(&outbox, 6);
    assert_int_equal(outbox_list(&outbox, 0, list, 4, &number), 0);
    outbox_finish(&outbox);
}

/* An older answer, and one from the future, change nothing. */
static void odd_answers_are_ignored(void **state) {
    (void)state;
    struct outbox outbox;
    assert_int_equal(outbox_init(&outbox, 8), 0);
    push(&outbox, 3);
    outbox_received(&outbox, 2);
    outbox_received(&outbox, 1);
    outbox_received(&outbox, 9);
    outbox_received(&outbox, UINT64_MAX);
    assert_int_equal(outbox.first, 2);
    assert_int_equal(outbox.n, 1);
    outbox_finish(&outbox);
}

/* Past the capacity the oldest go, counted, and numbers stay true. */
static void the_oldest_are_lost_when_it_is_full(void **state) {
    (void)state;
    struct outbox outbox;
    struct wire_episode list[8];
    uint64_t number = 0;
    assert_int_equal(outbox_init(&outbox, 8), 0);
    push(&outbox, 11);
    assert_int_equal(outbox.lost, 3);
    assert_int_equal(outbox_list(&outbox, 0, list, 8, &number), 8);
    assert_int_equal(number, 3);
    for (size_t i = 0; i < 8; i++) assert_int_equal(list[i].length, 3 + i);
    assert_int_equal(outbox_list(&outbox, 9, list, 8, &number), 2);
    assert_int_equal(list[0].length, 9);
    outbox_finish(&outbox);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_repeated_until_received),
        cmocka_unit_test(odd_answers_are_ignored),
        cmocka_unit_test(the_oldest_are_lost_when_it_is_full),
    };
    return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
