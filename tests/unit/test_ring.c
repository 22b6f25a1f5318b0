/* The ring against a simple model, damage, and its promised errors. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/rng.h"
#include "replay/ring.h"
#include "tests/unit/test.h"

enum { S = 3, A = 2, CAPACITY = 100, HEADER = 4096 };

static const struct ring_spec spec = {
    .run = 0xA1, .capacity = CAPACITY, .S = S, .A = A};

static char folder[] = "/tmp/test_ring_XXXXXX";
static char path[64];

static int make_folder(void **state) {
    (void)state;
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(path, sizeof path, "%s/a.ring", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

static int remove_file(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

static uint64_t open_ring(struct ring *ring) {
    char why[256] = "";
    uint64_t dropped = 0;
    int rc = ring_open(ring, path, &spec, &dropped, why, sizeof why);
    if (rc != 0) fail_msg("%s", why);
    return dropped;
}

/* Every number of a row follows from its row number. */
static void fill(struct batch *batch, uint64_t first, size_t n) {
    test_fill_nan(batch->s, batch->capacity * S);
    test_fill_nan(batch->next, batch->capacity * S);
    batch->n = n;
    for (size_t i = 0; i < n; i++) {
        float x = (float)(first + i);
        for (size_t k = 0; k < S; k++) {
            batch->s[i * S + k] = x + 0.25f * (float)k;
            batch->next[i * S + k] = -x - 0.25f * (float)k;
        }
        for (size_t k = 0; k < A; k++) batch->a[i * A + k] = x / (float)(k + 2);
        batch->r[i] = 2.0f * x;
        batch->flags[i] = (uint8_t)((first + i) % 3);
        batch->version[i] = (first + i) << 40 | 5;
    }
}

static void check_row(const struct batch *got, size_t i, uint64_t number) {
    struct batch want;
    assert_int_equal(batch_init(&want, 1, S, A), 0);
    fill(&want, number, 1);
    assert_memory_equal(got->s + i * S, want.s, sizeof(float) * S);
    assert_memory_equal(got->a + i * A, want.a, sizeof(float) * A);
    assert_memory_equal(got->r + i, want.r, sizeof(float));
    assert_memory_equal(got->next + i * S, want.next, sizeof(float) * S);
    assert_int_equal(got->flags[i], want.flags[0]);
    assert_int_equal(got->version[i], want.version[0]);
    batch_finish(&want);
}

static enum ring_verdict insert(struct ring *ring, uint64_t actor,
                                uint64_t epoch, uint64_t seq, size_t n) {
    struct batch batch;
    assert_int_equal(batch_init(&batch, CAPACITY, S, A), 0);
    fill(&batch, ring->stored, n);
    enum ring_verdict verdict = ring_insert(ring, actor, epoch, seq, &batch);
    batch_finish(&batch);
    return verdict;
}

/* The model: every batch that a ring may still remember, in a plain list. */
struct model {
    struct known {
        uint64_t actor, epoch, seq, first, n;
    } list[4096];
    size_t n;
    uint64_t stored;
};

static uint64_t model_oldest(const struct model *m) {
    return m->stored < CAPACITY ? 0 : m->stored - CAPACITY;
}

/* Forget a pair none of whose rows are left; after a reopen, each batch. */
static void model_forget(struct model *m, bool reopened) {
    size_t kept = 0;
    for (size_t i = 0; i < m->n; i++) {
        bool remember = false;
        for (size_t j = 0; j < m->n && !remember; j++) {
            bool mine = reopened ? i == j
                                 : m->list[i].actor == m->list[j].actor &&
                                       m->list[i].epoch == m->list[j].epoch;
            remember =
                mine && m->list[j].first + m->list[j].n > model_oldest(m);
        }
        if (remember) m->list[kept++] = m->list[i];
    }
    m->n = kept;
}

static enum ring_verdict model_insert(struct model *m, uint64_t actor,
                                      uint64_t epoch, uint64_t seq,
                                      uint64_t n) {
    uint64_t highest = 0;
    bool there = false;
    for (size_t i = 0; i < m->n; i++) {
        const struct known *k = &m->list[i];
        if (k->actor != actor || k->epoch != epoch) continue;
        if (k->seq > highest) highest = k->seq;
        there |= k->seq == seq;
    }
    if (highest >= 64 && seq <= highest - 64) return RING_STALE;
    if (there) return RING_DUPLICATE;
    m->list[m->n++] = (struct known){actor, epoch, seq, m->stored, n};
    m->stored += n;
    model_forget(m, false);
    return RING_STORED;
}

