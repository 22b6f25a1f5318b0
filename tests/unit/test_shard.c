#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#include "common/exit_status.h"
#include "proto/lifecycle.h"
#include "tests/unit/shard_world.h"

#define HEARD(w, type) ((w)->actor_heard.n[type])

/* Hello, Welcome, the spec by a later Topology, ShardReady, Go. */
static void handshake_waits_for_the_spec(void **state) {
    struct shard_world *w = *state;
    w->spec = (struct wire_spec){0};
    shard_world_start_shard(w); /* before its learner: Hello is repeated */
    shard_world_let_pass(w, 250);
    assert_int_equal(w->shard.state, SHARD_ALONE);
    shard_world_start_learner(w, RUN);
    WAIT(w, w->shard.state == SHARD_WELCOMED);
    assert_int_equal(w->learner_heard.hello.role, WIRE_SHARD);
    assert_int_equal(w->learner_heard.hello.index, 0);
    assert_non_null(strstr(w->learner_heard.hello.endpoint, "ipc://"));
    shard_world_let_pass(w, 300);
    assert_int_equal(w->learner_heard.n[WIRE_SHARD_READY], 0);
    struct wire_message topology = {.type = WIRE_TOPOLOGY,
                                    .topology = {.version = 2, .spec = {S, A}}};
    shard_world_to_shard(w, &topology);
    WAIT(w, w->shard.state == SHARD_LISTED);
    const struct wire_shard_ready *ready = &w->learner_heard.ready;
    assert_int_equal(ready->capacity, 400);
    assert_int_equal(ready->spec.obs_dim, S);
    assert_int_equal(ready->spec.act_dim, A);
    assert_int_equal(ready->stored, 0);
    assert_int_equal(ready->ring_id, w->shard.ring.id);
    WAIT(w, w->learner_heard.n[WIRE_HEARTBEAT] > 1);
    assert_int_equal(w->learner_heard.counters.capacity, 400);
}

/* Nothing before the first grant; Room when it comes; a repeat is a repeat. */
static void grant_decides_what_is_stored(void **state) {
    struct shard_world *w = shard_world_listed(state);
    shard_world_insert(w, 1, 4, 1.0f);
    WAIT(w, HEARD(w, WIRE_BUSY) == 1);
    assert_int_equal(w->actor_heard.answer.seq, 1);
    assert_int_equal(w->shard.ring.stored, 0);
    WAIT(w, w->learner_heard.counters.busy == 1);
    w->wake_seq = 1;
    shard_world_grant(w, 10);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 1);
    assert_int_equal(HEARD(w, WIRE_ROOM), 1);
    assert_int_equal(w->shard.ring.stored, 4);
    w->wake_seq = 0;
    shard_world_insert(w, 1, 4, 1.0f);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 2);
    assert_int_equal(w->shard.ring.stored, 4);
    shard_world_insert(w, 2, 6, 1.0f); /* just up to it */
    shard_world_insert(w, 3, 1, 1.0f);
    WAIT(w, HEARD(w, WIRE_BUSY) == 2);
    assert_int_equal(w->shard.ring.stored, 10);
    shard_world_grant(w, 12);
    WAIT(w, HEARD(w, WIRE_ROOM) == 2);
    shard_world_insert(w, 3, 3, 1.0f); /* would pass it */
    WAIT(w, HEARD(w, WIRE_BUSY) == 3);
    shard_world_grant(w, 3); /* also downwards */
    shard_world_insert(w, 4, 1, 1.0f);
    WAIT(w, HEARD(w, WIRE_BUSY) == 4);
    shard_world_insert(w, 2, 6, 1.0f); /* what is there is there */
    WAIT(w, HEARD(w, WIRE_INSERTED) == 4);
    assert_int_equal(w->shard.ring.stored, 10);
    assert_int_equal(w->shard.counters.duplicates, 2);
}

/* Counters go out when half of the grant is used, not a second later; before
 * that only each second. */
static void half_of_a_grant_is_told_at_once(void **state) {
    const uint64_t from_ms = uv_hrtime() / 1000000; /* before the first */
    struct shard_world *w = shard_world_listed(state);
    shard_world_grant(w, 100);
    WAIT(w, w->learner_heard.n[WIRE_HEARTBEAT] > 0);
    shard_world_let_pass(w, 20);
    unsigned before = w->learner_heard.n[WIRE_HEARTBEAT];
    shard_world_insert(w, 1, 49, 1.0f);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 1);
    shard_world_let_pass(w, 20);
    const uint64_t ms = uv_hrtime() / 1000000 - from_ms;
    assert_in_range(w->learner_heard.n[WIRE_HEARTBEAT], before,
                    before + ms / 1000);
    before = w->learner_heard.n[WIRE_HEARTBEAT];
    shard_world_insert(w, 2, 1, 1.0f);
    WAIT(w, w->learner_heard.n[WIRE_HEARTBEAT] > before);
    assert_int_equal(w->learner_heard.counters.stored, 50);
}

