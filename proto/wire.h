#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"

/*
 * The messages (softq.proto), as plain structs. Everything that arrives is
 * validated here and nowhere else: lengths, counts against the bytes that are
 * there, names, enums, finite numbers, shapes. One protobuf message a ZeroMQ
 * message; columns of numbers are little-endian bytes.
 */

enum { WIRE_PROTOCOL = 1, WIRE_NAME_LEN = 65, WIRE_ADDRESS_LEN = 128,
       WIRE_KEY_LEN = 65,
       WIRE_MAX_SHARDS = 256, WIRE_MAX_EPISODES = 256, WIRE_MAX_STATS = 8,
       WIRE_MAX_DIM = 4096, WIRE_MAX_ROWS = 65536,
       WIRE_MAX_TEXT = 65536 };

enum wire_role { WIRE_ACTOR = 1, WIRE_SHARD, WIRE_EVALUATOR, WIRE_OBSERVER };

enum wire_type {
    WIRE_HELLO = 1, WIRE_WELCOME, WIRE_REFUSED, WIRE_READY, WIRE_GO,
    WIRE_HEARTBEAT, WIRE_GET_PARAMETERS, WIRE_PARAMETERS, WIRE_NOT_MODIFIED,
    WIRE_INSERT, WIRE_INSERTED, WIRE_BUSY, WIRE_ROOM, WIRE_SAMPLE,
    WIRE_MINIBATCH, WIRE_GRANT, WIRE_SHARD_READY, WIRE_TOPOLOGY,
    WIRE_EPISODES, WIRE_RECEIVED, WIRE_STOP, WIRE_STATUS, WIRE_STATUS_REPLY,
};

/* "insert", for logs; "?" when unknown. */
const char *wire_type_name(enum wire_type type);

/* "actor"; "?" when unknown. */
const char *wire_role_name(enum wire_role role);
/* Back; 0 when there is no such role. */
enum wire_role wire_role_of(const char *name);

/* S or A 0: not known yet. */
struct wire_spec {
    uint32_t obs_dim, act_dim;
};

/* An actor's task: S and A at least 1. */
struct wire_ready {
    struct wire_spec spec;
    uint64_t model; /* hash of the files that it is made of (env_spec.hash); 0: none */
};

enum wire_shard_state { WIRE_SHARD_LISTED = 1, WIRE_SHARD_DEAD };

struct wire_shard {
    uint32_t index;
    char address[WIRE_ADDRESS_LEN];
    uint64_t incarnation;
    enum wire_shard_state state;
    char key[WIRE_KEY_LEN]; /* its public key, 64 lower-case hexadecimal digits;
                               "": it serves without keys */
};

struct wire_topology {
    uint64_t version;
    struct wire_spec spec;
    uint32_t n;
    struct wire_shard *shards; /* (n) */
};

struct wire_hello {
    enum wire_role role;
    char build[32];                 /* version of the program */
    char endpoint[WIRE_ADDRESS_LEN]; /* shard: where actors reach it; "" otherwise */
    uint32_t index;                 /* shard: its index */
};

struct wire_welcome {
    uint64_t rank;
    uint64_t ordinal;    /* peers of the same role with a lower rank */
    const char *options; /* shared options, config_apply_shared(); not terminated */
    size_t options_len;
    struct wire_topology topology;
};

/* What a program may decide on; 0: reason says it all. */
enum wire_refusal {
    WIRE_CODE_OTHER = 0,
    WIRE_CODE_ILL_FORMED, /* bytes that did not validate */
    WIRE_CODE_NON_FINITE, /* NaN or infinity among the numbers */
    WIRE_CODE_PROTOCOL,   /* another protocol version */
    WIRE_CODE_RUN,        /* this address serves another run */
    WIRE_CODE_STALE,      /* Insert: seq is below the mask */
    WIRE_CODE_OLDER,      /* a newer incarnation has the name */
    WIRE_CODE_FINAL,      /* never ask again: exit 2 */
    WIRE_CODE_KEY,        /* the sender's key may not say this, as it stands */
};

/* Why a message was not accepted; about: the type it answers, 0 unknown. */
struct wire_refused {
    enum wire_type about;
    uint64_t seq; /* Insert: the batch, else 0 */
    enum wire_refusal code;
    char reason[256];
};

/* Running totals of the sender; zero where they mean nothing. */
struct wire_counters {
    uint64_t steps, episodes, acknowledged, outstanding, busy, discarded;
    uint64_t stored, present, capacity, store_until, duplicates, refused;
    uint64_t sampled, bad_messages, policy_version, waiting;
    uint64_t keys_refused; /* handshakes and messages */
    uint64_t dropped;      /* rows, by on_full = drop */
};

/* Answers by how long they took, as histogram_pack() writes them. */
struct wire_latencies {
    const uint32_t *pairs; /* (n) borrowed from the message */
    uint32_t n;            /* at most HISTOGRAM_BUCKETS */
};

/*
 * What an evaluator found. Numbers are finite and not negative but for the
 * return; they mean nothing without episodes.
 */
struct wire_evaluation {
    uint64_t version;  /* of the parameters that played, 0: none yet */
    uint64_t episodes; /* that ended */
    uint64_t unstable; /* that the simulator gave up on */
    double mean_return, std_return, mean_length;
    bool has_goals;    /* the task has goals ... */
    uint64_t reached;  /* ... and so many episodes ended at one */
};

