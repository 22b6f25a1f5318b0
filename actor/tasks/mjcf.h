#ifndef ACTOR_TASKS_MJCF_H
#define ACTOR_TASKS_MJCF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which files a model is made of: the MJCF file, what it includes, and the
 * meshes, textures, height fields and skins that any of those names. Text only,
 * no simulator: so that a model can be hashed and copied as a whole.
 */
enum { MJCF_PATH_LEN = 512, MJCF_MAX_FILES = 512 };

struct mjcf {
    char folder[MJCF_PATH_LEN]; /* of the MJCF file, "." where it has none */
    size_t n;
    char (*files)[MJCF_PATH_LEN]; /* (n) owned: below folder, or absolute; the
                                     MJCF file first, each once */
};

/*
 * Read path. Files that are named but not there are left out: whether the model
 * is complete is the simulator's to say. Returns 0, -ENOENT or another errno of
 * reading path, -E2BIG (more than MJCF_MAX_FILES, or a file of more than 64 MiB
 * of XML), -ENAMETOOLONG or -ENOMEM; nothing to finish on error.
 */
int mjcf_read(struct mjcf *mjcf, const char *path);
void mjcf_finish(struct mjcf *mjcf);

/* Path of file i into path (n bytes); -ENAMETOOLONG. */
int mjcf_path(const struct mjcf *mjcf, size_t i, char *path, size_t n);

/* Does file i lie below folder: neither absolute nor with "..". */
bool mjcf_is_inside(const struct mjcf *mjcf, size_t i);

/*
 * The content of all files and the names of all but the first: *hash in/out.
 * 0, or as mjcf_read().
 */
int mjcf_hash(uint64_t *hash, const char *path);

#endif