static void sample(struct shard_world *w, uint64_t id, uint32_t n) {
    unsigned before = w->learner_heard.n[WIRE_MINIBATCH];
    struct wire_message message = {
        .type = WIRE_SAMPLE,
        .sample = {
            .id = id, .update = id, .part = 2, .n = n, .store_until = 200}};
    shard_world_to_shard(w, &message);
    WAIT(w, w->learner_heard.n[WIRE_MINIBATCH] > before);
}

/* Samples answer with rows that are there, sizes, and bring a grant. */
static void samples_come_back_with_rows(void **state) {
    struct shard_world *w = shard_world_listed(state);
    sample(w, 41, 8);
    assert_int_equal(w->learner_heard.minibatch.rows.n, 0);
    assert_int_equal(w->shard.store_until, 200);
    for (uint64_t seq = 1; seq <= 5; seq++)
        shard_world_insert(w, seq, 10, (float)seq);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 5);
    sample(w, 42, 32);
    const struct wire_minibatch *got = &w->learner_heard.minibatch;
    assert_int_equal(got->id, 42);
    assert_int_equal(got->part, 2);
    assert_int_equal(got->rows.n, 32);
    assert_int_equal(got->size, 50);
    assert_int_equal(got->stored, 50);
    bool differ = false;
    for (int i = 0; i < 32; i++) {
        float r = w->learner_heard.rewards[i];
        assert_true(r >= 1.0f && r <= 5.0f);
        differ |= r != w->learner_heard.rewards[0];
    }
    assert_true(differ);
}

/* In lockstep the same update draws the same rows, another one others. */
static void lockstep_rows_follow_from_the_update(void **state) {
    ((struct shard_world *)*state)->config.lockstep = true;
    struct shard_world *w = shard_world_listed(state);
    shard_world_grant(w, 200);
    for (uint64_t seq = 1; seq <= 100; seq++) {
        shard_world_insert(w, seq, 1, (float)seq);
        WAIT(w, HEARD(w, WIRE_INSERTED) == seq);
    }
    float first[32];
    sample(w, 7, 32);
    memcpy(first, w->learner_heard.rewards, sizeof first);
    sample(w, 8, 32);
    assert_memory_not_equal(first, w->learner_heard.rewards, sizeof first);
    sample(w, 7, 32);
    assert_memory_equal(first, w->learner_heard.rewards, sizeof first);
}

/* Stale, non-finite, misshapen and misnamed batches: refused by their code. */
static void bad_batches_are_refused(void **state) {
    struct shard_world *w = shard_world_listed(state);
    shard_world_grant(w, 200);
    shard_world_insert(w, 100, 1, 1.0f);
    shard_world_insert(w, 36, 1, 1.0f);
    WAIT(w, HEARD(w, WIRE_REFUSED) == 1);
    assert_int_equal(w->actor_heard.refused.code, WIRE_CODE_STALE);
    assert_int_equal(w->actor_heard.refused.seq, 36);
    shard_world_insert(w, 101, 2, NAN);
    WAIT(w, HEARD(w, WIRE_REFUSED) == 2);
    assert_int_equal(w->actor_heard.refused.code, WIRE_CODE_NON_FINITE);
    assert_int_equal(w->actor_heard.refused.seq, 101);
    struct batch rows;
    assert_int_equal(batch_init(&rows, 1, S + 1, A), 0);
    rows.n = 1;
    memset(rows.s, 0, sizeof(float) * (S + 1));
    memset(rows.next, 0, sizeof(float) * (S + 1));
    memset(rows.a, 0, sizeof(float) * A);
    rows.r[0] = 0.0f, rows.flags[0] = 0, rows.version[0] = 0;
    struct wire_message message = {
        .type = WIRE_INSERT,
        .insert = {
            .epoch = w->actor_self.incarnation, .seq = 102, .rows = rows}};
    link_client_send(&w->actor, &message);
    WAIT(w, HEARD(w, WIRE_REFUSED) == 3);
    assert_int_equal(w->actor_heard.refused.code, WIRE_CODE_ILL_FORMED);
    message.insert.epoch++;
    link_client_send(&w->actor, &message);
    WAIT(w, HEARD(w, WIRE_REFUSED) == 4);
    assert_int_equal(w->actor_heard.refused.code, WIRE_CODE_ILL_FORMED);
    batch_finish(&rows);
    assert_int_equal(w->shard.ring.stored, 1);
    assert_false(w->ended);
}

