#include "replay/export.h"

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
static int check_source(const struct export *export, char *why, size_t n) {
    const struct export_source *first = &export->sources[0];
    const struct export_source *source = &export->sources[export->n - 1];
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
    struct export *export = user;
    struct export_source *more =
        realloc(export->sources, (export->n + 1) * sizeof *more);
    if (more == NULL) return out_of_memory(why, n);
    export->sources = more;
    struct export_source *source = &more[export->n];
    *source = (struct export_source){.path = strdup(path), .shard = index};
    if (source->path == NULL) return out_of_memory(why, n);
    export->n++; /* from now on closed with the others */

    uint64_t dropped = 0;
    char reason[PATH_MAX + 128];
    ring_guard(source->path);
    int rc =
        ring_open_read(&source->ring, path, &dropped, reason, sizeof reason);
    if (rc != 0) {
        snprintf(why, n, "export: %s", reason);
        return rc;
    }
    export->left_out += dropped;
    export->total += source->ring.present;
    return check_source(export, why, n);
}

/* ---- the file ---- */

static int begin_file(struct export *export, const char *path, char *why,
                      size_t n) {
    const struct ring_spec *spec = &export->sources[0].ring.spec;
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
        npz_write_start(&export->out, path, columns, COLUMNS, export->total);
    if (rc != 0) snprintf(why, n, "export: %s: %s", path, strerror(-rc));
    export->writing = rc == 0;
    return rc;
}

static void write_row(struct export *export, const struct ring_row *row,
                      uint32_t shard) {
    const struct batch *b = &export->row;
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
    npz_write_row(&export->out, cells);
}

/* ---- */

/* To the first ring from here on with a row left, or the end. */
static void settle(struct export *export) {
    while (export->at < export->n &&
           export->number >= export->sources[export->at].ring.stored) {
        if (++export->at < export->n)
            export->number = export->sources[export->at].ring.oldest;
    }
}

int export_open(struct export *export, const char *run, const char *path,
                char *why, size_t n) {
    *export = (struct export){0};
    int rc = rings_each(run, "export", add_ring, export, why, n);
    if (rc == 0 && export->total == 0) {
        snprintf(why, n, "export: the rings of %s hold no rows yet", run);
        rc = -ENODATA;
    }
    if (rc == 0) {
        const struct ring *ring = &export->sources[0].ring;
        export->scratch = malloc(ring->row_bytes);
        export->number = ring->oldest;
        rc = batch_init(&export->row, 1, ring->spec.S, ring->spec.A);
        if (rc != 0 || export->scratch == NULL) rc = out_of_memory(why, n);
    }
    if (rc == 0) rc = begin_file(export, path, why, n);
    if (rc != 0)
        export_close(export);
    else
        settle(export);
    return rc;
}

bool export_done(const struct export *export) {
    return export->at == export->n;
}

const char *export_path(const struct export *export) {
    return export->sources[export->at].path;
}

void export_step(struct export *export) {
    for (size_t i = 0; i < STEP && !export_done(export); i++) {
        const struct export_source *source = &export->sources[export->at];
        struct ring_row row;
        export->row.n = 0;
        /* a hole of rows found damaged at open was counted then */
        const bool present =
            ring_row(&source->ring, export->number, &row, NULL);
        if (present && ring_read(&source->ring, export->number, export->scratch,
                                 &row, &export->row)) {
            write_row(export, &row, source->shard);
        } else if (present) {
            export->left_out++;
        }
        export->done += present;
        export->number++;
        settle(export);
    }
    export->rows = export->out.rows;
}

int export_finish(struct export *export, char *why, size_t n) {
    assert(export_done(export));
    char path[REPLACE_PATH_LEN];
    snprintf(path, sizeof path, "%s", export->out.file.path);
    int rc = npz_write_finish(&export->out);
    export->writing = false;
    export->bytes = export->out.bytes;
    if (rc != 0)
        snprintf(why, n,
                 "export: %s: %s (%" PRIu64 " rows take %" PRIu64 " bytes)",
                 path, strerror(-rc), export->rows, export->bytes);
    export_close(export);
    return rc;
}

void export_close(struct export *export) {
    for (size_t i = 0; export->sources != NULL && i < export->n; i++) {
        ring_close(&export->sources[i].ring);
        free(export->sources[i].path);
    }
    free(export->sources);
    free(export->scratch);
    batch_finish(&export->row);
    if (export->writing) npz_write_abandon(&export->out);
    export->sources = NULL;
    export->scratch = NULL;
    export->writing = false;
}
