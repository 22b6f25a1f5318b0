#ifndef LEARNER_CSV_H
#define LEARNER_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A table of the run in its folder (progress.csv, evaluations.csv): a line of
 * names, then rows, of which the first two columns are seconds and updates.
 * Rows are appended whole or not at all; a learner that goes on from a
 * checkpoint takes back what came after it.
 */
struct csv {
    /* of the rows that were kept: how many, the last one's seconds and the
     * most updates */
    size_t kept;
    double seconds;
    uint64_t updates;

    /* private */
    bool open, failed;
    int fd;
    const char *name;
};

/*
 * Cut RUN/name back to rows of at most `updates` updates (0: to none), under
 * the line `head`, or begin it, and open it. name is borrowed. Returns 0 or a
 * negative errno; a zeroed one may be finished.
 */
int csv_start(struct csv *csv, const char *run, const char *name,
              const char *head, uint64_t updates);
void csv_finish(struct csv *csv);

/* row with its newline. A full disk is warned of once and never stops us. */
void csv_append(struct csv *csv, const char *row);

#endif