static void check_all(const struct ring *ring, const struct model *m) {
    struct batch out;
    struct ring_row row;
    assert_int_equal(batch_init(&out, CAPACITY, S, A), 0);
    assert_int_equal(ring->stored, m->stored);
    assert_int_equal(ring->oldest, model_oldest(m));
    assert_int_equal(ring->present, m->stored - model_oldest(m));
    assert_false(ring_row(ring, m->stored, &row, NULL));
    if (ring->oldest > 0)
        assert_false(ring_row(ring, ring->oldest - 1, &row, NULL));
    for (size_t i = 0; i < m->n; i++) {
        const struct known *k = &m->list[i];
        for (uint64_t j = 0; j < k->n; j++) {
            if (k->first + j < ring->oldest) continue;
            out.n = 0;
            assert_true(ring_row(ring, k->first + j, &row, &out));
            assert_int_equal(row.number, k->first + j);
            assert_int_equal(row.actor, k->actor);
            assert_int_equal(row.epoch, k->epoch);
            assert_int_equal(row.seq, k->seq);
            assert_int_equal(row.index, j);
            assert_int_equal(row.last, j + 1 == k->n);
            check_row(&out, 0, k->first + j);
        }
    }
    batch_finish(&out);
}

/* Random inserts, repeats, late ones and reopens: always as the list says. */
static void ring_agrees_with_a_list(void **state) {
    (void)state;
    static struct model m;
    struct rng rng;
    struct ring ring;
    rng_init(&rng, 5, RNG_TEST, 0, 0, 0);
    open_ring(&ring);
    uint64_t seen[4] = {0};
    for (int step = 0; step < 5000; step++) {
        uint64_t actor = rng_below(&rng, 3), epoch = rng_below(&rng, 2);
        uint64_t seq = rng_below(&rng, 100) + (uint64_t)step / 20;
        uint64_t n = rng_below(&rng, 8) == 0 ? 1 + rng_below(&rng, CAPACITY)
                                             : 1 + rng_below(&rng, 5);
        enum ring_verdict want = model_insert(&m, actor, epoch, seq, n);
        assert_int_equal(insert(&ring, actor, epoch, seq, n), want);
        seen[want]++;
        check_all(&ring, &m);
        if (rng_below(&rng, 20) == 0) {
            uint64_t id = ring.id;
            ring_close(&ring);
            assert_int_equal(open_ring(&ring), 0);
            assert_int_equal(ring.id, id);
            model_forget(&m, true);
            check_all(&ring, &m);
        }
    }
    for (int i = 0; i < 3; i++) assert_true(seen[i] > 100);
    ring_close(&ring);
}

/* A new actor a batch: no more pairs are kept than rows are there. */
static void pairs_are_forgotten_with_their_rows(void **state) {
    (void)state;
    struct ring ring;
    open_ring(&ring);
    for (uint64_t i = 0; i < 10000; i++) {
        assert_int_equal(insert(&ring, i, i * i, 0, 2), RING_STORED);
        assert_true(ring_pairs(&ring) <= CAPACITY / 2);
    }
    assert_int_equal(insert(&ring, 9999, 9999 * 9999, 0, 2), RING_DUPLICATE);
    ring_close(&ring);
    open_ring(&ring);
    assert_int_equal(ring_pairs(&ring), CAPACITY / 2);
    assert_int_equal(insert(&ring, 9960, 9960 * 9960, 0, 2), RING_DUPLICATE);
    ring_close(&ring);
}

