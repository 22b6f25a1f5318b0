#include "replay/extracting.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/exit_status.h"
#include "common/log.h"
#include "replay/extract.h"

enum { SAY_S = 3 };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static void copy_rows(struct extract *extract, double began) {
    double said = began;
    while (!extract_done(extract)) {
        ring_guard(extract_path(extract));
        extract_step(extract);
        const double now = seconds();
        if (now - said < SAY_S) continue;
        said = now;
        log_info("exporting: %" PRIu64 " of %" PRIu64 " rows", extract->done,
                 extract->total);
    }
}

int extracting_run(const struct config *config) {
    struct extract extract;
    char why[2 * CONFIG_PATH_LEN + 256];
    if (!ends_with(config->out, ".npz")) {
        log_error("export: out is '%s': name the file to write, as "
                  "--out=rows.npz",
                  config->out);
        return EXIT_REFUSED;
    }
    const double began = seconds();
    int rc =
        extract_open(&extract, config->export, config->out, why, sizeof why);
    if (rc == 0) {
        copy_rows(&extract, began);
        rc = extract_finish(&extract, why, sizeof why);
    }
    if (rc != 0) {
        log_error("%s", why);
        return rc == -ENOMEM ? EXIT_CRASH : EXIT_REFUSED;
    }
    log_info("exported %" PRIu64 " rows of %zu ring%s to %s in %.1f s: %" PRIu64
             " bytes",
             extract.rows, extract.n, extract.n > 1 ? "s" : "", config->out,
             seconds() - began, extract.bytes);
    if (extract.left_out > 0)
        log_warn("export: %" PRIu64 " rows are left out: damaged, unfinished, "
                 "or overwritten meanwhile",
                 extract.left_out);
    return EXIT_FINISHED;
}
