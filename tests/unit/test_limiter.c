#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "learner/limiter.h"
#include "tests/unit/test.h"

static struct limiter_settings settings(double ratio) {
    return (struct limiter_settings){
        .ratio = ratio, .warmup = 100, .slack = 64, .minibatch = 32};
}

/* A limiter is too large for some stacks. */
static struct limiter *new_limiter(const struct limiter_settings *s) {
    struct limiter *limiter = malloc(sizeof(*limiter));
    assert_non_null(limiter);
    limiter_init(limiter, s);
    return limiter;
}

static void report(struct limiter *limiter, uint64_t id, uint64_t stored) {
    uint64_t present = stored < 1000 ? stored : 1000;
    assert_int_equal(limiter_report(limiter, id, stored, present, 1000), 0);
}

static struct limiter *warm_limiter(double ratio) {
    struct limiter_settings s = settings(ratio);
    struct limiter *limiter = new_limiter(&s);
    report(limiter, 7, 0);
    limiter_list(limiter, 7, true);
    report(limiter, 7, 100);
    assert_true(limiter->warm);
    return limiter;
}

static int update_while_allowed(struct limiter *limiter) {
    int n = 0;
    while (n < 100000 && limiter_may_update(limiter)) {
        limiter_updated(limiter);
        n++;
    }
    return n;
}

/* No update before min(warmup, listed capacity) rows are present. */
static void warm_up_waits_for_its_rows(void **state) {
    (void)state;
    struct limiter_settings s = settings(1.0);
    struct limiter *limiter = new_limiter(&s);
    assert_false(limiter_may_update(limiter));
    assert_true(limiter_may_insert(limiter));
    report(limiter, 7, 0);
    limiter_list(limiter, 7, true);
    assert_int_equal(limiter_grant(limiter, 7), 64);
    report(limiter, 7, 99);
    assert_false(limiter->warm);
    assert_int_equal(limiter_grant(limiter, 7), 99 + 64);
    report(limiter, 7, 100);
    assert_true(limiter->warm);
    free(limiter);
}

/* A ring smaller than warmup is warm when it is full. */
static void a_small_ring_is_warm_when_full(void **state) {
    (void)state;
    struct limiter_settings s = settings(1.0);
    struct limiter *limiter = new_limiter(&s);
    limiter_report(limiter, 7, 0, 0, 50);
    limiter_list(limiter, 7, true);
    limiter_report(limiter, 7, 49, 49, 50);
    assert_false(limiter->warm);
    limiter_report(limiter, 7, 50, 50, 50);
    assert_true(limiter->warm);
    free(limiter);
}

/* Rows of warm-up are owed nothing; each later row allows `ratio` updates. */
static void updates_follow_rows_by_the_ratio(void **state) {
    (void)state;
    struct limiter *limiter = warm_limiter(2.0);
    assert_int_equal(update_while_allowed(limiter), 0);
    report(limiter, 7, 110);
    assert_int_equal(update_while_allowed(limiter), 20);
    assert_true(limiter_may_insert(limiter));
    free(limiter);
}

/* Grants: du / ratio + slack - di rows above what the ring reported. */
static void grants_shrink_as_rows_come_and_grow_as_updates_go(void **state) {
    (void)state;
    struct limiter *limiter = warm_limiter(2.0);
    assert_int_equal(limiter_grant(limiter, 7), 100 + 64);
    report(limiter, 7, 130);
    assert_int_equal(limiter_grant(limiter, 7), 130 + 34);
    for (int i = 0; i < 11; i++) limiter_updated(limiter);
    assert_int_equal(limiter_grant(limiter, 7), 130 + 39); /* 5.5 rows */
    report(limiter, 7, 170);
    assert_false(limiter_may_insert(limiter));
    assert_int_equal(limiter_grant(limiter, 7), 170);
    free(limiter);
}

