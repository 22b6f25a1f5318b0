#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/histogram.h"
#include "proto/wire_codec.h"

/* Totals stay far from int64's end, so that sums of many need no check. */
static const uint64_t MOST = (uint64_t)1 << 56;

__attribute__((format(printf, 2, 3))) static int bad(const struct wire_in *in,
                                                     const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(in->why, in->n, format, args);
    va_end(args);
    return -EBADMSG;
}

static int not_finite(const struct wire_in *in, const char *what, size_t i) {
    bad(in, "%s of row %zu is not a finite number", what, i);
    return -EDOM;
}

/* Index of the first non-finite number, or n. By bits: no libm, vectorised. */
static size_t first_non_finite(const float *x, size_t n) {
    uint32_t any = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof(bits));
        any |= (uint32_t)((bits & 0x7F800000u) == 0x7F800000u);
    }
    size_t i = any ? 0 : n;
    while (i < n && isfinite(x[i])) i++;
    return i;
}

static bool control(char c) {
    return (unsigned char)c < 0x20 || c == 0x7F;
}

/*
 * A text field into a fixed array. No control characters: it goes into logs
 * and to terminals.
 */
static int text_in(const struct wire_in *in, const char *what, const char *from,
                   char *to, size_t size) {
    size_t len = strlen(from);
    if (len >= size) {
        return bad(in, "%s of %zu bytes, at most %zu", what, len, size - 1);
    }
    for (size_t i = 0; i < len; i++) {
        if (control(from[i])) {
            return bad(in, "%s holds a character that cannot be shown", what);
        }
    }
    memcpy(to, from, len + 1);
    return 0;
}

/* Lines of text, borrowed: newline, tab and anything printable, UTF-8 too. */
static int lines_in(const struct wire_in *in, const char *what,
                    const ProtobufCBinaryData *from, const char **to,
                    size_t *len) {
    if (from->len > WIRE_MAX_TEXT) {
        return bad(in, "%s of %zu bytes, at most %d", what, from->len,
                   WIRE_MAX_TEXT);
    }
    for (size_t i = 0; i < from->len; i++) {
        char c = (char)from->data[i];
        if (control(c) && c != '\n' && c != '\t') {
            return bad(in, "%s holds a character that cannot be shown", what);
        }
    }
    *to = from->len > 0 ? (const char *)from->data : "";
    *len = from->len;
    return 0;
}

/* A column is as long as the shape says; every block of the arena is aligned.
 */
static int column_in(const struct wire_in *in, const char *what,
                     const ProtobufCBinaryData *from, size_t bytes) {
    if (from->len == bytes) return 0;
    return bad(in, "%s has %zu bytes where the shape asks for %zu", what,
               from->len, bytes);
}

static int dims_in(const struct wire_in *in, uint32_t S, uint32_t A) {
    if (S < 1 || S > WIRE_MAX_DIM || A < 1 || A > WIRE_MAX_DIM) {
        return bad(in, "shape (%u, %u), each from 1 to %d", S, A, WIRE_MAX_DIM);
    }
    return 0;
}

static int spec_in(const struct wire_in *in, const Softq__Spec *from,
                   bool required, struct wire_spec *to) {
    if (from != NULL) {
        *to = (struct wire_spec){from->obs_dim, from->act_dim};
    }
    bool none = to->obs_dim == 0 && to->act_dim == 0;
    return none && !required ? 0 : dims_in(in, to->obs_dim, to->act_dim);
}

static int finite_in(const struct wire_in *in, const char *what, const float *x,
                     size_t n, size_t width) {
    size_t i = first_non_finite(x, n * width);
    return i == n * width ? 0 : not_finite(in, what, i / width);
}

