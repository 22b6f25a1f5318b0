#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * 64-bit FNV-1a: whether two actors of one run have the same model, whether a
 * file is as it was written. It tells an edit, a mix-up or a bad disk, not an
 * attack.
 */
#define HASH_START UINT64_C(0xcbf29ce484222325)

/* The hash so far, and n bytes more. */
uint64_t hash_bytes(uint64_t hash, const void *data, size_t n);

/*
 * And a whole file with its length: *hash in/out. 0, or a negative errno (it
 * cannot be read) with *hash unchanged.
 */
int hash_file(uint64_t *hash, const char *path);

#endif
