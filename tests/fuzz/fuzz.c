#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_check(bool ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "fuzz: %s\n", what);
    abort();
}

const char *fuzz_file(const void *data, size_t len) {
    static int fd = -1;
    static char path[64];
    if (fd < 0) fd = memfd_create("fuzz", MFD_CLOEXEC);
    fuzz_check(fd >= 0 && ftruncate(fd, 0) == 0, "no file to write to");
    fuzz_check(pwrite(fd, data, len, 0) == (ssize_t)len, "cannot write");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

uint8_t fuzz_byte(struct fuzz_bytes *from) {
    uint8_t byte = 0;
    fuzz_take(from, &byte, 1);
    return byte;
}

void fuzz_take(struct fuzz_bytes *from, void *to, size_t n) {
    const size_t some = n < from->left ? n : from->left;
    memset(to, 0, n);
    if (some > 0) memcpy(to, from->at, some);
    from->at += some;
    from->left -= some;
}
