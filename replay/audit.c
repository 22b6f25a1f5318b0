#include "replay/audit.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/ledger.h"
#include "replay/book.h"
#include "replay/import.h"
#include "replay/ring.h"

enum { EXAMPLES = 5, SHARDS = 256 };

/* Rows of one batch that follow each other in one ring. */
struct piece {
    size_t batch; /* in the book */
    uint32_t shard, rows;
};

struct look {
    struct audit *audit;
    struct book book;
    FILE *out;
    glob_t rings;
    struct look_shard {
        bool there;
        uint64_t floor;   /* no row below it need be there; 0: all must be */
        uint64_t gone;    /* rows below it that are not */
        uint64_t excused; /* acknowledged rows that may be among these */
    } shards[SHARDS];
    struct piece *pieces; /* (n) in the rings' order, then by batch and shard */
    size_t n, room;
    uint64_t *oldest; /* (SHARDS, senders) seq of the first one met, or none */
};

#define NONE UINT64_MAX

/* One more of a kind; the first few are shown. */
static void __attribute__((format(printf, 3, 4)))
find(struct look *look, uint64_t *kind, const char *format, ...) {
    va_list arguments;
    if ((*kind)++ >= EXAMPLES) return;
    va_start(arguments, format);
    vfprintf(look->out, format, arguments);
    va_end(arguments);
    fputc('\n', look->out);
}

/* ---- the rings ---- */

static int add_piece(struct look *look, const struct piece *piece) {
    if (look->n == look->room) {
        size_t room = look->room > 0 ? 2 * look->room : 1024;
        struct piece *fresh = realloc(look->pieces, room * sizeof *fresh);
        if (fresh == NULL) return -ENOMEM;
        look->pieces = fresh;
        look->room = room;
    }
    look->pieces[look->n++] = *piece;
    return 0;
}

static void check_row(struct look *look, const struct book_batch *batch,
                      const struct ring_row *row, const struct batch *numbers,
                      uint32_t shard) {
    const uint32_t *hashes = look->book.hashes + batch->hash;
    if (row->actor != batch->actor ||
        ledger_hash(numbers, 0) != hashes[row->index])
        find(look, &look->audit->altered_rows,
             "altered: row %" PRIu32 " of batch %" PRIu64 " of actor %" PRIu64
             " (epoch %" PRIu64 "), number %" PRIu64 " of shard %" PRIu32,
             row->index, row->seq, row->actor, row->epoch, row->number, shard);
}

/* The batch that a row belongs to, or NULL when it is nobody's. */
static const struct book_batch *
owner(struct look *look, const struct ring_row *row, uint32_t shard) {
    const struct book_batch *batch =
        book_find(&look->book, row->epoch, row->seq);
    if (batch != NULL && row->index < batch->rows &&
        row->last == (row->index + 1 == batch->rows))
        return batch;
    find(look, &look->audit->unknown_rows,
         "never sent: row %" PRIu32 " of batch %" PRIu64 " of actor %" PRIu64
         " (epoch %" PRIu64 "), number %" PRIu64 " of shard %" PRIu32,
         row->index, row->seq, row->actor, row->epoch, row->number, shard);
    return NULL;
}

/* The first row of a batch that is met: its place. */
static int begin_piece(struct look *look, const struct book_batch *batch,
                       uint32_t shard) {
    uint64_t *oldest =
        &look->oldest[shard * look->book.senders + batch->sender];
    if (*oldest == NONE) *oldest = batch->seq;
    if (!book_went_to(&look->book, batch, shard))
        find(look, &look->audit->strayed_batches,
             "strayed: batch %" PRIu64 " of actor %" PRIu64 " (epoch %" PRIu64
             ") is in shard %" PRIu32 ", to which it never went",
             batch->seq, batch->actor, batch->epoch, shard);
    const struct piece piece = {.batch = (size_t)(batch - look->book.batches),
                                .shard = shard};
    return add_piece(look, &piece);
}

