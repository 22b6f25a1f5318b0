#ifndef LEARNER_STATUS_H
#define LEARNER_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include "common/config.h"

struct learner;

/* What Status was answered with last: with thousands of peers it costs
 * milliseconds, whoever asks. Zeroed is ready. */
struct status {
    char *text;
    size_t len;
    uint64_t ms; /* loop time */
};

/* "name value" a line, cut to what a message takes, as it was at most 100 ms
 * ago; the learner's until the next call, NULL when out of memory. */
const char *status_text(struct learner *learner, size_t *len);
void status_finish(struct status *status);

/*
 * softq-learner --status=RUN|ADDRESS: ask a learner or a shard and print what
 * it answers. Returns an exit status.
 */
int status_query(const struct config *config);

#endif