/* chi2: sum over rows of (count - mean)^2 / mean, rows told by their reward. */
static double chi_square(const struct ring *ring, size_t draws) {
    static uint64_t count[10 * CAPACITY];
    memset(count, 0, sizeof count);
    struct rng rng;
    struct batch out;
    rng_init(&rng, 11, RNG_TEST, 0, 0, 1);
    assert_int_equal(batch_init(&out, draws, S, A), 0);
    struct batch_columns to = batch_extend(&out, draws / 3);
    ring_sample(ring, &rng, draws / 3, &to);
    to = batch_extend(&out, draws - draws / 3);
    ring_sample(ring, &rng, draws - draws / 3, &to);
    assert_int_equal(out.n, draws);
    for (size_t i = 0; i < draws; i++) {
        uint64_t number = (uint64_t)(out.r[i] / 2.0f);
        if (i < 1000) check_row(&out, i, number);
        count[number]++;
    }
    batch_finish(&out);
    double mean = (double)draws / (double)ring->present, sum = 0.0;
    struct ring_row row;
    for (uint64_t i = 0; i < 10 * CAPACITY; i++) {
        double off = (double)count[i] - mean;
        if (ring_row(ring, i, &row, NULL))
            sum += off * off / mean;
        else
            assert_int_equal(count[i], 0);
    }
    return sum;
}

/* 99 degrees of freedom: above 148.2 once in 1000; the seed is fixed. */
static void sampling_is_uniform_over_present_rows(void **state) {
    (void)state;
    struct ring ring;
    open_ring(&ring);
    for (uint64_t i = 0; i < 23; i++) insert(&ring, 1, 1, i, 7);
    assert_int_equal(ring.present, CAPACITY);
    assert_true(chi_square(&ring, 200000) < 148.2);
    ring_close(&ring);
}

