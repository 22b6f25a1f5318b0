/*
 * What the ring costs: rows a CPU second inserted in batches of 32 and sampled
 * in minibatches of 64, and both as a share of memcpy moving as many bytes from
 * and to the same places (whole rows, from random places when sampling).
 *
 *   build/tests/bench/bench_ring [--json] [ROWS [FOLDER]]
 *
 * --json: one object a shape, in one line each: name ("ring"), observation_dim,
 * action_dim, rows, row_bytes, and rows a CPU second: insert, insert_new_pages,
 * insert_memcpy, sample, sample_memcpy, open.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/rng.h"
#include "replay/ring.h"

enum { BATCH = 32, MINIBATCH = 64 };

/* Of this process alone, so that neighbours on the machine count less. */
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *why) {
    fprintf(stderr, "%s\n", why);
    exit(1);
}

static void fill(struct batch *batch, struct rng *rng) {
    batch->n = batch->capacity;
    rng_fill_normal(rng, batch->s, batch->n * batch->S);
    rng_fill_normal(rng, batch->a, batch->n * batch->A);
    rng_fill_normal(rng, batch->r, batch->n);
    rng_fill_normal(rng, batch->next, batch->n * batch->S);
    memset(batch->flags, 0, batch->n);
    for (size_t i = 0; i < batch->n; i++) batch->version[i] = i;
}

/* Rows a second over the whole ring; the first round touches the pages. */
static double insert_rate(struct ring *ring, const struct batch *rows,
                          uint64_t *seq) {
    uint64_t batches = ring->spec.capacity / BATCH;
    double start = now();
    for (uint64_t i = 0; i < batches; i++)
        ring_insert(ring, i % 8, 1, ++*seq, rows);
    return (double)(batches * BATCH) / (now() - start);
}

static double sample_rate(const struct ring *ring, struct rng *rng, size_t n,
                          struct batch *out) {
    double start = now();
    for (size_t i = 0; i < n; i += MINIBATCH) {
        out->n = 0;
        const struct batch_columns to = batch_extend(out, MINIBATCH);
        ring_sample(ring, rng, MINIBATCH, &to);
    }
    return (double)n / (now() - start);
}

/* memcpy of whole rows: a batch into place, and rows from random places. */
static void copy_rates(const struct ring *ring, struct rng *rng, size_t n,
                       double *in, double *out) {
    size_t bytes = ring->row_bytes, capacity = ring->spec.capacity;
    uint8_t *all = malloc(capacity * bytes);
    uint8_t *few = malloc(MINIBATCH * bytes);
    if (all == NULL || few == NULL) die("out of memory");
    memset(all, 1, capacity * bytes);
    memset(few, 2, MINIBATCH * bytes);
    double start = now();
    for (size_t i = 0; i + BATCH <= capacity; i += BATCH)
        memcpy(all + i * bytes, few, BATCH * bytes);
    *in = (double)capacity / (now() - start);

    start = now();
    for (size_t i = 0; i < n; i++) {
        memcpy(few + i % MINIBATCH * bytes,
               all + rng_below(rng, capacity) * bytes, bytes);
        __asm__ volatile("" : : "r"(few) : "memory");
    }
    *out = (double)n / (now() - start);
    free(all);
    free(few);
}

static bool json;

static void bench(const char *folder, uint32_t S, uint32_t A, uint64_t rows) {
    char path[512], why[768];
    snprintf(path, sizeof path, "%s/bench-%ld.ring", folder, (long)getpid());
    struct ring_spec spec = {.run = 1, .capacity = rows, .S = S, .A = A};
    struct ring ring;
    struct batch batch, out;
    struct rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    if (ring_open(&ring, path, &spec, NULL, why, sizeof why) != 0) die(why);
    if (batch_init(&batch, BATCH, S, A) != 0 ||
        batch_init(&out, MINIBATCH, S, A) != 0)
        die("out of memory");
    fill(&batch, &rng);

    const size_t draws = 5 * 1000 * 1000 / MINIBATCH * MINIBATCH;
    uint64_t seq = 0;
    double copied_in = 0.0, copied_out = 0.0;
    double first = insert_rate(&ring, &batch, &seq);
    double again = insert_rate(&ring, &batch, &seq);
    double sampled = sample_rate(&ring, &rng, draws, &out);
    copy_rates(&ring, &rng, draws, &copied_in, &copied_out);
    ring_close(&ring);
    double start = now();
    if (ring_open(&ring, path, &spec, NULL, why, sizeof why) != 0) die(why);
    double opened = (double)ring.present / (now() - start);
    if (json) {
        printf("{\"name\": \"ring\", \"observation_dim\": %u, "
               "\"action_dim\": %u, \"rows\": %" PRIu64 ", "
               "\"row_bytes\": %zu, \"insert\": %.6g, "
               "\"insert_new_pages\": %.6g, \"insert_memcpy\": %.6g, "
               "\"sample\": %.6g, \"sample_memcpy\": %.6g, \"open\": %.6g}\n",
               S, A, rows, ring.row_bytes, again, first, copied_in, sampled,
               copied_out, opened);
    } else {
        printf(
            "S %u A %u, %" PRIu64 " rows of %zu bytes, M rows/s: insert %.2f "
            "(new pages %.2f, memcpy %.1f: %.0f %%), sample %.2f (memcpy %.1f: "
            "%.0f %%), open %.1f\n",
            S, A, rows, ring.row_bytes, 1e-6 * again, 1e-6 * first,
            1e-6 * copied_in, 100.0 * again / copied_in, 1e-6 * sampled,
            1e-6 * copied_out, 100.0 * sampled / copied_out, 1e-6 * opened);
    }
    ring_close(&ring);
    unlink(path);
    batch_finish(&batch);
    batch_finish(&out);
}

int main(int argc, char **argv) {
    json = argc > 1 && strcmp(argv[1], "--json") == 0;
    argc -= json, argv += json;
    uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    const char *folder = argc > 2 ? argv[2] : "/tmp";
    bench(folder, 2, 2, rows);
    bench(folder, 10, 2, rows);
    bench(folder, 29, 8, rows);
    return 0;
}
