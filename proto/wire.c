#include "proto/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire_codec.h"

static const char *const type_names[] = {
    [WIRE_HELLO] = "hello",
    [WIRE_WELCOME] = "welcome",
    [WIRE_REFUSED] = "refused",
    [WIRE_READY] = "ready",
    [WIRE_GO] = "go",
    [WIRE_HEARTBEAT] = "heartbeat",
    [WIRE_GET_PARAMETERS] = "get parameters",
    [WIRE_PARAMETERS] = "parameters",
    [WIRE_NOT_MODIFIED] = "not modified",
    [WIRE_INSERT] = "insert",
    [WIRE_INSERTED] = "inserted",
    [WIRE_BUSY] = "busy",
    [WIRE_ROOM] = "room",
    [WIRE_SAMPLE] = "sample",
    [WIRE_MINIBATCH] = "minibatch",
    [WIRE_GRANT] = "grant",
    [WIRE_SHARD_READY] = "shard ready",
    [WIRE_TOPOLOGY] = "topology",
    [WIRE_EPISODES] = "episodes",
    [WIRE_RECEIVED] = "received",
    [WIRE_STOP] = "stop",
    [WIRE_STATUS] = "status",
    [WIRE_STATUS_REPLY] = "status reply",
};

static bool type_ok(int type) {
    return type >= WIRE_HELLO && type <= WIRE_STATUS_REPLY;
}

const char *wire_type_name(enum wire_type type) {
    return type_ok((int)type) ? type_names[type] : "?";
}

static const char *const role_names[] = {
    [WIRE_ACTOR] = "actor",
    [WIRE_SHARD] = "shard",
    [WIRE_EVALUATOR] = "evaluator",
    [WIRE_OBSERVER] = "observer",
};

const char *wire_role_name(enum wire_role role) {
    return role >= WIRE_ACTOR && role <= WIRE_OBSERVER ? role_names[role] : "?";
}

enum wire_role wire_role_of(const char *name) {
    for (int role = WIRE_ACTOR; role <= WIRE_OBSERVER; role++) {
        if (strcmp(role_names[role], name) == 0) return (enum wire_role)role;
    }
    return (enum wire_role)0;
}

