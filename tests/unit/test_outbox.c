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

/* Slots are added as more episodes wait, wherever in the ring they began. */
static void it_grows_with_what_waits(void **state) {
    (void)state;
    static struct wire_episode list[100];
    for (uint64_t begun = 0; begun < 40; begun++) {
        struct outbox outbox;
        uint64_t number = 0;
        assert_int_equal(outbox_init(&outbox, 100), 0);
        for (uint64_t i = 0; i < begun; i++) {
            push(&outbox, 1);
            outbox_received(&outbox, i + 1);
        }
        assert_true(outbox.slots < 20);
        push(&outbox, 100);
        assert_int_equal(outbox.lost, 0);
        push(&outbox, 1);
        assert_int_equal(outbox.lost, 1);
        assert_int_equal(outbox_list(&outbox, 0, list, 100, &number), 100);
        assert_int_equal(number, begun + 1);
        for (size_t i = 0; i < 100; i++) {
            assert_int_equal(list[i].length, number + i);
        }
        outbox_finish(&outbox);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_repeated_until_received),
        cmocka_unit_test(odd_answers_are_ignored),
        cmocka_unit_test(the_oldest_are_lost_when_it_is_full),
        cmocka_unit_test(it_grows_with_what_waits),
    };
    return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
