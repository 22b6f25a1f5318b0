#include "replay/ring_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/crc32c.h"

enum { LAYOUT = 1 };

static const char magic[8] = {'s', 'o', 'f', 't', 'q', 'r', 'n', 'g'};

/* The first page; zero to its end, where the CRC stands. */
struct header {
    char magic[8];
    uint32_t layout, S, A, row_bytes;
    uint64_t capacity, run, id;
    uint8_t zero[RING_FILE_HEADER - 52];
    uint32_t crc; /* over all before it */
};
_Static_assert(sizeof(struct header) == RING_FILE_HEADER, "one page");

size_t ring_file_row_bytes(uint32_t S, uint32_t A) {
    size_t floats = 2 * (size_t)S + A + 1;
    return (48 + 4 * floats + 8 + 7) / 8 * 8;
}

/* The file's length, or 0 when no such file can be. */
static size_t file_bytes(const struct ring_spec *spec) {
    size_t rows = 0, bytes = 0;
    if (__builtin_mul_overflow(spec->capacity,
                               ring_file_row_bytes(spec->S, spec->A), &rows) ||
        __builtin_add_overflow(rows, (size_t)RING_FILE_HEADER, &bytes) ||
        bytes > PTRDIFF_MAX) {
        return 0;
    }
    return bytes;
}

static int say(int rc, char *why, size_t n, const char *path,
               const char *what) {
    snprintf(why, n, "%s: %s", path, what);
    return rc;
}

static int say_errno(char *why, size_t n, const char *path, const char *what) {
    int rc = -errno;
    snprintf(why, n, "%s: %s: %s", path, what, strerror(-rc));
    return rc;
}

static int read_header(int fd, struct header *header) {
    ssize_t got = pread(fd, header, sizeof *header, 0);
    if (got < 0) return -errno;
    return (size_t)got == sizeof *header ? 0 : -EBADMSG;
}

static bool all_zero(const void *data, size_t n) {
    const uint8_t *p = data;
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0) return false;
    }
    return true;
}

/* The header against itself and the file's length. */
static int check_header(const struct header *header, size_t length,
                        struct ring_spec *spec, const char *path, char *why,
                        size_t n) {
    if (memcmp(header->magic, magic, sizeof magic) != 0)
        return say(-EBADMSG, why, n, path, "not a ring file");
    if (header->layout != LAYOUT) {
        snprintf(why, n, "%s: layout %u, this program knows %d", path,
                 header->layout, LAYOUT);
        return -EINVAL;
    }
    if (crc32c(header, offsetof(struct header, crc)) != header->crc)
        return say(-EBADMSG, why, n, path, "the header is damaged");

    *spec = (struct ring_spec){.run = header->run,
                               .capacity = header->capacity,
                               .S = header->S,
                               .A = header->A};
    size_t bytes = file_bytes(spec);
    if (bytes == 0 || spec->capacity == 0 ||
        header->row_bytes != ring_file_row_bytes(spec->S, spec->A)) {
        return say(-EBADMSG, why, n, path, "the header makes no sense");
    }
    if (bytes != length) {
        snprintf(why, n, "%s: cut: %zu bytes of %zu", path, length, bytes);
        return -EBADMSG;
    }
    return 0;
}

static int check_spec(const struct ring_spec *have,
                      const struct ring_spec *want, const char *path, char *why,
                      size_t n) {
    if (have->run != want->run) {
        snprintf(why, n, "%s: of another run (%016llx, this one is %016llx)",
                 path, (unsigned long long)have->run,
                 (unsigned long long)want->run);
        return -EINVAL;
    }
    if (have->S != want->S || have->A != want->A) {
        snprintf(why, n,
                 "%s: of another shape (obs_dim %u, act_dim %u; wanted %u, %u)",
                 path, have->S, have->A, want->S, want->A);
        return -EINVAL;
    }
    if (have->capacity != want->capacity) {
        snprintf(why, n,
                 "%s: of another size (%llu rows, wanted %llu: replay_size / "
                 "shards has changed)",
                 path, (unsigned long long)have->capacity,
                 (unsigned long long)want->capacity);
        return -EINVAL;
    }
    return 0;
}

static int sync_folder(const char *path) {
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int rc = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return rc;
}

/* Room first: posix_fallocate would fill the disk before it fails. */
static int allocate(int fd, size_t bytes) {
    struct statvfs disk;
    if (fstatvfs(fd, &disk) == 0 && disk.f_blocks > 0 &&
        bytes / disk.f_frsize >= disk.f_bavail) {
        return -ENOSPC;
    }
    return -posix_fallocate(fd, 0, (off_t)bytes);
}

