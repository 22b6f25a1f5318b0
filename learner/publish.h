#ifndef LEARNER_PUBLISH_H
#define LEARNER_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/policy.h"
#include "proto/link.h"

/*
 * The newest parameters: one packed message a version, shared by reference by
 * all who ask, at most `rate` answers a second.
 */
struct publish {
    struct link_server *server; /* borrowed */
    uint64_t version;           /* 0: nothing published yet */
    uint64_t answers;           /* Parameters sent */
    struct link_packed packed;  /* the newest version's message */

    /* private */
    bool packed_any;
    double rate, tokens;
    uint64_t refilled_ms;
};

void publish_init(struct publish *publish, struct link_server *server,
                  double rate);
void publish_finish(struct publish *publish);

/* policy is copied. round: of lockstep, else 0. 0 or -ENOMEM (the old version
 * stays). */
int publish_set(struct publish *publish, uint64_t version, uint64_t round,
                const struct policy *policy);

/*
 * Answer GetParameters(have): NotModified, Parameters, or -EAGAIN when nothing
 * is published yet or the rate is used up (ask again later).
 */
int publish_answer(struct publish *publish, const struct link_route *to,
                   uint64_t have, uint64_t now_ms);

#endif