/* A batch that no grant would ever hold is refused at once: waiting for room it
 * would be the first for ever, and all others behind it. */
static void a_batch_beyond_the_slack_blocks_nobody(void **state) {
    struct shard_world *w = *state;
    w->config.slack = 100;
    shard_world_listed(state);
    shard_world_grant(w, 50);
    shard_world_insert(w, 1, 101, 1.0f);
    WAIT(w, HEARD(w, WIRE_REFUSED) + HEARD(w, WIRE_BUSY) == 1);
    shard_world_insert(w, 2, 10, 1.0f);
    WAIT(w, HEARD(w, WIRE_INSERTED) + HEARD(w, WIRE_BUSY) == 1);
    assert_int_equal(HEARD(w, WIRE_INSERTED), 1);
    assert_int_equal(w->actor_heard.refused.code, WIRE_CODE_FINAL);
    assert_int_equal(w->shard.waiting.n, 0);
}

/* Nor while the ring is not open yet. */
static void nor_before_the_ring_is_there(void **state) {
    struct shard_world *w = *state;
    w->config.slack = 100;
    w->spec = (struct wire_spec){0, 0};
    shard_world_start_learner(w, RUN);
    shard_world_start_shard(w);
    WAIT(w, w->shard.state == SHARD_WELCOMED);
    shard_world_start_actor(w);
    shard_world_insert(w, 1, 101, 1.0f);
    shard_world_insert(w, 2, 10, 1.0f);
    WAIT(w, HEARD(w, WIRE_REFUSED) == 1 && HEARD(w, WIRE_BUSY) == 1);
    assert_int_equal(w->shard.waiting.n, 1);
}

/* The ring may lie on another disk than the run. */
static void ring_lies_in_replay_dir(void **state) {
    struct shard_world *w = *state;
    char path[96];
    snprintf(w->config.replay_dir, sizeof w->config.replay_dir, "%s/scratch",
             w->folder);
    snprintf(path, sizeof path, "%s/scratch/shard-0.ring", w->folder);
    shard_world_listed(state);
    assert_string_equal(w->shard.path, path);
    assert_int_equal(access(path, R_OK), 0);
    snprintf(path, sizeof path, "%s/replay/shard-0.ring", w->folder);
    assert_int_not_equal(access(path, R_OK), 0);
}

/* A learner that comes back is greeted again; the ring is the same. */
static void restarted_learner_is_greeted_again(void **state) {
    ((struct shard_world *)*state)->config.dead_after = 1.5;
    struct shard_world *w = shard_world_listed(state);
    shard_world_grant(w, 200);
    shard_world_insert(w, 1, 10, 1.0f);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 1);
    uint64_t id = w->learner_heard.ready.ring_id;
    shard_world_stop_learner(w);
    WAIT(w, w->shard.state == SHARD_ALONE);
    shard_world_start_learner(w, RUN);
    WAIT(w, w->shard.state == SHARD_LISTED);
    assert_int_equal(w->learner_heard.ready.ring_id, id);
    assert_int_equal(w->learner_heard.ready.stored, 10);
    shard_world_insert(w, 2, 10, 1.0f);
    WAIT(w, HEARD(w, WIRE_BUSY) == 1); /* the old grant is void */
}

/* One that was so quick that we never missed it: told by its incarnation. */
static void quick_learner_is_known_by_its_incarnation(void **state) {
    struct shard_world *w = shard_world_listed(state);
    shard_world_stop_learner(w);
    w->mute = true;
    shard_world_start_learner(w, RUN);
    WAIT(w, w->learner_heard.n[WIRE_HEARTBEAT] > 0);
    w->mute = false;
    shard_world_to_shard(w, &(struct wire_message){.type = WIRE_HEARTBEAT});
    WAIT(w, w->learner_heard.n[WIRE_SHARD_READY] == 1 &&
                w->shard.state == SHARD_LISTED);
}

static void stop_ends_it_well(void **state) {
    struct shard_world *w = shard_world_listed(state);
    struct wire_message stop = {.type = WIRE_STOP,
                                .text = {.text = "done", .len = 4}};
    shard_world_to_shard(w, &stop);
    WAIT(w, w->ended);
    assert_int_equal(w->shard.status, EXIT_FINISHED);
}

