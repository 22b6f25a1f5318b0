#ifndef PROTO_COMPLAINT_H
#define PROTO_COMPLAINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

/*
 * What a stranger does is logged once a sender and minute and counted in
 * between, so that a thousand senders cannot make a thousand lines a minute.
 * Pure: the caller logs, and time comes in. Zeroed is empty.
 */
struct complaint {
    char who[WIRE_NAME_LEN];
    uint64_t since_ms, count;
};

struct complaints {
    struct complaint list[32]; /* the last one: all others */
};

/*
 * May it be logged now? Then before (n bytes) is "" or says how many went
 * unsaid.
 */
bool complaint_due(struct complaint *complaint, const char *who,
                   uint64_t now_ms, char *before, size_t n);

/* The same of one of many; *who becomes "many senders" when there are too many
 * to tell apart. */
bool complaints_due(struct complaints *complaints, const char **who,
                    uint64_t now_ms, char *before, size_t n);

#endif
