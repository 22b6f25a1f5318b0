/* The judge of acknowledged transitions, and what it must never let pass. */

#include "replay/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/ledger.h"
#include "replay/ring.h"
#include "tests/system/spoil.h"
#include "tests/unit/test.h"

enum { S = 2, A = 1, ROWS = 4, EPOCH = 77, ACTOR = 5, SHARDS = 2 };

/* A run of one sender and two shards, its ledger, and their faults. */
static struct {
    char folder[64], ledger[96], paths[SHARDS][160];
    struct ring rings[SHARDS];
    struct ledger book;
    struct batch batch;
} run;

static struct audit audit;

static void set_up_run(uint64_t capacity) {
    const struct ring_spec spec = {
        .run = 1, .capacity = capacity, .S = S, .A = A};
    char path[128], why[256];
    snprintf(path, sizeof path, "%s/replay", run.folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(run.ledger, sizeof run.ledger, "%s/ledger", run.folder);
    assert_int_equal(ledger_open(&run.book, run.ledger, "a", EPOCH, ROWS), 0);
    assert_int_equal(batch_init(&run.batch, ROWS, S, A), 0);
    for (unsigned i = 0; i < SHARDS; i++) {
        snprintf(run.paths[i], sizeof run.paths[i], "%s/shard-%u.ring", path,
                 i);
        if (ring_open(&run.rings[i], run.paths[i], &spec, NULL, why,
                      sizeof why) != 0)
            fail_msg("%s", why);
    }
}

static int set_up(void **state) {
    (void)state;
    memset(&run, 0, sizeof run);
    strcpy(run.folder, "/tmp/test_audit_XXXXXX");
    return mkdtemp(run.folder) != NULL ? 0 : -1;
}

static void close_rings(void) {
    for (int i = 0; i < SHARDS; i++) ring_close(&run.rings[i]);
}

static int tear_down(void **state) {
    (void)state;
    char command[96];
    close_rings();
    ledger_close(&run.book);
    batch_finish(&run.batch);
    snprintf(command, sizeof command, "rm -rf '%s'", run.folder);
    return system(command);
}

/* Every number of the batch follows from its seq. */
static const struct batch *batch_of(uint64_t seq) {
    struct batch *batch = &run.batch;
    batch->n = ROWS;
    for (size_t i = 0; i < ROWS; i++) {
        const float x = (float)(seq * ROWS + i);
        for (size_t k = 0; k < S; k++) {
            batch->s[i * S + k] = x;
            batch->next[i * S + k] = x + 1;
        }
        batch->a[i] = 0.5f;
        batch->r[i] = -x;
        batch->flags[i] = (uint8_t)(i == 0 ? BATCH_TERMINAL : 0);
        batch->version[i] = seq << 40 | i;
    }
    return batch;
}

static void send(uint64_t seq, uint32_t shard) {
    ledger_sent(&run.book, ACTOR, EPOCH, seq, shard, batch_of(seq));
}

static void store(uint64_t seq, uint32_t shard) {
    assert_int_equal(
        ring_insert(&run.rings[shard], ACTOR, EPOCH, seq, batch_of(seq)),
        RING_STORED);
}

static void answer(uint64_t seq, uint32_t shard) {
    ledger_acked(&run.book, EPOCH, seq, shard, 1);
}

/* Batches [from, to) sent to both shards in turn, stored and acknowledged. */
static void play(uint64_t from, uint64_t to) {
    for (uint64_t seq = from; seq < to; seq++) {
        uint32_t shard = (uint32_t)(seq % SHARDS);
        send(seq, shard);
        store(seq, shard);
        answer(seq, shard);
    }
}

/* The judge's findings. */
static uint64_t judge(void) {
    char why[1024];
    FILE *out = fopen("/dev/null", "w");
    assert_non_null(out);
    if (audit_run(&audit, run.folder, run.ledger, out, why, sizeof why) != 0)
        fail_msg("%s", why);
    audit_print(&audit, out);
    fclose(out);
    return audit_findings(&audit);
}

/* All is well, and every count is known. */
static void a_good_run_passes(void **state) {
    (void)state;
    set_up_run(1000);
    play(0, 100);
    send(100, 0); /* on its way */
    send(101, 1);
    store(101, 1); /* its answer on its way */
    assert_int_equal(judge(), 0);
    assert_int_equal(audit.senders, 1);
    assert_int_equal(audit.sent_batches, 102);
    assert_int_equal(audit.sent_rows, 408);
    assert_int_equal(audit.acked_batches, 100);
    assert_int_equal(audit.acked_rows, 400);
    assert_int_equal(audit.shards, 2);
    assert_int_equal(audit.stored_rows, 404);
    assert_int_equal(audit.present_rows, 404);
    assert_int_equal(audit.distinct_batches, 101);
    assert_int_equal(audit.unanswered_batches, 1);
    assert_int_equal(audit.duplicate_batches, 0);
    assert_int_equal(audit.overwritten_batches, 0);
}

static void a_deleted_row_is_missed(void **state) {
    (void)state;
    set_up_run(1000);
    play(0, 100);
    close_rings();
    assert_int_equal(spoil_delete(run.paths[1], 50), 0);
    assert_int_not_equal(judge(), 0);
    assert_int_equal(audit.missing_batches, 1);
    assert_int_equal(audit.missing_rows, 1);
    assert_int_equal(audit.lost_rows, 1);
}

/* The very last row takes its batch along: nothing says that it was. */
static void the_last_row_deleted_is_missed(void **state) {
    (void)state;
    set_up_run(1000);
    play(0, 100);
    close_rings();
    assert_int_equal(spoil_delete(run.paths[1], 199), 0);
    assert_int_not_equal(judge(), 0);
    assert_int_equal(audit.missing_batches, 1);
    assert_int_equal(audit.missing_rows, ROWS);
}

static void an_altered_row_is_seen(void **state) {
    (void)state;
    set_up_run(1000);
    play(0, 100);
    close_rings();
    assert_int_equal(spoil_alter(run.paths[0], 17), 0);
    assert_int_equal(judge(), 1);
    assert_int_equal(audit.altered_rows, 1);
}

static void a_doubled_batch_is_seen(void **state) {
    (void)state;
    set_up_run(1000);
    play(0, 100);
    close_rings();
    assert_int_equal(spoil_double(run.paths[0], 16), 0);
    assert_int_equal(judge(), 1);
    assert_int_equal(audit.doubled_batches, 1);
}

/* In two shards: right when it was moved, a fault when it was not. */
static void a_moved_batch_may_be_in_two_shards(void **state) {
    (void)state;
    set_up_run(1000);
    play(0, 10);
    send(10, 0);
    store(10, 0);
    ledger_moved(&run.book, EPOCH, 10, 1);
    store(10, 1);
    answer(10, 1);
    assert_int_equal(judge(), 0);
    assert_int_equal(audit.moved_batches, 1);
    assert_int_equal(audit.duplicate_batches, 1);
    store(4, 1);
    assert_int_equal(judge(), 1);
    assert_int_equal(audit.strayed_batches, 1);
    assert_int_equal(audit.duplicate_batches, 2);
}

/* The shard that said so must have it, not another one. */
static void the_shard_that_answered_has_it(void **state) {
    (void)state;
    set_up_run(1000);
    send(0, 0);
    store(0, 0);
    ledger_moved(&run.book, EPOCH, 0, 1);
    answer(0, 1);
    assert_int_not_equal(judge(), 0);
    assert_int_equal(audit.missing_batches, 1);
    assert_int_equal(audit.missing_rows, ROWS);
}

static void what_was_never_sent_is_seen(void **state) {
    (void)state;
    set_up_run(1000);
    play(0, 10);
    store(11, 1);
    assert_int_equal(judge(), ROWS);
    assert_int_equal(audit.unknown_rows, ROWS);
    answer(12, 1);
    assert_int_equal(judge(), ROWS + 1);
    assert_int_equal(audit.unknown_acks, 1);
}

/* Of another actor than it was sent by: the rank in a row is judged too. */
static void another_actor_is_seen(void **state) {
    (void)state;
    set_up_run(1000);
    send(0, 0);
    assert_int_equal(
        ring_insert(&run.rings[0], ACTOR + 1, EPOCH, 0, batch_of(0)),
        RING_STORED);
    assert_int_equal(judge(), ROWS);
    assert_int_equal(audit.altered_rows, ROWS);
}

/* Rings that wrapped many times: what is gone is not held against them. */
static void overwritten_rows_are_no_loss(void **state) {
    (void)state;
    set_up_run(402); /* no multiple of a batch */
    play(0, 1000);
    assert_int_equal(judge(), 0);
    assert_int_equal(audit.overwritten_batches,
                     1000 - audit.distinct_batches + 2 /* half ones */);
    assert_int_equal(audit.present_rows, 2 * 402);
}

/* But what should still be there is. */
static void a_loss_is_seen_in_a_wrapped_ring(void **state) {
    (void)state;
    set_up_run(402);
    play(0, 900);
    for (uint64_t seq = 900; seq < 1000; seq++) {
        uint32_t shard = (uint32_t)(seq % SHARDS);
        send(seq, shard);
        if (seq != 990) store(seq, shard);
        answer(seq, shard);
    }
    assert_int_not_equal(judge(), 0);
    assert_int_equal(audit.missing_batches, 1);
    close_rings();
    assert_int_equal(spoil_delete(run.paths[1], 1990), 0);
    assert_int_not_equal(judge(), 0);
    assert_int_equal(audit.missing_batches, 2);
}

/* The first batch of sender epoch, to shard 0. */
static void send_first(uint64_t epoch) {
    ledger_sent(&run.book, ACTOR, epoch, 0, 0, batch_of(0));
}

static void store_first(uint64_t epoch) {
    assert_int_equal(ring_insert(&run.rings[0], ACTOR, epoch, 0, batch_of(0)),
                     RING_STORED);
}

static void answer_first(uint64_t epoch) {
    ledger_acked(&run.book, epoch, 0, 0, 1);
}

/* Senders [from, to), a batch each: nothing of a sender tells of another. */
static void play_senders(uint64_t from, uint64_t to) {
    for (uint64_t epoch = from; epoch < to; epoch++) {
        send_first(epoch);
        store_first(epoch);
        answer_first(epoch);
    }
}

/* No more can be overwritten than is: one batch too many was never stored. */
static void a_loss_is_seen_among_many_senders(void **state) {
    (void)state;
    set_up_run(42); /* no multiple of a batch */
    play_senders(1, 30);
    send_first(30); /* stored, its answer on its way */
    store_first(30);
    assert_int_equal(judge(), 0);
    assert_int_equal(audit.overwritten_batches, 20 /* one half there */);
    send_first(31);
    answer_first(31);
    assert_int_equal(judge(), 1);
    assert_int_equal(audit.overdrawn_shards, 1);
}

/* A shard that was killed and asked again; a batch that it took too late. */
static void what_was_not_answered_accuses_nobody(void **state) {
    (void)state;
    set_up_run(42);
    play_senders(1, 10);
    send_first(10);
    store_first(10); /* and moved before its answer came */
    ledger_moved(&run.book, 10, 0, 1);
    assert_int_equal(ring_insert(&run.rings[1], ACTOR, 10, 0, batch_of(0)),
                     RING_STORED);
    ledger_acked(&run.book, 10, 0, 1, 1);
    play_senders(11, 15);
    close_rings();
    const struct ring_spec spec = {.run = 1, .capacity = 42, .S = S, .A = A};
    char why[256];
    assert_int_equal(
        ring_open(&run.rings[0], run.paths[0], &spec, NULL, why, sizeof why),
        0);
    play_senders(15, 40);
    assert_int_equal(judge(), 0);
    assert_int_equal(audit.duplicate_batches, 0);
}

/* Nor can a shard have acknowledged more than it ever stored. */
static void more_acknowledged_than_stored_is_seen(void **state) {
    (void)state;
    set_up_run(40); /* all that is missing might have been overwritten */
    play(0, 60);
    for (uint64_t seq = 60; seq < 80; seq++) {
        send(seq, 0);
        answer(seq, 0);
    }
    assert_int_equal(judge(), 1);
    assert_int_equal(audit.overdrawn_shards, 1);
}

/* A writer killed in a line: the batch never left. Any other line is named. */
static void only_a_last_line_may_be_cut(void **state) {
    (void)state;
    char path[256], why[1024];
    set_up_run(1000);
    play(0, 10);
    snprintf(path, sizeof path, "%s/b-0000000000000001.sent", run.ledger);
    FILE *file = fopen(path, "w");
    fputs("sent 1 2 0 0 4 00000000 000", file);
    fclose(file);
    assert_int_equal(judge(), 0);
    const char *bad[] = {"sent 1 2 0 0 2 00000000\n",
                         "sent 1 2 0 0 0\n",
                         "send 1 2 0 0 1 00000000\n",
                         "moved 1 2\n",
                         "sent 1 2 0 0 1 00000000 0\n",
                         "sent 1 2 -1 0 1 00000000\n",
                         "\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        file = fopen(path, "w");
        fputs(bad[i], file);
        fclose(file);
        assert_int_equal(
            audit_run(&audit, run.folder, run.ledger, stdout, why, sizeof why),
            -EBADMSG);
        assert_non_null(strstr(why, "b-0000000000000001.sent: line 1"));
    }
}

static void what_is_not_there_is_named(void **state) {
    (void)state;
    char why[1024];
    set_up_run(1000);
    assert_int_equal(
        audit_run(&audit, "/nowhere", run.ledger, stdout, why, sizeof why),
        -ENOENT);
    assert_non_null(strstr(why, "/nowhere"));
    assert_int_equal(
        audit_run(&audit, run.folder, "/nowhere", stdout, why, sizeof why),
        -ENOENT);
    assert_non_null(strstr(why, "/nowhere"));
    assert_int_equal(
        audit_run(&audit, run.folder, run.folder, stdout, why, sizeof why),
        -ENOENT);
    assert_non_null(strstr(why, "*.acked"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest cases[] = {
        CASE(a_good_run_passes),
        CASE(a_deleted_row_is_missed),
        CASE(the_last_row_deleted_is_missed),
        CASE(an_altered_row_is_seen),
        CASE(a_doubled_batch_is_seen),
        CASE(a_moved_batch_may_be_in_two_shards),
        CASE(the_shard_that_answered_has_it),
        CASE(what_was_never_sent_is_seen),
        CASE(another_actor_is_seen),
        CASE(overwritten_rows_are_no_loss),
        CASE(a_loss_is_seen_in_a_wrapped_ring),
        CASE(a_loss_is_seen_among_many_senders),
        CASE(what_was_not_answered_accuses_nobody),
        CASE(more_acknowledged_than_stored_is_seen),
        CASE(only_a_last_line_may_be_cut),
        CASE(what_is_not_there_is_named),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
