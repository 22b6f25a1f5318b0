#include "replay/ring.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/exit_status.h"
#include "common/rng.h"
#include "replay/dedup.h"
#include "replay/ring_file.h"

/*
 * A row: this, then s (S) a (A) r (1) s' (S) as float32, flags and CRC32C as
 * uint32, padded to 8 bytes. All little-endian, which is what we run on.
 */
struct row_head {
    uint64_t number, actor, epoch, seq, index, version;
};
_Static_assert(sizeof(struct row_head) == 48, "part of the file's layout");

enum { FLAG_LAST = 1 << 8 }; /* above the transition's own, BATCH_* */

struct ring_private {
    struct ring_file file;
    struct dedup dedup;
    size_t crc_at;   /* in a row; flags are the 4 bytes before it */
    uint64_t *valid; /* (capacity bits) slots that hold a good row; NULL: all of
                      * [oldest, stored) do, as always without damage */
};

static uint8_t *slot_of(const struct ring *ring, uint64_t slot) {
    return ring->private->file.map + RING_FILE_HEADER + slot * ring->row_bytes;
}

static struct row_head *head_of(uint8_t *row) {
    return (struct row_head *)(void *)row; /* rows start at multiples of 8 */
}

static uint32_t load_flags(const struct ring *ring, const uint8_t *row) {
    uint32_t flags = 0;
    memcpy(&flags, row + ring->private->crc_at - 4, sizeof flags);
    return flags;
}

/* 0 says "no row here", so a sum that happens to be 0 is written as ~0. */
static uint32_t nonzero(uint32_t crc) {
    return crc != 0 ? crc : ~0u;
}

static uint32_t row_sum(const struct ring *ring, const uint8_t *row) {
    return nonzero(crc32c(row, ring->private->crc_at));
}

static uint32_t *crc_of(const struct ring *ring, uint8_t *row) {
    return (uint32_t *)(void *)(row + ring->private->crc_at);
}

static bool bit(const uint64_t *bits, uint64_t i) {
    return (bits[i / 64] >> (i % 64) & 1) != 0;
}

static void set_bit(uint64_t *bits, uint64_t i) {
    bits[i / 64] |= (uint64_t)1 << (i % 64);
}

static void clear_bit(uint64_t *bits, uint64_t i) {
    bits[i / 64] &= ~((uint64_t)1 << (i % 64));
}

static bool slot_valid(const struct ring *ring, uint64_t slot) {
    const uint64_t *valid = ring->private->valid;
    return valid == NULL || bit(valid, slot);
}

static bool sum_good(const struct ring *ring, uint8_t *row) {
    uint32_t crc = *crc_of(ring, row);
    return crc != 0 && crc == row_sum(ring, row);
}

static bool row_good(const struct ring *ring, uint64_t slot) {
    uint8_t *row = slot_of(ring, slot);
    uint64_t number = head_of(row)->number;
    return sum_good(ring, row) && number % ring->spec.capacity == slot &&
           number < UINT64_MAX / 2;
}

/* Never written: not a loss. */
static bool row_blank(const struct ring *ring, uint64_t slot) {
    const uint8_t *row = slot_of(ring, slot);
    for (size_t i = 0; i < ring->row_bytes; i++) {
        if (row[i] != 0) return false;
    }
    return true;
}

