#include "actor/task.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "actor/tasks/mjcf.h"
#include "actor/tasks/recipe.h"
#include "actor/tasks/tasks.h"
#include "common/config_file.h"
#include "common/exit_status.h"
#include "common/log.h"

struct keeping {
    const char *folder;
    char why[1024];
};

static int fail(struct keeping *k, const char *what, int err) {
    snprintf(k->why, sizeof(k->why), "%.700s: %s", what, strerror(-err));
    return err;
}

/* Every folder on the way to path. */
static int make_folders(const char *path) {
    char part[PATH_MAX];
    const int len = snprintf(part, sizeof(part), "%s", path);
    if (len < 0 || (size_t)len >= sizeof(part)) return -ENAMETOOLONG;
    for (char *at = part + 1; (at = strchr(at, '/')) != NULL; *at++ = '/') {
        *at = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST) return -errno;
    }
    return 0;
}

static int copy_file(struct keeping *k, const char *from, const char *name) {
    char to[PATH_MAX], chunk[65536];
    const int len = snprintf(to, sizeof(to), "%s/%s", k->folder, name);
    if (len < 0 || (size_t)len >= sizeof(to))
        return fail(k, name, -ENAMETOOLONG);
    int err = make_folders(to);
    if (err) return fail(k, to, err);
    FILE *in = fopen(from, "re");
    if (!in) return fail(k, from, -errno);
    FILE *out = fopen(to, "we");
    if (!out) {
        err = fail(k, to, -errno);
        fclose(in);
        return err;
    }
    size_t got = 0;
    while ((got = fread(chunk, 1, sizeof(chunk), in)) > 0)
        if (fwrite(chunk, 1, got, out) != got) break;
    if (ferror(in)) err = fail(k, from, -EIO);
    fclose(in);
    if (fclose(out) != 0 && !err) err = fail(k, to, -errno);
    return err;
}

/* The MJCF file and all that it names, below model/; the path that robot.ini is
 * to name it by. */
static int copy_model(struct keeping *k, const char *path, char *model,
                      size_t n) {
    struct mjcf mjcf;
    char from[2 * MJCF_PATH_LEN], to[MJCF_PATH_LEN + 16];
    int err = mjcf_read(&mjcf, path);
    if (err) return fail(k, path, err);
    for (size_t i = 0; i < mjcf.n; i++) {
        if (mjcf_is_inside(&mjcf, i)) continue;
        log_warn("the run needs %s where it is: it names %s, which lies "
                 "outside of its folder",
                 path, mjcf.files[i]);
        char whole[PATH_MAX];
        const char *resolved = realpath(path, whole);
        snprintf(model, n, "%s", resolved ? resolved : path);
        mjcf_finish(&mjcf);
        return 0;
    }
    for (size_t i = 0; i < mjcf.n && !err; i++) {
        snprintf(to, sizeof(to), "model/%s", mjcf.files[i]);
        err = mjcf_path(&mjcf, i, from, sizeof(from));
        if (!err) err = copy_file(k, from, to);
    }
    snprintf(model, n, "model/%s", mjcf.files[0]);
    mjcf_finish(&mjcf);
    return err;
}

struct writing {
    FILE *out;
    const char *model; /* in place of what stands there */
};

static int write_pair(void *user, const char *section, const char *name,
                      const char *value, char *why, size_t n) {
    struct writing *writing = user;
    (void)why, (void)n;
    if (strcmp(section, CONFIG_ROBOT_SECTION) != 0) return 0;
    const bool model = strcmp(name, "model") == 0;
    fprintf(writing->out, "%s = %s\n", name, model ? writing->model : value);
    return 0;
}

/* The section alone: the options are in the run's config.ini. */
static int copy_robot(struct keeping *k, const char *ini) {
    struct recipe recipe;
    char path[2 * RECIPE_PATH_LEN], model[PATH_MAX], to[PATH_MAX];
    int err = recipe_read(&recipe, ini, k->why, sizeof(k->why));
    if (err) return err;
    err = recipe_model(&recipe, ini, path, sizeof(path));
    if (err) return fail(k, ini, err);
    err = copy_model(k, path, model, sizeof(model));
    if (err) return err;
    const int len = snprintf(to, sizeof(to), "%s/robot.ini", k->folder);
    if (len < 0 || (size_t)len >= sizeof(to))
        return fail(k, k->folder, -ENAMETOOLONG);
    err = make_folders(to);
    if (err) return fail(k, to, err);
    struct writing writing = {.out = fopen(to, "we"), .model = model};
    if (!writing.out) return fail(k, to, -errno);
    fprintf(writing.out, "; copied from %s\n[robot]\n", ini);
    err = config_read_pairs(ini, write_pair, &writing, k->why, sizeof(k->why));
    if (fclose(writing.out) != 0 && !err) err = fail(k, to, -errno);
    return err;
}

int task_keep(const struct config *config) {
    struct keeping k = {.folder = config->keep};
    struct task task;
    struct env_spec spec;
    void *model = NULL;
    int err = 0;
    if (config->robot[0] == '\0' && config->env[0] == '\0') {
        log_error(
            "keep is '%s': say what, by --robot=FILE.ini or --env=FILE.so",
            config->keep);
        return EXIT_REFUSED;
    }
    err = task_load(&task, &model, &spec, config, k.why, sizeof(k.why));
    if (!err) {
        task.class->unload(model);
        err = task.class == &tasks_custom ? copy_robot(&k, task.file)
                                          : copy_file(&k, task.file, "env.so");
    }
    if (err) log_error("%s", k.why);
    return err ? EXIT_REFUSED : EXIT_FINISHED;
}
