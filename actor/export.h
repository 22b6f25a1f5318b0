#ifndef ACTOR_EXPORT_H
#define ACTOR_EXPORT_H

#include "actor/env.h"
#include "actor/snapshot.h"
#include "common/config.h"

/*
 * A run's networks for other programs: ONNX (onnx.h) and a C header
 * (c_header.h).
 *
 *   S observation   A action
 */
struct export {
    const struct snapshot *snapshot; /* borrowed */
    /* where it comes from, for people: printable ASCII without * and ? */
    char run[128], checkpoint[64], task[ENV_NAME_LEN];
    float *centre, *half; /* (A) a motor gets centre + half tanh u; owned */
};

/*
 * run: path of the run, of which the last part is shown. Returns 0 or -ENOMEM;
 * a zeroed one may be finished.
 */
int export_init(struct export *export, const struct snapshot *snapshot,
                const char *run, const char *task, const struct env_spec *spec);
void export_finish(struct export *export);

/* How to draw the sampler's noise, in one line. */
void export_noise(const struct export *export, char *text, size_t n);

/*
 * softq-actor --export=RUN: write sampler.onnx, q.onnx and sampler.h of RUN's
 * newest checkpoint, or of config->checkpoint, into config->out, made where
 * missing; each file replaces what was there only as a whole. The run's task is
 * loaded for what its actions are scaled to.
 *
 * Returns the exit status, any failure logged in one line: EXIT_REFUSED (no
 * such run, no checkpoint yet, another task, a file that cannot be written).
 */
int export_run(const struct config *config);

#endif
