#ifndef LEARNER_METRICS_H
#define LEARNER_METRICS_H

#include <stddef.h>
#include <stdio.h>

/*
 * The learner's numbers, each named once: for `softq-learner --status`, for
 * /status.json and, with "softq_" before and "_total" behind a counter, for
 * Prometheus.
 */
struct learner;

enum metric_kind { METRIC_GAUGE, METRIC_COUNTER };

struct metric {
    const char *name; /* snake case, ends with its unit */
    enum metric_kind kind;
    const char *help; /* one line */
    double value;     /* NAN: not known, left out */
};

enum { METRICS_MOST = 96 };

/* All of them but NANs. list out (METRICS_MOST). Returns how many. */
size_t metrics_list(const struct learner *learner, struct metric *list);

/* Prometheus' text format, version 0.0.4: those, and series by shard, the
 * least, median and greatest over the actors, and the histogram of stale
 * rows. */
void metrics_print(const struct learner *learner, FILE *out);

/* Updates between the newest parameters and those that the actor says it acts
 * with; NAN: none yet, or of an earlier generation. */
struct registry_peer;
double metrics_lag(const struct learner *learner,
                   const struct registry_peer *actor);

#endif