/* So that it is neither counted nor taken for a row again. */
static void erase(const struct ring *ring, uint64_t slot) {
    uint8_t *row = slot_of(ring, slot);
    __atomic_store_n(crc_of(ring, row), 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memset(row, 0, ring->row_bytes);
}

/*
 * One past the highest row flagged last: what follows belongs to a batch that
 * was never acknowledged. Without any such row (a batch as large as the ring
 * was cut off) numbers go on from the lowest one, so that they never repeat.
 */
static uint64_t find_end(const struct ring *ring, const uint64_t *valid) {
    uint64_t end = 0, lowest = UINT64_MAX;
    for (uint64_t slot = 0; slot < ring->spec.capacity; slot++) {
        if (!bit(valid, slot)) continue;
        uint8_t *row = slot_of(ring, slot);
        uint64_t number = head_of(row)->number;
        if (number < lowest) lowest = number;
        if ((load_flags(ring, row) & FLAG_LAST) != 0 && number >= end)
            end = number + 1;
    }
    return end == 0 && lowest != UINT64_MAX ? lowest : end;
}

/* Count one kept row. */
static int keep(struct ring *ring, uint64_t slot) {
    struct dedup *dedup = &ring->private->dedup;
    uint8_t *row = slot_of(ring, slot);
    const struct row_head *head = head_of(row);
    int rc = dedup_add(dedup, head->actor, head->epoch, 1);
    if (rc != 0) return rc;
    if ((load_flags(ring, row) & FLAG_LAST) != 0)
        dedup_mark(dedup, head->actor, head->epoch, head->seq);
    if (head->number < ring->oldest) ring->oldest = head->number;
    ring->present++;
    return 0;
}

/*
 * Everything but the header's content is found here: which slots hold rows of
 * whole batches, the numbers, the masks. writable: erase what is not kept.
 */
static int scan(struct ring *ring, bool writable, uint64_t *dropped) {
    uint64_t capacity = ring->spec.capacity;
    uint64_t *valid = calloc((size_t)(capacity / 64 + 1), sizeof *valid);
    if (valid == NULL) return -ENOMEM;
    for (uint64_t slot = 0; slot < capacity; slot++) {
        if (row_good(ring, slot)) {
            set_bit(valid, slot);
        } else if (!row_blank(ring, slot)) {
            (*dropped)++;
            if (writable) erase(ring, slot);
        }
    }

    uint64_t end = find_end(ring, valid);
    ring->stored = ring->oldest = end;
    int rc = 0;
    for (uint64_t slot = 0; slot < capacity && rc == 0; slot++) {
        if (!bit(valid, slot)) continue;
        uint64_t number = head_of(slot_of(ring, slot))->number;
        /* older than a whole round: its successor never reached the disk */
        if (number < end && end - number <= capacity) {
            rc = keep(ring, slot);
        } else {
            clear_bit(valid, slot);
            (*dropped)++;
            /* the next row takes that slot; until then it may be all that
             * keeps numbers from beginning again */
            if (writable && number != end) erase(ring, slot);
        }
    }
    if (rc == 0 && ring->present < ring->stored - ring->oldest) {
        ring->private->valid = valid;
    } else {
        free(valid);
    }
    return rc;
}

/* What both ways of opening share, once file, spec and id are there. */
static int settle(struct ring *ring, bool writable, uint64_t *dropped,
                  const char *path, char *why, size_t n) {
    struct ring_private *p = ring->private;
    uint64_t unused = 0;
    if (dropped == NULL) dropped = &unused;
    *dropped = 0;
    ring->row_bytes = ring_file_row_bytes(ring->spec.S, ring->spec.A);
    p->crc_at = sizeof(struct row_head) +
                4 * (2 * (size_t)ring->spec.S + ring->spec.A + 2);
    int rc = dedup_init(&p->dedup);
    if (rc == 0 && !p->file.fresh) rc = scan(ring, writable, dropped);
    if (rc != 0) {
        snprintf(why, n, "%s: %s", path, strerror(-rc));
        ring_close(ring);
    }
    return rc;
}

static int make_private(struct ring *ring, const char *path, char *why,
                        size_t n) {
    ring->private = calloc(1, sizeof *ring->private);
    if (ring->private != NULL) return 0;
    snprintf(why, n, "%s: %s", path, strerror(ENOMEM));
    return -ENOMEM;
}

int ring_open(struct ring *ring, const char *path, const struct ring_spec *spec,
              uint64_t *dropped, char *why, size_t n) {
    *ring = (struct ring){.spec = *spec};
    int rc = make_private(ring, path, why, n);
    if (rc != 0) return rc;
    rc = ring_file_open(&ring->private->file, path, spec, &ring->id, why, n);
    if (rc != 0) {
        ring_close(ring);
        return rc;
    }
    return settle(ring, true, dropped, path, why, n);
}

static int open_to_read(struct ring *ring, const char *path, bool lock,
                        uint64_t *dropped, char *why, size_t n) {
    *ring = (struct ring){0};
    int rc = make_private(ring, path, why, n);
    if (rc != 0) return rc;
    rc = ring_file_open_read(&ring->private->file, path, lock, &ring->spec,
                             &ring->id, why, n);
    if (rc != 0) {
        ring_close(ring);
        return rc;
    }
    return settle(ring, false, dropped, path, why, n);
}

int ring_open_read(struct ring *ring, const char *path, uint64_t *dropped,
                   char *why, size_t n) {
    return open_to_read(ring, path, false, dropped, why, n);
}

int ring_open_shared(struct ring *ring, const char *path, uint64_t *dropped,
                     char *why, size_t n) {
    return open_to_read(ring, path, true, dropped, why, n);
}

void ring_close(struct ring *ring) {
    struct ring_private *p = ring->private;
    if (p != NULL) {
        ring_file_close(&p->file);
        dedup_finish(&p->dedup);
        free(p->valid);
        free(p);
    }
    *ring = (struct ring){0};
}

/* Rows of one sender that are gone, not yet told to dedup: they come in runs,
 * as they were sent. */
struct gone {
    uint64_t actor, epoch, n;
};

static void forget(struct ring *ring, struct gone *gone) {
    if (gone->n > 0)
        dedup_drop(&ring->private->dedup, gone->actor, gone->epoch, gone->n);
    gone->n = 0;
}

/* The slot's old row, if any, is about to be overwritten. */
static void evict(struct ring *ring, uint64_t slot, uint64_t number,
                  struct gone *gone) {
    if (number < ring->spec.capacity) return;
    uint64_t old = number - ring->spec.capacity;
    if (old < ring->oldest) return;
    if (slot_valid(ring, slot)) {
        const struct row_head *head = head_of(slot_of(ring, slot));
        if (head->actor != gone->actor || head->epoch != gone->epoch) {
            forget(ring, gone);
            gone->actor = head->actor;
            gone->epoch = head->epoch;
        }
        gone->n++;
        ring->present--;
    }
    ring->oldest = old + 1;
}

/*
 * The CRC is cleared before and written after everything else of a row
 * (seal_rows). A process that is killed has done all stores before some
 * instruction and none after it, so it is the compiler that the fences hold;
 * msync sees pages at any moment, and there the CRC itself decides.
 */
static void write_row(const struct ring *ring, uint8_t *row,
                      const struct row_head *head, const struct batch *from,
                      size_t i) {
    size_t S = from->S, A = from->A;
    uint32_t flags = from->flags[i] | (i + 1 == from->n ? FLAG_LAST : 0);
    __atomic_store_n(crc_of(ring, row), 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);

    uint8_t *at = row;
    memcpy(at, head, sizeof *head);
    memcpy(at += sizeof *head, from->s + i * S, 4 * S);
    memcpy(at += 4 * S, from->a + i * A, 4 * A);
    memcpy(at += 4 * A, from->r + i, 4);
    memcpy(at += 4, from->next + i * S, 4 * S);
    memcpy(at + 4 * S, &flags, 4);
}

/* Four rows at a time, as crc32c_four() takes them: n of them, in order. */
enum { GROUP = 4 };

static void seal_rows(const struct ring *ring, uint8_t *const rows[GROUP],
                      size_t n) {
    uint32_t sums[GROUP];
    if (n == GROUP) {
        const void *const data[GROUP] = {rows[0], rows[1], rows[2], rows[3]};
        crc32c_four(data, ring->private->crc_at, sums);
        for (size_t i = 0; i < n; i++) sums[i] = nonzero(sums[i]);
    } else {
        for (size_t i = 0; i < n; i++) sums[i] = row_sum(ring, rows[i]);
    }
    for (size_t i = 0; i < n; i++)
        __atomic_store_n(crc_of(ring, rows[i]), sums[i], __ATOMIC_RELEASE);
}

enum ring_verdict ring_would(const struct ring *ring, uint64_t actor,
                             uint64_t epoch, uint64_t seq) {
    switch (dedup_check(&ring->private->dedup, actor, epoch, seq)) {
    case DEDUP_DUPLICATE:
        return RING_DUPLICATE;
    case DEDUP_STALE:
        return RING_STALE;
    case DEDUP_NEW:
        break;
    }
    return RING_STORED;
}

enum ring_verdict ring_insert(struct ring *ring, uint64_t actor, uint64_t epoch,
                              uint64_t seq, const struct batch *rows) {
    struct ring_private *p = ring->private;
    uint64_t capacity = ring->spec.capacity;
    assert(rows->S == ring->spec.S && rows->A == ring->spec.A);
    assert(rows->n >= 1 && rows->n <= capacity);
    assert(batch_first_non_finite(rows) == rows->n);

    enum ring_verdict verdict = ring_would(ring, actor, epoch, seq);
    if (verdict != RING_STORED) return verdict;
    /* before any row goes, or the pair could be forgotten half-way */
    if (dedup_add(&p->dedup, actor, epoch, rows->n) != 0) return RING_NO_MEMORY;

    uint64_t slot = ring->stored % capacity;
    uint8_t *group[GROUP];
    size_t open = 0;
    struct gone gone = {0};
    for (size_t i = 0; i < rows->n; i++) {
        struct row_head head = {.number = ring->stored + i,
                                .actor = actor,
                                .epoch = epoch,
                                .seq = seq,
                                .index = i,
                                .version = rows->version[i]};
        evict(ring, slot, head.number, &gone);
        group[open] = slot_of(ring, slot);
        write_row(ring, group[open++], &head, rows, i);
        if (open == GROUP || i + 1 == rows->n) {
            seal_rows(ring, group, open);
            open = 0;
        }
        if (p->valid != NULL) set_bit(p->valid, slot);
        if (++slot == capacity) slot = 0;
    }
    forget(ring, &gone);
    ring->stored += rows->n;
    ring->present += rows->n;
    dedup_mark(&p->dedup, actor, epoch, seq);
    return RING_STORED;
}

/* As the i-th of to's rows. */
static void copy_row(const struct ring *ring, uint8_t *row,
                     const struct batch_columns *to, size_t i) {
    const size_t S = 4 * (size_t)ring->spec.S, A = 4 * (size_t)ring->spec.A;
    const uint8_t *at = row + sizeof(struct row_head);
    memcpy(to->s + i * S, at, S);
    memcpy(to->a + i * A, at += S, A);
    memcpy(to->r + i * 4, at += A, 4);
    memcpy(to->next + i * S, at + 4, S);
    to->flags[i] = (uint8_t)load_flags(ring, row);
    memcpy(to->version + i * 8, &head_of(row)->version, 8);
}

/* A present row's slot; rows found damaged at open are drawn again. */
static uint64_t draw(const struct ring *ring, struct rng *rng) {
    uint64_t slot = 0;
    do {
        uint64_t number =
            ring->oldest + rng_below(rng, ring->stored - ring->oldest);
        slot = number % ring->spec.capacity;
    } while (!slot_valid(ring, slot));
    return slot;
}

void ring_sample(const struct ring *ring, struct rng *rng, size_t n,
                 const struct batch_columns *out) {
    assert(ring->present > 0);

    /* rows are far apart: have a few dozen on their way at once */
    enum { AHEAD = 32, LINE = 64 };
    uint8_t *rows[AHEAD];
    for (size_t done = 0; done < n;) {
        size_t some = n - done < AHEAD ? n - done : AHEAD;
        for (size_t i = 0; i < some; i++) {
            rows[i] = slot_of(ring, draw(ring, rng));
            for (size_t at = 0; at < ring->row_bytes; at += LINE)
                __builtin_prefetch(rows[i] + at);
            __builtin_prefetch(rows[i] + ring->row_bytes - 1);
        }
        for (size_t i = 0; i < some; i++)
            copy_row(ring, rows[i], out, done + i);
        done += some;
    }
}

static void show(const struct ring *ring, uint8_t *at, struct ring_row *row,
                 struct batch *out) {
    const struct row_head *head = head_of(at);
    *row = (struct ring_row){.number = head->number,
                             .actor = head->actor,
                             .epoch = head->epoch,
                             .seq = head->seq,
                             .index = (uint32_t)head->index,
                             .last = (load_flags(ring, at) & FLAG_LAST) != 0};
    if (out == NULL) return;
    assert(out->S == ring->spec.S && out->A == ring->spec.A);
    const struct batch_columns to = batch_extend(out, 1);
    copy_row(ring, at, &to, 0);
}

/* NULL: not present when the ring was opened. */
static uint8_t *find(const struct ring *ring, uint64_t number) {
    if (number < ring->oldest || number >= ring->stored) return NULL;
    uint64_t slot = number % ring->spec.capacity;
    return slot_valid(ring, slot) ? slot_of(ring, slot) : NULL;
}

bool ring_row(const struct ring *ring, uint64_t number, struct ring_row *row,
              struct batch *out) {
    uint8_t *at = find(ring, number);
    if (at != NULL) show(ring, at, row, out);
    return at != NULL;
}

bool ring_read(const struct ring *ring, uint64_t number, void *scratch,
               struct ring_row *row, struct batch *out) {
    const uint8_t *at = find(ring, number);
    if (at == NULL) return false;
    uint8_t *copy = memcpy(scratch, at, ring->row_bytes);
    if (!sum_good(ring, copy) || head_of(copy)->number != number) return false;
    show(ring, copy, row, out);
    return true;
}

uint64_t *ring_owner(const struct ring *ring, uint64_t actor, uint64_t epoch) {
    return dedup_owner(&ring->private->dedup, actor, epoch);
}

size_t ring_pairs(const struct ring *ring) {
    return ring->private->dedup.used;
}

int ring_sync(const struct ring *ring) {
    const struct ring_file *file = &ring->private->file;
    return msync(file->map, file->bytes, MS_SYNC) == 0 ? 0 : -errno;
}

static const char *guarded; /* a signal handler has no other argument */

static void on_sigbus(int signum) {
    (void)signum;
    static const char text[] = "SIGBUS: cut, or its disk failed: ";
    bool said = write(STDERR_FILENO, text, sizeof text - 1) > 0 &&
                write(STDERR_FILENO, guarded, strlen(guarded)) > 0 &&
                write(STDERR_FILENO, "\n", 1) > 0;
    (void)said; /* there is nobody else to tell */
    _exit(EXIT_CRASH);
}

void ring_guard(const char *path) {
    guarded = path;
    struct sigaction action = {.sa_handler = on_sigbus};
    sigaction(SIGBUS, &action, NULL);
}
