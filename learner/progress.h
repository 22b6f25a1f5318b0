#ifndef LEARNER_PROGRESS_H
#define LEARNER_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/config.h"
#include "learner/algorithm.h"

/*
 * How the run goes: one line on stdout (live on a terminal, every 5 s
 * otherwise) and rows of RUN/progress.csv. Seconds are the run's, over all
 * learners that served it.
 */
enum { PROGRESS_EPISODES = 100, PROGRESS_WINDOW = 10 };

struct progress_now {
    double seconds;
    uint64_t updates, steps;
    uint64_t stored, present; /* rows in the listed shards */
};

struct progress {
    uint64_t max_updates, max_steps;
    double max_seconds;
    double seconds_before;   /* of earlier learners of this run */
    uint64_t episodes;       /* since this learner started */
    struct progress_now row; /* at the last row of the file */

    /* private */
    FILE *csv;
    bool csv_failed, live, lines, begun;
    double returns[PROGRESS_EPISODES]; /* of the last episodes, a ring */
    double next_line;
    size_t n_window;
    struct progress_now window[PROGRESS_WINDOW]; /* a ring, for the rates */
    struct progress_mean {
        uint64_t n, n_staleness;
        double staleness;
        struct algorithm_figures sum;
    } mean; /* since the last row */
    struct progress_statistic {
        uint64_t n;
        double sum, least, greatest;
    } statistic; /* since the last row */
};

/*
 * Cut RUN/progress.csv back to rows of at most `updates` updates, or start it,
 * and open it. updates and steps: where this learner begins. Returns 0 or a
 * negative errno.
 */
int progress_start(struct progress *progress, const struct config *config,
                   uint64_t updates, uint64_t steps);
void progress_finish(struct progress *progress);

void progress_episode(struct progress *progress, double ret);
/* What else an episode ended with: the first number of the task's own. */
void progress_statistic(struct progress *progress, double x);
void progress_figures(struct progress *progress,
                      const struct algorithm_figures *figures);
/* Updates between acting and learning: the sum over n rows. */
void progress_staleness(struct progress *progress, double sum, uint64_t n);

/* Mean return of the last episodes; NaN when none. */
double progress_mean_return(const struct progress *progress);

/* A row of the file. A full disk is warned of once and never stops us. */
void progress_row(struct progress *progress, const struct progress_now *now);

/* Call about every half second. waiting: in words what the run waits for, or
 * NULL. Prints when it is time. */
void progress_line(struct progress *progress, const struct progress_now *now,
                   const char *waiting);

/* Over the last seconds, as the line shows them. */
struct progress_rates {
    double updates, steps; /* a second */
};
struct progress_rates progress_rates(const struct progress *progress,
                                     const struct progress_now *now);

/* The line itself, without its end; for tests too. */
void progress_format(const struct progress *progress,
                     const struct progress_now *now, const char *waiting,
                     char *text, size_t n);

#endif
