#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "proto/wire_codec.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "columns travel as they lie in memory");

/* protobuf-c's structs are not const-correct; packing only reads. */
static ProtobufCBinaryData column(const void *data, size_t len) {
    return (ProtobufCBinaryData){.len = len, .data = (uint8_t *)data};
}

static void spec_out(const struct wire_spec *from, Softq__Spec *to) {
    softq__spec__init(to);
    to->obs_dim = from->obs_dim;
    to->act_dim = from->act_dim;
}

static void topology_out(const struct wire_topology *from,
                         struct wire_out *out) {
    assert(from->n <= WIRE_MAX_SHARDS);
    Softq__Topology *to = &out->topology;
    softq__topology__init(to);
    to->version = from->version;
    spec_out(&from->spec, &out->spec);
    to->spec = &out->spec;
    for (uint32_t i = 0; i < from->n; i++) {
        Softq__Shard *shard = &out->lists.shards.shard[i];
        softq__shard__init(shard);
        shard->index = from->shards[i].index;
        shard->address = (char *)from->shards[i].address;
        shard->incarnation = from->shards[i].incarnation;
        shard->state = from->shards[i].state;
        shard->key = (char *)from->shards[i].key;
        out->lists.shards.pointer[i] = shard;
    }
    to->n_shards = from->n;
    to->shards = out->lists.shards.pointer;
}

static void rows_out(const struct batch *from, Softq__Rows *to) {
    assert(from->n <= WIRE_MAX_ROWS);
    assert(from->S > 0 && from->S <= WIRE_MAX_DIM);
    assert(from->A > 0 && from->A <= WIRE_MAX_DIM);
    size_t n = from->n;
    softq__rows__init(to);
    to->n = (uint32_t)n;
    to->obs_dim = (uint32_t)from->S;
    to->act_dim = (uint32_t)from->A;
    to->s = column(from->s, n * from->S * sizeof(float));
    to->a = column(from->a, n * from->A * sizeof(float));
    to->r = column(from->r, n * sizeof(float));
    to->next = column(from->next, n * from->S * sizeof(float));
    to->flags = column(from->flags, n);
    to->version = column(from->version, n * sizeof(uint64_t));
}

static void counters_out(const struct wire_counters *from,
                         Softq__Counters *to) {
    softq__counters__init(to);
    to->steps = from->steps;
    to->episodes = from->episodes;
    to->acknowledged = from->acknowledged;
    to->outstanding = from->outstanding;
    to->busy = from->busy;
    to->discarded = from->discarded;
    to->stored = from->stored;
    to->present = from->present;
    to->capacity = from->capacity;
    to->store_until = from->store_until;
    to->duplicates = from->duplicates;
    to->refused = from->refused;
    to->sampled = from->sampled;
    to->bad_messages = from->bad_messages;
    to->policy_version = from->policy_version;
    to->waiting = from->waiting;
    to->keys_refused = from->keys_refused;
    to->dropped = from->dropped;
}

static void episodes_out(const struct wire_episodes *from,
                         struct wire_out *out) {
    assert(from->n >= 1 && from->n <= WIRE_MAX_EPISODES);
    size_t n = from->n, total = 0;
    for (size_t i = 0; i < n; i++) {
        const struct wire_episode *episode = &from->list[i];
        assert(episode->n_stats <= WIRE_MAX_STATS);
        out->lists.episodes.returns[i] = episode->ret;
        out->lists.episodes.lengths[i] = episode->length;
        out->lists.episodes.versions[i] = episode->version;
        out->lists.episodes.n_stats[i] = (uint8_t)episode->n_stats;
        memcpy(&out->lists.episodes.stats[total], episode->stats,
               episode->n_stats * sizeof(double));
        total += episode->n_stats;
    }
    Softq__Episodes *to = &out->body.episodes;
    softq__episodes__init(to);
    to->epoch = from->epoch;
    to->first = from->first;
    to->n = from->n;
    to->returns = column(out->lists.episodes.returns, n * sizeof(double));
    to->lengths = column(out->lists.episodes.lengths, n * sizeof(uint64_t));
    to->versions = column(out->lists.episodes.versions, n * sizeof(uint64_t));
    to->n_stats = column(out->lists.episodes.n_stats, n);
    to->stats = column(out->lists.episodes.stats, total * sizeof(double));
}

static void hello_out(const struct wire_hello *from, Softq__Hello *to) {
    assert(memchr(from->build, 0, sizeof(from->build)) != NULL);
    softq__hello__init(to);
    to->role = from->role;
    to->build = (char *)from->build;
    to->endpoint = (char *)from->endpoint;
    to->index = from->index;
}

