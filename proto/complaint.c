#include "proto/complaint.h"

#include <stdio.h>
#include <string.h>

enum { EACH_MS = 60 * 1000 };

bool complaint_due(struct complaint *complaint, const char *who,
                   uint64_t now_ms, char *before, size_t n) {
    const bool same = strcmp(complaint->who, who) == 0;
    before[0] = '\0';
    if (same && who[0] != '\0' && now_ms - complaint->since_ms < EACH_MS) {
        complaint->count++;
        return false;
    }
    if (same && complaint->count > 0) {
        snprintf(before, n, " (and %llu since the last such line)",
                 (unsigned long long)complaint->count);
    }
    snprintf(complaint->who, sizeof(complaint->who), "%s", who);
    complaint->since_ms = now_ms;
    complaint->count = 0;
    return true;
}

/* The sender's own line, a free or expired one, else the shared last. */
static struct complaint *line_of(struct complaints *complaints,
                                 const char **who, uint64_t now_ms) {
    const size_t last =
        sizeof(complaints->list) / sizeof(complaints->list[0]) - 1;
    struct complaint *free_one = NULL;
    for (size_t i = 0; i < last; i++) {
        struct complaint *c = &complaints->list[i];
        if (strcmp(c->who, *who) == 0) return c;
        const bool old = c->who[0] == '\0' || now_ms - c->since_ms >= EACH_MS;
        if (old && free_one == NULL) free_one = c;
    }
    if (free_one != NULL) return free_one;
    *who = "many senders";
    return &complaints->list[last];
}

bool complaints_due(struct complaints *complaints, const char **who,
                    uint64_t now_ms, char *before, size_t n) {
    struct complaint *complaint = line_of(complaints, who, now_ms);
    return complaint_due(complaint, *who, now_ms, before, n);
}