/* The header comes after all blocks are there: without it there is no ring. */
static int create(struct ring_file *file, const char *path,
                  const struct ring_spec *spec, char *why, size_t n) {
    size_t bytes = file_bytes(spec);
    int rc = bytes > 0 ? allocate(file->fd, bytes) : -ENOSPC;
    if (rc != 0) {
        unlink(path);
        snprintf(why, n, "%s: no space for %llu rows of %zu bytes: %s", path,
                 (unsigned long long)spec->capacity,
                 ring_file_row_bytes(spec->S, spec->A), strerror(-rc));
        return rc == -EFBIG ? -ENOSPC : rc;
    }
    struct header header = {.layout = LAYOUT,
                            .S = spec->S,
                            .A = spec->A,
                            .row_bytes =
                                (uint32_t)ring_file_row_bytes(spec->S, spec->A),
                            .capacity = spec->capacity,
                            .run = spec->run};
    memcpy(header.magic, magic, sizeof magic);
    if (getrandom(&header.id, sizeof header.id, 0) != sizeof header.id)
        return say_errno(why, n, path, "getrandom");
    header.crc = crc32c(&header, offsetof(struct header, crc));
    errno = ENOSPC; /* what a short write would mean */
    if (pwrite(file->fd, &header, sizeof header, 0) != sizeof header ||
        fsync(file->fd) != 0) {
        rc = say_errno(why, n, path, "writing the header");
        unlink(path);
        return rc;
    }
    rc = sync_folder(path);
    if (rc != 0) return say(rc, why, n, path, "cannot sync its folder");
    file->fresh = true;
    return 0;
}

/*
 * True when a creator was killed before it wrote the header: then not one byte
 * of the file was ever written.
 */
static bool never_finished(int fd, size_t length) {
    uint8_t block[65536];
    for (size_t at = 0; at < length;) {
        ssize_t got = pread(fd, block, sizeof block, (off_t)at);
        if (got <= 0 || !all_zero(block, (size_t)got)) return false;
        at += (size_t)got;
    }
    return true;
}

static int map_file(struct ring_file *file, size_t bytes, int protection,
                    const char *path, char *why, size_t n) {
    void *map = mmap(NULL, bytes, protection, MAP_SHARED, file->fd, 0);
    if (map == MAP_FAILED) return say_errno(why, n, path, "mmap");
    file->map = map;
    file->bytes = bytes;
    return 0;
}

/* What is there, checked; or a new one. */
static int check_or_create(struct ring_file *file, const char *path,
                           const struct ring_spec *spec, char *why, size_t n) {
    struct stat st;
    struct header header = {.layout = 0};
    if (fstat(file->fd, &st) != 0) return say_errno(why, n, path, "stat");
    if (!S_ISREG(st.st_mode))
        return say(-EBADMSG, why, n, path, "not a regular file");
    size_t length = (size_t)st.st_size;
    int rc = read_header(file->fd, &header);
    bool blank = length < sizeof header || all_zero(&header, sizeof header);
    if (blank && never_finished(file->fd, length))
        return create(file, path, spec, why, n);
    if (rc == -EBADMSG)
        return say(rc, why, n, path, "not a ring file, or cut in its header");
    if (rc != 0) return say(rc, why, n, path, "cannot be read");

    struct ring_spec have;
    rc = check_header(&header, length, &have, path, why, n);
    return rc == 0 ? check_spec(&have, spec, path, why, n) : rc;
}

static int lock_file(int fd, int how, const char *path, char *why, size_t n) {
    if (flock(fd, how | LOCK_NB) == 0) return 0;
    return errno == EWOULDBLOCK
               ? say(-EWOULDBLOCK, why, n, path, "in use by another process")
               : say_errno(why, n, path, "flock");
}

int ring_file_open(struct ring_file *file, const char *path,
                   const struct ring_spec *spec, uint64_t *id, char *why,
                   size_t n) {
    *file = (struct ring_file){
        .fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644)};
    if (file->fd < 0) return say_errno(why, n, path, "cannot open");
    int rc = lock_file(file->fd, LOCK_EX, path, why, n);
    if (rc == 0) rc = check_or_create(file, path, spec, why, n);
    if (rc == 0)
        rc = map_file(file, file_bytes(spec), PROT_READ | PROT_WRITE, path, why,
                      n);
    if (rc == 0) *id = ((const struct header *)file->map)->id;
    if (rc != 0) ring_file_close(file);
    return rc;
}

int ring_file_open_read(struct ring_file *file, const char *path, bool lock,
                        struct ring_spec *spec, uint64_t *id, char *why,
                        size_t n) {
    *file = (struct ring_file){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (file->fd < 0) return say_errno(why, n, path, "cannot open");
    struct stat st = {0};
    struct header header = {.layout = 0};
    int rc = lock ? lock_file(file->fd, LOCK_SH, path, why, n) : 0;
    if (rc != 0) {
        ring_file_close(file);
        return rc;
    }
    rc = fstat(file->fd, &st) == 0 ? read_header(file->fd, &header) : -errno;
    if (rc != 0) {
        rc = say(rc, why, n, path, "not a ring file, or cut in its header");
    } else {
        rc = check_header(&header, (size_t)st.st_size, spec, path, why, n);
    }
    if (rc == 0)
        rc = map_file(file, (size_t)st.st_size, PROT_READ, path, why, n);
    if (rc == 0) *id = header.id;
    if (rc != 0) ring_file_close(file);
    return rc;
}

void ring_file_close(struct ring_file *file) {
    if (file->map != NULL) munmap(file->map, file->bytes);
    if (file->map != NULL || file->fd > 0) close(file->fd);
    *file = (struct ring_file){0};
}
