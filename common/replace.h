#ifndef COMMON_REPLACE_H
#define COMMON_REPLACE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Replace a file whole: what is written goes to PATH.tmp and takes PATH's place
 * only when all of it is on the disk. A reader, or a kill -9 at any moment,
 * sees the old file or the new one. One writer a path at a time.
 */
enum { REPLACE_PATH_LEN = 1024 };

struct replace {
    char path[REPLACE_PATH_LEN], temporary[REPLACE_PATH_LEN + 4];
    int fd, rc; /* private; rc: the first error */
};

/* Open PATH.tmp. Returns 0 or a negative errno; then nothing is to be done. */
int replace_start(struct replace *replace, const char *path);

/* Append. Errors are kept for replace_finish(). */
void replace_write(struct replace *replace, const void *data, size_t len);

/* The same at an offset; what is never written reads as zero. */
void replace_write_at(struct replace *replace, const void *data, size_t len,
                      uint64_t offset);

/* fsync, rename, fsync of the folder; on any error the temporary file is
 * removed and PATH is what it was. Returns 0 or a negative errno. */
int replace_finish(struct replace *replace);

/* In the place of replace_finish(): PATH is what it was. */
void replace_abandon(struct replace *replace);

#endif
