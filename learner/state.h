#ifndef LEARNER_STATE_H
#define LEARNER_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "learner/limiter.h"
#include "learner/registry.h"

/*
 * RUN/state: what must outlive the learner beside its checkpoints. Text, one
 * fact a line:
 *
 *   state 2            the version of this text; earlier ones lack this line
 *   run 9f3c...        random id of the run, hexadecimal
 *   generation 3       how often a learner started here
 *   task multigoal
 *   spec 2 2           obs_dim and act_dim, once known
 *   model 8f1e...      hash of the task's files, once an actor has said it;
 *                      0: none
 *   name actor-0 actor  in rank order, with its role; without one as older
 *                      versions wrote it: not known until its next Hello;
 *                      behind it the public key that the name belongs to, if
 *                      it was first used with one
 *   ring 01ab... 5120  ring id and highest stored total reported
 *   shard 0 2 8e11... ipc://...
 *                      index, rank, incarnation and address of a shard that
 *                      was listed: actors may still wait for its answers
 *   checksum 51fe...   hash_bytes() of all lines before
 *
 * and RUN/lock, which one learner holds as long as it lives.
 */
struct state {
    uint64_t run, generation;
    char task[WIRE_NAME_LEN];
};

/* The whole text, malloc'ed (owned by the caller); NULL when out of memory. */
char *state_print(const struct state *state, const struct registry *registry,
                  const struct limiter *limiter, size_t *len);

/*
 * Read it back: names and shards into registry and rings into limiter, both just
 * initialised. Returns 0, -ENOMEM, or -EBADMSG with one line in why (n bytes).
 */
int state_parse(struct state *state, const char *text,
                struct registry *registry, struct limiter *limiter, char *why,
                size_t n);

/* RUN/state as malloc'ed text; -ENOENT when this run never had a learner. */
int state_read(char **text, const char *run);

/*
 * Lock RUN/lock and write our pid into it. Returns the descriptor, held until
 * exit, -EWOULDBLOCK with the holder's pid in *pid, or another errno.
 */
int state_lock(const char *run, long *pid);

#endif
