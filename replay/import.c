#include "replay/import.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/rings.h"

enum { MOST_SHARDS = 256 };

static int out_of_memory(char *why, size_t n) {
    snprintf(why, n, "import: out of memory");
    return -ENOMEM;
}

/* ---- the sources ---- */

/* Is the last source, just opened, one that we can take rows from? */
static int check_source(const struct import *import, uint64_t run, size_t S,
                        size_t A, char *why, size_t n) {
    const struct import_source *source = &import->sources[import->n - 1];
    const struct ring_spec *want = &import->place.spec;
    if (run == want->run) {
        snprintf(why, n, "import: %s is of this run itself: name another one",
                 source->path);
        return -EINVAL;
    }
    if (S != want->S || A != want->A) {
        snprintf(why, n,
                 "import: %s has observations of %zu and actions of %zu, this "
                 "run %" PRIu32 " and %" PRIu32 ": name rows of the same task",
                 source->path, S, A, want->S, want->A);
        return -EINVAL;
    }
    for (size_t i = 0; i + 1 < import->n; i++) {
        if (import->sources[i].id != source->id) continue;
        snprintf(why, n, "import: %s and %s hold the same rows: name one",
                 import->sources[i].path, source->path);
        return -EINVAL;
    }
    return 0;
}

/* A zeroed one but for its path, from now on closed with the others; NULL when
 * out of memory. */
static struct import_source *add_source(struct import *import,
                                        const char *path) {
    struct import_source *more =
        realloc(import->sources, (import->n + 1) * sizeof *more);
    if (more == NULL) return NULL;
    import->sources = more;
    struct import_source *source = &more[import->n];
    *source = (struct import_source){.path = strdup(path)};
    if (source->path == NULL) return NULL;
    import->n++;
    return source;
}

static int add_ring(void *user, const char *path, unsigned index, char *why,
                    size_t n) {
    (void)index;
    struct import *import = user;
    struct import_source *source = add_source(import, path);
    if (source == NULL) return out_of_memory(why, n);
    uint64_t dropped = 0;
    char reason[PATH_MAX + 128];
    struct ring *ring = &source->ring;
    int rc = ring_open_shared(ring, path, &dropped, reason, sizeof reason);
    if (rc != 0) {
        snprintf(why, n, "import: %s%s", reason,
                 rc == -EWOULDBLOCK ? ": end its run first" : "");
        return rc;
    }
    import->dropped += dropped;
    source->id = ring->id;
    source->oldest = ring->oldest;
    source->stored = ring->stored;
    return check_source(import, ring->spec.run, ring->spec.S, ring->spec.A, why,
                        n);
}

static int add_file(struct import *import, const char *path, char *why,
                    size_t n) {
    struct import_source *source = add_source(import, path);
    if (source == NULL) return out_of_memory(why, n);
    char reason[PATH_MAX + 256];
    struct dataset *dataset = &source->dataset;
    int rc = dataset_open(dataset, path, reason, sizeof reason);
    if (rc != 0) {
        snprintf(why, n, "import: %s", reason);
        return rc;
    }
    source->id = dataset->id;
    source->stored = dataset->rows;
    return check_source(import, 0, dataset->S, dataset->A, why, n);
}

static bool is_file(const char *from) {
    const size_t len = strlen(from);
    return len > 4 && strcmp(from + len - 4, ".npz") == 0;
}

static int add_all(struct import *import, const char *from, char *why,
                   size_t n) {
    char *copy = strdup(from), *rest = copy;
    if (copy == NULL) return out_of_memory(why, n);
    int rc = 0;
    while (rc == 0 && rest != NULL) {
        const char *one = strsep(&rest, ":");
        rc = is_file(one) ? add_file(import, one, why, n)
                          : rings_each(one, "import", add_ring, import, why, n);
    }
    free(copy);
    return rc;
}

/* ---- what is ours of them ---- */

/* Rows that a block spans, of all shards. */
static uint64_t width(const struct import *import) {
    return IMPORT_BLOCK * import->place.shards;
}

/* Of our batch of a block: one that no other shard has. */
static uint64_t seq_of(const struct import *import, uint64_t block) {
    return block * import->place.shards + import->place.index;
}

/* As ring_row(). */
static bool source_row(const struct import_source *source, uint64_t number,
                       struct batch *out) {
    struct ring_row row;
    if (source->dataset.rows == 0)
        return ring_row(&source->ring, number, &row, out);
    if (number >= source->stored) return false;
    if (out != NULL) dataset_row(&source->dataset, number, out);
    return true;
}

/* Our rows of a block: their number; out (may be NULL): appended. */
static size_t take(const struct import *import,
                   const struct import_source *source, uint64_t block,
                   struct batch *out) {
    const uint64_t from = block * width(import), to = from + width(import);
    size_t n = 0;
    for (uint64_t number = from + import->place.index; number < to;
         number += import->place.shards)
        n += source_row(source, number, out);
    return n;
}

