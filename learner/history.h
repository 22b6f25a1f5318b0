#ifndef LEARNER_HISTORY_H
#define LEARNER_HISTORY_H

#include <stddef.h>

/*
 * The course of a run for its page's curves: evenly spaced points, never more
 * than HISTORY_MOST of them. When full every second one goes and new ones come
 * half as often. Pure.
 */
enum { HISTORY_MOST = 720, HISTORY_SERIES = 12 };

struct history {
    size_t n;
    /* private */
    size_t stride, skipped; /* of the points given, every so many is kept */
    double points[HISTORY_MOST][HISTORY_SERIES];
};

/* What the series are called, in the order of a point. */
extern const char *const history_names[HISTORY_SERIES];

/* point (HISTORY_SERIES), NAN: not known. A zeroed history is empty. */
void history_add(struct history *history, const double *point);

#endif
