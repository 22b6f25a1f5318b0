#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actor/actor.h"
#include "common/exit_status.h"
#include "tests/unit/actor_house.h"
#include "tests/unit/test.h"

/* The actor's conversation, against a learner and shards that misbehave. */

/* Hello, Ready, parameters, batches to both shards, Stop: status 0. Nothing is
 * sent twice: no queue on the way is too short for the window. */
static void a_plain_run_ends_well(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->asked_once = true;
    h->until = 3000;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->hellos, 1);
    assert_int_equal(h->readies, 1);
    assert_int_equal(h->repeats, 0);
    assert_true(h->shards[0].answered >= 1450);
    assert_true(h->shards[1].answered >= 1450);
    assert_true(actor_house_count_acks(h) + h->config.window >= h->stored_n);
    actor_house_free(h);
}

/* Every fifth message to or from a shard is lost: all the same it all
 * arrives, unchanged and never beyond the window. */
static void lost_messages_are_asked_again(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->lose_every = 5;
    h->until = 120;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_true(h->repeats > 0);
    assert_true(actor_house_count_acks(h) >= 80);
    actor_house_free(h);
}

static void make_room(struct actor_house *h) {
    struct wire_message room = {.type = WIRE_ROOM};
    for (int i = 0; i < SHARDS; i++) {
        struct actor_house_shard *shard = &h->shards[i];
        if (h->now_ms >= 600 && shard->busy) {
            shard->busy = false;
            if (i == 0 && shard->heard) {
                link_server_send(&shard->server, &shard->actor, &room);
            }
        }
    }
}

/* Told Busy it waits: for Room, or for a second. Never more than W out. */
static void busy_shards_stop_the_actor(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->on_tick = make_room;
    for (int i = 0; i < SHARDS; i++) h->shards[i].busy = true;
    h->until = 100;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_true(h->shards[0].inserts >= 8 + h->shards[0].answered);
    actor_house_free(h);
}

/* Both shards say Busy to all; with the window full the counters of two
 * heartbeats, then room and new parameters. */
static void heal_after_two_heartbeats(struct actor_house *h) {
    if (h->stage == 0 && h->heartbeats >= 2 &&
        h->counters.outstanding >= h->config.window) {
        h->stage = 1;
        h->steps_then = h->counters.steps;
        h->dropped_then = h->counters.dropped;
        h->pulls_then = h->pulls;
        h->heartbeats = 0;
    } else if (h->stage == 1 && h->heartbeats >= 2) {
        h->stage = 2;
        h->until = h->stored_n + 200;
        h->pulls_then = h->pulls - h->pulls_then;
        h->version++;
        for (int i = 0; i < SHARDS; i++) {
            h->shards[i].busy = false;
            h->answered_then[i] = h->shards[i].answered;
        }
    }
}

/* The same once it has dropped, and has dropped and stepped on. */
static void heal_after_drops(struct actor_house *h) {
    const struct wire_counters *now = &h->counters;
    if (h->stage == 0 ? now->dropped > 0
                      : now->steps >= h->steps_then + 2000 &&
                            now->dropped >= h->dropped_then + 1000)
        heal_after_two_heartbeats(h);
}

/* on_full = drop: the window stays as it is, unchanged and within its span, the
 * steps go on, what cannot be sent is counted; after the heal all that was sent
 * is stored. */
static void a_full_window_drops_when_told_to(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->on_full = ON_FULL_DROP;
    h->on_tick = heal_after_drops;
    for (int i = 0; i < SHARDS; i++) h->shards[i].busy = true;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->stage, 2);
    assert_true(h->dropped_then > 0);
    /* more steps than window and stage hold */
    assert_true(h->counters.steps >= h->steps_then + 2000);
    assert_true(h->counters.dropped >= h->dropped_then + 1000);
    assert_true(h->counters.steps >=
                h->counters.acknowledged + h->counters.dropped);
    for (uint64_t seq = 0; seq + h->config.window < h->highest; seq++)
        assert_true(h->stored[seq]);
    assert_true(actor_house_count_acks(h) + h->config.window >= h->stored_n);
    actor_house_free(h);
}