static void flip(off_t at) {
    int fd = open(path, O_RDWR);
    uint8_t byte = 0;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static size_t row_bytes(void) {
    return (48 + 4 * (2 * S + A + 1) + 8 + 7) / 8 * 8;
}

/* A flipped bit anywhere in a row loses that row and no other. */
static void damaged_row_is_dropped_alone(void **state) {
    (void)state;
    struct ring ring;
    struct ring_row row;
    for (size_t at = 0; at < 48 + 4 * (2 * S + A + 1) + 8; at++) {
        open_ring(&ring);
        size_t size = ring.row_bytes;
        for (uint64_t i = 0; i < 20; i++) insert(&ring, 1, 1, i, 6);
        ring_close(&ring);
        flip((off_t)(HEADER + 51 * size + at)); /* number 51 */
        assert_int_equal(open_ring(&ring), 1);
        assert_int_equal(ring.stored, 120);
        assert_int_equal(ring.present, CAPACITY - 1);
        for (uint64_t number = 20; number < 120; number++)
            assert_int_equal(ring_row(&ring, number, &row, NULL), number != 51);
        if (at == 0) assert_true(chi_square(&ring, 50000) < 148.2);
        ring_close(&ring);
        assert_int_equal(open_ring(&ring), 0); /* reported once */
        assert_int_equal(ring.present, CAPACITY - 1);
        for (uint64_t i = 20; i < 40; i++) insert(&ring, 1, 1, i, 6);
        assert_int_equal(ring.present, CAPACITY);
        ring_close(&ring);
        unlink(path);
    }
}

/* Another cut of the mask's promise: it comes only from a `last` row. */
static void batch_without_its_last_row_may_come_again(void **state) {
    (void)state;
    struct ring ring;
    open_ring(&ring);
    insert(&ring, 1, 1, 0, 3);
    insert(&ring, 1, 1, 1, 3);
    insert(&ring, 1, 1, 2, 3);
    ring_close(&ring);
    flip((off_t)(HEADER + 5 * row_bytes() + 50));
    assert_int_equal(open_ring(&ring), 1);
    assert_int_equal(ring.present, 8);
    assert_int_equal(insert(&ring, 1, 1, 0, 3), RING_DUPLICATE);
    assert_int_equal(insert(&ring, 1, 1, 2, 3), RING_DUPLICATE);
    assert_int_equal(insert(&ring, 1, 1, 1, 3), RING_STORED);
    ring_close(&ring);
}

/* Ring after `before` and the same after one more batch, cut at one store. */
static void torn(const uint8_t *before, const uint8_t *after, size_t bytes,
                 size_t row, size_t cut) {
    size_t size = row_bytes(), sum = 48 + 4 * (2 * S + A + 2);
    uint8_t *file = malloc(bytes);
    assert_non_null(file);
    memcpy(file, before, bytes);
    for (size_t i = 0; i <= row; i++) { /* the new batch begins at slot 90 */
        size_t at = HEADER + (90 + i) % CAPACITY * size;
        size_t n = i < row ? size : cut;
        if (n < size) memset(file + at + sum, 0, 4);
        memcpy(file + at, after + at, n < sum ? n : i < row ? size : sum);
    }
    int fd = open(path, O_RDWR | O_TRUNC);
    assert_int_equal(write(fd, file, bytes), bytes);
    close(fd);
    free(file);
}

static uint8_t *read_file(size_t *bytes) {
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    uint8_t *data = malloc((size_t)st.st_size);
    assert_non_null(data);
    *bytes = (size_t)st.st_size;
    assert_int_equal(read(fd, data, *bytes), st.st_size);
    close(fd);
    return data;
}

/* Stopped at any byte of any row of a batch: all older rows, nothing of it. */
static void batch_cut_at_any_byte_leaves_the_old_rows(void **state) {
    (void)state;
    enum { OLD = 190, NEW = 17 };
    struct ring ring;
    struct ring_row row;
    size_t bytes = 0;
    open_ring(&ring);
    for (uint64_t i = 0; i < OLD / 10; i++) insert(&ring, 1, 1, i, 10);
    ring_close(&ring);
    uint8_t *before = read_file(&bytes);
    open_ring(&ring);
    insert(&ring, 1, 1, 19, NEW);
    ring_close(&ring);
    uint8_t *after = read_file(&bytes);
    for (size_t i = 0; i < NEW; i++) {
        for (size_t cut = 0; cut < row_bytes() - 4; cut += 5) {
            torn(before, after, bytes, i, cut);
            assert_int_equal(open_ring(&ring), i + 1);
            assert_int_equal(ring.stored, OLD);
            assert_int_equal(ring.present, CAPACITY - i - 1);
            for (uint64_t n = ring.oldest; n < OLD; n++)
                assert_true(ring_row(&ring, n, &row, NULL));
            assert_int_equal(insert(&ring, 1, 1, 18, 10), RING_DUPLICATE);
            assert_int_equal(insert(&ring, 1, 1, 19, NEW), RING_STORED);
            ring_close(&ring);
            assert_int_equal(open_ring(&ring), 0);
            assert_int_equal(ring.stored, OLD + NEW);
            ring_close(&ring);
        }
    }
    free(before);
    free(after);
}

static int try_open(const struct ring_spec *want, const char *expected) {
    struct ring ring;
    char why[256] = "";
    int rc = ring_open(&ring, path, want, NULL, why, sizeof why);
    if (rc == 0)
        ring_close(&ring);
    else if (strstr(why, expected) == NULL || strstr(why, path) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why, expected);
    return rc;
}

/* Of another run, shape or size: refused, and the file stays as it is. */
static void other_run_shape_or_size_is_refused(void **state) {
    (void)state;
    struct ring ring;
    struct ring_spec other = spec;
    open_ring(&ring);
    insert(&ring, 1, 1, 0, 9);
    ring_close(&ring);
    other.run++;
    assert_int_equal(try_open(&other, "another run"), -EINVAL);
    other = spec, other.S++;
    assert_int_equal(try_open(&other, "another shape"), -EINVAL);
    other = spec, other.A--;
    assert_int_equal(try_open(&other, "another shape"), -EINVAL);
    other = spec, other.capacity *= 2;
    assert_int_equal(try_open(&other, "replay_size"), -EINVAL);
    assert_int_equal(open_ring(&ring), 0);
    assert_int_equal(ring.present, 9);
    ring_close(&ring);
}

static void ring_in_use_is_refused_but_can_be_read(void **state) {
    (void)state;
    struct ring ring, reader;
    char why[256];
    uint64_t dropped = 9;
    open_ring(&ring);
    insert(&ring, 1, 1, 0, 9);
    assert_int_equal(try_open(&spec, "in use"), -EWOULDBLOCK);
    assert_int_equal(ring_open_read(&reader, path, &dropped, why, sizeof why),
                     0);
    assert_int_equal(reader.present, 9);
    assert_int_equal(reader.spec.run, spec.run);
    assert_int_equal(dropped, 0);
    ring_close(&reader);
    ring_close(&ring);
}

/* Every byte of the header is under its CRC; no error leaves a lock. */
static void damaged_or_cut_file_is_refused(void **state) {
    (void)state;
    struct ring ring;
    size_t bytes = 0;
    open_ring(&ring);
    insert(&ring, 1, 1, 0, 9);
    ring_close(&ring);
    free(read_file(&bytes));
    for (off_t at = 0; at < HEADER; at += at < 64 || at > 4080 ? 1 : 97) {
        flip(at);
        int rc = try_open(&spec, "");
        assert_true(rc == -EBADMSG || rc == -EINVAL);
        flip(at);
    }
    assert_int_equal(truncate(path, (off_t)bytes - 1), 0);
    assert_int_equal(try_open(&spec, "cut"), -EBADMSG);
    assert_int_equal(truncate(path, 1000), 0);
    assert_int_equal(try_open(&spec, "cut"), -EBADMSG);
    int fd = open(path, O_WRONLY | O_TRUNC);
    for (int i = 0; i < 1000; i++) assert_int_equal(write(fd, "text\n", 5), 5);
    close(fd);
    assert_int_equal(try_open(&spec, "not a ring"), -EBADMSG);
}

/* A creator that was killed left zeros: made anew. Rows without a header: not.
 */
static void unfinished_creation_is_repeated(void **state) {
    (void)state;
    struct ring ring;
    size_t bytes = 0;
    open_ring(&ring);
    insert(&ring, 1, 1, 0, 9);
    ring_close(&ring);
    free(read_file(&bytes));
    uint8_t zeros[HEADER] = {0};
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, zeros, HEADER, 0), HEADER);
    assert_int_equal(try_open(&spec, "not a ring"), -EBADMSG);
    assert_int_equal(ftruncate(fd, 0), 0);
    for (size_t length = 0; length <= bytes; length += bytes / 3) {
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(ftruncate(fd, (off_t)length), 0);
        open_ring(&ring);
        assert_int_equal(ring.stored, 0);
        assert_int_equal(insert(&ring, 1, 1, 0, 9), RING_STORED);
        ring_close(&ring);
    }
    close(fd);
}

