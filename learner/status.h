#ifndef LEARNER_STATUS_H
#define LEARNER_STATUS_H

#include <stddef.h>

#include "common/config.h"

struct learner;

/* "name value" a line, malloc'ed (the caller's), cut to what a message takes;
 * NULL when out of memory. */
char *status_text(const struct learner *learner, size_t *len);

/*
 * softq-learner --status=RUN|ADDRESS: ask a learner or a shard and print what
 * it answers. Returns an exit status.
 */
int status_query(const struct config *config);

#endif