static int rows_in(const struct wire_in *in, const Softq__Rows *from,
                   uint32_t least, struct batch *to) {
    if (from == NULL) return bad(in, "no rows");
    size_t n = from->n, S = from->obs_dim, A = from->act_dim;
    if (n < least || n > WIRE_MAX_ROWS) {
        return bad(in, "%zu rows, from %u to %d", n, least, WIRE_MAX_ROWS);
    }
    int rc = dims_in(in, from->obs_dim, from->act_dim);
    to->capacity = to->n = n;
    to->S = S;
    to->A = A;
    if (rc == 0) rc = column_in(in, "s", &from->s, n * S * 4);
    if (rc == 0) rc = column_in(in, "a", &from->a, n * A * 4);
    if (rc == 0) rc = column_in(in, "r", &from->r, n * 4);
    if (rc == 0) rc = column_in(in, "next", &from->next, n * S * 4);
    if (rc == 0) rc = column_in(in, "flags", &from->flags, n);
    if (rc == 0) rc = column_in(in, "version", &from->version, n * 8);
    if (rc != 0) return rc;
    to->s = (float *)from->s.data;
    to->a = (float *)from->a.data;
    to->r = (float *)from->r.data;
    to->next = (float *)from->next.data;
    to->flags = from->flags.data;
    to->version = (uint64_t *)from->version.data;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (to->flags[i] & ~(BATCH_TERMINAL | BATCH_TRUNCATED)) {
            rc = bad(in, "flags of row %zu are %u", i, to->flags[i]);
        }
    }
    if (rc == 0) rc = finite_in(in, "s", to->s, n, S);
    if (rc == 0) rc = finite_in(in, "a", to->a, n, A);
    if (rc == 0) rc = finite_in(in, "r", to->r, n, 1);
    if (rc == 0) rc = finite_in(in, "next", to->next, n, S);
    return rc;
}

static int shard_in(const struct wire_in *in, const Softq__Shard *from,
                    struct wire_shard *to) {
    if (from->index >= WIRE_MAX_SHARDS) {
        return bad(in, "shard index %u, at most %d", from->index,
                   WIRE_MAX_SHARDS - 1);
    }
    if (from->state != WIRE_SHARD_LISTED && from->state != WIRE_SHARD_DEAD) {
        return bad(in, "shard state %u", from->state);
    }
    to->index = from->index;
    to->incarnation = from->incarnation;
    to->state = (enum wire_shard_state)from->state;
    if (!wire_key_ok(from->key)) {
        return bad(in,
                   "shard key of %zu characters is not 64 hexadecimal digits",
                   strlen(from->key));
    }
    memcpy(to->key, from->key, strlen(from->key) + 1);
    return text_in(in, "shard address", from->address, to->address,
                   sizeof(to->address));
}

static int topology_in(const struct wire_in *in, const Softq__Topology *from,
                       struct wire_topology *to) {
    if (from == NULL) return bad(in, "no topology");
    if (from->n_shards > WIRE_MAX_SHARDS) {
        return bad(in, "%zu shards, at most %d", from->n_shards,
                   WIRE_MAX_SHARDS);
    }
    int rc = spec_in(in, from->spec, false, &to->spec);
    if (rc != 0) return rc;
    to->version = from->version;
    to->n = (uint32_t)from->n_shards;
    if (to->n == 0) return 0;
    to->shards = wire_arena_alloc(in->arena, to->n * sizeof(*to->shards));
    if (to->shards == NULL) return -ENOMEM;
    bool seen[WIRE_MAX_SHARDS] = {false};
    for (uint32_t i = 0; i < to->n; i++) {
        rc = shard_in(in, from->shards[i], &to->shards[i]);
        if (rc != 0) return rc;
        if (seen[to->shards[i].index]) {
            return bad(in, "shard index %u twice", to->shards[i].index);
        }
        seen[to->shards[i].index] = true;
    }
    return 0;
}

static int hello_in(const struct wire_in *in, const Softq__Hello *from,
                    struct wire_hello *to) {
    if (from->role < WIRE_ACTOR || from->role > WIRE_OBSERVER) {
        return bad(in, "role %u", from->role);
    }
    if (from->index >= WIRE_MAX_SHARDS) {
        return bad(in, "index %u, at most %d", from->index,
                   WIRE_MAX_SHARDS - 1);
    }
    to->role = (enum wire_role)from->role;
    to->index = from->index;
    int rc = text_in(in, "build", from->build, to->build, sizeof(to->build));
    if (rc == 0) {
        rc = text_in(in, "endpoint", from->endpoint, to->endpoint,
                     sizeof(to->endpoint));
    }
    if (rc == 0 && to->role == WIRE_SHARD && to->endpoint[0] == '\0') {
        rc = bad(in, "a shard without an endpoint");
    }
    return rc;
}

