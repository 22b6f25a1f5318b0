#include "common/rng.h"
#include "tests/unit/test.h"

#include <stdlib.h>

/* Random123's known-answer vectors for philox4x32-10. */
static void philox_matches_its_published_vectors(void **state) {
    (void)state;
    const struct {
        uint32_t counter[4], key[2], block[4];
    } known[] = {
        {{0, 0, 0, 0},
         {0, 0},
         {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < 3; i++) {
        uint32_t block[4];
        rng_philox(block, known[i].counter, known[i].key);
        assert_memory_equal(block, known[i].block, sizeof(block));
    }
}

/* Changing any word of the key gives another stream. */
static void every_word_of_the_key_matters(void **state) {
    (void)state;
    const uint64_t words[6][4] = {{1, 0, 0, 0}, {2, 0, 0, 0}, {1, 1, 0, 0},
                                  {1, 0, 1, 0}, {1, 0, 0, 1}, {0, 1, 0, 0}};
    uint64_t first[7];
    for (size_t i = 0; i < 7; i++) {
        const uint64_t *w = words[i < 6 ? i : 0];
        struct rng rng;
        rng_init(&rng, w[0], i < 6 ? RNG_LEARNER : RNG_ACTOR, w[1], w[2], w[3]);
        first[i] = rng_u64(&rng);
        for (size_t j = 0; j < i; j++) assert_true(first[i] != first[j]);
    }
}

/* A saved counter continues exactly where it was. */
static void a_saved_counter_resumes(void **state) {
    (void)state;
    struct rng rng;
    float first[10], again[10];
    rng_init(&rng, 7, RNG_TEST, 0, 0, 0);
    rng_fill_normal(&rng, first, 10);
    const struct rng saved = rng;
    rng_fill_normal(&rng, first, 10);
    test_fill_nan(again, 10);
    rng = saved;
    rng_fill_normal(&rng, again, 10);
    assert_memory_equal(first, again, sizeof(first));
}

/* Each of 5 values comes up a fifth of the time. */
static void below_is_uniform(void **state) {
    (void)state;
    enum { DRAWS = 100000 };
    struct rng rng;
    size_t count[5] = {0};
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < DRAWS; i++) {
        const uint64_t x = rng_below(&rng, 5);
        assert_true(x < 5);
        count[x]++;
    }
    // 5 standard deviations of a binomial count are 632
    for (size_t x = 0; x < 5; x++) {
        assert_close((float)count[x], DRAWS / 5.0f, 632.0f);
    }
}

/* Means, variances and bounds of both uniform draws. */
static void uniforms_have_their_moments(void **state) {
    (void)state;
    enum { DRAWS = 100000 };
    static float x[DRAWS];
    struct rng rng;
    rng_init(&rng, 2, RNG_TEST, 0, 0, 0);
    test_fill_nan(x, DRAWS);
    rng_fill_uniform(&rng, x, DRAWS, -1.0f, 3.0f);
    double mean = 0.0, square = 0.0, wide = 0.0;
    for (size_t i = 0; i < DRAWS; i++) {
        const double d = rng_uniform(&rng);
        assert_true(x[i] >= -1.0f && x[i] < 3.0f && d > 0.0 && d < 1.0);
        mean += (double)x[i] / DRAWS;
        square += (double)(x[i] * x[i]) / DRAWS;
        wide += d / DRAWS;
    }
    assert_close((float)mean, 1.0f, 0.02f);
    assert_close((float)(square - mean * mean), 16.0f / 12.0f, 0.03f);
    assert_close((float)wide, 0.5f, 0.005f);
}

/* Mean 0, variance 1, kurtosis 3, neighbours uncorrelated, any length. */
static void normals_have_their_moments(void **state) {
    (void)state;
    enum { DRAWS = 100001 };
    static float x[DRAWS];
    struct rng rng;
    rng_init(&rng, 3, RNG_TEST, 0, 0, 0);
    test_fill_nan(x, DRAWS);
    rng_fill_normal(&rng, x, DRAWS);
    double mean = 0.0, square = 0.0, fourth = 0.0, neighbours = 0.0;
    for (size_t i = 0; i < DRAWS; i++) {
        const double v = (double)x[i];
        mean += v / DRAWS;
        square += v * v / DRAWS;
        fourth += v * v * v * v / DRAWS;
        if (i > 0) neighbours += v * (double)x[i - 1] / DRAWS;
    }
    assert_close((float)mean, 0.0f, 0.015f);
    assert_close((float)square, 1.0f, 0.02f);
    assert_close((float)fourth, 3.0f, 0.15f);
    assert_close((float)neighbours, 0.0f, 0.015f);
}

/* Box-Muller in double on the blocks' words, for any number of values; the
 * counter goes on behind the last block. */
static void normals_are_those_of_the_blocks(void **state) {
    (void)state;
    enum { MOST = 150 };
    for (size_t n = 1; n < MOST; n++) {
        struct rng rng;
        float x[MOST];
        test_fill_nan(x, MOST);
        rng_init(&rng, 3, RNG_TEST, 0, 0, n);
        rng.counter = 0xfffffff0u; // a carry into its high word
        const uint64_t first = rng.counter;
        rng_fill_normal(&rng, x, n);
        assert_int_equal(rng.counter - first, (n + 3) / 4);
        for (size_t i = 0; i < n; i++) {
            const uint64_t at = first + i / 4;
            const uint32_t counter[4] = {(uint32_t)at, (uint32_t)(at >> 32),
                                         (uint32_t)rng.stream,
                                         (uint32_t)(rng.stream >> 32)};
            const uint32_t key[2] = {(uint32_t)rng.key,
                                     (uint32_t)(rng.key >> 32)};
            uint32_t block[4];
            rng_philox(block, counter, key);
            const uint32_t *pair = block + i % 4 / 2 * 2;
            const double u = ((pair[0] >> 8) + 1.0) * 0x1p-24;
            const double angle =
                6.283185307179586 * (double)(pair[1] >> 8) * 0x1p-24;
            const double radius = sqrt(-2.0 * log(u));
            const double exact = radius * (i % 2 ? sin(angle) : cos(angle));
            assert_close(x[i], (float)exact, 2e-6f);
        }
        assert_true(isnan(x[n]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_matches_its_published_vectors),
        cmocka_unit_test(every_word_of_the_key_matters),
        cmocka_unit_test(a_saved_counter_resumes),
        cmocka_unit_test(below_is_uniform),
        cmocka_unit_test(uniforms_have_their_moments),
        cmocka_unit_test(normals_are_those_of_the_blocks),
        cmocka_unit_test(normals_have_their_moments),
    };
    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