/* ratio 0 has no limit once warm, and none for rows ever. */
static void a_ratio_of_zero_limits_nothing_but_warm_up(void **state) {
    (void)state;
    struct limiter_settings s = settings(0.0);
    struct limiter *limiter = new_limiter(&s);
    report(limiter, 7, 0);
    limiter_list(limiter, 7, true);
    assert_false(limiter_may_update(limiter));
    assert_true(limiter_grant(limiter, 7) == UINT64_MAX);
    report(limiter, 7, 100);
    assert_int_equal(update_while_allowed(limiter), 100000);
    assert_true(limiter_may_insert(limiter));
    assert_true(limiter_grant(limiter, 7) == UINT64_MAX);
    free(limiter);
}

/* Warm-up begins again only below a minibatch, and sets the base anew. */
static void warm_up_begins_again_below_a_minibatch(void **state) {
    (void)state;
    struct limiter *limiter = warm_limiter(1.0);
    report(limiter, 8, 40);
    limiter_list(limiter, 8, true);
    report(limiter, 7, 150);
    limiter_list(limiter, 7, false); /* 40 rows are left: enough */
    assert_true(limiter->warm);
    limiter_list(limiter, 8, false);
    assert_false(limiter->warm);
    assert_true(limiter_may_insert(limiter));
    limiter_list(limiter, 7, true);
    assert_true(limiter->warm);
    assert_false(limiter_may_update(limiter)); /* 50 rows were owed before */
    free(limiter);
}

/* Rows of a ring that comes with rows (imported) are owed no updates. */
static void a_first_report_owes_nothing(void **state) {
    (void)state;
    struct limiter *limiter = warm_limiter(1.0);
    report(limiter, 8, 500);
    limiter_list(limiter, 8, true);
    assert_int_equal(limiter_inserted(limiter), 600);
    assert_int_equal(update_while_allowed(limiter), 0);
    report(limiter, 8, 503);
    assert_int_equal(update_while_allowed(limiter), 3);
    free(limiter);
}

/* A total that falls (power loss) does not lower what was inserted. */
static void inserted_never_falls(void **state) {
    (void)state;
    struct limiter *limiter = warm_limiter(1.0);
    report(limiter, 7, 150);
    report(limiter, 7, 120);
    assert_int_equal(limiter_inserted(limiter), 150);
    report(limiter, 7, 151);
    assert_int_equal(limiter_inserted(limiter), 151);
    free(limiter);
}

/* An older checkpoint keeps its du and di whatever the rings hold now. */
static void an_older_checkpoint_owes_what_it_owed(void **state) {
    (void)state;
    struct limiter *limiter = warm_limiter(1.0);
    report(limiter, 7, 130);
    for (int i = 0; i < 10; i++) limiter_updated(limiter);
    struct limiter_base base = limiter_base(limiter); /* owes 20 */
    report(limiter, 7, 180);
    struct limiter_settings s = settings(1.0);
    for (int order = 0; order < 2; order++) {
        limiter_init(limiter, &s);
        if (order == 0) limiter_restore(limiter, &base);
        limiter_known_ring(limiter, 7, 160); /* older than the ring */
        if (order == 1) limiter_restore(limiter, &base);
        assert_false(limiter_may_update(limiter)); /* nothing to sample yet */
        report(limiter, 7, 180);
        limiter_list(limiter, 7, true);
        assert_true(limiter->warm);
        assert_int_equal(limiter_inserted(limiter), 180);
        assert_int_equal(update_while_allowed(limiter), 20);
    }
    free(limiter);
}

/* A ratio that changed at resume starts from there. */
static void a_changed_ratio_sets_the_base(void **state) {
    (void)state;
    struct limiter *limiter = warm_limiter(1.0);
    report(limiter, 7, 130);
    struct limiter_base base = limiter_base(limiter);
    struct limiter_settings s = settings(4.0);
    limiter_init(limiter, &s);
    limiter_restore(limiter, &base);
    report(limiter, 7, 130);
    limiter_list(limiter, 7, true);
    assert_int_equal(update_while_allowed(limiter), 0);
    report(limiter, 7, 131);
    assert_int_equal(update_while_allowed(limiter), 4);
    free(limiter);
}