static int walk(struct look *look, const struct ring *ring, uint32_t shard,
                struct batch *numbers) {
    struct look_shard *of = &look->shards[shard];
    struct ring_row row, before = {0};
    const struct book_batch *batch = NULL;
    for (uint64_t i = 0; i < ring->stored; i++) {
        numbers->n = 0;
        if (!ring_row(ring, i, &row, numbers)) {
            if (i < of->floor)
                of->gone++;
            else
                find(look, &look->audit->lost_rows,
                     "lost: row number %" PRIu64 " of shard %" PRIu32, i,
                     shard);
            continue;
        }
        if (row.actor == IMPORT_ACTOR) {
            look->audit->imported_rows++;
            continue;
        }
        bool same = batch != NULL && row.epoch == before.epoch &&
                    row.seq == before.seq && row.index > before.index;
        if (!same) batch = NULL;
        const struct book_batch *now = owner(look, &row, shard);
        if (now == NULL) continue;
        int rc = batch == NULL ? begin_piece(look, now, shard) : 0;
        if (rc != 0) return rc;
        batch = now;
        before = row;
        look->pieces[look->n - 1].rows++;
        check_row(look, batch, &row, numbers, shard);
    }
    return 0;
}

static void note_ring(struct look *look, const struct ring *ring,
                      uint32_t shard) {
    /* an unfinished batch may have taken its place already */
    uint64_t reach = ring->stored + look->book.most;
    uint64_t capacity = ring->spec.capacity;
    look->shards[shard].there = true;
    look->shards[shard].floor = reach > capacity ? reach - capacity : 0;
    look->audit->shards++;
    look->audit->stored_rows += ring->stored;
    look->audit->present_rows += ring->present;
}

static uint32_t index_of(const char *path) {
    const char *dash = strrchr(path, '-');
    return dash != NULL ? (uint32_t)strtoul(dash + 1, NULL, 10) : SHARDS;
}

/* Opened before the ledger of what was sent is read: rows stored later are not
 * seen. */
static int open_rings(const struct look *look, struct ring *rings, char *why,
                      size_t n) {
    for (size_t i = 0; i < look->rings.gl_pathc; i++) {
        const char *path = look->rings.gl_pathv[i];
        if (index_of(path) >= SHARDS) {
            snprintf(why, n, "%s: not a shard's: its index is not below %d",
                     path, SHARDS);
            return -EINVAL;
        }
        int rc = ring_open_read(&rings[i], path, NULL, why, n);
        if (rc != 0) return rc;
    }
    return 0;
}

static int walk_rings(struct look *look, const struct ring *rings) {
    for (size_t i = 0; i < look->rings.gl_pathc; i++) {
        struct batch numbers;
        uint32_t shard = index_of(look->rings.gl_pathv[i]);
        int rc = batch_init(&numbers, 1, rings[i].spec.S, rings[i].spec.A);
        if (rc != 0) return rc;
        note_ring(look, &rings[i], shard);
        rc = walk(look, &rings[i], shard, &numbers);
        batch_finish(&numbers);
        if (rc != 0) return rc;
    }
    return 0;
}

/* ---- against the ledger ---- */

static int by_batch_and_shard(const void *a, const void *b) {
    const struct piece *x = a, *y = b;
    if (x->batch != y->batch) return x->batch < y->batch ? -1 : 1;
    return x->shard < y->shard ? -1 : x->shard > y->shard;
}

