#ifndef TESTS_SYSTEM_SPOIL_H
#define TESTS_SYSTEM_SPOIL_H

#include <stdint.h>

/*
 * Does to a ring file, in use by nobody, what a shard with a fault would have
 * done. Written from the layout in DESIGN.md alone. number: of a row that is
 * there. Return 0 or a negative errno.
 */

/* The row was never written. */
int spoil_delete(const char *path, uint64_t number);

/* Its reward is another one, under a right CRC. */
int spoil_alter(const char *path, uint64_t number);

/* Its whole batch, of which it is the first row, is there again behind the last
 * row of all. */
int spoil_double(const char *path, uint64_t number);

#endif
