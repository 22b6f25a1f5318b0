#include "learner/progress.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/rundir.h"

static const char header[] =
    "seconds,updates,steps,updates_per_second,steps_per_second,episodes,"
    "mean_return,q_loss,q_mean,target_mean,stein_norm,q_gradient,f_gradient,"
    "stored,present,staleness,alpha,entropy,negative,degenerate,"
    "stat_mean,stat_least,stat_greatest\n";
static const double line_every = 5.0;

/* Copy the rows of at most `updates` updates from in to out; remembers the
 * seconds of the last one. */
static void copy_rows(struct progress *progress, FILE *in, FILE *out,
                      uint64_t updates) {
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
            progress->seconds_before = seconds;
        }
    }
}

/* Replace the file by the part of it that is still true. */
static int cut_back(struct progress *progress, const char *run,
                    const char *path, uint64_t updates) {
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL) return -ENOMEM;
    fputs(header, out);
    FILE *in = updates > 0 ? fopen(path, "re") : NULL;
    if (in != NULL) {
        copy_rows(progress, in, out, updates);
        fclose(in);
    }
    int rc = fclose(out) == 0 ? 0 : -ENOMEM;
    if (rc == 0) rc = rundir_write(run, "progress.csv", text, len);
    free(text);
    return rc;
}

int progress_start(struct progress *progress, const struct config *config,
                   uint64_t updates, uint64_t steps) {
    *progress = (struct progress){.max_updates = config->max_updates,
                                  .max_steps = config->max_steps,
                                  .max_seconds = config->max_seconds};
    const bool terminal = isatty(STDOUT_FILENO);
    progress->live = config->progress == PROGRESS_LINE ||
                     (config->progress == PROGRESS_AUTO && terminal);
    progress->lines = config->progress == PROGRESS_LINES ||
                      (config->progress == PROGRESS_AUTO && !terminal);
    char path[4096];
    int rc = rundir_path(path, sizeof(path), config->run_dir, "progress.csv");
    if (rc == 0) rc = cut_back(progress, config->run_dir, path, updates);
    if (rc != 0) return rc;
    progress->row = (struct progress_now){.seconds = progress->seconds_before,
                                          .updates = updates,
                                          .steps = steps};
    progress->csv = fopen(path, "ae");
    return progress->csv != NULL ? 0 : -errno;
}

void progress_finish(struct progress *progress) {
    if (progress->csv != NULL) fclose(progress->csv);
    if (progress->live && progress->begun) {
        fputs("\n", stdout);
        fflush(stdout);
    }
    *progress = (struct progress){0};
}

void progress_episode(struct progress *progress, double ret) {
    progress->returns[progress->episodes++ % PROGRESS_EPISODES] = ret;
}

void progress_statistic(struct progress *progress, double x) {
    struct progress_statistic *statistic = &progress->statistic;
    const bool first = statistic->n == 0;
    statistic->n++;
    statistic->sum += x;
    statistic->least = first ? x : fmin(statistic->least, x);
    statistic->greatest = first ? x : fmax(statistic->greatest, x);
}

double progress_mean_return(const struct progress *progress) {
    const size_t n = progress->episodes < PROGRESS_EPISODES
                         ? (size_t)progress->episodes
                         : PROGRESS_EPISODES;
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) sum += progress->returns[i];
    return n > 0 ? sum / (double)n : (double)NAN;
}

void progress_figures(struct progress *progress,
                      const struct algorithm_figures *figures) {
    struct algorithm_figures *sum = &progress->mean.sum;
    progress->mean.n++;
    sum->q_loss += figures->q_loss;
    sum->q_mean += figures->q_mean;
    sum->target_mean += figures->target_mean;
    sum->stein_norm += figures->stein_norm;
    sum->q_gradient += figures->q_gradient;
    sum->f_gradient += figures->f_gradient;
    sum->alpha += figures->alpha;
    sum->entropy += figures->entropy;
    sum->negative += figures->negative;
    sum->degenerate += figures->degenerate;
}

void progress_staleness(struct progress *progress, double sum, uint64_t n) {
    progress->mean.staleness += sum;
    progress->mean.n_staleness += n;
}

static double rate(uint64_t now, uint64_t then, double seconds) {
    return seconds > 0.0 && now > then ? (double)(now - then) / seconds : 0.0;
}

/* ",value", or an empty field when there is none. */
static void field(FILE *csv, double value, bool any) {
    if (any) {
        fprintf(csv, ",%.6g", value);
    } else {
        fputc(',', csv);
    }
}

/* The row whole or, on a full disk, none of it. 0 or a negative errno. */
static int append(FILE *csv, const char *row, size_t len) {
    const int fd = fileno(csv); // stdio would write a part, and go on with it
    const off_t end = lseek(fd, 0, SEEK_END);
    const ssize_t wrote = write(fd, row, len);
    if (wrote >= 0 && (size_t)wrote == len) return 0;
    const int rc = wrote < 0 ? -errno : -ENOSPC;
    if (wrote > 0 && ftruncate(fd, end) != 0)
        log_debug("progress.csv: %s", strerror(errno));
    return rc;
}

