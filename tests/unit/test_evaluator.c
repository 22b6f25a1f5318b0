#include <stdlib.h>
#include <string.h>

#include "actor/actor.h"
#include "actor/trial.h"
#include "common/exit_status.h"
#include "tests/unit/actor_house.h"
#include "tests/unit/test.h"

/* An actor process as an evaluator, against a learner that gives turns. */

static struct wire_evaluation told[2];

static void stop(struct actor_house *h) {
    const struct wire_message m = {.type = WIRE_STOP,
                                   .text = {.text = "enough", .len = 6}};
    actor_house_answer(h, &m);
}

/* A second turn after the first, in which the run has begun to explore; then
 * two heartbeats more, and the end. */
static void two_turns(struct actor_house *h) {
    if (h->stage == 0 && h->evaluation.version == h->version) {
        told[0] = h->evaluation;
        h->stage = 1;
        h->heartbeats = 0;
    } else if (h->stage == 1 && h->heartbeats >= 2) {
        // it is said until there is another one
        assert_memory_equal(&h->evaluation, &told[0], sizeof(told[0]));
        h->version++;
        h->stage = 2;
    } else if (h->stage == 2 && h->evaluation.version == h->version) {
        told[1] = h->evaluation;
        h->stage = 3;
        h->heartbeats = 0;
    } else if (h->stage == 3 && h->heartbeats >= 2) {
        h->stage = 4;
        stop(h);
    }
}

/* What the trial of these parameters (all 0) comes to. */
static struct summary expected(const struct config *config, uint64_t episodes) {
    struct rollout *rollout = calloc(1, sizeof(*rollout));
    assert_non_null(rollout);
    struct trial trial;
    char why[256] = "";
    assert_int_equal(
        trial_init(&trial, rollout, config, episodes, why, sizeof(why)), 0);
    float *phi = calloc(mlp_parameters(&rollout->shape), sizeof(*phi));
    assert_non_null(phi);
    const struct policy policy = {
        .shape = rollout->shape, .phi = phi, .alpha = 1.0f};
    assert_int_equal(rollout_set_policy(rollout, &policy, 1), 0);
    while (!trial_done(&trial))
        assert_int_equal(trial_step(&trial, why, sizeof(why)), 0);
    rollout_finish(rollout);
    free(rollout), free(phi);
    return trial.summary;
}

/*
 * Hello as an evaluator, parameters, a trial, its numbers with every heartbeat;
 * the next version begins in the same states. The shards are never spoken to,
 * no episode is told as one of training (the house fails), nothing explores.
 */
static void each_turn_is_played_and_told(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->evaluator = true;
    h->exploration = EXPLORATION_GAUSSIAN;
    h->on_tick = two_turns;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->stage, 4);
    assert_int_equal(h->episodes, 0);
    for (int i = 0; i < SHARDS; i++) assert_int_equal(h->shards[i].inserts, 0);

    const struct summary summary = expected(&h->config, 30);
    for (int i = 0; i < 2; i++) {
        assert_true(told[i].version == (UINT64_C(1) << 40) + (uint64_t)i);
        assert_int_equal(told[i].episodes, 30);
        assert_int_equal(told[i].unstable, 0);
        assert_true(told[i].mean_return == summary.ret.mean);
        assert_true(told[i].std_return == summary_std(&summary.ret));
        assert_true(told[i].mean_length == summary.length.mean);
        assert_true(told[i].has_goals);
        assert_int_equal(told[i].reached, 0); // a sampler of zeros stands still
    }
    assert_int_equal(h->counters.waiting, 0);
    actor_house_free(h);
}

static void stop_when_told(struct actor_house *h) {
    if (h->stage == 0 && h->evaluation.version == h->version) {
        h->stage = 1;
        stop(h);
    }
}

/* No actor has begun the run yet: it asks until it gets a Go. */
static void it_asks_again_until_the_run_has_begun(void **state) {
    (void)state;
    struct actor_house *h = actor_house_new();
    h->evaluator = true;
    h->early = 2;
    h->on_tick = stop_when_told;
    actor_house_play(h);
    assert_int_equal(h->status, EXIT_FINISHED);
    assert_int_equal(h->early, 0);
    assert_int_equal(h->stage, 1);
    actor_house_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_turn_is_played_and_told),
        cmocka_unit_test(it_asks_again_until_the_run_has_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
