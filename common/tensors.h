#ifndef COMMON_TENSORS_H
#define COMMON_TENSORS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Named arrays to and from a safetensors file (opens in Python with
 * safetensors.numpy.load_file), little-endian, with string metadata.
 */
enum tensors_type { TENSORS_F32, TENSORS_F64, TENSORS_U64 };

struct tensors_entry {
    char name[64];
    enum tensors_type type;
    size_t rank, shape[4]; /* rank 0: one number */
    void *data;            /* borrowed when writing; into the file's block when read */
};

struct tensors_note {
    char key[32];
    char *value; /* borrowed when writing; owned by struct tensors when read */
};

struct tensors {
    size_t n, n_notes;
    struct tensors_entry *entries;
    struct tensors_note *notes;
    void *block; /* private */
};

/*
 * Write to PATH.tmp, fsync, rename, fsync the folder. Blocking: call it from
 * libuv's pool or a tool. Returns 0 or a negative errno. The metadata gets a
 * "checksum" (16 hex digits): hash_bytes() of header and data, with 0 for each of
 * its own digits.
 */
int tensors_write(const char *path, const struct tensors *tensors);

/*
 * Read and check a whole file: header length, JSON, offsets, sizes, and the
 * checksum where there is one (files by other programs have none). Returns 0,
 * -errno, or -EBADMSG with one line in why (n bytes). Never trusts a size.
 */
int tensors_read(struct tensors *tensors, const char *path, char *why,
                 size_t n);
void tensors_finish(struct tensors *tensors);

/* Borrowed; NULL when absent. */
const struct tensors_entry *tensors_find(const struct tensors *tensors,
                                         const char *name);
const char *tensors_note(const struct tensors *tensors, const char *key);

#endif
