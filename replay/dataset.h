#ifndef REPLAY_DATASET_H
#define REPLAY_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"
#include "replay/npz.h"

/*
 * Transitions in an .npz file: demonstrations, or what others have collected.
 *
 *   observations, next_observations (N, S)   actions (N, A) in [-1, 1]
 *   rewards (N)                              float32 or float64
 *   terminals (N), truncations (N)           0 or 1, bool, uint8 or float;
 *                                            truncations may be missing
 *
 * All finite as float32. Other arrays are not looked at, so a file that
 * extract.h writes is one of these. Its rows have the policy version 0.
 */
enum dataset_column {
    DATASET_OBSERVATIONS,
    DATASET_ACTIONS,
    DATASET_REWARDS,
    DATASET_NEXT_OBSERVATIONS,
    DATASET_TERMINALS,
    DATASET_TRUNCATIONS,
    DATASET_COLUMNS
};

struct dataset {
    uint64_t rows; /* N, at least 1 */
    uint64_t id;   /* of its content: the same numbers, the same id */
    size_t S, A;

    /* private */
    struct npz_array columns[DATASET_COLUMNS];
    void *map; /* (bytes) */
    size_t bytes;
};

/*
 * Read and check a file's bytes, which must stay until dataset_close(). Returns
 * 0, or with one line in why (n bytes) that names the array, what is expected
 * and what was found, and nothing to close: -EBADMSG or -ENOMEM.
 */
int dataset_parse(struct dataset *dataset, const void *bytes, size_t len,
                  char *why, size_t n);

/* The same of a file, which is mapped and must not be cut meanwhile; its path
 * stands before why. Also the errors of opening it. */
int dataset_open(struct dataset *dataset, const char *path, char *why,
                 size_t n);

/* A zeroed one may be closed. */
void dataset_close(struct dataset *dataset);

/* Append row number < rows to out, of shape (S, A). */
void dataset_row(const struct dataset *dataset, uint64_t number,
                 struct batch *out);

#endif