/* The last update may be ahead of its rows; no shard is granted that again. */
static void many_shards_cannot_spend_what_one_update_is_ahead(void **state) {
    (void)state;
    struct limiter_settings s = {
        .ratio = 0.01, .warmup = 5, .slack = 2, .minibatch = 5};
    struct limiter *limiter = new_limiter(&s);
    uint64_t grants[5], R = 5, batch = 1;
    for (uint64_t id = 0; id < R; id++) {
        report(limiter, id, 1);
        limiter_list(limiter, id, true);
    }
    report(limiter, 0, 2); /* 0.01 updates allowed: one goes */
    assert_int_equal(update_while_allowed(limiter), 1);
    for (uint64_t id = 0; id < R; id++) grants[id] = limiter_grant(limiter, id);
    for (uint64_t id = 0; id < R; id++) report(limiter, id, grants[id]);
    double di = (double)(limiter->inserted - limiter->i0);
    double most = s.ratio * (double)(R * (s.slack + batch)) + 1;
    assert_true(fabs(1.0 - s.ratio * di) <= most);
    free(limiter);
}

/* More rings than fit are refused; absurd totals do not overflow. */
static void what_comes_from_outside_is_bounded(void **state) {
    (void)state;
    struct limiter_settings s = settings(1.0);
    struct limiter *limiter = new_limiter(&s);
    for (uint64_t id = 0; id < LIMITER_MAX_RINGS; id++) {
        limiter_report(limiter, id, UINT64_MAX, UINT64_MAX, UINT64_MAX);
        limiter_list(limiter, id, true);
    }
    assert_int_equal(limiter_report(limiter, 5000, 1, 1, 1), -ENOSPC);
    assert_true(limiter_inserted(limiter) > 0);
    assert_true(limiter_may_insert(limiter) || limiter_may_update(limiter));
    assert_int_equal(limiter_grant(limiter, 5000), 0);
    free(limiter);
}

/* ---- random walks over a whole run ---- */

enum { MAX_R = 5 };

/* A shard as it is, beside what the learner was told of it. */
struct shard {
    uint64_t id, stored, present, capacity;
    uint64_t granted;      /* in force */
    uint64_t in_flight[4]; /* grants on their way, oldest first */
    size_t n_in_flight;
    bool listed, joined; /* joined: reported to this learner */
};

struct walk {
    uint64_t rng;
    struct limiter_settings settings;
    uint64_t batch;
    size_t R;
    struct shard shards[MAX_R];
    struct limiter *limiter;
    struct limiter_base checkpoint;
    uint64_t known[MAX_R]; /* RUN/state: last totals written */
    uint64_t known_id[MAX_R];
    uint64_t next_id, updates, rows;
};

static uint64_t below(struct walk *w, uint64_t n) {
    w->rng ^= w->rng >> 12, w->rng ^= w->rng << 25, w->rng ^= w->rng >> 27;
    return (w->rng * 0x2545F4914F6CDD1Du >> 16) % n;
}

static void grant_all(struct walk *w) {
    for (size_t i = 0; i < w->R; i++) {
        struct shard *shard = &w->shards[i];
        if (!shard->listed || !shard->joined) continue;
        if (shard->n_in_flight == 4) { /* one on its way is lost */
            size_t lost = below(w, 4);
            memmove(&shard->in_flight[lost], &shard->in_flight[lost + 1],
                    (3 - lost) * sizeof(uint64_t));
            shard->n_in_flight--;
        }
        shard->in_flight[shard->n_in_flight++] =
            limiter_grant(w->limiter, shard->id);
    }
}

