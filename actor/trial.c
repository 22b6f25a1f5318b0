#include "actor/trial.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int trial_init(struct trial *trial, struct rollout *rollout,
               const struct config *config, uint64_t episodes, char *why,
               size_t n) {
    struct config own = *config;
    *trial = (struct trial){.rollout = rollout, .episodes = episodes};
    own.environments =
        episodes < TRIAL_ENVIRONMENTS ? episodes : TRIAL_ENVIRONMENTS;
    int err = rollout_init(rollout, &own, RNG_EVALUATOR, 0, 0, why, n);
    if (!err) summary_init(&trial->summary, &rollout->spec);
    return err;
}

int trial_again(struct trial *trial) {
    memset(trial->played, 0, sizeof(trial->played));
    summary_init(&trial->summary, &trial->rollout->spec);
    return rollout_again(trial->rollout);
}

bool trial_done(const struct trial *trial) {
    return trial->summary.ret.n >= trial->episodes;
}

static void count_episodes(struct trial *trial) {
    struct rollout_episode list[TRIAL_ENVIRONMENTS];
    const size_t E = trial->rollout->E;
    const size_t n = rollout_take(trial->rollout, list, E);
    for (size_t i = 0; i < n; i++) {
        const uint64_t number = trial->played[list[i].env]++ * E + list[i].env;
        if (number < trial->episodes) summary_add(&trial->summary, &list[i]);
    }
}

int trial_step(struct trial *trial, char *why, size_t n) {
    struct rollout *rollout = trial->rollout;
    int err = rollout_step(rollout, NULL, why, n);
    if (err) return err;
    count_episodes(trial);
    if (rollout->discarded > 10 * (rollout->episodes + rollout->E)) {
        snprintf(why, n,
                 "the simulation does not stay stable: %" PRIu64
                 " episodes given up, %" PRIu64 " ended",
                 rollout->discarded, rollout->episodes);
        return -ERANGE;
    }
    return 0;
}