bool wire_name_ok(const char *name) {
    size_t n = 0;
    while (name[n] != '\0' && n < WIRE_NAME_LEN) {
        char c = name[n];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool other = (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (!letter && !other) return false;
        n++;
    }
    return n >= 1 && n < WIRE_NAME_LEN;
}

bool wire_key_ok(const char *key) {
    const size_t n = strspn(key, "0123456789abcdef");
    return key[n] == '\0' && (n == 0 || n == WIRE_KEY_LEN - 1);
}

/*
 * One malloc a block, so that a sanitizer sees each one's end. protobuf-c's own
 * growth (lists of empty submessages, unknown fields, repeated bodies) ends at
 * the budget instead of at the machine's memory.
 */
struct wire_block {
    struct wire_block *next;
    _Alignas(16) unsigned char data[];
};

void *wire_arena_alloc(struct wire_arena *arena, size_t size) {
    size_t cost = size + sizeof(struct wire_block);
    if (size > arena->left || cost > arena->left) return NULL;
    struct wire_block *block = malloc(cost);
    if (block == NULL) return NULL;
    arena->left -= cost;
    block->next = arena->blocks;
    arena->blocks = block;
    return block->data;
}

static void *arena_alloc(void *arena, size_t size) {
    return wire_arena_alloc(arena, size);
}

static void arena_keep(void *arena, void *block) {
    (void)arena, (void)block; /* freed with the whole */
}

static void arena_free(struct wire_block *block) {
    while (block != NULL) {
        struct wire_block *next = block->next;
        free(block);
        block = next;
    }
}

int wire_pack(const struct wire_message *message, void **data, size_t *len) {
    assert(type_ok((int)message->type));
    assert(wire_name_ok(message->name));
    struct wire_out out;
    Softq__Envelope envelope = SOFTQ__ENVELOPE__INIT;
    envelope.protocol = message->protocol;
    envelope.run = message->run;
    envelope.name = (char *)message->name;
    envelope.incarnation = message->incarnation;
    wire_out_body(&out, message, &envelope);

    *len = softq__envelope__get_packed_size(&envelope);
    *data = malloc(*len);
    if (*data == NULL) return -ENOMEM;
    const struct wire_minibatch *minibatch = &message->minibatch;
    size_t written = 0;
    if (message->type == WIRE_MINIBATCH && minibatch->fill != NULL &&
        minibatch->rows.n > 0) {
        struct batch_columns columns;
        written = wire_out_open(&envelope, *data, &columns);
        minibatch->fill(minibatch->fill_data, &columns);
    } else {
        written = softq__envelope__pack(&envelope, *data);
    }
    assert(written == *len);
    (void)written;
    return 0;
}

/*
 * The version alone, readable even where the rest is of a later version: our
 * encoder writes field 1 first. 0 when it is not there.
 */
static uint32_t peek_protocol(const uint8_t *data, size_t len) {
    bool ours = len >= 2 && data[0] == 0x08 && data[1] < 0x80;
    return ours ? data[1] : 0;
}

static void envelope_in(const Softq__Envelope *from, struct wire_message *to) {
    to->protocol = from->protocol;
    to->run = from->run;
    to->incarnation = from->incarnation;
    if (wire_name_ok(from->name)) {
        memcpy(to->name, from->name, strlen(from->name) + 1);
    }
    if (type_ok((int)from->body_case - 10)) {
        to->type = (enum wire_type)((int)from->body_case - 10);
    }
}

/* Leave in message only what its sender may be told about. */
static void keep_header(struct wire_message *message) {
    struct wire_message kept = {
        .protocol = message->protocol,
        .run = message->run,
        .incarnation = message->incarnation,
        .type = message->type,
    };
    memcpy(kept.name, message->name, sizeof(kept.name));
    if (message->type == WIRE_INSERT) {
        kept.insert.epoch = message->insert.epoch;
        kept.insert.seq = message->insert.seq;
        kept.insert.rank = message->insert.rank;
    }
    *message = kept;
}

static int validate(struct wire_message *message, const Softq__Envelope *from,
                    const struct wire_in *in) {
    envelope_in(from, message);
    if (message->protocol != WIRE_PROTOCOL) {
        snprintf(in->why, in->n, "protocol version %u, ours is %d",
                 message->protocol, WIRE_PROTOCOL);
        return -EPROTONOSUPPORT;
    }
    if (message->name[0] == '\0') {
        snprintf(in->why, in->n, "a sender's name is 1 to %d of A-Za-z0-9._-",
                 WIRE_NAME_LEN - 1);
        return -EBADMSG;
    }
    int rc = wire_in_body(in, message->type, from, message);
    if (rc == -ENOMEM) snprintf(in->why, in->n, "out of memory");
    return rc;
}

int wire_unpack(struct wire_message *message, const void *data, size_t len,
                char *why, size_t n) {
    memset(message, 0, sizeof(*message));
    /* twice the bytes, and room for the structs of the longest lists */
    struct wire_arena arena = {.left = 2 * len + ((size_t)256 << 10)};
    ProtobufCAllocator allocator = {arena_alloc, arena_keep, &arena};
    Softq__Envelope *from = softq__envelope__unpack(&allocator, len, data);
    int rc;
    if (from == NULL) {
        uint32_t version = len > 0 ? peek_protocol(data, len) : 0;
        bool other = version != 0 && version != WIRE_PROTOCOL;
        message->protocol = version;
        rc = other ? -EPROTONOSUPPORT : -EBADMSG;
        snprintf(why, n, "%s",
                 other ? "another protocol version" : "not a message of ours");
    } else {
        struct wire_in in = {.arena = &arena, .why = why, .n = n};
        rc = validate(message, from, &in);
    }
    if (rc != 0) {
        keep_header(message);
        arena_free(arena.blocks);
        return rc;
    }
    message->owner = arena.blocks;
    return 0;
}

void wire_protobuf_version(char *text, size_t n) {
    snprintf(text, n, "%s", protobuf_c_version());
}

void wire_free(struct wire_message *message) {
    arena_free(message->owner);
    message->owner = NULL;
}

size_t wire_max_size(const struct wire_spec *spec, uint64_t rows,
                     uint64_t parameters) {
    const uint64_t head = 128u << 10, least = 4u << 20; /* head: any text */
    uint64_t row = (2 * (uint64_t)spec->obs_dim + spec->act_dim + 1) * 4 + 9;
    uint64_t batch, phi, size;
    if (__builtin_mul_overflow(row, rows, &batch) ||
        __builtin_mul_overflow(parameters, sizeof(float), &phi) ||
        __builtin_add_overflow(batch > phi ? batch : phi, head, &size)) {
        return SIZE_MAX;
    }
    return size < least ? least : size;
}