static int welcome_in(const struct wire_in *in, const Softq__Welcome *from,
                      struct wire_welcome *to) {
    to->rank = from->rank;
    to->ordinal = from->ordinal;
    int rc =
        lines_in(in, "options", &from->options, &to->options, &to->options_len);
    return rc != 0 ? rc : topology_in(in, from->topology, &to->topology);
}

static int refused_in(const struct wire_in *in, const Softq__Refused *from,
                      struct wire_refused *to) {
    if (from->about > WIRE_STATUS_REPLY) {
        return bad(in, "about type %u", from->about);
    }
    to->about = (enum wire_type)from->about;
    to->seq = from->seq;
    /* a code of a later version says no less than its reason */
    to->code = from->code <= WIRE_CODE_KEY ? (enum wire_refusal)from->code
                                           : WIRE_CODE_OTHER;
    return text_in(in, "reason", from->reason, to->reason, sizeof(to->reason));
}

static int counters_in(const struct wire_in *in, const Softq__Counters *from,
                       struct wire_counters *to) {
    if (from == NULL) return 0;
    *to = (struct wire_counters){
        from->steps,       from->episodes,     from->acknowledged,
        from->outstanding, from->busy,         from->discarded,
        from->stored,      from->present,      from->capacity,
        from->store_until, from->duplicates,   from->refused,
        from->sampled,     from->bad_messages, from->policy_version,
        from->waiting,     from->keys_refused, from->dropped};
    if (to->stored > MOST || to->present > MOST || to->capacity > MOST ||
        to->steps > MOST || to->episodes > MOST) {
        return bad(in, "counters cannot be: %llu stored, %llu present",
                   (unsigned long long)to->stored,
                   (unsigned long long)to->present);
    }
    return 0;
}

static int latencies_in(const struct wire_in *in, const char *what,
                        const ProtobufCBinaryData *from,
                        struct wire_latencies *to) {
    struct histogram scratch = {0};
    size_t n = from->len / sizeof(uint32_t);
    if (from->len % sizeof(uint32_t) != 0 || n > HISTOGRAM_BUCKETS ||
        histogram_unpack(&scratch, (const uint32_t *)from->data, n) != 0) {
        return bad(in, "%s are no buckets with counts", what);
    }
    to->pairs = n > 0 ? (const uint32_t *)from->data : NULL;
    to->n = (uint32_t)n;
    return 0;
}

static int evaluation_in(const struct wire_in *in,
                         const Softq__Evaluation *from,
                         struct wire_evaluation *to) {
    if (from == NULL) return 0;
    *to = (struct wire_evaluation){
        .version = from->version,
        .episodes = from->episodes,
        .unstable = from->unstable,
        .mean_return = from->mean_return,
        .std_return = from->std_return,
        .mean_length = from->mean_length,
        .has_goals = from->has_goals,
        .reached = from->reached,
    };
    if (!isfinite(to->mean_return) || !isfinite(to->std_return) ||
        !isfinite(to->mean_length)) {
        return not_finite(in, "an evaluation", 0);
    }
    if (to->version == 0 || to->episodes > MOST || to->unstable > MOST ||
        to->reached > to->episodes || (to->reached > 0 && !to->has_goals) ||
        to->std_return < 0.0 || to->mean_length < 0.0) {
        return bad(in, "an evaluation cannot be: %llu episodes, %llu reached",
                   (unsigned long long)to->episodes,
                   (unsigned long long)to->reached);
    }
    return 0;
}

static int heartbeat_in(const struct wire_in *in, const Softq__Heartbeat *from,
                        struct wire_heartbeat *to) {
    to->topology_version = from->topology_version;
    to->has_grant = from->has_grant;
    to->store_until = from->store_until;
    int rc = latencies_in(in, "inserts", &from->inserts, &to->inserts);
    if (rc == 0) rc = latencies_in(in, "pulls", &from->pulls, &to->pulls);
    if (rc == 0) rc = evaluation_in(in, from->evaluation, &to->evaluation);
    return rc != 0 ? rc : counters_in(in, from->counters, &to->counters);
}