void progress_row(struct progress *progress, const struct progress_now *now) {
    char row[1024] = "";
    FILE *csv = fmemopen(row, sizeof(row), "w");
    if (csv == NULL) return; // no memory: the next one
    const struct progress_now *last = &progress->row;
    const struct progress_mean *mean = &progress->mean;
    const struct progress_statistic *statistic = &progress->statistic;
    const double elapsed = now->seconds - last->seconds;
    const double n = (double)mean->n;

    fprintf(csv, "%.3f,%" PRIu64 ",%" PRIu64 ",%.2f,%.2f,%" PRIu64,
            now->seconds, now->updates, now->steps,
            rate(now->updates, last->updates, elapsed),
            rate(now->steps, last->steps, elapsed), progress->episodes);
    field(csv, progress_mean_return(progress), progress->episodes > 0);
    field(csv, mean->sum.q_loss / n, mean->n > 0);
    field(csv, mean->sum.q_mean / n, mean->n > 0);
    field(csv, mean->sum.target_mean / n, mean->n > 0);
    field(csv, mean->sum.stein_norm / n, mean->n > 0);
    field(csv, mean->sum.q_gradient / n, mean->n > 0);
    field(csv, mean->sum.f_gradient / n, mean->n > 0);
    fprintf(csv, ",%" PRIu64 ",%" PRIu64, now->stored, now->present);
    field(csv, mean->staleness / (double)mean->n_staleness,
          mean->n_staleness > 0);
    field(csv, mean->sum.alpha / n, mean->n > 0);
    field(csv, mean->sum.entropy / n, isfinite(mean->sum.entropy / n));
    field(csv, mean->sum.negative / n, mean->n > 0);
    field(csv, mean->sum.degenerate / n, mean->n > 0);
    field(csv, statistic->sum / (double)statistic->n, statistic->n > 0);
    field(csv, statistic->least, statistic->n > 0);
    field(csv, statistic->greatest, statistic->n > 0);
    fputc('\n', csv);
    fclose(csv);
    const int rc = append(progress->csv, row, strlen(row));
    if (rc != 0 && !progress->csv_failed) {
        log_warn("progress.csv: %s; going on without", strerror(-rc));
    }
    progress->csv_failed = rc != 0;
    progress->row = *now;
    progress->mean = (struct progress_mean){0};
    progress->statistic = (struct progress_statistic){0};
}

struct progress_rates progress_rates(const struct progress *progress,
                                     const struct progress_now *now) {
    if (progress->n_window == 0) return (struct progress_rates){0};
    const size_t oldest = progress->n_window < PROGRESS_WINDOW
                              ? 0
                              : progress->n_window % PROGRESS_WINDOW;
    const struct progress_now *then = &progress->window[oldest];
    const double elapsed = now->seconds - then->seconds;
    return (struct progress_rates){
        .updates = rate(now->updates, then->updates, elapsed),
        .steps = rate(now->steps, then->steps, elapsed)};
}

/* Share done and seconds left of one limit (limit > 0). */
static void nearest(double *share, double *left, double at, double limit,
                    double a_second) {
    if (limit <= 0.0) return;
    const double seconds =
        a_second > 0.0 ? fmax(limit - at, 0.0) / a_second : (double)INFINITY;
    *share = fmax(*share, fmin(at / limit, 1.0));
    *left = fmin(*left, seconds);
}

static void format_left(char *text, size_t n, double left) {
    if (left < 100.0) {
        snprintf(text, n, " | %.0f s left", left);
    } else if (left < 6000.0) {
        snprintf(text, n, " | %.0f min left", left / 60);
    } else {
        snprintf(text, n, " | %.1f h left", left / 3600);
    }
}

/* "name at" or "name at/limit" after what stands in text. */
static int format_count(char *text, size_t n, const char *name, uint64_t at,
                        uint64_t limit) {
    return limit > 0
               ? snprintf(text, n, "%s %" PRIu64 "/%" PRIu64, name, at, limit)
               : snprintf(text, n, "%s %" PRIu64, name, at);
}

void progress_format(const struct progress *progress,
                     const struct progress_now *now, const char *waiting,
                     char *text, size_t n) {
    const struct progress_rates r = progress_rates(progress, now);
    double share = -1.0, left = HUGE_VAL;
    nearest(&share, &left, (double)now->updates, (double)progress->max_updates,
            r.updates);
    nearest(&share, &left, (double)now->steps, (double)progress->max_steps,
            r.steps);
    nearest(&share, &left, now->seconds, progress->max_seconds, 1.0);

    char line[512], *at = line, *end = line + sizeof(line);
    if (share >= 0.0) {
        at += snprintf(at, (size_t)(end - at), "%2.0f %% | ",
                       floor(100.0 * share));
    }
    at += format_count(at, (size_t)(end - at), "updates", now->updates,
                       progress->max_updates);
    at += snprintf(at, (size_t)(end - at), " | ");
    at += format_count(at, (size_t)(end - at), "steps", now->steps,
                       progress->max_steps);
    at += snprintf(at, (size_t)(end - at), " | %.0f updates/s | %.0f steps/s",
                   r.updates, r.steps);
    if (progress->episodes > 0) {
        at += snprintf(at, (size_t)(end - at), " | return %.1f",
                       progress_mean_return(progress));
    }
    if (waiting != NULL) {
        snprintf(at, (size_t)(end - at), " | %.128s", waiting);
    } else if (left < (double)INFINITY) {
        format_left(at, (size_t)(end - at), left);
    }
    snprintf(text, n, "%s", line);
}

void progress_line(struct progress *progress, const struct progress_now *now,
                   const char *waiting) {
    char text[512];
    progress_format(progress, now, waiting, text, sizeof(text));
    progress->window[progress->n_window++ % PROGRESS_WINDOW] = *now;
    if (progress->live) {
        printf("\r%s\033[K", text);
        fflush(stdout);
        progress->begun = true;
    } else if (progress->lines && now->seconds >= progress->next_line) {
        printf("%s\n", text);
        fflush(stdout);
        progress->next_line = now->seconds + line_every;
    }
}