/* Told to pause, which is the default, it does not step into a full window, nor
 * ask for parameters meanwhile; the next step has the newest. */
static void a_full_window_pauses_by_default(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->on_tick = heal_after_two_heartbeats;
    for (int i = 0; i < SHARDS; i++) h->shards[i].busy = true;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->stage, 2);
    assert_int_equal(h->counters.dropped, 0);
    const uint64_t most = 16 * 32 + 40;
    assert_true(h->steps_then > 0 && h->steps_then <= most);
    assert_int_equal(h->pulls_then, 0);
    assert_true(h->outdated > 0 && h->outdated <= most);
    actor_house_free(h);
}

/* A round that lost rows is none: status 2 in words. */
static void lockstep_refuses_to_drop(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->lockstep = true;
    h->on_full = ON_FULL_DROP;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_REFUSED);
    assert_int_equal(h->readies, 0);
    actor_house_free(h);
}

static void kill_a_shard(struct actor_house *h) {
    if (h->stage == 0 && h->stored_n > 50) {
        h->stage = 1;
        h->shards[1].busy = true; /* what it is sent is stuck */
    } else if (h->stage == 1 && h->now_ms % 1000 == 0) {
        h->stage = 2;
        h->state[1] = WIRE_SHARD_DEAD;
        for (int i = 0; i < SHARDS; i++) {
            h->answered_then[i] = h->shards[i].answered;
        }
        h->until = h->stored_n + 200;
        actor_house_push_topology(h);
    }
}

/* What was outstanding at a dead shard goes to the other one. */
static void batches_move_only_from_a_dead_shard(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->on_tick = kill_a_shard;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->stage, 2);
    assert_true(h->shards[0].answered >= h->answered_then[0] + 200);
    assert_true(h->shards[1].answered == h->answered_then[1]);
    actor_house_free(h);
}

static void restart_shard(struct actor_house *h) {
    if (h->stage == 0 && h->stored_n > 50) {
        h->stage = 1;
        h->lose_every = 1; /* the shard is gone */
    } else if (h->stage == 1 && h->now_ms % 200 == 0) {
        h->stage = 2;
        h->lose_every = 0;
        h->shards[0].self.incarnation++;
        h->shards[1].self.incarnation++;
        h->config.resend_after = 60.0;
        h->until = h->stored_n + 150;
        actor_house_push_topology(h);
    }
}

/* A shard that came back is asked again at once, all of it. */
static void a_new_incarnation_is_asked_at_once(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->on_tick = restart_shard;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->stage, 2);
    actor_house_free(h);
}

static void restart_learner(struct actor_house *h) {
    if (h->stage == 0 && h->stored_n > 50) {
        h->stage = 1;
        h->self.incarnation++;
        actor_house_push_topology(
            h); /* its first word is not an answer to Hello */
    }
}

/* A learner that came back is greeted again; the window goes on. */
static void a_new_learner_is_greeted_again(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->on_tick = restart_learner;
    h->asked_once = true;
    h->until = 400;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->hellos, 2);
    assert_int_equal(h->readies, 2);
    assert_int_equal(h->repeats, 0);
    actor_house_free(h);
}

static void change_exploration(struct actor_house *h) {
    if (h->stage == 0 && h->stored_n > 50) {
        h->stage = 1;
        h->config.exploration = EXPLORATION_GAUSSIAN;
        h->config.exploration_ladder = 0.01; /* of ordinal 1, the last */
        h->config.actors = 2;
        h->self.incarnation++;
        actor_house_push_topology(h);
    }
}

/* Exploration that changed with a resumed run is applied without a restart, on
 * the rung that the Welcome gives; before there was none. */
static void exploration_changes_with_the_run(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->on_tick = change_exploration;
    h->until = 400;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->hellos, 2);
    assert_true(h->boldest[0] == 0.0f); /* phi is zero */
    assert_true(h->boldest[1] > 0.003f && h->boldest[1] < 0.03f);
    actor_house_free(h);
}