/* More than the disk holds, more than a file can be: one line, no file left. */
static void full_disk_is_one_line(void **state) {
    (void)state;
    struct ring_spec huge = spec;
    huge.capacity = (uint64_t)1 << 45;
    assert_int_equal(try_open(&huge, "no space for"), -ENOSPC);
    huge.capacity = UINT64_MAX / 2;
    assert_int_equal(try_open(&huge, "no space for"), -ENOSPC);
    assert_int_equal(access(path, F_OK), -1);
}

static void missing_folder_is_one_line(void **state) {
    (void)state;
    struct ring ring;
    char why[256] = "";
    assert_int_equal(
        ring_open(&ring, "/proc/nowhere/a.ring", &spec, NULL, why, sizeof why),
        -ENOENT);
    assert_non_null(strstr(why, "/proc/nowhere/a.ring"));
    assert_int_equal(
        ring_open_read(&ring, "/proc/nowhere/a.ring", NULL, why, sizeof why),
        -ENOENT);
    ring_close(&ring);
}

int main(void) {
#define CASE(name) cmocka_unit_test_teardown(name, remove_file)
    const struct CMUnitTest cases[] = {
        CASE(ring_agrees_with_a_list),
        CASE(pairs_are_forgotten_with_their_rows),
        CASE(sampling_is_uniform_over_present_rows),
        CASE(damaged_row_is_dropped_alone),
        CASE(batch_without_its_last_row_may_come_again),
        CASE(batch_cut_at_any_byte_leaves_the_old_rows),
        CASE(other_run_shape_or_size_is_refused),
        CASE(ring_in_use_is_refused_but_can_be_read),
        CASE(damaged_or_cut_file_is_refused),
        CASE(unfinished_creation_is_repeated),
        CASE(full_disk_is_one_line),
        CASE(missing_folder_is_one_line),
    };
    return cmocka_run_group_tests(cases, make_folder, remove_folder);
}