static void arrive(struct shard *shard) {
    if (shard->n_in_flight == 0) return;
    shard->granted = shard->in_flight[0];
    memmove(shard->in_flight, shard->in_flight + 1,
            --shard->n_in_flight * sizeof(uint64_t));
}

static void insert(struct walk *w, struct shard *shard) {
    uint64_t n = 1 + below(w, w->batch);
    if (n > shard->granted || shard->stored > shard->granted - n) return;
    shard->stored += n;
    shard->present += n;
    if (shard->present > shard->capacity) shard->present = shard->capacity;
    w->rows += n;
}

/* ShardReady: what an earlier learner granted is over. */
static void join(struct walk *w, struct shard *shard) {
    if (!shard->joined) {
        shard->granted = shard->stored;
        shard->n_in_flight = 0;
        shard->joined = true;
    }
    limiter_report(w->limiter, shard->id, shard->stored, shard->present,
                   shard->capacity);
}

static void new_ring(struct walk *w, struct shard *shard) {
    *shard = (struct shard){.id = ++w->next_id,
                            .capacity = w->settings.minibatch +
                                        below(w, 4 * w->settings.warmup)};
}

/* The learner dies and comes back from its checkpoint and RUN/state. */
static void restart_learner(struct walk *w) {
    limiter_init(w->limiter, &w->settings);
    for (size_t i = 0; i < w->R; i++) {
        w->shards[i].joined = w->shards[i].listed = false;
        if (w->known_id[i] != 0) {
            limiter_known_ring(w->limiter, w->known_id[i], w->known[i]);
        }
    }
    limiter_restore(w->limiter, &w->checkpoint);
}

static void save(struct walk *w) {
    w->checkpoint = limiter_base(w->limiter);
}

static void save_state(struct walk *w) {
    for (size_t i = 0; i < w->R; i++) {
        w->known_id[i] = w->shards[i].joined ? w->shards[i].id : 0;
        w->known[i] = w->shards[i].stored;
    }
}

static void check_promises(struct walk *w) {
    const struct limiter *limiter = w->limiter;
    bool update = limiter_may_update(limiter);
    assert_true(update || limiter_may_insert(limiter));
    for (size_t i = 0; !update && i < w->R; i++) {
        struct shard *shard = &w->shards[i];
        if (!shard->listed || !shard->joined) continue;
        const struct limiter_ring *ring = NULL;
        for (size_t k = 0; k < limiter->n; k++) {
            if (limiter->rings[k].id == shard->id) ring = &limiter->rings[k];
        }
        assert_non_null(ring);
        /* a whole insert fits where no update may go */
        assert_true(limiter_grant(limiter, shard->id) >=
                    (uint64_t)ring->reported + w->batch);
    }
    if (!limiter->warm || limiter->ratio == 0.0) return;
    double du = (double)(limiter->updates - limiter->u0);
    double di = (double)(limiter->inserted - limiter->i0);
    double gap = fabs(du - limiter->ratio * di);
    double bound =
        limiter->ratio * (double)w->R * (double)(w->settings.slack + w->batch) +
        1.0;
    if (!(gap <= bound * (1.0 + 1e-12))) {
        print_error("gap %g above %g: ratio %g, %zu shards, slack %d\n", gap,
                    bound, limiter->ratio, w->R, (int)w->settings.slack);
        fail();
    }
}

