/*
 * A shard's file: replay/ring.h. The first byte says whether the rest is the
 * file (0), or what one is made of: shape and capacity, then for each slot a
 * byte that says whether its sum and its number are mended, and its row, so
 * that rows of any order and owner pass for good ones.
 */

#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"
#include "common/rng.h"
#include "replay/ring.h"
#include "replay/ring_file.h"
#include "tests/fuzz/fuzz.h"

enum { MENDED_SUM = 1, MENDED_NUMBER = 2, LAST = 4 };

/* A row at `to`, as the bytes have it. */
static void make_row(struct fuzz_bytes *from, uint8_t *to, size_t row_bytes,
                     uint32_t S, uint32_t A, uint64_t slot, uint64_t capacity) {
    const uint8_t how = fuzz_byte(from);
    const size_t sum_at = 48 + 4 * (2 * (size_t)S + A + 2);
    if (how == 0) return;
    fuzz_take(from, to, row_bytes);
    if (how & MENDED_NUMBER) {
        const uint64_t number = slot + capacity * (how >> 4);
        memcpy(to, &number, sizeof number);
        memset(to + 10, 0, 6); /* few actors, so that they meet again */
        memset(to + 18, 0, 6);
    }
    if (how & LAST) to[sum_at - 3] |= 1;
    if (how & MENDED_SUM) {
        const uint32_t sum = crc32c(to, sum_at);
        memcpy(to + sum_at, &sum, sizeof sum);
    }
}

/* A file of a valid header; its length. */
static size_t make_file(struct fuzz_bytes *from, uint8_t **file) {
    const uint32_t S = fuzz_byte(from) % 4 + 1, A = fuzz_byte(from) % 3 + 1;
    const uint64_t capacity = fuzz_byte(from) % 16 + 2, run = 7, id = 9;
    const uint32_t row_bytes = (uint32_t)ring_file_row_bytes(S, A);
    const size_t len = RING_FILE_HEADER + capacity * row_bytes;
    const uint32_t facts[4] = {1, S, A, row_bytes};
    uint8_t *at = *file = calloc(1, len);
    fuzz_check(at != NULL, "no memory");
    memcpy(at, "softqrng", 8);
    memcpy(at + 8, facts, sizeof facts);
    memcpy(at + 24, &capacity, 8);
    memcpy(at + 32, &run, 8);
    memcpy(at + 40, &id, 8);
    for (uint64_t slot = 0; slot < capacity; slot++)
        make_row(from, at + RING_FILE_HEADER + slot * row_bytes, row_bytes, S,
                 A, slot, capacity);
    const uint32_t sum = crc32c(at, RING_FILE_HEADER - 4);
    memcpy(at + RING_FILE_HEADER - 4, &sum, sizeof sum);
    return len;
}

static void check_ring(const struct ring *ring) {
    struct rng rng;
    struct batch batch;
    struct ring_row row;
    uint64_t present = 0;
    fuzz_check(ring->oldest <= ring->stored &&
                   ring->stored - ring->oldest <= ring->spec.capacity,
               "more rows than slots");
    uint8_t *scratch = malloc(ring->row_bytes);
    fuzz_check(scratch != NULL &&
                   batch_init(&batch, 8, ring->spec.S, ring->spec.A) == 0,
               "no memory");
    for (uint64_t k = ring->oldest; k < ring->stored; k++) {
        batch.n = 0;
        if (!ring_row(ring, k, &row, &batch)) continue;
        present++;
        fuzz_check(row.number == k, "a row in another's place");
        fuzz_check(ring_read(ring, k, scratch, &row, NULL),
                   "a row unlike its sum");
    }
    fuzz_check(present == ring->present, "rows present are miscounted");
    fuzz_check(ring->stored == 0 || ring->oldest == ring->stored || present > 0,
               "a span without a row");
    if (present > 0) {
        rng_init(&rng, 1, RNG_SHARD, 0, 0, 0);
        batch.n = 0;
        const struct batch_columns to = batch_extend(&batch, 8);
        ring_sample(ring, &rng, 8, &to);
    }
    free(scratch);
    batch_finish(&batch);
}

/* A batch more, and then it is there. */
static void write_one(struct ring *ring, uint64_t actor, uint64_t seq) {
    struct batch batch;
    struct ring_row row;
    if (ring->spec.capacity < 2 || ring->stored > UINT64_MAX / 4) return;
    fuzz_check(batch_init(&batch, 2, ring->spec.S, ring->spec.A) == 0,
               "no memory");
    batch.n = 2;
    const uint64_t before = ring->stored;
    const enum ring_verdict would = ring_would(ring, actor, 3, seq);
    const enum ring_verdict verdict = ring_insert(ring, actor, 3, seq, &batch);
    fuzz_check(verdict == would, "another verdict than foretold");
    if (verdict == RING_STORED) {
        fuzz_check(ring->stored == before + 2, "not stored");
        fuzz_check(ring_row(ring, before + 1, &row, NULL) && row.last &&
                       row.actor == actor && row.seq == seq,
                   "another row than was written");
        fuzz_check(ring_would(ring, actor, 3, seq) == RING_DUPLICATE,
                   "forgotten at once");
    }
    batch_finish(&batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct fuzz_bytes from = {data, len};
    struct ring ring, again;
    char why[256] = "";
    uint64_t dropped = 0;
    uint8_t *made = NULL;
    const char *path = NULL;
    if (fuzz_byte(&from) == 0) {
        path = fuzz_file(from.at, from.left);
    } else {
        const size_t n = make_file(&from, &made);
        path = fuzz_file(made, n);
    }
    int rc = ring_open_read(&ring, path, &dropped, why, sizeof why);
    fuzz_check(rc == 0 || why[0] != '\0', "refused without a word");
    fuzz_check(rc == 0 || made == NULL, "a sound header is refused");
    free(made);
    if (rc != 0) return 0;
    check_ring(&ring);
    const struct ring_spec spec = ring.spec;
    const uint64_t stored = ring.stored, present = ring.present;
    ring_close(&ring);

    /* as its shard would: the same rows, and it goes on */
    rc = ring_open(&ring, path, &spec, NULL, why, sizeof why);
    fuzz_check(rc == 0, "readable, but not to its shard");
    fuzz_check(ring.stored == stored && ring.present == present,
               "other rows than a reader sees");
    write_one(&ring, fuzz_byte(&from), fuzz_byte(&from));
    write_one(&ring, fuzz_byte(&from), fuzz_byte(&from));
    check_ring(&ring);
    const uint64_t end = ring.stored, left = ring.present;
    ring_close(&ring);
    rc = ring_open_read(&again, path, NULL, why, sizeof why);
    fuzz_check(rc == 0 && again.stored == end && again.present == left,
               "closed and opened it has other rows");
    ring_close(&again);
    return 0;
}
