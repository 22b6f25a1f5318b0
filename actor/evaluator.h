#ifndef ACTOR_EVALUATOR_H
#define ACTOR_EVALUATOR_H

#include <stdint.h>

#include "common/policy.h"

/*
 * An actor process as an evaluator: parameters come when it is its turn
 * (learner/evaluations.h), then config.evaluation_episodes episodes are played
 * with the same initial states and noise each time (trial.h), those of
 * softq-actor --evaluate=RUN --episodes=N with the run's seed. What they came
 * to rides on every heartbeat until the next one is played, so that neither a
 * lost message nor a learner that was away loses it.
 */
struct actor;

/* By the first Welcome: its rollout and trial. 0 or a negative errno, logged.
 */
int evaluator_create(struct actor *actor);
/* A turn: the policy is copied. 0 or -ENOMEM: nothing begins. */
int evaluator_begin(struct actor *actor, const struct policy *policy,
                    uint64_t version);
/* A step of all environments; ends the trial, or the process if a number is
 * not finite. */
void evaluator_step(struct actor *actor);
/* A zeroed actor, and one that is no evaluator, may be finished. */
void evaluator_finish(struct actor *actor);

#endif
