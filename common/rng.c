#include "common/rng.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/fastmath.h"
#include "common/vector.h"

/* SplitMix64's finaliser: close keys such as rank 1 and 2 end far apart. */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static uint64_t hash(const uint64_t *words, size_t n, uint64_t start) {
    uint64_t state = start;
    for (size_t i = 0; i < n; i++) {
        state = mix(state + 0x9E3779B97F4A7C15u + mix(words[i]));
    }
    return state;
}

void rng_init(struct rng *rng, uint64_t seed, enum rng_role role, uint64_t rank,
              uint64_t epoch, uint64_t stream) {
    const uint64_t words[] = {seed, (uint64_t)role, rank, epoch, stream};
    rng->key = hash(words, 5, 1);
    rng->stream = hash(words, 5, 2);
    rng->counter = 0;
}

/* One block, words c0 to c3 in and out. */
VECTOR_INLINE void philox(uint32_t *c0, uint32_t *c1, uint32_t *c2,
                          uint32_t *c3, uint32_t k0, uint32_t k1) {
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)*c0 * 0xD2511F53u;
        const uint64_t p1 = (uint64_t)*c2 * 0xCD9E8D57u;
        *c0 = (uint32_t)(p1 >> 32) ^ *c1 ^ k0;
        *c2 = (uint32_t)(p0 >> 32) ^ *c3 ^ k1;
        *c1 = (uint32_t)p1;
        *c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

void rng_philox(uint32_t block[4], const uint32_t counter[4],
                const uint32_t key[2]) {
    for (size_t k = 0; k < 4; k++) block[k] = counter[k];
    philox(&block[0], &block[1], &block[2], &block[3], key[0], key[1]);
}

static void next_block(struct rng *rng, uint32_t block[4]) {
    const uint32_t counter[4] = {
        (uint32_t)rng->counter, (uint32_t)(rng->counter >> 32),
        (uint32_t)rng->stream, (uint32_t)(rng->stream >> 32)};
    const uint32_t key[2] = {(uint32_t)rng->key, (uint32_t)(rng->key >> 32)};
    rng_philox(block, counter, key);
    rng->counter++;
}

uint64_t rng_u64(struct rng *rng) {
    uint32_t block[4];
    next_block(rng, block);
    return (uint64_t)block[1] << 32 | block[0];
}

uint64_t rng_below(struct rng *rng, uint64_t n) {
    assert(n > 0);
    // Lemire 2019: the high word of a product, redrawn in the biased margin
    const uint64_t margin = -n % n; // 2^64 mod n
    unsigned __int128 product;
    do {
        product = (unsigned __int128)rng_u64(rng) * n;
    } while ((uint64_t)product < margin);
    return (uint64_t)(product >> 64);
}

double rng_uniform(struct rng *rng) {
    // 52 bits plus a half: neither 0 nor, by rounding, 1
    return ((double)(rng_u64(rng) >> 12) + 0.5) * 0x1p-52;
}

void rng_fill_uniform(struct rng *rng, float *x, size_t n, float low,
                      float high) {
    const float last = nextafterf(high, low); // rounding may reach high
    for (size_t i = 0; i < n; i += 4) {
        uint32_t block[4];
        next_block(rng, block);
        for (size_t k = 0; k < 4 && i + k < n; k++) {
            const float u = (float)(block[k] >> 8) * 0x1p-24f;
            x[i + k] = fminf(low + (high - low) * u, last);
        }
    }
}

/* Blocks at a time of rng_fill_normal(). */
enum { BLOCKS = 16 };

/* Word k of block b out, (4, BLOCKS), of the next BLOCKS blocks. */
VECTOR_CLONES static void fill_blocks(uint32_t *restrict words, uint64_t key,
                                      uint64_t stream, uint64_t counter) {
    for (uint32_t b = 0; b < BLOCKS; b++) {
        const uint64_t n = counter + b;
        uint32_t c0 = (uint32_t)n, c1 = (uint32_t)(n >> 32);
        uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
        philox(&c0, &c1, &c2, &c3, (uint32_t)key, (uint32_t)(key >> 32));
        words[b] = c0, words[BLOCKS + b] = c1;
        words[2 * BLOCKS + b] = c2, words[3 * BLOCKS + b] = c3;
    }
}

/* Box-Muller on two words a pair. x out (BLOCKS, 4), words (4, BLOCKS) */
VECTOR_CLONES static void normals_of(float *restrict x,
                                     const uint32_t *restrict words) {
    for (size_t k = 0; k < 4; k += 2) {
        for (size_t b = 0; b < BLOCKS; b++) {
            // (0, 1]: its logarithm is finite
            const uint32_t first = words[k * BLOCKS + b] >> 8;
            const uint32_t second = words[(k + 1) * BLOCKS + b] >> 8;
            const float u = (float)(int32_t)(first + 1) * 0x1p-24f;
            const float turn = (float)(int32_t)second * 0x1p-24f;
            const float radius = sqrtf(-2.0f * fastmath_log(u));
            float sine, cosine;
            fastmath_turn(turn, &sine, &cosine);
            x[4 * b + k] = radius * cosine;
            x[4 * b + k + 1] = radius * sine;
        }
    }
}

void rng_fill_normal(struct rng *rng, float *x, size_t n) {
    for (size_t i = 0; i < n; i += (size_t)4 * BLOCKS) {
        const size_t left = n - i, most = (size_t)4 * BLOCKS;
        const size_t taken = left < most ? left : most;
        uint32_t words[4 * BLOCKS];
        float normals[4 * BLOCKS];
        fill_blocks(words, rng->key, rng->stream, rng->counter);
        normals_of(normals, words);
        memcpy(x + i, normals, sizeof(*x) * taken);
        rng->counter += (taken + 3) / 4;
    }
}