static void orphan_gives_up(void **state) {
    struct shard_world *w = *state;
    w->config.orphan_after = 0.4;
    shard_world_start_shard(w);
    WAIT(w, w->ended);
    assert_int_equal(w->shard.status, EXIT_REFUSED);
    assert_non_null(strstr(w->shard.obstacle, "no answer from ipc://"));
}

/* The next process of this index has the rows, and knows the batches. */
static void next_process_brings_the_rows_back(void **state) {
    struct shard_world *w = shard_world_listed(state);
    shard_world_grant(w, 200);
    shard_world_insert(w, 1, 10, 1.0f);
    shard_world_insert(w, 2, 10, 2.0f);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 2);
    uint64_t epoch = w->actor_self.incarnation;
    shard_world_close_loop(w);
    shard_world_open_loop(w);
    memset(&w->actor_heard, 0, sizeof w->actor_heard);
    shard_world_listed((void **)&w);
    w->actor_self.incarnation = epoch;
    assert_int_equal(w->learner_heard.ready.stored, 20);
    assert_int_equal(w->learner_heard.ready.present, 20);
    shard_world_insert(w, 2, 10, 2.0f);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 1);
    assert_int_equal(w->shard.ring.stored, 20);
    shard_world_close_loop(w);

    /* but only for its own run */
    shard_world_open_loop(w);
    shard_world_start_learner(w, RUN + 1);
    shard_world_start_shard(w);
    WAIT(w, w->ended);
    assert_int_equal(w->shard.status, EXIT_REFUSED);
}

/* A ring of another run with so many rows, its folder named in import. */
static void make_import(struct shard_world *w, uint64_t rows) {
    char path[160], other[96], why[1024];
    struct ring ring;
    struct batch batch;
    const struct ring_spec spec = {
        .run = RUN + 5, .capacity = rows, .S = S, .A = A};
    snprintf(other, sizeof other, "%s/other", w->folder);
    strcpy(w->config.import, other);
    assert_int_equal(mkdir(other, 0700), 0);
    snprintf(path, sizeof path, "%s/replay", other);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/replay/shard-0.ring", other);
    assert_int_equal(ring_open(&ring, path, &spec, NULL, why, sizeof why), 0);
    assert_int_equal(batch_init(&batch, 100, S, A), 0);
    batch.n = 100; /* of zeros */
    for (uint64_t seq = 0; seq < rows / 100; seq++)
        assert_int_equal(ring_insert(&ring, 1, 1, seq, &batch), RING_STORED);
    batch_finish(&batch);
    ring_close(&ring);
}

/* ShardReady comes when all rows are there, while the loop goes on; once it is
 * on record the other run is not needed any more. */
static void imported_rows_come_before_ready(void **state) {
    struct shard_world *w = *state;
    w->config.replay_size = 60000;
    make_import(w, 50000);
    shard_world_start_learner(w, RUN);
    shard_world_start_shard(w);
    WAIT(w, w->shard.importing);
    for (unsigned turns = 0; w->shard.ring.stored < 50000; turns++) {
        assert_true(turns < 1000);
        assert_int_equal(w->learner_heard.n[WIRE_SHARD_READY], 0);
        uint64_t stored = w->shard.ring.stored;
        uv_run(&w->loop, UV_RUN_NOWAIT);
        assert_in_range(w->shard.ring.stored, stored, stored + 4096);
    }
    WAIT(w, w->shard.state == SHARD_LISTED);
    assert_int_equal(w->learner_heard.ready.stored, 50000);
    assert_int_equal(w->learner_heard.ready.present, 50000);
    shard_world_close_loop(w);

    char command[128];
    snprintf(command, sizeof command, "rm -r '%s/other'", w->folder);
    assert_int_equal(system(command), 0);
    shard_world_open_loop(w);
    memset(&w->learner_heard, 0, sizeof w->learner_heard);
    shard_world_start_learner(w, RUN);
    shard_world_start_shard(w);
    WAIT(w, w->shard.state == SHARD_LISTED);
    assert_int_equal(w->learner_heard.ready.stored, 50000);
}

/* Refused before a ring is made, so that a larger one can be. */
static void an_import_that_does_not_fit_ends_it(void **state) {
    struct shard_world *w = *state;
    make_import(w, 500); /* into 400 */
    shard_world_start_learner(w, RUN);
    shard_world_start_shard(w);
    WAIT(w, w->ended);
    assert_int_equal(w->shard.status, EXIT_REFUSED);
    assert_int_equal(access(w->shard.path, F_OK), -1);
}

/* A port of 127.0.0.1 that nobody has just now. */
static uint64_t free_port(void) {
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    return ntohs(at.sin_port);
}