/* A column of finite numbers, of any length; NULL when there are none. */
static int floats_in(const struct wire_in *in, const char *what,
                     const ProtobufCBinaryData *from, const float **to,
                     size_t *n) {
    if (from->len % sizeof(float) != 0) {
        return bad(in, "%s has %zu bytes, which is no whole number of floats",
                   what, from->len);
    }
    *n = from->len / sizeof(float);
    *to = *n > 0 ? (const float *)from->data : NULL;
    return finite_in(in, what, *to, *n, 1);
}

static int parameters_in(const struct wire_in *in,
                         const Softq__Parameters *from,
                         struct wire_parameters *to) {
    if (from->phi.len == 0) return bad(in, "no parameters");
    to->version = from->version;
    to->round = from->round;
    to->alpha = from->alpha;
    if (!isfinite(to->alpha)) return not_finite(in, "alpha", 0);
    if (!(to->alpha > 0.0f)) return bad(in, "alpha is not above 0");
    if (from->mean.len != from->scale.len) {
        return bad(in, "mean and scale of %zu and %zu bytes", from->mean.len,
                   from->scale.len);
    }
    int rc = floats_in(in, "phi", &from->phi, &to->phi, &to->count);
    if (rc == 0) {
        rc = floats_in(in, "noise", &from->noise, &to->noise, &to->noise_count);
    }
    if (rc == 0) {
        rc = floats_in(in, "mean", &from->mean, &to->mean, &to->observed);
    }
    if (rc == 0) {
        rc = floats_in(in, "scale", &from->scale, &to->scale, &to->observed);
    }
    return rc;
}

static int insert_in(const struct wire_in *in, const Softq__Insert *from,
                     struct wire_insert *to) {
    to->epoch = from->epoch;
    to->seq = from->seq;
    to->rank = from->rank;
    return rows_in(in, from->rows, 1, &to->rows);
}

static int sample_in(const struct wire_in *in, const Softq__Sample *from,
                     struct wire_sample *to) {
    if (from->n < 1 || from->n > WIRE_MAX_ROWS) {
        return bad(in, "a sample of %u rows, from 1 to %d", from->n,
                   WIRE_MAX_ROWS);
    }
    *to = (struct wire_sample){from->id, from->update, from->part, from->n,
                               from->store_until};
    return 0;
}

static int minibatch_in(const struct wire_in *in, const Softq__Minibatch *from,
                        struct wire_minibatch *to) {
    if (from->stored > MOST || from->size > from->stored) {
        return bad(in, "a ring of %llu rows with %llu stored",
                   (unsigned long long)from->size,
                   (unsigned long long)from->stored);
    }
    to->id = from->id;
    to->part = from->part;
    to->size = from->size;
    to->stored = from->stored;
    return rows_in(in, from->rows, 0, &to->rows);
}

static int shard_ready_in(const struct wire_in *in,
                          const Softq__ShardReady *from,
                          struct wire_shard_ready *to) {
    if (from->stored > MOST || from->capacity > MOST || from->capacity == 0 ||
        from->present > from->stored || from->present > from->capacity) {
        return bad(in, "a ring of %llu of %llu rows with %llu stored",
                   (unsigned long long)from->present,
                   (unsigned long long)from->capacity,
                   (unsigned long long)from->stored);
    }
    to->ring_id = from->ring_id;
    to->row_bytes = from->row_bytes;
    to->capacity = from->capacity;
    to->present = from->present;
    to->stored = from->stored;
    return spec_in(in, from->spec, true, &to->spec);
}

static int episode_columns_in(const struct wire_in *in,
                              const Softq__Episodes *from) {
    size_t n = from->n, total = 0;
    int rc = column_in(in, "returns", &from->returns, n * 8);
    if (rc == 0) rc = column_in(in, "lengths", &from->lengths, n * 8);
    if (rc == 0) rc = column_in(in, "versions", &from->versions, n * 8);
    if (rc == 0) rc = column_in(in, "n_stats", &from->n_stats, n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        uint8_t count = from->n_stats.data[i];
        if (count > WIRE_MAX_STATS) {
            rc = bad(in, "%u statistics, at most %d", count, WIRE_MAX_STATS);
        }
        total += count;
    }
    return rc != 0 ? rc : column_in(in, "stats", &from->stats, total * 8);
}

