#include <string.h>

#include "actor/window.h"
#include "tests/unit/test.h"

enum { S = 2, A = 1, ROWS = 3 };

/* A batch of ROWS rows whose first observation is `mark`. */
static void fill(struct batch *src, float mark) {
    src->n = ROWS;
    for (size_t i = 0; i < (size_t)ROWS * S; i++)
        src->s[i] = src->next[i] = mark;
    for (size_t i = 0; i < ROWS; i++) {
        src->a[i] = src->r[i] = mark;
        src->flags[i] = 0;
        src->version[i] = 7;
    }
}

struct fixture {
    struct window window;
    struct batch src;
};

static void start(struct fixture *f, size_t span) {
    assert_int_equal(window_init(&f->window, span, ROWS, S, A), 0);
    assert_int_equal(batch_init(&f->src, ROWS, S, A), 0);
}

static void finish(struct fixture *f) {
    window_finish(&f->window);
    batch_finish(&f->src);
}

static struct window_batch *push(struct fixture *f) {
    fill(&f->src, (float)f->window.next);
    return window_push(&f->window, &f->src, 0, ROWS);
}

/* Answers that leave the oldest open make no room, however many they are. */
static void the_window_is_a_span_not_a_count(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 4);
    for (int i = 0; i < 4; i++) window_sent(push(&f), 0, 1, 0);
    assert_true(window_full(&f.window));

    for (uint64_t seq = 1; seq < 4; seq++) {
        assert_non_null(window_answer(&f.window, seq));
    }
    assert_int_equal(window_outstanding(&f.window), 1);
    assert_true(window_full(&f.window));

    assert_non_null(window_answer(&f.window, 0));
    assert_false(window_full(&f.window));
    assert_int_equal(window_outstanding(&f.window), 0);
    assert_int_equal(f.window.oldest, 4);
    finish(&f);
}

/* Twice, never sent, far ahead: numbers from outside change nothing. */
static void unknown_answers_are_ignored(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 4);
    window_sent(push(&f), 0, 1, 0);
    assert_null(window_answer(&f.window, 1));
    assert_null(window_answer(&f.window, UINT64_MAX));
    window_busy(&f.window, 9, 0, 5);
    assert_non_null(window_answer(&f.window, 0));
    assert_null(window_answer(&f.window, 0));
    assert_int_equal(f.window.next, 1);
    finish(&f);
}

/* The same rows under the same number, though newer ones were pushed. */
static void a_resent_batch_is_unchanged(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 8);
    for (int i = 0; i < 8; i++) window_sent(push(&f), i % 2, 1, 100);
    const struct window_batch *due = window_due(&f.window, 1, 2100, 2000, 1000);
    assert_non_null(due);
    assert_int_equal(due->seq, 1);
    assert_int_equal(due->rows.n, ROWS);
    assert_close(due->rows.s[0], 1.0f, 0.0f);
    assert_close(due->rows.r[ROWS - 1], 1.0f, 0.0f);
    finish(&f);
}

/* Nothing is asked again before its time; of several, only the oldest. */
static void only_the_oldest_of_a_shard_is_due(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 8);
    for (int i = 0; i < 3; i++) window_sent(push(&f), 5, 1, 100);
    assert_null(window_due(&f.window, 5, 2099, 2000, 1000));
    assert_null(window_due(&f.window, 4, 9999, 2000, 1000));
    struct window_batch *due = window_due(&f.window, 5, 2100, 2000, 1000);
    assert_int_equal(due->seq, 0);
    window_sent(due, 5, 1, 2100);
    assert_null(window_due(&f.window, 5, 4099, 2000, 1000));
    finish(&f);
}

