#ifndef COMMON_RNG_H
#define COMMON_RNG_H

#include <stddef.h>
#include <stdint.h>

/*
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011). A
 * stream is keyed by (seed, role, rank, epoch, stream); its state is that key
 * and one counter, so it can be saved, resumed and split without order.
 */
enum rng_role { RNG_LEARNER, RNG_ACTOR, RNG_SHARD, RNG_EVALUATOR, RNG_TEST };

struct rng {
    uint64_t key;     /* hash of (seed, role, rank, epoch, stream) */
    uint64_t stream;  /* high half of Philox's counter: a second hash of it */
    uint64_t counter; /* blocks drawn; save this one to resume */
};

/* epoch: the sender's incarnation, 0 in lockstep; stream: what it is for. */
void rng_init(struct rng *rng, uint64_t seed, enum rng_role role, uint64_t rank,
              uint64_t epoch, uint64_t stream);

uint64_t rng_u64(struct rng *rng);
/* [0, n) without bias; n > 0. */
uint64_t rng_below(struct rng *rng, uint64_t n);
/* (0, 1). */
double rng_uniform(struct rng *rng);
/* x (n) out: uniform on [low, high), 24 bits a value, 4 values a block. */
void rng_fill_uniform(struct rng *rng, float *x, size_t n, float low,
                      float high);
/* x (n) out: N(0, 1), Box-Muller on 24-bit uniforms, 4 values a block. */
void rng_fill_normal(struct rng *rng, float *x, size_t n);

/* The bare function: block out (4), counter (4), key (2), least word first. */
void rng_philox(uint32_t block[4], const uint32_t counter[4],
                const uint32_t key[2]);

#endif