static int episodes_in(const struct wire_in *in, const Softq__Episodes *from,
                       struct wire_episodes *to) {
    if (from->n < 1 || from->n > WIRE_MAX_EPISODES || from->first > MOST) {
        return bad(in, "%u episodes, from 1 to %d", from->n, WIRE_MAX_EPISODES);
    }
    int rc = episode_columns_in(in, from);
    if (rc != 0) return rc;
    struct wire_episode *list =
        wire_arena_alloc(in->arena, from->n * sizeof(*list));
    if (list == NULL) return -ENOMEM;
    memset(list, 0, from->n * sizeof(*list));
    const double *stats = (const double *)from->stats.data;
    for (size_t i = 0; i < from->n; i++) {
        list[i].ret = ((const double *)from->returns.data)[i];
        list[i].length = ((const uint64_t *)from->lengths.data)[i];
        list[i].version = ((const uint64_t *)from->versions.data)[i];
        list[i].n_stats = from->n_stats.data[i];
        bool finite = isfinite(list[i].ret);
        for (uint32_t k = 0; k < list[i].n_stats; k++) {
            list[i].stats[k] = *stats++;
            finite = finite && isfinite(list[i].stats[k]);
        }
        if (!finite) return not_finite(in, "statistics", i);
    }
    *to = (struct wire_episodes){from->epoch, from->first, from->n, list};
    return 0;
}

int wire_in_body(const struct wire_in *in, enum wire_type type,
                 const Softq__Envelope *from, struct wire_message *to) {
    switch (type) {
    case WIRE_HELLO:
        return hello_in(in, from->hello, &to->hello);
    case WIRE_WELCOME:
        return welcome_in(in, from->welcome, &to->welcome);
    case WIRE_REFUSED:
        return refused_in(in, from->refused, &to->refused);
    case WIRE_READY:
        to->ready.spec =
            (struct wire_spec){from->ready->obs_dim, from->ready->act_dim};
        to->ready.model = from->ready->model;
        return dims_in(in, to->ready.spec.obs_dim, to->ready.spec.act_dim);
    case WIRE_HEARTBEAT:
        return heartbeat_in(in, from->heartbeat, &to->heartbeat);
    case WIRE_GET_PARAMETERS:
        to->get_parameters.have = from->get_parameters->have;
        to->get_parameters.round = from->get_parameters->round;
        return 0;
    case WIRE_PARAMETERS:
        return parameters_in(in, from->parameters, &to->parameters);
    case WIRE_NOT_MODIFIED:
        to->not_modified = from->not_modified->version;
        return 0;
    case WIRE_INSERT:
        return insert_in(in, from->insert, &to->insert);
    case WIRE_INSERTED:
    case WIRE_BUSY:
        to->answer.epoch = from->inserted->epoch;
        to->answer.seq = from->inserted->seq;
        return 0;
    case WIRE_SAMPLE:
        return sample_in(in, from->sample, &to->sample);
    case WIRE_MINIBATCH:
        return minibatch_in(in, from->minibatch, &to->minibatch);
    case WIRE_GRANT:
        to->grant.store_until = from->grant->store_until;
        return 0;
    case WIRE_SHARD_READY:
        return shard_ready_in(in, from->shard_ready, &to->shard_ready);
    case WIRE_TOPOLOGY:
        return topology_in(in, from->topology, &to->topology);
    case WIRE_EPISODES:
        return episodes_in(in, from->episodes, &to->episodes);
    case WIRE_RECEIVED:
        to->received.epoch = from->received->epoch;
        to->received.next = from->received->next;
        return 0;
    case WIRE_STOP:
    case WIRE_STATUS_REPLY:
        return lines_in(in, "text", &from->stop->text, &to->text.text,
                        &to->text.len);
    case WIRE_GO:
    case WIRE_ROOM:
    case WIRE_STATUS:
        return 0;
    }
    return bad(in, "no body that this version knows");
}