/* After 2, 4, 8, 8 s; of another incarnation, after 2 s again. */
static void a_slow_shard_is_asked_less_often(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 8);
    uint64_t now = 0;
    struct window_batch *batch = push(&f);
    window_sent(batch, 0, 1, now);
    const uint64_t waits[] = {2000, 4000, 8000, 8000};
    for (size_t i = 0; i < 4; i++) {
        now += waits[i];
        assert_null(window_due(&f.window, 0, now - 1, 2000, 1000));
        assert_ptr_equal(window_due(&f.window, 0, now, 2000, 1000), batch);
        window_sent(batch, 0, 1, now);
    }
    window_sent(batch, 0, 2, now);
    assert_non_null(window_due(&f.window, 0, now + 2000, 2000, 1000));
    window_sent(batch, 0, 2, now);
    window_busy(&f.window, 0, 0, now); /* it lives: from the beginning */
    window_sent(batch, 0, 2, now);
    assert_non_null(window_due(&f.window, 0, now + 2000, 2000, 1000));
    finish(&f);
}

/* Busy restarts the clock, with its own wait, and is not an answer. */
static void busy_is_asked_again_sooner(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 8);
    window_sent(push(&f), 0, 1, 0);
    window_busy(&f.window, 0, 0, 1900);
    assert_int_equal(window_outstanding(&f.window), 1);
    assert_null(window_due(&f.window, 0, 2800, 2000, 1000));
    struct window_batch *due = window_due(&f.window, 0, 2900, 2000, 1000);
    assert_non_null(due);
    window_sent(due, 0, 1, 2900);
    assert_false(due->busy);
    assert_null(window_due(&f.window, 0, 3900, 2000, 1000));
    finish(&f);
}

/* A Busy of the shard that a batch has left says nothing about its new one. */
static void a_late_busy_of_another_shard_is_ignored(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 8);
    window_sent(push(&f), 0, 1, 0);
    assert_int_equal(window_abandon(&f.window, 0), 1);
    window_sent(window_unplaced(&f.window), 1, 1, 10);
    window_busy(&f.window, 0, 0, 500);
    assert_false(window_at(&f.window, 1, 0)->busy);
    assert_int_equal(window_at(&f.window, 1, 0)->sent_ms, 10);
    finish(&f);
}

/* Only what is outstanding at the dead shard moves. */
static void a_dead_shard_gives_back_only_its_own(void **state) {
    (void)state;
    struct fixture f;
    start(&f, 8);
    for (int i = 0; i < 6; i++) window_sent(push(&f), i % 2, 1, 0);
    assert_non_null(window_answer(&f.window, 2));
    assert_int_equal(window_abandon(&f.window, 0), 2);
    assert_int_equal(window_unplaced(&f.window)->seq, 0);
    window_sent(window_unplaced(&f.window), 1, 1, 0);
    assert_int_equal(window_unplaced(&f.window)->seq, 4);
    window_sent(window_unplaced(&f.window), 1, 1, 0);
    assert_null(window_unplaced(&f.window));
    assert_null(window_at(&f.window, 0, 0));
    assert_int_equal(window_at(&f.window, 1, 2)->seq, 3);
    finish(&f);
}

/* ---- a model: shards with masks, a network that loses and delays ---- */

enum { SHARDS = 3, BATCHES = 4000, FLIGHT = 512 };

struct model_shard {
    uint64_t highest, mask; /* of the last 64; mask bit i: highest - i stored */
    bool any, dead;
    uint64_t incarnation;
};

struct model {
    struct fixture f;
    struct model_shard shards[SHARDS];
    struct {
        uint64_t seq;
        uint32_t shard;
        bool answer;
    } flight[FLIGHT];
    size_t n;
    uint64_t random, now, below_mask, stored_anywhere;
    unsigned char stored[BATCHES];
};

static uint64_t below(struct model *m, uint64_t n) {
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random % n;
}

static void fly(struct model *m, uint64_t seq, uint32_t shard, bool answer) {
    if (m->n < FLIGHT && below(m, 10) > 0) {
        m->flight[m->n].seq = seq;
        m->flight[m->n].shard = shard;
        m->flight[m->n++].answer = answer;
    }
}

static void send(struct model *m, struct window_batch *b, uint32_t shard) {
    window_sent(b, shard, m->shards[shard].incarnation, m->now);
    fly(m, b->seq, shard, false);
}

/* What DESIGN.md asks of a shard. Counts numbers that its mask cannot decide.
 */
