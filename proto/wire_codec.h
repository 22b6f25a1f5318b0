#ifndef PROTO_WIRE_CODEC_H
#define PROTO_WIRE_CODEC_H

#include "proto/softq.pb-c.h"
#include "proto/wire.h"

/*
 * Between wire.c and its two halves: wire_in.c (protobuf-c's structs into ours,
 * with all validation) and wire_out.c (ours into protobuf-c's). Private to the
 * library: generated types go no further.
 */

/* The allocator of one received message: bounded, freed as a whole. */
struct wire_arena {
    struct wire_block *blocks;
    size_t left; /* bytes that may still be allocated */
};
/* Aligned for any type; NULL when over budget or out of memory. */
void *wire_arena_alloc(struct wire_arena *arena, size_t size);

/* Where a validation failed. */
struct wire_in {
    struct wire_arena *arena;
    char *why;
    size_t n;
};
/* Fill *to from a body of `type`. 0, -EBADMSG, -EDOM or -ENOMEM and why. */
int wire_in_body(const struct wire_in *in, enum wire_type type,
                 const Softq__Envelope *from, struct wire_message *to);

/* What a packed message points into besides the caller's own memory. */
struct wire_out {
    union {
        Softq__Hello hello;
        Softq__Welcome welcome;
        Softq__Refused refused;
        Softq__Ready ready;
        Softq__Nothing nothing;
        Softq__Heartbeat heartbeat;
        Softq__GetParameters get_parameters;
        Softq__Parameters parameters;
        Softq__NotModified not_modified;
        Softq__Insert insert;
        Softq__Answer answer;
        Softq__Sample sample;
        Softq__Minibatch minibatch;
        Softq__Grant grant;
        Softq__ShardReady shard_ready;
        Softq__Episodes episodes;
        Softq__Received received;
        Softq__Text text;
    } body;
    Softq__Topology topology;
    Softq__Spec spec;
    Softq__Counters counters;
    Softq__Evaluation evaluation;
    Softq__Rows rows;
    char reason[256];
    union {
        struct {
            Softq__Shard shard[WIRE_MAX_SHARDS];
            Softq__Shard *pointer[WIRE_MAX_SHARDS];
        } shards;
        struct {
            double returns[WIRE_MAX_EPISODES];
            uint64_t lengths[WIRE_MAX_EPISODES];
            uint64_t versions[WIRE_MAX_EPISODES];
            uint8_t n_stats[WIRE_MAX_EPISODES];
            double stats[WIRE_MAX_EPISODES * WIRE_MAX_STATS];
        } episodes;
    } lists;
};
void wire_out_body(struct wire_out *out, const struct wire_message *from,
                   Softq__Envelope *to);

/*
 * Pack a minibatch but for its rows' columns, of which from has the lengths
 * alone: columns says where they go. Returns the bytes of the whole.
 */
size_t wire_out_open(const Softq__Envelope *from, uint8_t *data,
                     struct batch_columns *columns);

#endif
