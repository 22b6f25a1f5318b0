#ifndef REPLAY_RING_FILE_H
#define REPLAY_RING_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replay/ring.h"

/*
 * The file behind a ring: its header, its length, its lock. Knows nothing of
 * what is in a row but its size.
 *
 * Layout 1, all little-endian. The header, 4096 bytes:
 *
 *      0  "softqrng"         20  row bytes, u32     48  zeros
 *      8  layout, u32        24  capacity, u64    4092  CRC32C, u32, of all
 *     12  S, u32             32  run id, u64            before it
 *     16  A, u32             40  ring id, u64
 *
 * then `capacity` rows of so many bytes, row number n in slot n mod capacity:
 *
 *      0  number    16  epoch    32  index in its batch    all u64
 *      8  actor     24  seq      40  policy version
 *     48  s (S), a (A), r, s' (S)                          f32
 *         flags, u32: 1 terminal, 2 truncated, 256 the last of its batch
 *         CRC32C, u32, of all before it in the row; 0: no row here. A sum that
 *         is 0 is written as 0xFFFFFFFF
 *         zeros to a multiple of 8
 *
 * A row is in the ring when its sum agrees, it stands in its slot, and its
 * number is below that of some row flagged last plus 1 and within `capacity`
 * of the highest such. deploy/examples/read_ring.py reads it with numpy.
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