static void step(struct walk *w) {
    struct shard *shard = &w->shards[below(w, w->R)];
    uint64_t what = below(w, 1000);
    if (what < 350) {
        insert(w, shard);
    } else if (what < 500) {
        if (shard->joined) join(w, shard);
    } else if (what < 600) {
        grant_all(w);
    } else if (what < 750) {
        arrive(shard);
    } else if (what < 950) {
        for (uint64_t n = below(w, 8); n > 0; n--) {
            if (!limiter_may_update(w->limiter)) break;
            limiter_updated(w->limiter);
            w->updates++;
        }
    } else if (what < 975) { /* joins, or is listed again */
        join(w, shard);
        shard->listed = true;
        limiter_list(w->limiter, shard->id, true);
    } else if (what < 980) { /* declared dead: it may go on under its grant */
        shard->listed = false;
        limiter_list(w->limiter, shard->id, false);
    } else if (what < 984) { /* killed: its rows are there, its grant is not */
        shard->listed = shard->joined = false;
        limiter_list(w->limiter, shard->id, false);
    } else if (what < 986) { /* its disk is lost */
        limiter_list(w->limiter, shard->id, false);
        new_ring(w, shard);
    } else if (what < 991) {
        save(w);
    } else if (what < 996) {
        save_state(w);
    } else if (what < 998) {
        restart_learner(w);
    }
}

/* Everything alive and delivered: the run goes on, whatever happened. */
static void check_progress(struct walk *w) {
    uint64_t updates = w->updates, rows = w->rows;
    for (int turn = 0; turn < 2000; turn++) {
        for (size_t i = 0; i < w->R; i++) {
            struct shard *shard = &w->shards[i];
            join(w, shard);
            shard->listed = true;
            limiter_list(w->limiter, shard->id, true);
        }
        grant_all(w);
        for (size_t i = 0; i < w->R; i++) {
            while (w->shards[i].n_in_flight > 0) arrive(&w->shards[i]);
            insert(w, &w->shards[i]);
        }
        for (int n = 0; n < 64 && limiter_may_update(w->limiter); n++) {
            limiter_updated(w->limiter);
            w->updates++;
        }
        check_promises(w);
    }
    assert_true(w->rows > rows);
    assert_true(w->updates > updates);
}

static void one_walk(uint64_t seed) {
    struct walk w = {.rng = seed * 0x9E3779B97F4A7C15u + 1};
    for (int i = 0; i < 8; i++) below(&w, 2);
    static const double ratios[] = {0.0, 0.01, 0.1, 0.3, 1.0, 1.7, 4.0, 32.0};
    w.settings.ratio = ratios[below(&w, 8)];
    w.batch = 1 + below(&w, 64);
    w.settings.slack = w.batch + below(&w, 2) * below(&w, 300);
    w.settings.minibatch = 1 + below(&w, 64);
    w.settings.warmup = w.settings.minibatch + below(&w, 500);
    w.R = 1 + below(&w, MAX_R);
    for (size_t i = 0; i < w.R; i++) new_ring(&w, &w.shards[i]);
    w.limiter = new_limiter(&w.settings);
    save(&w);
    for (int i = 0; i < 4000; i++) {
        step(&w);
        check_promises(&w);
    }
    check_progress(&w);
    free(w.limiter);
}

/* At every moment an update or an insert may go, and |du - ratio di| is
 * bounded, through deaths, lost disks, older checkpoints and late messages. */
static void random_runs_never_stall_and_never_drift(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) one_walk(seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warm_up_waits_for_its_rows),
        cmocka_unit_test(a_small_ring_is_warm_when_full),
        cmocka_unit_test(updates_follow_rows_by_the_ratio),
        cmocka_unit_test(grants_shrink_as_rows_come_and_grow_as_updates_go),
        cmocka_unit_test(a_ratio_of_zero_limits_nothing_but_warm_up),
        cmocka_unit_test(warm_up_begins_again_below_a_minibatch),
        cmocka_unit_test(a_first_report_owes_nothing),
        cmocka_unit_test(inserted_never_falls),
        cmocka_unit_test(an_older_checkpoint_owes_what_it_owed),
        cmocka_unit_test(a_changed_ratio_sets_the_base),
        cmocka_unit_test(many_shards_cannot_spend_what_one_update_is_ahead),
        cmocka_unit_test(what_comes_from_outside_is_bounded),
        cmocka_unit_test(random_runs_never_stall_and_never_drift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
