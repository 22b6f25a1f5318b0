#ifndef LEARNER_EVALUATIONS_H
#define LEARNER_EVALUATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "learner/csv.h"
#include "learner/progress.h"
#include "learner/registry.h"
#include "proto/wire.h"

/*
 * When the evaluators play, and what they found (RUN/evaluations.csv, a row an
 * evaluation, in the order of their ends):
 *
 *   seconds, updates, steps   of the run when its parameters were given out
 *   generation                of them
 *   episodes                  that ended: evaluation_episodes, fewer (then the
 *                             next four may be empty) if the simulator gave up
 *   mean_return, std_return   undiscounted; deviation with n - 1
 *   mean_length               steps
 *   success_rate              share that ended at a goal; empty: the task has
 *                             none
 *   unstable                  episodes that the simulator gave up on
 *   evaluator                 who played
 *   wall                      s since 1970, at its end
 *
 * Every `every` updates a turn begins (the first with the first parameters). It
 * is given, once, to the first evaluator that asks; one that is over before
 * anybody asked is left out. Who was given a turn and is a new process, or was
 * forgotten, has lost it: it is open again. So none is in the file twice, and a
 * killed evaluator leaves nothing in it. Only the learner writes it.
 */
struct evaluations {
    uint64_t n;                  /* rows since this learner started */
    struct wire_evaluation last; /* of those; version 0: none */

    /* private */
    const char *run; /* borrowed */
    uint64_t every;
    bool begun, any; /* the file; a row in it */
    uint64_t newest; /* most updates of a row */
    struct csv csv;
};

/*
 * Cut the file, where there is one, back to `updates`. config is borrowed.
 * Returns 0 or a negative errno; a zeroed one may be finished.
 */
int evaluations_start(struct evaluations *evaluations,
                      const struct config *config, uint64_t updates);
void evaluations_finish(struct evaluations *evaluations);

/* May the peer, an evaluator that has the parameters `have`, be given those of
 * `version` (0: none are there yet)? */
bool evaluations_due(const struct evaluations *evaluations,
                     const struct registry *registry,
                     const struct registry_peer *peer, uint64_t have,
                     uint64_t version);

/* It was. */
void evaluations_given(const struct registry *registry,
                       struct registry_peer *peer, uint64_t version,
                       const struct progress_now *now);

/* What the peer says it found. true: it is a new row; anything but what its
 * turn asked for is not. */
bool evaluations_told(struct evaluations *evaluations,
                      struct registry_peer *peer,
                      const struct wire_evaluation *found, double wall);

/* Updates that a version has behind it. */
uint64_t evaluations_updates(uint64_t version);

#endif