static void stop_when_said(struct actor_house *h) {
    if (actor_house_said(h, "episodes lost")) h->until = h->stored_n;
}

/* Those that the learner does not receive are kept up to a number; then the
 * actor says how many it has lost. */
static void lost_episodes_are_said(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->horizon = 1;
    h->deaf = true;
    h->logged = true;
    h->on_tick = stop_when_said;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_true(actor_house_said(h, "the learner receives too few: "));
    assert_true(h->counters.episodes > 0);
    actor_house_free(h);
}

static void forget(struct actor_house *h) {
    if (h->stage == 0 && h->stored_n > 50) {
        h->stage = 1;
        struct wire_message m = {
            .type = WIRE_REFUSED,
            .refused = {.about = WIRE_HEARTBEAT, .reason = "who are you?"}};
        actor_house_answer(h, &m);
    }
}

static void a_learner_that_forgot_us_is_greeted(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->on_tick = forget;
    h->until = 400;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->hellos, 2);
    actor_house_free(h);
}

/* Status 3: the shard found a number that is not finite. */
static void refused_as_not_finite_is_status_3(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->refuse = WIRE_CODE_NON_FINITE;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_NON_FINITE);
    actor_house_free(h);
}

/* Stale: counted and dropped, and the window moves on. */
static void refused_as_stale_is_dropped(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->refuse = WIRE_CODE_STALE;
    h->until = 100;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    actor_house_free(h);
}

static void refuse_no_more(struct actor_house *h) {
    if (h->stored_n > 5) h->refuse = 0;
}

/* Another run's shard has the address: what is ours waits for the learner's
 * word on that, and the actor goes on. */
static void another_runs_shard_is_no_end(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->refuse = WIRE_CODE_RUN;
    h->on_tick = refuse_no_more;
    h->until = 100;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    actor_house_free(h);
}

/* Options of another range than ours: status 2, and nothing is sent. */
static void impossible_options_are_status_2(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->units = 8192;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_REFUSED);
    assert_int_equal(h->readies, 0);
    actor_house_free(h);
}

/* One step and one Insert a round, each with parameters of that round. */
static void lockstep_takes_turns(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->lockstep = true;
    h->asked_once = true;
    h->until = 100;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_true(h->highest <= h->round);
    assert_true(h->round <= h->highest + 1);
    assert_int_equal(h->repeats, 0);
    actor_house_free(h);
}

/* Without a learner: status 2 after orphan_after. */
static void an_orphan_gives_up(void **state) {
    (void)state;
    struct config config;
    config_defaults(&config);
    config.orphan_after = 1.0;
    snprintf(config.join, sizeof(config.join), "ipc:///tmp/nobody-%d",
             (int)getpid());
    pid_t child = fork();
    if (child == 0) _exit(actor_run(&config));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_REFUSED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_run_ends_well),
        cmocka_unit_test(lost_messages_are_asked_again),
        cmocka_unit_test(busy_shards_stop_the_actor),
        cmocka_unit_test(a_full_window_drops_when_told_to),
        cmocka_unit_test(a_full_window_pauses_by_default),
        cmocka_unit_test(lockstep_refuses_to_drop),
        cmocka_unit_test(batches_move_only_from_a_dead_shard),
        cmocka_unit_test(a_new_incarnation_is_asked_at_once),
        cmocka_unit_test(a_new_learner_is_greeted_again),
        cmocka_unit_test(exploration_changes_with_the_run),
        cmocka_unit_test(lost_episodes_are_said),
        cmocka_unit_test(a_learner_that_forgot_us_is_greeted),
        cmocka_unit_test(refused_as_not_finite_is_status_3),
        cmocka_unit_test(refused_as_stale_is_dropped),
        cmocka_unit_test(another_runs_shard_is_no_end),
        cmocka_unit_test(impossible_options_are_status_2),
        cmocka_unit_test(lockstep_takes_turns),
        cmocka_unit_test(an_orphan_gives_up),
    };
    return cmocka_run_group_tests_name("actor", tests, NULL, NULL);
}
