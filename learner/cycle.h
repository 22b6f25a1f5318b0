#ifndef LEARNER_CYCLE_H
#define LEARNER_CYCLE_H

#include <stdint.h>

#include <uv.h>

#include "learner/feed.h"
#include "learner/registry.h"

/*
 * The learner's cycle: listed shards are sampled ahead, complete minibatches
 * go to the trainer when the limiter lets an update start, its results free
 * their slots and now and then bring parameters or a checkpoint.
 */
struct learner;

/* The spec is known: create algorithm and feed, publish the sampler as it is.
 * 0, or an exit status after one log line. */
int cycle_start(struct learner *learner, struct wire_spec spec);

/* Do whatever can be done now: hand over, ask ahead, grant. */
void cycle_pump(struct learner *learner);

/* uv_async of the trainer. */
void cycle_on_results(uv_async_t *async);

/* The feed's clock. */
uint64_t cycle_us(void);

/* Ask for one part (feed.ask). */
void cycle_ask(void *data, const struct feed_ask *ask);
/* Parts that are late, or whose shard is gone. */
void cycle_expire(struct learner *learner);
/* Ask for a copy of the sampler when it is time. */
void cycle_publish(struct learner *learner, uint64_t now_ms);

/* A shard's numbers came: to registry and limiter. */
void cycle_report(struct learner *learner, struct registry_shard *shard,
                  uint64_t stored, uint64_t present);

#endif
