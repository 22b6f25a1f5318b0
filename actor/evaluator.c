#include "actor/evaluator.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "actor/actor.h"
#include "actor/trial.h"
#include "common/exit_status.h"
#include "common/log.h"

int evaluator_create(struct actor *a) {
    char why[256] = "out of memory";
    int rc = -ENOMEM;
    a->trial = calloc(1, sizeof(*a->trial));
    if (a->trial != NULL) {
        rc = trial_init(a->trial, &a->rollout, &a->config,
                        a->config.evaluation_episodes, why, sizeof(why));
    }
    if (rc != 0) log_error("%s", why);
    return rc;
}

int evaluator_begin(struct actor *a, const struct policy *policy,
                    uint64_t version) {
    int rc = trial_again(a->trial);
    if (rc == 0) rc = rollout_set_policy(&a->rollout, policy, version);
    a->playing = rc == 0;
    return rc;
}

static void end_trial(struct actor *a) {
    const struct summary *summary = &a->trial->summary;
    uint64_t reached = 0;
    for (size_t g = 0; g < SUMMARY_GOALS; g++) reached += summary->goals[g];
    a->playing = false;
    a->evaluation = (struct wire_evaluation){
        .version = a->rollout.version,
        .episodes = summary->ret.n,
        .unstable = a->rollout.discarded,
        .mean_return = summary->ret.mean,
        .std_return = summary_std(&summary->ret),
        .mean_length = summary->length.mean,
        .has_goals = summary->goal_stat >= 0,
        .reached = reached,
    };
    a->beat_ms = 0; /* tell it with the next tick */
    log_info("update %" PRIu64 ", generation %" PRIu64
             ": return %.2f +- %.2f in %" PRIu64 " episodes",
             a->rollout.version & ((UINT64_C(1) << 40) - 1),
             a->rollout.version >> 40, a->evaluation.mean_return,
             a->evaluation.std_return, a->evaluation.episodes);
}

void evaluator_step(struct actor *a) {
    char why[256];
    int rc = trial_step(a->trial, why, sizeof(why));
    if (rc == -EDOM) {
        actor_stop(a, EXIT_NON_FINITE, why);
    } else if (rc != 0) {
        log_warn("%s", why);
        end_trial(a);
    } else if (trial_done(a->trial)) {
        end_trial(a);
    }
}

void evaluator_finish(struct actor *a) {
    free(a->trial);
    a->trial = NULL;
}