static void count_copies(struct look *look) {
    const struct piece *pieces = look->pieces;
    if (look->n > 0)
        qsort(look->pieces, look->n, sizeof *pieces, by_batch_and_shard);
    size_t counted = SIZE_MAX; /* as a duplicate */
    for (size_t i = 0; i < look->n; i++) {
        const struct book_batch *batch = &look->book.batches[pieces[i].batch];
        if (i == 0 || pieces[i].batch != pieces[i - 1].batch) {
            look->audit->distinct_batches++;
            look->audit->unanswered_batches +=
                !book_answered(&look->book, batch);
        } else if (pieces[i].shard == pieces[i - 1].shard) {
            find(look, &look->audit->doubled_batches,
                 "doubled: batch %" PRIu64 " of actor %" PRIu64
                 " (epoch %" PRIu64 ") is in shard %" PRIu32 " twice",
                 batch->seq, batch->actor, batch->epoch, pieces[i].shard);
        } else if (counted != pieces[i].batch) {
            counted = pieces[i].batch;
            look->audit->duplicate_batches++;
        }
    }
}

/* Could this acknowledged batch have been overwritten since? */
static bool may_be_gone(const struct look *look, const struct book_batch *batch,
                        uint32_t shard) {
    if (look->shards[shard].floor == 0) return false;
    uint64_t oldest = look->oldest[shard * look->book.senders + batch->sender];
    return oldest == NONE || batch->seq < oldest + AUDIT_SPAN;
}

static void check_ack(struct look *look, const struct book_event *ack) {
    struct audit *audit = look->audit;
    const struct book_batch *batch =
        book_find(&look->book, ack->epoch, ack->seq);
    if (batch == NULL || ack->shard >= SHARDS) {
        find(look, &audit->unknown_acks,
             "acknowledged by shard %" PRIu32 ", never sent: batch %" PRIu64
             " (epoch %" PRIu64 ")",
             ack->shard, ack->seq, ack->epoch);
        return;
    }
    audit->acked_batches++;
    audit->acked_rows += batch->rows;
    const struct piece key = {.batch = (size_t)(batch - look->book.batches),
                              .shard = ack->shard};
    const struct piece *piece = look->n == 0
                                    ? NULL
                                    : bsearch(&key, look->pieces, look->n,
                                              sizeof key, by_batch_and_shard);
    uint32_t there = piece != NULL ? piece->rows : 0;
    if (there >= batch->rows) return;
    if (may_be_gone(look, batch, ack->shard)) {
        audit->overwritten_batches++;
        look->shards[ack->shard].excused += batch->rows - there;
        return;
    }
    audit->missing_rows += batch->rows - there;
    find(look, &audit->missing_batches,
         "missing: %" PRIu32 " of %" PRIu32 " rows of batch %" PRIu64
         " of actor %" PRIu64 " (epoch %" PRIu64 "), which shard %" PRIu32
         " acknowledged%s",
         batch->rows - there, batch->rows, batch->seq, batch->actor,
         batch->epoch, ack->shard,
         look->shards[ack->shard].there ? "" : " and which has no ring");
}

static bool same_batch(const struct book_event *a, const struct book_event *b) {
    return a->epoch == b->epoch && a->seq == b->seq;
}

static void check_shards(struct look *look) {
    for (uint32_t i = 0; i < SHARDS; i++) {
        const struct look_shard *shard = &look->shards[i];
        if (shard->excused > shard->gone)
            find(look, &look->audit->overdrawn_shards,
                 "overdrawn: shard %" PRIu32 " lacks %" PRIu64
                 " acknowledged rows and has overwritten %" PRIu64,
                 i, shard->excused, shard->gone);
    }
}

static void check_book(struct look *look) {
    const struct book *book = &look->book;
    struct audit *audit = look->audit;
    audit->senders = book->senders;
    audit->sent_batches = book->n;
    audit->sent_rows = book->n_hashes;
    for (size_t i = 0; i < book->n_moves; i++)
        audit->moved_batches +=
            i == 0 || !same_batch(&book->moves[i], &book->moves[i - 1]);
    count_copies(look);
    for (size_t i = 0; i < book->n_acks; i++) check_ack(look, &book->acks[i]);
    check_shards(look);
}

/* ---- all of it ---- */

