#ifndef ACTOR_SNAPSHOT_H
#define ACTOR_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include "actor/env.h"
#include "common/policy.h"
#include "common/stored.h"

/*
 * The networks of a run's checkpoint, as far as playing and drawing need them.
 * A zeroed snapshot may be finished.
 *
 *   S observation   A action   N rows of noise   P parameters
 */
enum { SNAPSHOT_SOURCES = 8 };

struct snapshot {
    char file[64];           /* "0000000001-000000015000.safetensors" */
    char task[ENV_NAME_LEN]; /* that it was trained on */
    char algorithm[16];      /* "sql"; "": the file does not say */
    uint64_t updates;        /* done; 0 too where the file does not say */
    double temperature;      /* alpha at its end; NAN: the file does not say */
    struct policy policy;    /* what plays; its arrays are the next three */
    float *phi;              /* (P of policy.shape) "f.*" */
    float *noise;            /* (N, A) "noise.set"; NULL: xi ~ N(0, I) */
    struct moments moments;  /* of observations; S 0: as they are */
    /* the run's own Q, or those it was composed of: "source0.q.*" ... */
    size_t n_sources;
    struct stored_q sources[SNAPSHOT_SOURCES];
};

/*
 * Read run's checkpoint file: a path, or without any '/' a name in
 * RUN/checkpoints; NULL or "": the newest. Returns 0 or a negative errno,
 * nothing to finish then, with one line in why (n bytes): -ENOENT no
 * checkpoint yet, or no such file, -EBADMSG not readable as a checkpoint of
 * ours: a tensor that is missing, of another shape, not finite, or half of
 * what belongs together.
 */
int snapshot_read(struct snapshot *snapshot, const char *run, const char *file,
                  char *why, size_t n);
void snapshot_finish(struct snapshot *snapshot);

/* Can it play this task? 0 or -EINVAL with one line in why (n bytes). */
int snapshot_check(const struct snapshot *snapshot, const char *task,
                   const struct env_spec *spec, char *why, size_t n);

/*
 * The Q that acts: the mean over the sources of each one's smaller twin.
 *
 * q    out (n)     Q(s, a_i)
 * s        (S)     as the task gives it
 * a        (n, A)
 *
 * 0 or -ENOMEM.
 */
int snapshot_value(const struct snapshot *snapshot, float *q, const float *s,
                   const float *a, size_t n);

#endif
