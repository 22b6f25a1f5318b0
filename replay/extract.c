#include "replay/extract.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/rings.h"

enum { STEP = 4096 };

enum column {
    OBSERVATIONS,
    ACTIONS,
    REWARDS,
    NEXT_OBSERVATIONS,
    TERMINALS,
    TRUNCATIONS,
    ACTOR,
    EPOCH,
    SEQ,
    INDEX,
    VERSION,
    SHARD,
    COLUMNS
};

static int out_of_memory(char *why, size_t n) {
    snprintf(why, n, "export: out of memory");
    return -ENOMEM;
}

/* ---- the rings ---- */

/* Rings of a run agree; what was copied there from elsewhere does not. */
static int check_source(const struct extract *extract, char *why, size_t n) {
    const struct extract_source *first = &extract->sources[0];
    const struct extract_source *source = &extract->sources[extract->n - 1];
    const struct ring_spec *have = &source->ring.spec,
                           *want = &first->ring.spec;
    if (have->run != want->run) {
        snprintf(why, n, "export: %s and %s are of different runs", first->path,
                 source->path);
        return -EINVAL;
    }
    if (have->S != want->S || have->A != want->A) {
        snprintf(why, n,
                 "export: %s has observations of %" PRIu32
                 " and actions of %" PRIu32 ", %s %" PRIu32 " and %" PRIu32,
                 source->path, have->S, have->A, first->path, want->S, want->A);
        return -EINVAL;
    }
    return 0;
}

static int add_ring(void *user, const char *path, unsigned index, char *why,
                    size_t n) {
    struct extract *extract = user;
    struct extract_source *more =
        realloc(extract->sources, (extract->n + 1) * sizeof *more);
    if (more == NULL) return out_of_memory(why, n);
    extract->sources = more;
    struct extract_source *source = &more[extract->n];
    *source = (struct extract_source){.path = strdup(path), .shard = index};
    if (source->path == NULL) return out_of_memory(why, n);
    extract->n++; /* from now on closed with the others */

    uint64_t dropped = 0;
    char reason[PATH_MAX + 128];
    ring_guard(source->path);
    int rc =
        ring_open_read(&source->ring, path, &dropped, reason, sizeof reason);
    if (rc != 0) {
        snprintf(why, n, "export: %s", reason);
        return rc;
    }
    extract->left_out += dropped;
    extract->total += source->ring.present;
    return check_source(extract, why, n);
}

/* ---- the file ---- */

static int begin_file(struct extract *extract, const char *path, char *why,
                      size_t n) {
    const struct ring_spec *spec = &extract->sources[0].ring.spec;
    const struct npz_write_column columns[COLUMNS] = {
        [OBSERVATIONS] = {"observations", "<f4", 4, spec->S},
        [ACTIONS] = {"actions", "<f4", 4, spec->A},
        [REWARDS] = {"rewards", "<f4", 4, 0},
        [NEXT_OBSERVATIONS] = {"next_observations", "<f4", 4, spec->S},
        [TERMINALS] = {"terminals", "|b1", 1, 0},
        [TRUNCATIONS] = {"truncations", "|b1", 1, 0},
        [ACTOR] = {"actor", "<u8", 8, 0},
        [EPOCH] = {"epoch", "<u8", 8, 0},
        [SEQ] = {"seq", "<u8", 8, 0},
        [INDEX] = {"index", "<u4", 4, 0},
        [VERSION] = {"version", "<u8", 8, 0},
        [SHARD] = {"shard", "<u4", 4, 0},
    };
    int rc =
        npz_write_start(&extract->out, path, columns, COLUMNS, extract->total);
    if (rc != 0) snprintf(why, n, "export: %s: %s", path, strerror(-rc));
    extract->writing = rc == 0;
    return rc;
}