static int look_at(struct look *look, const char *ledger, struct ring *rings,
                   char *why, size_t n) {
    int rc = book_read_acked(&look->book, ledger, why, n);
    if (rc == 0) rc = open_rings(look, rings, why, n);
    if (rc == 0) rc = book_read_sent(&look->book, ledger, why, n);
    if (rc != 0) return rc;
    size_t cells = SHARDS * look->book.senders;
    look->oldest = malloc((cells > 0 ? cells : 1) * sizeof *look->oldest);
    if (look->oldest == NULL) rc = -ENOMEM;
    for (size_t i = 0; rc == 0 && i < cells; i++) look->oldest[i] = NONE;
    if (rc == 0) rc = walk_rings(look, rings);
    if (rc == 0) check_book(look);
    if (rc != 0) snprintf(why, n, "audit: %s", strerror(-rc));
    return rc;
}

int audit_run(struct audit *audit, const char *run, const char *ledger,
              FILE *out, char *why, size_t n) {
    char pattern[4096];
    *audit = (struct audit){0};
    struct look *look = calloc(1, sizeof *look);
    if (look == NULL) {
        snprintf(why, n, "audit: %s", strerror(ENOMEM));
        return -ENOMEM;
    }
    look->audit = audit;
    look->out = out;
    snprintf(pattern, sizeof pattern, "%s/replay/shard-*.ring", run);
    int rc = -ENOENT;
    snprintf(why, n, "audit %s: no ring %s", run, pattern);
    if (glob(pattern, 0, NULL, &look->rings) == 0) {
        struct ring *rings = calloc(look->rings.gl_pathc, sizeof *rings);
        rc = rings != NULL ? look_at(look, ledger, rings, why, n) : -ENOMEM;
        for (size_t i = 0; rings != NULL && i < look->rings.gl_pathc; i++)
            ring_close(&rings[i]);
        free(rings);
    }
    globfree(&look->rings);
    book_close(&look->book);
    free(look->pieces);
    free(look->oldest);
    free(look);
    return rc;
}

static const struct {
    const char *name;
    size_t at;
    bool finding;
} table[] = {
#define COUNT(name) \
    { #name, offsetof(struct audit, name), false }
#define FINDING(name) \
    { #name, offsetof(struct audit, name), true }
    COUNT(senders),
    COUNT(sent_batches),
    COUNT(sent_rows),
    COUNT(acked_batches),
    COUNT(acked_rows),
    COUNT(moved_batches),
    COUNT(shards),
    COUNT(stored_rows),
    COUNT(present_rows),
    COUNT(overwritten_batches),
    COUNT(imported_rows),
    COUNT(distinct_batches),
    COUNT(duplicate_batches),
    COUNT(unanswered_batches),
    FINDING(missing_batches),
    FINDING(missing_rows),
    FINDING(altered_rows),
    FINDING(unknown_rows),
    FINDING(unknown_acks),
    FINDING(doubled_batches),
    FINDING(strayed_batches),
    FINDING(lost_rows),
    FINDING(overdrawn_shards),
};

static uint64_t value(const struct audit *audit, size_t i) {
    uint64_t x = 0;
    memcpy(&x, (const char *)audit + table[i].at, sizeof x);
    return x;
}

uint64_t audit_findings(const struct audit *audit) {
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].finding) sum += value(audit, i);
    return sum;
}

void audit_print(const struct audit *audit, FILE *out) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        fprintf(out, "%s %" PRIu64 "\n", table[i].name, value(audit, i));
    fprintf(out, "findings %" PRIu64 "\n", audit_findings(audit));
    if (audit_findings(audit) == 0)
        fprintf(out,
                "All %" PRIu64 " acknowledged batches are where they should "
                "be, unaltered; nothing else is there.\n",
                audit->acked_batches);
    else
        fprintf(out, "Something is wrong: see the lines above.\n");
}