/* Batch seq in the first actor's name, by another's key. */
static void insert_by(struct shard_world *w, struct link_client *client,
                      uint64_t seq) {
    struct link_client actor = w->actor;
    w->actor = *client;
    shard_world_insert(w, seq, 4, 1.0f);
    w->actor = actor;
}

/* Who knows another actor's rank and incarnation still cannot send batches as
 * that actor, which would make its own look like duplicates. */
static void a_rank_stays_with_its_key(void **state) {
    enum { SHARD, ACTOR, THIEF, HOSTS };
    struct shard_world *w = *state;
    struct keys keys[HOSTS];
    char folder[HOSTS][128], public[HOSTS][WIRE_KEY_LEN], path[160];
    for (int i = 0; i < HOSTS; i++) {
        snprintf(folder[i], sizeof folder[i], "%s/keys-%d", w->folder, i);
        assert_int_equal(keys_make(folder[i], public[i]), 0);
        assert_int_equal(keys_load(&keys[i], folder[i]), 0);
    }
    snprintf(path, sizeof path, "%s/allowed", folder[SHARD]);
    FILE *list = fopen(path, "w");
    assert_non_null(list);
    fprintf(list, "%s s shard\n%s a actor\n%s b actor\n", public[SHARD],
            public[ACTOR], public[THIEF]);
    fclose(list);
    strcpy(w->config.keys, folder[SHARD]);
    w->config.transport = TRANSPORT_TCP;
    w->config.port = free_port() - 10;
    w->actor.keys = &keys[ACTOR];
    w->actor.server_key = public[SHARD];
    shard_world_listed(state);
    static struct link_client thief; /* outlives a failure */
    thief = (struct link_client){.self = &w->actor_self,
                                 .on_message = w->actor.on_message,
                                 .data = w,
                                 .keys = &keys[THIEF],
                                 .server_key = public[SHARD]};
    assert_int_equal(link_client_start(&thief, &w->loop, w->zmq,
                                       w->learner_heard.hello.endpoint, 99),
                     0);
    shard_world_grant(w, 200);
    shard_world_insert(w, 5, 4, 1.0f);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 1);
    insert_by(w, &thief, 6);
    insert_by(w, &thief, 5);
    WAIT(w, HEARD(w, WIRE_REFUSED) + HEARD(w, WIRE_INSERTED) == 3);
    link_client_stop(&thief, 0, NULL);
    shard_world_let_pass(w, 50);
    assert_int_equal(HEARD(w, WIRE_REFUSED), 2);
    assert_int_equal(w->actor_heard.refused.code, WIRE_CODE_KEY);
    assert_int_equal(w->actor_heard.refused.seq, 5);
    assert_int_equal(w->shard.ring.stored, 4);
    assert_int_equal(w->shard.guard.counters.messages, 2);
    shard_world_insert(w, 6, 4, 1.0f);
    WAIT(w, HEARD(w, WIRE_INSERTED) == 2);
    assert_int_equal(w->shard.ring.stored, 8);
}

static void status_is_counters_as_text(void **state) {
    struct shard_world *w = shard_world_listed(state);
    shard_world_grant(w, 200);
    shard_world_insert(w, 1, 10, 1.0f);
    link_client_send(&w->actor, &(struct wire_message){.type = WIRE_STATUS});
    WAIT(w, HEARD(w, WIRE_STATUS_REPLY) == 1);
    assert_non_null(strstr(w->actor_heard.text, "stored 10\n"));
    assert_non_null(strstr(w->actor_heard.text, "state listed\n"));
    assert_non_null(strstr(w->actor_heard.text, "store_until 200\n"));
}

int main(void) {
#define CASE(name) \
    cmocka_unit_test_setup_teardown(name, shard_world_make, shard_world_end)
    const struct CMUnitTest cases[] = {
        CASE(handshake_waits_for_the_spec),
        CASE(grant_decides_what_is_stored),
        CASE(half_of_a_grant_is_told_at_once),
        CASE(samples_come_back_with_rows),
        CASE(lockstep_rows_follow_from_the_update),
        CASE(bad_batches_are_refused),
        CASE(a_batch_beyond_the_slack_blocks_nobody),
        CASE(nor_before_the_ring_is_there),
        CASE(ring_lies_in_replay_dir),
        CASE(restarted_learner_is_greeted_again),
        CASE(quick_learner_is_known_by_its_incarnation),
        CASE(stop_ends_it_well),
        CASE(orphan_gives_up),
        CASE(next_process_brings_the_rows_back),
        CASE(imported_rows_come_before_ready),
        CASE(an_import_that_does_not_fit_ends_it),
        CASE(a_rank_stays_with_its_key),
        CASE(status_is_counters_as_text),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
