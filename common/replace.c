#include "common/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int replace_start(struct replace *replace, const char *path) {
    const int len = snprintf(replace->path, sizeof(replace->path), "%s", path);
    if (len < 0 || (size_t)len >= sizeof(replace->path)) return -ENAMETOOLONG;
    snprintf(replace->temporary, sizeof(replace->temporary), "%s.tmp", path);
    replace->rc = 0;
    replace->fd = open(replace->temporary,
                       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return replace->fd < 0 ? -errno : 0;
}

void replace_write(struct replace *replace, const void *data, size_t len) {
    const char *at = data;
    while (replace->rc == 0 && len > 0) {
        const ssize_t wrote = write(replace->fd, at, len);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) {
            replace->rc = -errno;
            return;
        }
        at += wrote;
        len -= (size_t)wrote;
    }
}

void replace_write_at(struct replace *replace, const void *data, size_t len,
                      uint64_t offset) {
    const char *at = data;
    while (replace->rc == 0 && len > 0) {
        const ssize_t wrote = pwrite(replace->fd, at, len, (off_t)offset);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) {
            replace->rc = -errno;
            return;
        }
        at += wrote;
        offset += (uint64_t)wrote;
        len -= (size_t)wrote;
    }
}

/* The rename itself is on the disk only when its folder is. */
static int sync_folder(const char *path) {
    char folder[REPLACE_PATH_LEN];
    const char *slash = strrchr(path, '/');
    const size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    memcpy(folder, path, len);
    folder[len] = '\0';
    const char *name = slash == NULL ? "." : len == 0 ? "/" : folder;

    const int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    const int rc = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return rc;
}

int replace_finish(struct replace *replace) {
    int rc = replace->rc;
    if (rc == 0 && fsync(replace->fd) != 0) rc = -errno;
    if (close(replace->fd) != 0 && rc == 0) rc = -errno;
    if (rc == 0 && rename(replace->temporary, replace->path) != 0) rc = -errno;
    if (rc != 0) {
        unlink(replace->temporary);
        return rc;
    }
    return sync_folder(replace->path);
}

void replace_abandon(struct replace *replace) {
    close(replace->fd);
    unlink(replace->temporary);
}
