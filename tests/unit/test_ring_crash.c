/* kill -9 at random instructions, 150 times or SOFTQ_KILLS: acknowledged means
 * stored. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/rng.h"
#include "replay/ring.h"
#include "tests/unit/test.h"

enum { S = 17, A = 6, CAPACITY = 300, MOST = 60 };

static const struct ring_spec spec = {
    .run = 0xB2, .capacity = CAPACITY, .S = S, .A = A};

static uint64_t mix(uint64_t epoch, uint64_t seq) {
    uint64_t x = (epoch << 32 ^ seq) * 0x9E3779B97F4A7C15u;
    return (x ^ x >> 29) * 0xBF58476D1CE4E5B9u;
}

/* A batch's size and contents follow from (epoch, seq), and cheaply: the
 * writer shall be killed inside the ring, not here. */
static size_t batch_size(uint64_t epoch, uint64_t seq) {
    return 1 + (size_t)(mix(epoch, seq) >> 40) % MOST;
}

static void scramble(float *x, size_t n, uint64_t *state) {
    for (size_t i = 0; i < n; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        x[i] = (float)(int32_t)(*state >> 32);
    }
}

static void fill(struct batch *batch, uint64_t epoch, uint64_t seq) {
    uint64_t x = mix(epoch, seq);
    batch->n = batch_size(epoch, seq);
    scramble(batch->s, batch->n * S, &x);
    scramble(batch->a, batch->n * A, &x);
    scramble(batch->r, batch->n, &x);
    scramble(batch->next, batch->n * S, &x);
    for (size_t i = 0; i < batch->n; i++) {
        batch->flags[i] = (uint8_t)(i % 3);
        batch->version[i] = seq << 40 | i;
    }
}

/* Insert for ever; each seq goes down the pipe once it is stored. */
static void child(const char *path, uint64_t epoch, int acknowledge) {
    struct ring ring;
    struct batch batch;
    char why[256];
    if (ring_open(&ring, path, &spec, NULL, why, sizeof why) != 0 ||
        batch_init(&batch, MOST, S, A) != 0) {
        _exit(9);
    }
    for (uint64_t seq = 0;; seq++) {
        fill(&batch, epoch, seq);
        if (ring_insert(&ring, 4, epoch, seq, &batch) != RING_STORED) _exit(8);
        if (write(acknowledge, &seq, sizeof seq) != sizeof seq) _exit(7);
    }
}

/* Every batch that must or may be in the ring, in row order. */
struct entry {
    uint64_t epoch, seq, first;
    size_t n;
};
struct history {
    struct entry *list;
    size_t n, room;
    uint64_t stored; /* rows of the list */
    uint64_t reach;  /* highest row number begun, + 1 */
};

static void append(struct history *h, uint64_t epoch, uint64_t seq) {
    if (h->n == h->room) {
        h->room = h->room * 2 + 64;
        h->list = realloc(h->list, h->room * sizeof *h->list);
        assert_non_null(h->list);
    }
    size_t n = batch_size(epoch, seq);
    h->list[h->n++] = (struct entry){epoch, seq, h->stored, n};
    h->stored += n;
}

static void check_batch(const struct ring *ring, const struct entry *e) {
    struct batch want, got;
    struct ring_row row;
    assert_int_equal(batch_init(&want, MOST, S, A), 0);
    assert_int_equal(batch_init(&got, MOST, S, A), 0);
    fill(&want, e->epoch, e->seq);
    for (size_t i = 0; i < e->n; i++) {
        if (e->first + i < ring->oldest) continue;
        got.n = 0;
        assert_true(ring_row(ring, e->first + i, &row, &got));
        assert_int_equal(row.epoch, e->epoch);
        assert_int_equal(row.seq, e->seq);
        assert_int_equal(row.index, i);
        assert_int_equal(row.last, i + 1 == e->n);
        assert_memory_equal(got.s, want.s + i * S, sizeof(float) * S);
        assert_memory_equal(got.a, want.a + i * A, sizeof(float) * A);
        assert_memory_equal(got.r, want.r + i, sizeof(float));
        assert_memory_equal(got.next, want.next + i * S, sizeof(float) * S);
        assert_int_equal(got.flags[0], want.flags[i]);
        assert_int_equal(got.version[0], want.version[i]);
    }
    batch_finish(&want);
    batch_finish(&got);
}

