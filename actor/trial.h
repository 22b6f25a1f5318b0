#ifndef ACTOR_TRIAL_H
#define ACTOR_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actor/rollout.h"
#include "actor/summary.h"
#include "common/config.h"

/*
 * Episodes that count, so many of them: what --evaluate plays of a checkpoint
 * and an evaluator of a run's newest parameters. Never with exploration. Every
 * trial of one seed begins in the same states and draws the same noise,
 * whoever plays it.
 *
 * Environment e plays episodes e, e + E ... and what it plays beyond is not
 * counted: taking the first that end would favour the short ones.
 */
enum { TRIAL_ENVIRONMENTS = 64 };

struct trial {
    struct rollout *rollout; /* borrowed: its owner finishes it */
    struct summary summary;  /* of the episodes that count */
    uint64_t episodes;       /* to play */

    /* private */
    uint64_t played[TRIAL_ENVIRONMENTS];
};

/*
 * Initialise rollout, of config->task, for so many episodes (at least 1);
 * config->environments has no say. Random actions until rollout_set_policy().
 * Errors as rollout_init(). Nothing of a trial is to be finished.
 */
int trial_init(struct trial *trial, struct rollout *rollout,
               const struct config *config, uint64_t episodes, char *why,
               size_t n);

/* Begin again, with the policy of the rollout. 0 or -ENOMEM: not usable. */
int trial_again(struct trial *trial);

bool trial_done(const struct trial *trial);

/*
 * One step of every environment. 0, -EDOM as rollout_step(), or -ERANGE when
 * the simulation does not stay stable; with one line in why (n bytes).
 */
int trial_step(struct trial *trial, char *why, size_t n);

#endif
