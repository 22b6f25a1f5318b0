#ifndef REPLAY_NPZ_WRITE_H
#define REPLAY_NPZ_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "common/replace.h"

/*
 * Writes columns of rows to an .npz file (numpy.load opens it): a zip archive,
 * uncompressed and Zip64 throughout, of one npy array a column. Rows come one
 * by one and go out in blocks, each column to a place of its own, so memory is
 * a block a column whatever the file's size.
 */
enum { NPZ_WRITE_COLUMNS = 16 };

struct npz_write_column {
    const char *name;  /* borrowed */
    const char *dtype; /* numpy's: "<f4" "<u8" "|b1" ... borrowed */
    size_t size;       /* bytes of a number */
    size_t width;      /* numbers a row; 0: one, and the array is (rows) */
};

struct npz_write {
    uint64_t rows;  /* written */
    uint64_t bytes; /* of the file, once finished */

    /* private */
    struct replace file;
    uint64_t most;
    size_t n;
    struct npz_write_place {
        struct npz_write_column column;
        uint64_t offset; /* of its member in the file */
        uint64_t length; /* bytes of rows that were written */
        uint32_t crc;    /* of them */
        uint8_t *block;
        size_t used, room;
    } places[NPZ_WRITE_COLUMNS];
};

/*
 * Begin PATH.tmp with room for `most` rows of n columns. Returns 0 or a
 * negative errno; nothing is to be done then.
 */
int npz_write_start(struct npz_write *out, const char *path,
                    const struct npz_write_column *columns, size_t n,
                    uint64_t most);

/* One row: cells (n), a column each, of size * max(width, 1) bytes. At most
 * `most` times. Errors are kept for the end. */
void npz_write_row(struct npz_write *out, const void *const *cells);

/*
 * Close the archive; PATH is replaced by it. On an error, or after one, it is
 * removed and PATH is what it was. Fewer rows than `most` leave holes between
 * the arrays, which cost no disk. 0 or the first error.
 */
int npz_write_finish(struct npz_write *out);

/* In the place of npz_write_finish(): PATH stays what it was. */
void npz_write_abandon(struct npz_write *out);

#endif
