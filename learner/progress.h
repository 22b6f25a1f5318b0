#ifndef LEARNER_PROGRESS_H
#define LEARNER_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "learner/algorithm.h"
#include "learner/csv.h"
#include "learner/events.h"
#include "proto/wire.h"

/*
 * How the run goes: one line on stdout (live on a terminal, every 5 s
 * otherwise) and rows of RUN/progress.csv, which TensorBoard shows too
 * (events.h; one row in PROGRESS_HISTOGRAMS also with histograms). Seconds are
 * the run's, over all learners that served it.
 */
enum {
    PROGRESS_EPISODES = 100,
    PROGRESS_WINDOW = 10,
    PROGRESS_ACTIONS = 16, /* dimensions of which there are histograms */
    PROGRESS_HISTOGRAMS = 15,
    PROGRESS_FIGURES = sizeof(struct algorithm_figures) / sizeof(double),
};

struct progress_now {
    double seconds;
    uint64_t updates, steps;
    uint64_t stored, present; /* rows in the listed shards */
    double wall;              /* s since 1970 */
};

struct progress {
    uint64_t generation, max_updates, max_steps;
    double max_seconds;
    double seconds_before;   /* of earlier learners of this run */
    uint64_t episodes;       /* since this learner started */
    struct progress_now row; /* at the last row of the file */

    /* private */
    struct csv csv;
    bool live, lines, begun;
    double returns[PROGRESS_EPISODES]; /* of the last episodes, a ring */
    double next_line;
    size_t n_window;
    struct progress_now window[PROGRESS_WINDOW]; /* a ring, for the rates */
    struct progress_mean {
        double sum[PROGRESS_FIGURES], n[PROGRESS_FIGURES];
        double ages, n_ages;
    } mean; /* since the last row */
    struct progress_statistic {
        uint64_t n;
        double sum, least, greatest;
    } statistic; /* since the last row */
    struct events events;
    uint64_t until_histograms; /* events */
    uint64_t evaluated;        /* updates of the last evaluation among them */
    /* since the last ones: of the executed actions, a dimension each, and of
     * updates between acting and learning */
    struct events_histogram actions[PROGRESS_ACTIONS], ages;
};

/*
 * Cut RUN/progress.csv back to rows of at most `updates` updates, or start it,
 * and open it. updates and steps: where this learner, the run's generation-th,
 * begins. Returns 0 or a negative errno.
 */
int progress_start(struct progress *progress, const struct config *config,
                   uint64_t generation, uint64_t updates, uint64_t steps);
void progress_finish(struct progress *progress);

void progress_episode(struct progress *progress, double ret);
/* What else an episode ended with: the first number of the task's own. */
void progress_statistic(struct progress *progress, double x);
void progress_figures(struct progress *progress,
                      const struct algorithm_figures *figures);
/* Updates between acting on a row and learning from it. */
void progress_age(struct progress *progress, uint64_t age);
/* The actions of a minibatch that is learned from. */
void progress_actions(struct progress *progress, const struct batch *rows);

/* Mean return of the last episodes; NaN when none. */
double progress_mean_return(const struct progress *progress);

/* Seconds since 1970. */
double progress_wall(void);

/* A row of the file. A full disk is warned of once and never stops us. */
void progress_row(struct progress *progress, const struct progress_now *now);

/*
 * An evaluation of the parameters after `updates` updates, for TensorBoard. One
 * that comes after that of later parameters is left out: lines are drawn in the
 * order of events.
 */
void progress_evaluation(struct progress *progress,
                         const struct wire_evaluation *evaluation,
                         uint64_t updates, double wall);

/* Call about every half second. waiting: in words what the run waits for, or
 * NULL. Prints when it is time. */
void progress_line(struct progress *progress, const struct progress_now *now,
                   const char *waiting);

/* "name value" on a line of its own, where progress is shown at all. */
void progress_note(const struct progress *progress, const char *name,
                   const char *value);

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
