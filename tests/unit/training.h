#ifndef TESTS_TRAINING_H
#define TESTS_TRAINING_H

/* A small learner of any variant with minibatches to learn from: what the
 * suites of the algorithm share. */

#include "common/config.h"
#include "learner/algorithm.h"

enum {
    TRAINING_S = 3,
    TRAINING_A = 2,
    TRAINING_ROWS = 10,
    TRAINING_UNITS = 24
};

struct training {
    struct algorithm *alg;
    struct algorithm_noise noise;
    struct batch batch;
    struct rng rng;
    struct algorithm_figures figures;
};

/* Sizes that differ from each other, TRAINING_ROWS rows. */
struct config training_config(void);

/* "name=value name=value ..." on top. */
void training_set(struct config *config, const char *options);

/* rows of the minibatch: config->minibatch. Failures fail the test. */
void training_init(struct training *training, const struct config *config,
                   size_t threads);

/* A composition of n learners after 3 updates each, their weights and
 * minibatches by seeds from `seed` on (added to the generator's stream): of
 * more units each, the second one twins, the third one normalised. */
void training_init_composed(struct training *training,
                            const struct config *config, size_t threads,
                            size_t n, uint64_t seed);
void training_finish(struct training *training);

/* The next minibatch and noise, by the generator's counter alone; every fourth
 * row is terminal. */
void training_draw(struct training *training);

/* Draw, and one update that must succeed; n of them. */
void training_update(struct training *training);
void training_run(struct training *training, size_t n);

/* Largest difference over all tensors of two learners; counters are equal. */
float training_difference(struct training *x, struct training *y);

/* A tensor by name, which there must be. */
const struct tensors_entry *training_find(const struct tensors_entry *entries,
                                          size_t n, const char *name);

/* Data of a learner's own tensor; of "q.ws" that of the whole network. */
float *training_vector(struct training *training, const char *name);

/* A copy of its tensors in memory of its own, as a file would give them. */
void training_copy(struct tensors *copy, struct training *training);
void training_free_copy(struct tensors *copy);

#endif