static void welcome_out(const struct wire_welcome *from, struct wire_out *out) {
    assert(from->options_len <= WIRE_MAX_TEXT);
    Softq__Welcome *to = &out->body.welcome;
    softq__welcome__init(to);
    to->rank = from->rank;
    to->ordinal = from->ordinal;
    to->options = column(from->options, from->options_len);
    topology_out(&from->topology, out);
    to->topology = &out->topology;
}

static void refused_out(const struct wire_refused *from, struct wire_out *out) {
    Softq__Refused *to = &out->body.refused;
    /* one line whatever it quotes, or the other side would refuse it */
    snprintf(out->reason, sizeof(out->reason), "%s", from->reason);
    for (char *c = out->reason; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = ' ';
    }
    softq__refused__init(to);
    to->about = from->about;
    to->seq = from->seq;
    to->code = from->code;
    to->reason = out->reason;
}

static void evaluation_out(const struct wire_evaluation *from,
                           Softq__Evaluation *to) {
    softq__evaluation__init(to);
    to->version = from->version;
    to->episodes = from->episodes;
    to->unstable = from->unstable;
    to->mean_return = from->mean_return;
    to->std_return = from->std_return;
    to->mean_length = from->mean_length;
    to->has_goals = from->has_goals;
    to->reached = from->reached;
}

static void heartbeat_out(const struct wire_heartbeat *from,
                          struct wire_out *out) {
    Softq__Heartbeat *to = &out->body.heartbeat;
    softq__heartbeat__init(to);
    to->topology_version = from->topology_version;
    counters_out(&from->counters, &out->counters);
    to->counters = &out->counters;
    to->has_grant = from->has_grant;
    to->store_until = from->store_until;
    to->inserts = column(from->inserts.pairs, 4 * (size_t)from->inserts.n);
    to->pulls = column(from->pulls.pairs, 4 * (size_t)from->pulls.n);
    if (from->evaluation.version != 0) {
        evaluation_out(&from->evaluation, &out->evaluation);
        to->evaluation = &out->evaluation;
    }
}

static void parameters_out(const struct wire_parameters *from,
                           Softq__Parameters *to) {
    softq__parameters__init(to);
    to->version = from->version;
    to->round = from->round;
    to->alpha = from->alpha;
    to->phi = column(from->phi, from->count * sizeof(float));
    to->noise = column(from->noise, from->noise_count * sizeof(float));
    to->mean = column(from->mean, from->observed * sizeof(float));
    to->scale = column(from->scale, from->observed * sizeof(float));
}

static void insert_out(const struct wire_insert *from, struct wire_out *out) {
    assert(from->rows.n >= 1);
    Softq__Insert *to = &out->body.insert;
    softq__insert__init(to);
    to->epoch = from->epoch;
    to->seq = from->seq;
    to->rank = from->rank;
    rows_out(&from->rows, &out->rows);
    to->rows = &out->rows;
}

static void answer_out(const struct wire_answer *from, Softq__Answer *to) {
    softq__answer__init(to);
    to->epoch = from->epoch;
    to->seq = from->seq;
}

static void sample_out(const struct wire_sample *from, Softq__Sample *to) {
    softq__sample__init(to);
    to->id = from->id;
    to->update = from->update;
    to->part = from->part;
    to->n = from->n;
    to->store_until = from->store_until;
}

static void minibatch_out(const struct wire_minibatch *from,
                          struct wire_out *out) {
    Softq__Minibatch *to = &out->body.minibatch;
    softq__minibatch__init(to);
    to->id = from->id;
    to->part = from->part;
    rows_out(&from->rows, &out->rows);
    to->rows = &out->rows;
    to->size = from->size;
    to->stored = from->stored;
}

static void shard_ready_out(const struct wire_shard_ready *from,
                            struct wire_out *out) {
    Softq__ShardReady *to = &out->body.shard_ready;
    softq__shard_ready__init(to);
    to->ring_id = from->ring_id;
    spec_out(&from->spec, &out->spec);
    to->spec = &out->spec;
    to->row_bytes = from->row_bytes;
    to->capacity = from->capacity;
    to->present = from->present;
    to->stored = from->stored;
}

static void text_out(const struct wire_text *from, Softq__Text *to) {
    assert(from->len <= WIRE_MAX_TEXT);
    softq__text__init(to);
    to->text = column(from->text, from->len);
}

static void small_out(struct wire_out *out, const struct wire_message *from) {
    switch (from->type) {
    case WIRE_GET_PARAMETERS:
        softq__get_parameters__init(&out->body.get_parameters);
        out->body.get_parameters.have = from->get_parameters.have;
        out->body.get_parameters.round = from->get_parameters.round;
        break;
    case WIRE_NOT_MODIFIED:
        softq__not_modified__init(&out->body.not_modified);
        out->body.not_modified.version = from->not_modified;
        break;
    case WIRE_GRANT:
        softq__grant__init(&out->body.grant);
        out->body.grant.store_until = from->grant.store_until;
        break;
    case WIRE_RECEIVED:
        softq__received__init(&out->body.received);
        out->body.received.epoch = from->received.epoch;
        out->body.received.next = from->received.next;
        break;
    default:
        softq__nothing__init(&out->body.nothing);
    }
}

