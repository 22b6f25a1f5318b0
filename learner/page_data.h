#ifndef LEARNER_PAGE_DATA_H
#define LEARNER_PAGE_DATA_H

#include <stddef.h>

#include "learner/history.h"

/* What the learner's page shows, as JSON text, malloc'ed (the caller's); NULL
 * when out of memory. */
struct learner;

enum {
    PAGE_ACTORS = 50
}; /* shown: those that were silent for longest first,
      then those whose policies lag most */

/*
 * {"run": {...}, "metrics": {name: value}, "why": [sentence], "shards": [...],
 *  "actors": {"here", "silent", "shown": [...]}}
 */
char *page_data_status(const struct learner *learner, size_t *len);

/* {series: [value or null], ...}, one value a point. */
char *page_data_history(const struct history *history, size_t *len);

/* This moment as a point of a history. point out (HISTORY_SERIES). */
void page_data_point(const struct learner *learner, double *point);

#endif
