#ifndef ACTOR_SNAPSHOT_H
#define ACTOR_SNAPSHOT_H

#include <stddef.h>

#include "actor/env.h"
#include "common/policy.h"

/*
 * The two networks of a run's checkpoint, as far as playing needs them.
 * A zeroed snapshot may be finished.
 */
struct snapshot {
    char file[64];               /* "0000000001-000000015000.safetensors" */
    char task[ENV_NAME_LEN];     /* that it was trained on */
    struct policy policy; /* what plays; its arrays are phi ... */
    struct mlp_shape q;
    float *phi;   /* (P of policy.shape) "f.*" */
    float *theta; /* (P of q) "q.*" */
};

/*
 * Read run's checkpoint file: a path, or without any '/' a name in
 * RUN/checkpoints; NULL or "": the newest. Returns 0 or a negative errno,
 * nothing to finish then, with one line in why (n bytes): -ENOENT no
 * checkpoint yet, or no such file, -EBADMSG not readable as a checkpoint.
 */
int snapshot_read(struct snapshot *snapshot, const char *run, const char *file,
                  char *why, size_t n);
void snapshot_finish(struct snapshot *snapshot);

/* Can it play this task? 0 or -EINVAL with one line in why (n bytes). */
int snapshot_check(const struct snapshot *snapshot, const char *task,
                   const struct env_spec *spec, char *why, size_t n);

#endif
