#include "replay/rings.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool index_of(const char *name, unsigned *index) {
    int end = -1;
    sscanf(name, "shard-%3u.ring%n", index, &end);
    return end > 0 && name[end] == '\0';
}

static int is_ring(const struct dirent *entry) {
    unsigned index;
    return index_of(entry->d_name, &index);
}

int rings_each(const char *run, const char *what, rings_on_path *each,
               void *user, char *why, size_t n) {
    char folder[PATH_MAX], path[PATH_MAX + NAME_MAX + 1];
    struct stat info;
    struct dirent **list = NULL;
    if (run[0] == '\0' || stat(run, &info) != 0 || !S_ISDIR(info.st_mode)) {
        snprintf(why, n, "%s: there is no run '%s'", what, run);
        return -ENOENT;
    }
    if (snprintf(folder, sizeof folder, "%s/replay", run) >=
        (int)sizeof folder) {
        snprintf(why, n, "%s: %s: %s", what, run, strerror(ENAMETOOLONG));
        return -ENAMETOOLONG;
    }
    int found = scandir(folder, &list, is_ring, versionsort);
    int rc = 0;
    for (int i = 0; i < found; i++) {
        unsigned index = 0;
        index_of(list[i]->d_name, &index);
        snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        if (rc == 0) rc = each(user, path, index, why, n);
        free(list[i]);
    }
    free(list);
    if (found > 0) return rc;
    snprintf(why, n, "%s: %s holds no shard-*.ring: nothing was stored", what,
             folder);
    return -ENOENT;
}
