#include "learner/csv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/rundir.h"

/* Copy the rows of at most `updates` updates from in to out. */
static void copy_rows(struct csv *csv, FILE *in, FILE *out, uint64_t updates) {
    char line[1024];
    bool first = true;
    while (fgets(line, sizeof(line), in) != NULL) {
        double seconds;
        uint64_t row;
        if (first) {
            first = false;
        } else if (strchr(line, '\n') != NULL &&
                   sscanf(line, "%lf,%" SCNu64, &seconds, &row) == 2 &&
                   row <= updates) {
            fputs(line, out);
            csv->kept++;
            csv->seconds = seconds;
            if (row > csv->updates) csv->updates = row;
        }
    }
}

/* Replace the file by the part of it that is still true. */
static int cut_back(struct csv *csv, const char *run, const char *path,
                    const char *head, uint64_t updates) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL) return -ENOMEM;
    fprintf(out, "%s\n", head);
    FILE *in = updates > 0 ? fopen(path, "re") : NULL;
    if (in != NULL) {
        copy_rows(csv, in, out, updates);
        fclose(in);
    }
    int rc = fclose(out) == 0 ? 0 : -ENOMEM;
    if (rc == 0) rc = rundir_write(run, csv->name, text, len);
    free(text);
    return rc;
}

int csv_start(struct csv *csv, const char *run, const char *name,
              const char *head, uint64_t updates) {
    char path[4096];
    *csv = (struct csv){.name = name};
    int rc = rundir_path(path, sizeof(path), run, name);
    if (rc == 0) rc = cut_back(csv, run, path, head, updates);
    if (rc != 0) return rc;
    csv->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (csv->fd < 0) return -errno;
    csv->open = true;
    return 0;
}

void csv_finish(struct csv *csv) {
    if (csv->open) close(csv->fd);
    *csv = (struct csv){0};
}

/* The row whole or, on a full disk, none of it. 0 or a negative errno. */
static int append(const struct csv *csv, const char *row, size_t len) {
    const off_t end = lseek(csv->fd, 0, SEEK_END);
    const ssize_t wrote = write(csv->fd, row, len);
    if (wrote >= 0 && (size_t)wrote == len) return 0;
    const int rc = wrote < 0 ? -errno : -ENOSPC;
    if (wrote > 0 && ftruncate(csv->fd, end) != 0)
        log_debug("%s: %s", csv->name, strerror(errno));
    return rc;
}

void csv_append(struct csv *csv, const char *row) {
    const int rc = append(csv, row, strlen(row));
    if (rc != 0 && !csv->failed)
        log_warn("%s: %s; going on without", csv->name, strerror(-rc));
    csv->failed = rc != 0;
}