/* The rows of every shard of ours: the fullest one decides. */
static int count(struct import *import, char *why, size_t n) {
    const struct import_place *place = &import->place;
    uint64_t rows[MOST_SHARDS] = {0}, all = 0, most = 0;
    for (size_t i = 0; i < import->n; i++) {
        const struct import_source *source = &import->sources[i];
        for (uint64_t k = source->oldest; k < source->stored; k++)
            rows[k % place->shards] += source_row(source, k, NULL);
    }
    for (uint64_t i = 0; i < place->shards; i++) {
        all += rows[i];
        if (rows[i] > most) most = rows[i];
    }
    import->total = rows[place->index];
    if (all == 0) {
        snprintf(why, n,
                 "import: %s hold%s no rows: name runs that stored some",
                 import->n > 1 ? "the rings" : import->sources[0].path,
                 import->n > 1 ? "" : "s");
        return -ENODATA;
    }
    if (most > place->spec.capacity) {
        snprintf(why, n,
                 "import: %" PRIu64 " rows, but replay_size is %" PRIu64
                 " over %" PRIu64
                 " shards: give the learner --replay_size=%" PRIu64 " or more",
                 all, place->spec.capacity * place->shards, place->shards,
                 most * place->shards);
        return -ENOSPC;
    }
    return 0;
}

int import_open(struct import *import, const char *from,
                const struct import_place *place, char *why, size_t n) {
    assert(place->index < place->shards && place->shards <= MOST_SHARDS);
    *import = (struct import){.place = *place};
    int rc = add_all(import, from, why, n);
    if (rc == 0) rc = count(import, why, n);
    if (rc == 0 && batch_init(&import->batch, IMPORT_BLOCK, place->spec.S,
                              place->spec.A) != 0)
        rc = out_of_memory(why, n);
    if (rc != 0) import_close(import);
    return rc;
}

void import_close(struct import *import) {
    for (size_t i = 0; i < import->n; i++) {
        ring_close(&import->sources[i].ring);
        dataset_close(&import->sources[i].dataset);
        free(import->sources[i].path);
    }
    free(import->sources);
    batch_finish(&import->batch);
    *import = (struct import){0};
}

/* ---- copying ---- */

/* One past the last block. */
static uint64_t end_of(const struct import *import,
                       const struct import_source *source) {
    return (source->stored + width(import) - 1) / width(import);
}

/* To the first block from here on that may have rows, or the end. */
static void settle(struct import *import) {
    while (import->at < import->n &&
           import->block >= end_of(import, &import->sources[import->at])) {
        import->at++;
        import->block = 0;
    }
    if (import->at == import->n || import->block > 0) return;
    import->block = import->sources[import->at].oldest / width(import);
}

int import_begin(struct import *import, const struct ring *ring, char *why,
                 size_t n) {
    import->at = import->block = 0;
    import->there = import->copied = 0;
    for (settle(import); !import_done(import);
         import->block++, settle(import)) {
        const struct import_source *source = &import->sources[import->at];
        /* in order, so that what is too old to be known is there too */
        if (ring_would(ring, IMPORT_ACTOR, source->id,
                       seq_of(import, import->block)) != RING_STORED)
            import->there += take(import, source, import->block, NULL);
    }
    import->at = import->block = 0;
    settle(import);

    const uint64_t left = import->total - import->there;
    if (left == 0 || ring->stored + left <= ring->spec.capacity) return 0;
    snprintf(why, n,
             "import: %" PRIu64 " rows more behind the %" PRIu64
             " of our ring, which has room for %" PRIu64
             ": import into a new run with --replay_size=%" PRIu64 " or more",
             left, ring->stored, ring->spec.capacity,
             (ring->stored + left) * import->place.shards);
    return -ENOSPC;
}

bool import_done(const struct import *import) {
    return import->at == import->n;
}

int import_step(struct import *import, struct ring *ring, char *why, size_t n) {
    assert(!import_done(import));
    const struct import_source *source = &import->sources[import->at];
    const uint64_t id = source->id, block = import->block;
    const uint64_t seq = seq_of(import, block);
    struct batch *rows = &import->batch;
    rows->n = 0;
    if (ring_would(ring, IMPORT_ACTOR, id, seq) == RING_STORED)
        take(import, source, block, rows);
    if (rows->n > 0 && batch_first_non_finite(rows) < rows->n) {
        snprintf(why, n,
                 "import: %s holds a number that is not finite among the rows "
                 "from %" PRIu64 " on",
                 source->path, block * width(import));
        return -EDOM;
    }
    if (rows->n > 0) {
        if (ring_insert(ring, IMPORT_ACTOR, id, seq, rows) == RING_NO_MEMORY)
            return out_of_memory(why, n);
        import->copied += rows->n;
    }
    import->block++;
    settle(import);
    return 0;
}