void wire_out_body(struct wire_out *out, const struct wire_message *from,
                   Softq__Envelope *to) {
    /* every body is the union's first byte; hello stands for all of them */
    to->body_case = (Softq__Envelope__BodyCase)(10 + (int)from->type);
    to->hello = &out->body.hello;
    switch (from->type) {
    case WIRE_HELLO:
        hello_out(&from->hello, &out->body.hello);
        break;
    case WIRE_WELCOME:
        welcome_out(&from->welcome, out);
        break;
    case WIRE_REFUSED:
        refused_out(&from->refused, out);
        break;
    case WIRE_READY:
        softq__ready__init(&out->body.ready);
        out->body.ready.obs_dim = from->ready.spec.obs_dim;
        out->body.ready.act_dim = from->ready.spec.act_dim;
        out->body.ready.model = from->ready.model;
        break;
    case WIRE_HEARTBEAT:
        heartbeat_out(&from->heartbeat, out);
        break;
    case WIRE_PARAMETERS:
        parameters_out(&from->parameters, &out->body.parameters);
        break;
    case WIRE_INSERT:
        insert_out(&from->insert, out);
        break;
    case WIRE_INSERTED:
    case WIRE_BUSY:
        answer_out(&from->answer, &out->body.answer);
        break;
    case WIRE_SAMPLE:
        sample_out(&from->sample, &out->body.sample);
        break;
    case WIRE_MINIBATCH:
        minibatch_out(&from->minibatch, out);
        break;
    case WIRE_SHARD_READY:
        shard_ready_out(&from->shard_ready, out);
        break;
    case WIRE_TOPOLOGY:
        topology_out(&from->topology, out);
        to->topology = &out->topology;
        break;
    case WIRE_EPISODES:
        episodes_out(&from->episodes, out);
        break;
    case WIRE_STOP:
    case WIRE_STATUS_REPLY:
        text_out(&from->text, &out->body.text);
        break;
    default:
        small_out(out, from);
    }
}

/* A field of so many bytes begins: they go where this returns. */
static uint8_t *begin(uint8_t *at, unsigned number, size_t len) {
    enum { LENGTH_DELIMITED = 2 };
    size_t part[] = {number << 3 | LENGTH_DELIMITED, len};
    for (size_t i = 0; i < 2; i++) {
        for (; part[i] >= 0x80; part[i] >>= 7)
            *at++ = (uint8_t)(part[i] | 0x80);
        *at++ = (uint8_t)part[i];
    }
    return at;
}

/* A message's fields may be packed apart, in the order of their numbers. */
size_t wire_out_open(const Softq__Envelope *from, uint8_t *data,
                     struct batch_columns *columns) {
    const Softq__Minibatch *minibatch = from->minibatch;
    const Softq__Rows *rows = minibatch->rows;
    Softq__Envelope outer = *from;
    Softq__Minibatch before = SOFTQ__MINIBATCH__INIT;
    Softq__Minibatch behind = SOFTQ__MINIBATCH__INIT;
    Softq__Rows shape = SOFTQ__ROWS__INIT;
    outer.body_case = SOFTQ__ENVELOPE__BODY__NOT_SET;
    before.id = minibatch->id;
    before.part = minibatch->part;
    behind.size = minibatch->size;
    behind.stored = minibatch->stored;
    shape.n = rows->n;
    shape.obs_dim = rows->obs_dim;
    shape.act_dim = rows->act_dim;

    uint8_t *at = data + softq__envelope__pack(&outer, data);
    at = begin(at, SOFTQ__ENVELOPE__BODY_MINIBATCH,
               softq__minibatch__get_packed_size(minibatch));
    at += softq__minibatch__pack(&before, at);
    at = begin(at, 3, softq__rows__get_packed_size(rows));
    at += softq__rows__pack(&shape, at);
    columns->s = begin(at, 4, rows->s.len);
    columns->a = begin(columns->s + rows->s.len, 5, rows->a.len);
    columns->r = begin(columns->a + rows->a.len, 6, rows->r.len);
    columns->next = begin(columns->r + rows->r.len, 7, rows->next.len);
    columns->flags = begin(columns->next + rows->next.len, 8, rows->flags.len);
    columns->version =
        begin(columns->flags + rows->flags.len, 9, rows->version.len);
    at = columns->version + rows->version.len;
    at += softq__minibatch__pack(&behind, at);
    return (size_t)(at - data);
}
