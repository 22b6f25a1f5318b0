#include "tests/system/spoil.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "replay/ring.h"

enum { HEADER = 4096, HEAD = 48 };

struct file {
    struct ring ring;
    int fd;
    uint8_t *row; /* (row_bytes) */
};

static int open_file(struct file *file, const char *path) {
    char why[256];
    int rc = ring_open_read(&file->ring, path, NULL, why, sizeof why);
    if (rc != 0) return rc;
    file->fd = open(path, O_RDWR | O_CLOEXEC);
    file->row = malloc(file->ring.row_bytes);
    return file->fd < 0 || file->row == NULL ? -EIO : 0;
}

static int close_file(struct file *file, bool good) {
    ring_close(&file->ring);
    if (file->fd >= 0) close(file->fd);
    free(file->row);
    return good ? 0 : -EIO;
}

static off_t place(const struct file *file, uint64_t number) {
    uint64_t slot = number % file->ring.spec.capacity;
    return (off_t)(HEADER + slot * file->ring.row_bytes);
}

static bool get(struct file *file, uint64_t number) {
    size_t n = file->ring.row_bytes;
    return pread(file->fd, file->row, n, place(file, number)) == (ssize_t)n;
}

static bool put(struct file *file, uint64_t number) {
    const struct ring_spec *spec = &file->ring.spec;
    size_t n = file->ring.row_bytes;
    size_t crc_at = HEAD + 4 * (2 * (size_t)spec->S + spec->A + 2);
    uint32_t crc = crc32c(file->row, crc_at);
    memcpy(file->row + crc_at, &crc, sizeof crc);
    return pwrite(file->fd, file->row, n, place(file, number)) == (ssize_t)n;
}

int spoil_delete(const char *path, uint64_t number) {
    struct file file = {.fd = -1};
    int rc = open_file(&file, path);
    if (rc != 0) return rc;
    size_t n = file.ring.row_bytes;
    memset(file.row, 0, n);
    return close_file(&file, pwrite(file.fd, file.row, n,
                                    place(&file, number)) == (ssize_t)n);
}

int spoil_alter(const char *path, uint64_t number) {
    struct file file = {.fd = -1};
    int rc = open_file(&file, path);
    if (rc != 0) return rc;
    const struct ring_spec *spec = &file.ring.spec;
    size_t reward = HEAD + 4 * ((size_t)spec->S + spec->A);
    bool good = get(&file, number);
    if (good) file.row[reward] ^= 1; /* the lowest bit of its fraction */
    return close_file(&file, good && put(&file, number));
}

int spoil_double(const char *path, uint64_t number) {
    struct file file = {.fd = -1};
    int rc = open_file(&file, path);
    if (rc != 0) return rc;
    uint64_t to = file.ring.stored;
    struct ring_row row = {0};
    bool good = true;
    while (good && !row.last) {
        good = ring_row(&file.ring, number, &row, NULL) && get(&file, number);
        if (!good) break;
        memcpy(file.row, &to, sizeof to);
        good = put(&file, to++);
        number++;
    }
    return close_file(&file, good);
}
