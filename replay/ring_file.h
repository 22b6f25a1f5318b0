#ifndef REPLAY_RING_FILE_H
#define REPLAY_RING_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replay/ring.h"

/*
 * The file behind a ring: its header, its length, its lock. Knows nothing of
 * what is in a row but its size.
 */
enum { RING_FILE_HEADER = 4096 };

struct ring_file {
    int fd;
    uint8_t *map; /* (bytes) the whole file, shared */
    size_t bytes;
    bool fresh; /* just created: every slot is zero */
};

/* Bytes of one row: a multiple of 8. */
size_t ring_file_row_bytes(uint32_t S, uint32_t A);

/*
 * Open or create, lock, check and map; ring_open()'s errors, and why as there.
 * Fills *id.
 */
int ring_file_open(struct ring_file *file, const char *path,
                   const struct ring_spec *spec, uint64_t *id, char *why,
                   size_t n);

/* Map read-only, under a shared lock or none; fills *spec and *id from the
 * header. */
int ring_file_open_read(struct ring_file *file, const char *path, bool lock,
                        struct ring_spec *spec, uint64_t *id, char *why,
                        size_t n);

/* A zeroed one may be closed. */
void ring_file_close(struct ring_file *file);

#endif
