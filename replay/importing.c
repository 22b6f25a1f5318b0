/* A shard's import, in slices on its loop, so that it stays alive meanwhile. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/log.h"
#include "common/rundir.h"
#include "replay/shard.h"

enum {
    SLICE = 8, /* blocks, a few milliseconds */
    SAY_MS = 3000,
    RECORD_LEN = sizeof((struct config *)NULL)->import + 32,
};

static void record_name(const struct shard *shard, char *rest, size_t n) {
    snprintf(rest, n, "replay/shard-%" PRIu64 ".imported", shard->config.index);
}

/* What RUN/replay/shard-<index>.imported holds when this import is complete. */
static void record_text(const struct shard *shard, char text[RECORD_LEN]) {
    snprintf(text, RECORD_LEN, "ring %016" PRIx64 "\n%s\n", shard->ring.id,
             shard->config.import);
}

static bool is_recorded(const struct shard *shard) {
    char rest[64], path[CONFIG_PATH_LEN + 64];
    char want[RECORD_LEN], have[RECORD_LEN] = "";
    record_name(shard, rest, sizeof rest);
    if (rundir_path(path, sizeof path, shard->config.run_dir, rest) != 0)
        return false;
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    size_t n = fread(have, 1, sizeof have - 1, file);
    fclose(file);
    record_text(shard, want);
    return n == strlen(want) && memcmp(have, want, n) == 0;
}

static int refuse(int rc, const char *why) {
    log_error("%s", why);
    return rc == -ENOMEM ? EXIT_CRASH : EXIT_REFUSED;
}

static int open_sources(struct shard *shard, const struct ring_spec *spec) {
    const struct config *config = &shard->config;
    const struct import_place place = {
        .spec = *spec, .shards = config->shards, .index = config->index};
    char why[2 * CONFIG_PATH_LEN + 256];
    int rc =
        import_open(&shard->import, config->import, &place, why, sizeof why);
    if (rc != 0) return refuse(rc, why);
    if (shard->import.dropped > 0)
        log_warn("import: %" PRIu64 " damaged or unfinished rows are left out",
                 shard->import.dropped);
    return 0;
}

int importing_check(struct shard *shard, const struct ring_spec *want) {
    if (shard->config.import[0] == '\0' || access(shard->path, F_OK) == 0)
        return 0;
    return open_sources(shard, want);
}

/* ---- the end ---- */

/* Rows first: the record must not outlive them when the power fails. */
static void record_work(uv_work_t *work) {
    struct shard *shard = work->data;
    char rest[64], text[RECORD_LEN];
    record_name(shard, rest, sizeof rest);
    record_text(shard, text);
    int rc = ring_sync(&shard->ring);
    if (rc == 0)
        rc = rundir_write(shard->config.run_dir, rest, text, strlen(text));
    shard->record_rc = rc;
}

static void on_recorded(uv_work_t *work, int cancelled) {
    struct shard *shard = work->data;
    if (shard->ended) return;
    if (cancelled != 0 || shard->record_rc != 0)
        log_warn("import: its record: %s (a shard that starts again will look "
                 "for the other runs)",
                 cancelled != 0 ? uv_strerror(cancelled)
                                : strerror(-shard->record_rc));
    shard->importing = false;
    join_imported(shard);
}

static void finish(struct shard *shard) {
    const struct import *import = &shard->import;
    const uint64_t took = uv_now(shard->loop) - shard->import_ms;
    log_info("imported %" PRIu64 " rows of %zu source%s in %.1f s, %" PRIu64
             " were there",
             import->copied, import->n, import->n > 1 ? "s" : "",
             (double)took * 1e-3, import->there);
    import_close(&shard->import);
    shard->record.data = shard;
    int rc =
        uv_queue_work(shard->loop, &shard->record, record_work, on_recorded);
    if (rc != 0) on_recorded(&shard->record, rc);
}

/* ---- slices ---- */

static void say_progress(struct shard *shard) {
    const struct import *import = &shard->import;
    const uint64_t now = uv_now(shard->loop);
    if (now - shard->import_said_ms < SAY_MS) return;
    shard->import_said_ms = now;
    log_info("importing: %" PRIu64 " of %" PRIu64 " rows",
             import->there + import->copied, import->total);
}

static void on_slice(uv_idle_t *idle) {
    struct shard *shard = idle->data;
    char why[CONFIG_PATH_LEN + 256];
    for (int i = 0; i < SLICE && !import_done(&shard->import); i++) {
        int rc = import_step(&shard->import, &shard->ring, why, sizeof why);
        if (rc == 0) continue;
        uv_idle_stop(idle);
        shard_end(shard, refuse(rc, why), NULL);
        return;
    }
    say_progress(shard);
    if (!import_done(&shard->import)) return;
    uv_idle_stop(idle);
    finish(shard);
}

int importing_start(struct shard *shard) {
    struct import *import = &shard->import;
    char why[CONFIG_PATH_LEN + 256];
    if (shard->config.import[0] == '\0') return 0;
    if (is_recorded(shard)) {
        log_info("imported before: %s", shard->config.import);
        import_close(import);
        return 0;
    }
    int status = import->n > 0 ? 0 : open_sources(shard, &shard->ring.spec);
    if (status != 0) return status;
    int rc = import_begin(import, &shard->ring, why, sizeof why);
    if (rc != 0) return refuse(rc, why);
    log_info("importing %" PRIu64 " rows of %zu source%s, %" PRIu64
             " are there",
             import->total, import->n, import->n > 1 ? "s" : "", import->there);
    shard->import_ms = shard->import_said_ms = uv_now(shard->loop);
    shard->importing = true;
    return uv_idle_start(&shard->slices, on_slice) == 0 ? 0 : EXIT_CRASH;
}