static void write_row(struct extract *extract, const struct ring_row *row,
                      uint32_t shard) {
    const struct batch *b = &extract->row;
    const uint8_t terminal = (b->flags[0] & BATCH_TERMINAL) != 0;
    const uint8_t truncated = (b->flags[0] & BATCH_TRUNCATED) != 0;
    const void *const cells[COLUMNS] = {
        [OBSERVATIONS] = b->s,   [ACTIONS] = b->a,
        [REWARDS] = b->r,        [NEXT_OBSERVATIONS] = b->next,
        [TERMINALS] = &terminal, [TRUNCATIONS] = &truncated,
        [ACTOR] = &row->actor,   [EPOCH] = &row->epoch,
        [SEQ] = &row->seq,       [INDEX] = &row->index,
        [VERSION] = b->version,  [SHARD] = &shard,
    };
    npz_write_row(&extract->out, cells);
}

/* ---- */

/* To the first ring from here on with a row left, or the end. */
static void settle(struct extract *extract) {
    while (extract->at < extract->n &&
           extract->number >= extract->sources[extract->at].ring.stored) {
        if (++extract->at < extract->n)
            extract->number = extract->sources[extract->at].ring.oldest;
    }
}

int extract_open(struct extract *extract, const char *run, const char *path,
                 char *why, size_t n) {
    *extract = (struct extract){0};
    int rc = rings_each(run, "export", add_ring, extract, why, n);
    if (rc == 0 && extract->total == 0) {
        snprintf(why, n, "export: the rings of %s hold no rows yet", run);
        rc = -ENODATA;
    }
    if (rc == 0) {
        const struct ring *ring = &extract->sources[0].ring;
        extract->scratch = malloc(ring->row_bytes);
        extract->number = ring->oldest;
        rc = batch_init(&extract->row, 1, ring->spec.S, ring->spec.A);
        if (rc != 0 || extract->scratch == NULL) rc = out_of_memory(why, n);
    }
    if (rc == 0) rc = begin_file(extract, path, why, n);
    if (rc != 0)
        extract_close(extract);
    else
        settle(extract);
    return rc;
}

bool extract_done(const struct extract *extract) {
    return extract->at == extract->n;
}

const char *extract_path(const struct extract *extract) {
    return extract->sources[extract->at].path;
}

void extract_step(struct extract *extract) {
    for (size_t i = 0; i < STEP && !extract_done(extract); i++) {
        const struct extract_source *source = &extract->sources[extract->at];
        struct ring_row row;
        extract->row.n = 0;
        /* a hole of rows found damaged at open was counted then */
        const bool present =
            ring_row(&source->ring, extract->number, &row, NULL);
        if (present && ring_read(&source->ring, extract->number,
                                 extract->scratch, &row, &extract->row)) {
            write_row(extract, &row, source->shard);
        } else if (present) {
            extract->left_out++;
        }
        extract->done += present;
        extract->number++;
        settle(extract);
    }
    extract->rows = extract->out.rows;
}

int extract_finish(struct extract *extract, char *why, size_t n) {
    assert(extract_done(extract));
    char path[REPLACE_PATH_LEN];
    snprintf(path, sizeof path, "%s", extract->out.file.path);
    int rc = npz_write_finish(&extract->out);
    extract->writing = false;
    extract->bytes = extract->out.bytes;
    if (rc != 0)
        snprintf(why, n,
                 "export: %s: %s (%" PRIu64 " rows take %" PRIu64 " bytes)",
                 path, strerror(-rc), extract->rows, extract->bytes);
    extract_close(extract);
    return rc;
}

void extract_close(struct extract *extract) {
    for (size_t i = 0; extract->sources != NULL && i < extract->n; i++) {
        ring_close(&extract->sources[i].ring);
        free(extract->sources[i].path);
    }
    free(extract->sources);
    free(extract->scratch);
    batch_finish(&extract->row);
    if (extract->writing) npz_write_abandon(&extract->out);
    extract->sources = NULL;
    extract->scratch = NULL;
    extract->writing = false;
}
