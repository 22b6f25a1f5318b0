#include "actor/export.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "actor/c_header.h"
#include "actor/onnx.h"
#include "actor/task.h"
#include "common/exit_status.h"
#include "common/log.h"
#include "common/replace.h"
#include "common/rundir.h"

/* What may stand in any comment and any string. */
static void show(char *text, size_t n, const char *from) {
    snprintf(text, n, "%.*s", (int)n - 1, from);
    for (char *at = text; *at != '\0'; at++)
        if (!isprint((unsigned char)*at) || strchr("*?\\", *at)) *at = '_';
}

/* The last part of a run's path. */
static void name_run(char *text, size_t n, const char *run) {
    size_t end = strlen(run);
    while (end > 1 && run[end - 1] == '/') end--;
    size_t from = end;
    while (from > 0 && run[from - 1] != '/') from--;
    char part[CONFIG_PATH_LEN];
    snprintf(part, sizeof(part), "%.*s", (int)(end - from), run + from);
    show(text, n, part);
}

int export_init(struct export *export, const struct snapshot *snapshot,
                const char *run, const char *task,
                const struct env_spec *spec) {
    const size_t A = spec->act_dim;
    *export = (struct export){.snapshot = snapshot};
    export->centre = malloc(sizeof(*export->centre) * 2 * A);
    if (!export->centre) return -ENOMEM;
    export->half = export->centre + A;
    for (size_t i = 0; i < A; i++) {
        const double *range = env_range(spec, i);
        const double centre = env_scale(range, 0.0);
        export->centre[i] = (float)centre;
        export->half[i] = (float)(env_scale(range, 1.0) - centre);
    }
    name_run(export->run, sizeof(export->run), run);
    show(export->checkpoint, sizeof(export->checkpoint), snapshot->file);
    show(export->task, sizeof(export->task), task);
    return 0;
}

void export_finish(struct export *export) {
    free(export->centre);
    *export = (struct export){0};
}

void export_noise(const struct export *export, char *text, size_t n) {
    const size_t rows = export->snapshot->policy.n_noise;
    if (rows == 0)
        snprintf(text, n,
                 "independent numbers of N(0, 1), drawn anew for every action");
    else if (rows == 1)
        snprintf(text, n, "always the only row of the noise set");
    else
        snprintf(text, n,
                 "one of the %zu rows of the noise set, each as likely, drawn "
                 "anew for every action",
                 rows);
}

/* ---- softq-actor --export ---- */

struct exporting {
    struct config config;
    struct snapshot snapshot;
    struct export export;
    char out[CONFIG_PATH_LEN + 16];
    char why[1024];
};

/* The networks, and what their actions are scaled to. */
static int prepare(struct exporting *x) {
    const struct config *config = &x->config;
    const size_t n = sizeof(x->why);
    struct stat info;
    if (stat(config->export, &info) != 0 || !S_ISDIR(info.st_mode)) {
        snprintf(x->why, n, "there is no run %s", config->export);
        return -ENOENT;
    }
    int err = snapshot_read(&x->snapshot, config->export, config->checkpoint,
                            x->why, n);
    if (err) return err;
    struct task task;
    struct env_spec spec;
    void *model = NULL;
    err = task_load(&task, &model, &spec, config, x->why, n);
    if (err) return err;
    err = snapshot_check(&x->snapshot, config->task, &spec, x->why, n);
    if (!err) {
        err = export_init(&x->export, &x->snapshot, config->export,
                          config->task, &spec);
        if (err) snprintf(x->why, n, "out of memory");
    }
    task.class->unload(model);
    return err;
}

static int make_folder(struct exporting *x) {
    const char *out = x->config.out;
    int err = 0;
    if (out[0] == '\0')
        err = rundir_path(x->out, sizeof(x->out), x->config.export, "export");
    else
        snprintf(x->out, sizeof(x->out), "%s", out);
    if (!err && mkdir(x->out, 0777) != 0 && errno != EEXIST) err = -errno;
    if (err)
        snprintf(x->why, sizeof(x->why),
                 "out is %s: %s: give a folder, or one to make in a folder "
                 "that is there",
                 out[0] == '\0' ? x->config.export : out, strerror(-err));
    return err;
}

/* data is freed. err: what making it came to. */
static int write_file(struct exporting *x, const char *name, void *data,
                      size_t len, int err) {
    struct replace replace;
    char path[CONFIG_PATH_LEN + 32];
    snprintf(path, sizeof(path), "%s/%s", x->out, name);
    if (!err) err = replace_start(&replace, path);
    if (!err) {
        replace_write(&replace, data, len);
        err = replace_finish(&replace);
    }
    free(data);
    if (err) snprintf(x->why, sizeof(x->why), "%s: %s", path, strerror(-err));
    return err;
}

static int write_header(struct exporting *x) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    int err = out ? 0 : -ENOMEM;
    if (out) {
        c_header_write(&x->export, out);
        if (fclose(out) != 0) err = -ENOMEM;
    }
    return write_file(x, "sampler.h", text, len, err);
}

static int write_all(struct exporting *x) {
    uint8_t *data = NULL;
    size_t len = 0;
    int err = make_folder(x);
    if (err) return err;
    err = onnx_sampler(&x->export, &data, &len);
    err = write_file(x, "sampler.onnx", data, len, err);
    if (err) return err;
    data = NULL;
    err = onnx_q(&x->export, &data, &len);
    err = write_file(x, "q.onnx", data, len, err);
    return err ? err : write_header(x);
}

static void print_table(const struct exporting *x) {
    const struct mlp_shape *shape = &x->snapshot.policy.shape;
    const size_t S = shape->S, A = shape->X;
    char noise[128];
    export_noise(&x->export, noise, sizeof(noise));
    printf("%-10s %s\n%-10s %s\n", "task", x->config.task, "policy",
           x->snapshot.file);
    printf("%-10s %s/sampler.onnx, sampler.h: observation %zu, noise %zu -> "
           "action %zu, in the motors' ranges\n",
           "sampler", x->out, S, A, A);
    printf("%-10s %s/q.onnx: observation %zu, action %zu in [-1, 1] -> q\n",
           "q", x->out, S, A);
    printf("%-10s %s\n", "noise", noise);
    fflush(stdout);
}

int export_run(const struct config *config) {
    struct exporting x = {.config = *config};
    int err = prepare(&x);
    if (!err) err = write_all(&x);
    if (err)
        log_error("%s", x.why);
    else
        print_table(&x);
    export_finish(&x.export);
    snapshot_finish(&x.snapshot);
    return err ? EXIT_REFUSED : EXIT_FINISHED;
}
