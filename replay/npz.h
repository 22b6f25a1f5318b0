#ifndef REPLAY_NPZ_H
#define REPLAY_NPZ_H

#include <stddef.h>
#include <stdint.h>

/*
 * Arrays out of an .npz file, the bytes of which are given and may be anything:
 * a zip archive, Zip64 or not, of npy members, stored or deflated, as numpy's
 * savez and savez_compressed write them. Little-endian, in C order. Every
 * size, offset and sum is checked.
 */
enum npz_type { NPZ_F4, NPZ_F8, NPZ_BOOL, NPZ_U1 };
enum { NPZ_RANK = 4 };

struct npz_array {
    enum npz_type type;
    size_t rank; /* 0: one number */
    size_t shape[NPZ_RANK];
    size_t size;         /* bytes of a number */
    const uint8_t *data; /* not aligned; of the given bytes, or owned */
    uint32_t crc;        /* of the member: its head and its numbers */
    void *owned;         /* private */
};

/*
 * The array called name. Returns 0, for npz_finish(), or with one line in why
 * (n bytes) and nothing to finish: -ENOENT no such array, -EBADMSG not such a
 * file or array, -ENOMEM.
 */
int npz_read(struct npz_array *array, const void *bytes, size_t len,
             const char *name, char *why, size_t n);
/* A zeroed array may be finished. */
void npz_finish(struct npz_array *array);

/* Number i, in C order. A bool is 0 or 1. */
double npz_number(const struct npz_array *array, size_t i);

/* "float32 of (1000, 17)", for messages. */
void npz_describe(const struct npz_array *array, char *text, size_t n);

/* Of zlib: "1.2.13". */
void npz_zlib_version(char *text, size_t n);

#endif
