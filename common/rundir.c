#include "common/rundir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/replace.h"

int rundir_path(char *path, size_t n, const char *run, const char *rest) {
    const int len = snprintf(path, n, "%s/%s", run, rest);
    return len < 0 || (size_t)len >= n ? -ENAMETOOLONG : 0;
}

/* mkdir() that takes an existing folder (or a link to one) for done. */
static int make_folder(const char *path, mode_t mode) {
    struct stat info;
    if (mkdir(path, mode) == 0) return 0;
    if (errno != EEXIST) return -errno;
    if (stat(path, &info) != 0) return -errno;
    return S_ISDIR(info.st_mode) ? 0 : -ENOTDIR;
}

static int make_folders(const char *path) {
    char part[PATH_MAX];
    const size_t len = strlen(path);
    if (len == 0) return -ENOENT;
    if (len >= sizeof(part)) return -ENAMETOOLONG;
    memcpy(part, path, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (part[i] != '/') continue;
        part[i] = '\0';
        const int rc = make_folder(part, 0777);
        if (rc != 0) return rc;
        part[i] = '/';
    }
    return make_folder(part, 0777);
}

int rundir_create(const char *run) {
    static const char *const folders[] = {"checkpoints", "replay", "logs",
                                          "figures",     "video",  "bin"};
    char path[PATH_MAX];
    int rc = make_folders(run);
    for (size_t i = 0; rc == 0 && i < sizeof(folders) / sizeof(*folders); i++) {
        rc = rundir_path(path, sizeof(path), run, folders[i]);
        if (rc == 0) rc = make_folder(path, 0777);
    }
    return rc;
}

/* A folder of ours that nobody else can enter; made when missing. */
static int make_private(const char *path) {
    struct stat info;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) return -errno;
    if (lstat(path, &info) != 0) return -errno;
    if (!S_ISDIR(info.st_mode)) return -EPERM;
    const bool ours = info.st_uid == geteuid();
    return ours && (info.st_mode & 0777) == 0700 ? 0 : -EPERM;
}

/* FNV-1a. */
static uint64_t hash(const char *text) {
    uint64_t h = 0xCBF29CE484222325u;
    for (; *text != '\0'; text++) {
        h = (h ^ (unsigned char)*text) * 0x100000001B3u;
    }
    return h;
}

/* A socket's path has 107 characters: folder, '/', and a name of 30. */
enum { LONGEST_RUNTIME_DIR = 50 };

int rundir_sockets(char *path, size_t n, const char *run) {
    char real[PATH_MAX], base[64];
    if (realpath(run, real) == NULL) return -errno;

    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const bool usable = runtime != NULL && runtime[0] == '/' &&
                        strlen(runtime) <= LONGEST_RUNTIME_DIR &&
                        access(runtime, W_OK | X_OK) == 0;
    if (usable) {
        snprintf(base, sizeof(base), "%s/softq", runtime);
    } else {
        snprintf(base, sizeof(base), "/tmp/softq-%u", (unsigned)geteuid());
    }
    int rc = make_private(base);
    if (rc != 0) return rc;

    const int len =
        snprintf(path, n, "%s/%016llx", base, (unsigned long long)hash(real));
    if (len < 0 || (size_t)len >= n) return -ENAMETOOLONG;
    rc = make_private(path);
    if (rc != 0) return rc;

    char link[PATH_MAX];
    rc = rundir_path(link, sizeof(link), run, "sock");
    if (rc != 0) return rc;
    if (symlink(path, link) == 0) return 0;
    if (errno != EEXIST) return -errno;
    char old[PATH_MAX];
    const ssize_t got = readlink(link, old, sizeof(old) - 1);
    if (got < 0) return -errno;
    old[got] = '\0';
    if (strcmp(old, path) == 0) return 0;
    // a copied or moved run: the link is the only thing to renew. Several
    // processes may do so at once; any of them writes the same link
    if (unlink(link) != 0 && errno != ENOENT) return -errno;
    return symlink(path, link) == 0 || errno == EEXIST ? 0 : -errno;
}

int rundir_write(const char *run, const char *rest, const char *text,
                 size_t len) {
    char path[REPLACE_PATH_LEN];
    struct replace replace;
    int rc = rundir_path(path, sizeof(path), run, rest);
    if (rc == 0) rc = replace_start(&replace, path);
    if (rc != 0) return rc;
    replace_write(&replace, text, len);
    return replace_finish(&replace);
}

int rundir_address(char *address, size_t n, const char *run, const char *name) {
    char path[PATH_MAX], line[1024];
    int rc = rundir_path(path, sizeof(path), run, "address");
    if (rc != 0) return rc;
    FILE *file = fopen(path, "re");
    if (file == NULL) return -errno;

    const size_t len = strlen(name);
    rc = -ENOENT;
    while (rc == -ENOENT && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, len) != 0 || line[len] != ' ') continue;
        char *found = line + len + 1;
        const size_t end = strcspn(found, " \r\n");
        if (end == 0) continue;
        found[end] = '\0';
        rc = end < n ? 0 : -ENAMETOOLONG;
        if (rc == 0) memcpy(address, found, end + 1);
    }
    if (ferror(file)) rc = -EIO;
    fclose(file);
    return rc;
}

/* "0000000001-000000012345.safetensors", and nothing like it. */
static bool is_checkpoint(const char *name) {
    static const char pattern[] = "dddddddddd-dddddddddddd.safetensors";
    for (size_t i = 0; i < sizeof(pattern); i++) {
        const bool digit = isdigit((unsigned char)name[i]) != 0;
        const bool wanted = pattern[i] == 'd' && i < 23;
        if (wanted ? !digit : name[i] != pattern[i]) return false;
    }
    return true;
}

int rundir_newest_checkpoint(char *path, size_t n, const char *run) {
    char folder[PATH_MAX], newest[NAME_MAX + 1] = "";
    int rc = rundir_path(folder, sizeof(folder), run, "checkpoints");
    if (rc != 0) return rc;
    DIR *dir = opendir(folder);
    if (dir == NULL) return -errno;

    // digits of fixed width: the order of names is the order of versions
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (is_checkpoint(entry->d_name) && strcmp(entry->d_name, newest) > 0) {
            snprintf(newest, sizeof(newest), "%s", entry->d_name);
        }
    }
    closedir(dir);
    if (newest[0] == '\0') return -ENOENT;
    return rundir_path(path, n, folder, newest);
}