struct wire_heartbeat {
    uint64_t topology_version;
    struct wire_counters counters;
    bool has_grant; /* learner -> shard */
    uint64_t store_until;
    struct wire_latencies inserts, pulls; /* actor: since its last one */
    struct wire_evaluation evaluation;    /* evaluator: its last one */
};

struct wire_get_parameters {
    uint64_t have, round; /* version; round 0 outside lockstep */
};

/* A policy (common/policy.h); its columns are borrowed from the message. */
struct wire_parameters {
    uint64_t version, round;
    float alpha;        /* temperature, > 0 */
    const float *phi;   /* (P) sampler */
    size_t count;       /* P */
    const float *noise; /* (n, A) what xi is drawn from */
    size_t noise_count; /* n A; 0: xi ~ N(0, I) */
    const float *mean, *scale; /* (S) of observations */
    size_t observed;    /* S; 0: observations are taken as they are */
};

/* rows.version is a column; rows.n >= 1, S and A as the rows say. */
struct wire_insert {
    uint64_t epoch, seq, rank;
    struct batch rows; /* columns borrowed from the message when received */
};

struct wire_answer { /* Inserted, Busy */
    uint64_t epoch, seq;
};

struct wire_sample {
    uint64_t id, update;
    uint32_t part, n;
    uint64_t store_until; /* the grant rides along */
};

struct wire_minibatch {
    uint64_t id;
    uint32_t part;
    struct batch rows;     /* n may be 0: the ring has none */
    uint64_t size, stored; /* rows present; highest row number ever stored + 1 */
    /* To send: writes the columns of rows into the message, unless rows.n is 0;
     * rows holds n, S and A only. NULL: its columns are copied. */
    void (*fill)(void *data, const struct batch_columns *columns);
    void *fill_data;
};

struct wire_grant {
    uint64_t store_until;
};

struct wire_shard_ready {
    uint64_t ring_id;
    struct wire_spec spec;
    uint64_t row_bytes, capacity, present, stored;
};

struct wire_episode {
    double ret;
    uint64_t length, version;
    uint32_t n_stats;
    double stats[WIRE_MAX_STATS]; /* as the task defines them */
};

struct wire_episodes {
    uint64_t epoch, first; /* number of the first one in this list */
    uint32_t n;
    const struct wire_episode *list; /* (n) */
};

struct wire_received {
    uint64_t epoch, next; /* first number not yet received */
};

struct wire_text { /* Stop: reason; StatusReply: "name value" lines */
    const char *text; /* not terminated */
    size_t len;
};

struct wire_message {
    uint32_t protocol;
    uint64_t run;         /* run id; 0 from a peer that was not welcomed yet */
    char name[WIRE_NAME_LEN]; /* [A-Za-z0-9._-], 1 to 64 */
    uint64_t incarnation; /* random bits a start */
    enum wire_type type;
    union {
        struct wire_hello hello;
        struct wire_welcome welcome;
        struct wire_refused refused;
        struct wire_ready ready;
        struct wire_heartbeat heartbeat;
        struct wire_get_parameters get_parameters;
        struct wire_parameters parameters;
        uint64_t not_modified; /* version */
        struct wire_insert insert;
        struct wire_answer answer;
        struct wire_sample sample;
        struct wire_minibatch minibatch;
        struct wire_grant grant;
        struct wire_shard_ready shard_ready;
        struct wire_topology topology;
        struct wire_episodes episodes;
        struct wire_received received;
        struct wire_text text;
    };
    void *owner; /* private: what wire_free() releases; NULL when built by hand */
};

/*
 * Bytes of a message into a freshly malloc'ed block (*data, owned by the
 * caller: free(), or hand it to zmq_msg_init_data). Returns 0 or -ENOMEM.
 * Lengths, counts and names outside their bounds are our own bug and asserted;
 * numbers are sent as they are (check them where they are made).
 */
int wire_pack(const struct wire_message *message, void **data, size_t *len);

/*
 * Parse and validate. The bytes may go after the call: the message keeps what
 * it needs until wire_free(). Float and integer columns in it are aligned.
 * Memory used is at most about three times len.
 *
 * Returns 0, or with one line in why (n bytes) and nothing to free: -ENOMEM,
 * -EPROTONOSUPPORT (another protocol version), -EDOM (a number that is not
 * finite; all else is valid) or -EBADMSG. On these errors the message still
 * holds what could be read of protocol, run, name ("" when unknown),
 * incarnation, type (0 when unknown) and an Insert's epoch, seq and rank, so
 * that the sender can be told; everything else in it is zero.
 */
int wire_unpack(struct wire_message *message, const void *data, size_t len,
                char *why, size_t n);
void wire_free(struct wire_message *message);

/* Of protobuf-c: "1.4.1". */
void wire_protobuf_version(char *text, size_t n);

/* A valid peer name? */
bool wire_name_ok(const char *name);

/* "", or 64 lower-case hexadecimal digits? */
bool wire_key_ok(const char *key);

/* The longest message these shapes can make, for link_*_max_size(); at least
 * 4 MiB, SIZE_MAX when it overflows. */
size_t wire_max_size(const struct wire_spec *spec, uint64_t rows,
                     uint64_t parameters);

#endif