static bool store(struct model *m, struct model_shard *shard, uint64_t seq) {
    if (shard->any && seq + 64 <= shard->highest) {
        m->below_mask++;
        return false;
    }
    if (!shard->any || seq > shard->highest) {
        uint64_t up = shard->any ? seq - shard->highest : 0;
        shard->mask = up < 64 && shard->any ? shard->mask << up : 0;
        shard->highest = seq;
        shard->any = true;
    }
    shard->mask |= UINT64_C(1) << (shard->highest - seq);
    m->stored_anywhere += m->stored[seq] == 0;
    m->stored[seq] = 1;
    return true;
}

/* One message arrives, in any order. */
static void deliver(struct model *m) {
    size_t i = below(m, m->n);
    uint64_t seq = m->flight[i].seq;
    uint32_t at = m->flight[i].shard;
    bool answer = m->flight[i].answer;
    m->flight[i] = m->flight[--m->n];
    if (answer) {
        if (below(m, 4) == 0) {
            window_busy(&m->f.window, seq, at, m->now);
        } else if (m->stored[seq] && window_answer(&m->f.window, seq)) {
            assert_true(seq < BATCHES);
        }
    } else if (!m->shards[at].dead) {
        /* a batch sent again after its answer is below the mask by right */
        uint64_t before = m->below_mask;
        bool done = seq < m->f.window.oldest;
        if (store(m, &m->shards[at], seq)) {
            fly(m, seq, at, true);
        } else if (done) {
            m->below_mask = before;
        }
    }
}

static uint32_t alive(struct model *m) {
    uint32_t i = (uint32_t)below(m, SHARDS);
    while (m->shards[i].dead) i = (i + 1) % SHARDS;
    return i;
}

static void act(struct model *m) {
    struct window *w = &m->f.window;
    struct window_batch *b = NULL;
    if (!window_full(w) && w->next < BATCHES) {
        (void)push(&m->f);
    }
    while ((b = window_unplaced(w)) != NULL) send(m, b, alive(m));
    for (uint32_t i = 0; i < SHARDS; i++) {
        b = window_due(w, i, m->now, 20, 10);
        if (b != NULL && !m->shards[i].dead) send(m, b, i);
    }
    if (below(m, 200) == 0) {
        uint32_t i = (uint32_t)below(m, SHARDS);
        struct model_shard *shard = &m->shards[i];
        if (shard->dead) {
            shard->dead = false; /* comes back with its rows and its mask */
            shard->incarnation++;
        } else if (i != 0) {
            shard->dead = true;
            window_abandon(w, i);
        }
    }
}

/* Losses, reorderings, Busy, deaths and returns: every number that is still
 * unanswered can be decided by every shard's mask, and all get stored. */
static void no_unanswered_batch_falls_below_a_mask(void **state) {
    (void)state;
    static struct model m;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        memset(&m, 0, sizeof(m));
        m.random = seed * 0x9E3779B97F4A7C15u + 1;
        const size_t spans[] = {1, 2, 16, 63, 64};
        start(&m.f, spans[seed % 5]);
        uint64_t limit = 4000000;
        while (m.f.window.oldest < BATCHES && m.now < limit) {
            m.now++;
            act(&m);
            assert_true(m.f.window.next - m.f.window.oldest <= 64);
            if (m.n > 0) deliver(&m);
            if (m.n > 0) deliver(&m);
        }
        assert_int_equal(m.f.window.oldest, BATCHES);
        assert_int_equal(m.below_mask, 0);
        assert_int_equal(m.stored_anywhere, BATCHES);
        finish(&m.f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_is_a_span_not_a_count),
        cmocka_unit_test(unknown_answers_are_ignored),
        cmocka_unit_test(a_resent_batch_is_unchanged),
        cmocka_unit_test(only_the_oldest_of_a_shard_is_due),
        cmocka_unit_test(a_slow_shard_is_asked_less_often),
        cmocka_unit_test(busy_is_asked_again_sooner),
        cmocka_unit_test(a_late_busy_of_another_shard_is_ignored),
        cmocka_unit_test(a_dead_shard_gives_back_only_its_own),
        cmocka_unit_test(no_unanswered_batch_falls_below_a_mask),
    };
    return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