/*
 * Whole and in order, with the one batch that was under way either there or
 * not, and no older row lost than that batch may have overwritten.
 */
static void check_after_kill(const char *path, struct history *h,
                             uint64_t epoch, uint64_t next, uint64_t *unseen,
                             uint64_t *torn) {
    struct ring ring;
    struct entry batch;
    char why[256] = "";
    uint64_t dropped = 0;
    if (ring_open(&ring, path, &spec, &dropped, why, sizeof why) != 0)
        fail_msg("%s", why);
    *torn += dropped > 0;
    /* an earlier cut-off batch may have reached further than this one */
    uint64_t reach = h->stored + batch_size(epoch, next);
    if (reach > h->reach) h->reach = reach;
    if (ring.stored != h->stored) {
        append(h, epoch, next); /* stored, and killed before it said so */
        (*unseen)++;
    }
    assert_int_equal(ring.stored, h->stored);
    assert_true(ring.oldest == 0 || ring.oldest + CAPACITY <= h->reach);
    assert_int_equal(ring.present, ring.stored - ring.oldest);
    size_t i = h->n;
    while (i > 0 && h->list[i - 1].first + h->list[i - 1].n > ring.oldest)
        check_batch(&ring, &h->list[--i]);

    /* sent again, each is known: none is stored twice */
    struct batch rows;
    assert_int_equal(batch_init(&rows, MOST, S, A), 0);
    for (size_t k = h->n; k > i && k + 60 > h->n; k--) {
        batch = h->list[k - 1];
        fill(&rows, batch.epoch, batch.seq);
        assert_int_equal(ring_insert(&ring, 4, batch.epoch, batch.seq, &rows),
                         RING_DUPLICATE);
    }
    batch_finish(&rows);
    ring_close(&ring);
}

static void killed_writers_lose_nothing_acknowledged(void **state) {
    (void)state;
    char folder[] = "/tmp/test_ring_crash_XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.ring", folder);
    struct history h = {0};
    struct rng rng;
    uint64_t unseen = 0, torn = 0, acknowledged = 0;
    rng_init(&rng, 2, RNG_TEST, 0, 0, 0);
    const char *wanted = getenv("SOFTQ_KILLS");
    const int kills = wanted != NULL ? atoi(wanted) : 150;
    for (uint64_t epoch = 1; epoch <= (uint64_t)kills; epoch++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(ends[0]);
            child(path, epoch, ends[1]);
        }
        close(ends[1]);
        uint64_t seq = 0, next = 0;
        /* half of them surely at work, the others at any moment of their life
         */
        while (epoch % 2 == 0 && next < 4) {
            assert_int_equal(read(ends[0], &seq, sizeof seq), sizeof seq);
            assert_int_equal(seq, next);
            append(&h, epoch, next++);
        }
        long us = (long)rng_below(&rng, 4000);
        nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
        kill(pid, SIGKILL);
        while (read(ends[0], &seq, sizeof seq) == sizeof seq) {
            assert_int_equal(seq, next);
            append(&h, epoch, next++);
        }
        acknowledged += next;
        close(ends[0]);
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        check_after_kill(path, &h, epoch, next, &unseen, &torn);
    }
    print_message("%d kills, %llu batches acknowledged, %llu cut off, "
                  "%llu stored but not acknowledged\n",
                  kills, (unsigned long long)acknowledged,
                  (unsigned long long)torn, (unsigned long long)unseen);
    assert_true(acknowledged > (uint64_t)kills && torn > 0);
    free(h.list);
    unlink(path);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(killed_writers_lose_nothing_acknowledged),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
