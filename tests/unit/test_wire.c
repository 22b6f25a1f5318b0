#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/wire.h"
#include "tests/fuzz/samples.h"
#include "tests/fuzz/wire_one.h"
#include "tests/unit/test.h"

struct bytes {
    uint8_t *data;
    size_t len;
};

static struct bytes pack(const struct wire_message *message) {
    void *data = NULL;
    size_t len = 0;
    assert_int_equal(wire_pack(message, &data, &len), 0);
    return (struct bytes){data, len};
}

static struct wire_message sample(enum wire_type type) {
    struct wire_message messages[SAMPLES];
    samples_fill(messages);
    return messages[type - 1];
}

/* What becomes of a message that is packed and sent; why is printed if asked.
 */
static int verdict(const struct wire_message *message) {
    struct bytes b = pack(message);
    struct wire_message got;
    char why[128];
    int rc = wire_unpack(&got, b.data, b.len, why, sizeof(why));
    if (rc == 0) wire_free(&got);
    free(b.data);
    return rc;
}

/* ---- round trips ---- */

static void assert_same_rows(const struct batch *x, const struct batch *y) {
    assert_int_equal(x->n, y->n);
    assert_int_equal(x->S, y->S);
    assert_int_equal(x->A, y->A);
    assert_memory_equal(x->s, y->s, x->n * x->S * 4);
    assert_memory_equal(x->a, y->a, x->n * x->A * 4);
    assert_memory_equal(x->r, y->r, x->n * 4);
    assert_memory_equal(x->next, y->next, x->n * x->S * 4);
    assert_memory_equal(x->flags, y->flags, x->n);
    assert_memory_equal(x->version, y->version, x->n * 8);
}

static void assert_same_topology(const struct wire_topology *x,
                                 const struct wire_topology *y) {
    assert_true(x->version == y->version);
    assert_memory_equal(&x->spec, &y->spec, sizeof(x->spec));
    assert_int_equal(x->n, y->n);
    for (uint32_t i = 0; i < x->n; i++) {
        assert_int_equal(x->shards[i].index, y->shards[i].index);
        assert_string_equal(x->shards[i].address, y->shards[i].address);
        assert_true(x->shards[i].incarnation == y->shards[i].incarnation);
        assert_int_equal(x->shards[i].state, y->shards[i].state);
        assert_string_equal(x->shards[i].key, y->shards[i].key);
    }
}

static void assert_same_latencies(const struct wire_latencies *x,
                                  const struct wire_latencies *y) {
    assert_int_equal(x->n, y->n);
    assert_memory_equal(x->pairs, y->pairs, x->n * sizeof(uint32_t));
}

static void assert_same_episodes(const struct wire_episodes *x,
                                 const struct wire_episodes *y) {
    assert_true(x->epoch == y->epoch && x->first == y->first);
    assert_int_equal(x->n, y->n);
    for (uint32_t i = 0; i < x->n; i++) {
        const struct wire_episode *p = &x->list[i], *q = &y->list[i];
        assert_true(p->ret == q->ret && p->length == q->length);
        assert_true(p->version == q->version && p->n_stats == q->n_stats);
        assert_memory_equal(p->stats, q->stats, sizeof(p->stats));
    }
}

static void assert_same(const struct wire_message *x,
                        const struct wire_message *y) {
    /* everything in front of the body */
    assert_true(x->protocol == y->protocol && x->run == y->run);
    assert_true(x->incarnation == y->incarnation && x->type == y->type);
    assert_string_equal(x->name, y->name);
    switch (x->type) {
    case WIRE_WELCOME:
        assert_true(x->welcome.rank == y->welcome.rank);
        assert_true(x->welcome.ordinal == y->welcome.ordinal);
        assert_int_equal(x->welcome.options_len, y->welcome.options_len);
        assert_memory_equal(x->welcome.options, y->welcome.options,
                            x->welcome.options_len);
        assert_same_topology(&x->welcome.topology, &y->welcome.topology);
        break;
    case WIRE_TOPOLOGY:
        assert_same_topology(&x->topology, &y->topology);
        break;
    case WIRE_PARAMETERS:
        assert_true(x->parameters.version == y->parameters.version);
        assert_true(x->parameters.round == y->parameters.round);
        assert_int_equal(x->parameters.count, y->parameters.count);
        assert_memory_equal(x->parameters.phi, y->parameters.phi,
                            x->parameters.count * 4);
        assert_true(x->parameters.alpha == y->parameters.alpha);
        assert_int_equal(x->parameters.noise_count, y->parameters.noise_count);
        assert_memory_equal(x->parameters.noise, y->parameters.noise,
                            x->parameters.noise_count * 4);
        assert_int_equal(x->parameters.observed, y->parameters.observed);
        assert_memory_equal(x->parameters.mean, y->parameters.mean,
                            x->parameters.observed * 4);
        assert_memory_equal(x->parameters.scale, y->parameters.scale,
                            x->parameters.observed * 4);
        break;
    case WIRE_INSERT:
        assert_true(x->insert.epoch == y->insert.epoch);
        assert_true(x->insert.seq == y->insert.seq);
        assert_true(x->insert.rank == y->insert.rank);
        assert_same_rows(&x->insert.rows, &y->insert.rows);
        break;
    case WIRE_MINIBATCH:
        assert_true(x->minibatch.id == y->minibatch.id);
        assert_true(x->minibatch.part == y->minibatch.part);
        assert_true(x->minibatch.size == y->minibatch.size);
        assert_true(x->minibatch.stored == y->minibatch.stored);
        assert_same_rows(&x->minibatch.rows, &y->minibatch.rows);
        break;
    case WIRE_EPISODES:
        assert_same_episodes(&x->episodes, &y->episodes);
        break;
    case WIRE_HEARTBEAT:
        assert_memory_equal(&x->heartbeat, &y->heartbeat,
                            offsetof(struct wire_heartbeat, inserts));
        assert_same_latencies(&x->heartbeat.inserts, &y->heartbeat.inserts);
        assert_same_latencies(&x->heartbeat.pulls, &y->heartbeat.pulls);
        break;
    case WIRE_STOP:
    case WIRE_STATUS_REPLY:
        assert_int_equal(x->text.len, y->text.len);
        assert_memory_equal(x->text.text, y->text.text, x->text.len);
        break;
    default: /* no pointers: the largest plain body covers the others */
        assert_memory_equal(&x->refused, &y->refused, sizeof(x->refused));
    }
}

/* Each type arrives with every field as it was. */
static void every_message_comes_back_as_it_went(void **state) {
    (void)state;
    struct wire_message messages[SAMPLES];
    samples_fill(messages);
    for (int i = 0; i < SAMPLES; i++) {
        struct bytes b = pack(&messages[i]);
        struct wire_message got;
        char why[128];
        int rc = wire_unpack(&got, b.data, b.len, why, sizeof(why));
        if (rc != 0) fail_msg("%s: %s", wire_type_name(messages[i].type), why);
        free(b.data); /* the message keeps what it needs */
        assert_same(&messages[i], &got);
        wire_free(&got);
    }
}

/* Columns can be read as numbers where they lie. */
static void received_columns_are_aligned(void **state) {
    (void)state;
    struct wire_message m = sample(WIRE_INSERT), got;
    struct bytes b = pack(&m);
    char why[128];
    assert_int_equal(wire_unpack(&got, b.data, b.len, why, sizeof(why)), 0);
    const struct batch *rows = &got.insert.rows;
    const void *columns[] = {rows->s, rows->a, rows->r, rows->next,
                             rows->version};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal((uintptr_t)columns[i] % 8, 0);
    }
    wire_free(&got);
    free(b.data);
}

/* A ring without rows answers with none. */
static void a_minibatch_may_be_empty_an_insert_may_not(void **state) {
    (void)state;
    struct wire_message m = sample(WIRE_MINIBATCH);
    m.minibatch.rows.n = 0;
    assert_int_equal(verdict(&m), 0);
    m.minibatch.size = m.minibatch.stored + 1;
    assert_int_equal(verdict(&m), -EBADMSG);
}

/* ---- rejects ---- */

/* A message that ends early is refused, wherever it ends. */
static void a_cut_message_is_refused_at_every_byte(void **state) {
    (void)state;
    struct wire_message messages[SAMPLES];
    samples_fill(messages);
    for (int i = 0; i < SAMPLES; i++) {
        struct bytes b = pack(&messages[i]);
        for (size_t len = 0; len < b.len; len++) {
            uint8_t *cut = malloc(len + 1); /* its end is seen by ASan */
            memcpy(cut, b.data, len);
            uint8_t *exact = realloc(cut, len > 0 ? len : 1);
            assert_int_not_equal(wire_one(exact, len), 0);
            free(exact);
        }
        free(b.data);
    }
}

static uint64_t next_random(uint64_t *s) {
    *s ^= *s >> 12, *s ^= *s << 25, *s ^= *s >> 27;
    return *s * 0x2545F4914F6CDD1Du;
}

/* Flipped, replaced, dropped and doubled bytes never do more than be refused.
 */
static void a_hundred_thousand_damaged_messages_do_no_harm(void **state) {
    (void)state;
    struct wire_message messages[SAMPLES];
    samples_fill(messages);
    struct bytes packed[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) packed[i] = pack(&messages[i]);
    uint64_t rng = 42;
    int accepted = 0;
    for (int round = 0; round < 100000; round++) {
        const struct bytes *b = &packed[next_random(&rng) % SAMPLES];
        uint8_t damaged[2048];
        assert_true(2 * b->len <= sizeof(damaged));
        memcpy(damaged, b->data, b->len);
        size_t len = b->len;
        for (uint64_t n = 1 + next_random(&rng) % 4; n > 0; n--) {
            size_t at = next_random(&rng) % len;
            switch (next_random(&rng) % 4) {
            case 0:
                damaged[at] ^= (uint8_t)(1u << next_random(&rng) % 8);
                break;
            case 1:
                damaged[at] = (uint8_t)next_random(&rng);
                break;
            case 2:
                damaged[at] = 0xFF;
                break;
            default: /* a byte goes */
                memmove(damaged + at, damaged + at + 1, len - at - 1);
                len -= len > 1;
            }
        }
        accepted += wire_one(damaged, len) == 0;
    }
    for (int i = 0; i < SAMPLES; i++) free(packed[i].data);
    assert_true(accepted > 1000); /* some damage is to numbers only */
}

/* Random bytes are no message. */
static void noise_is_refused(void **state) {
    (void)state;
    uint64_t rng = 7;
    for (int round = 0; round < 20000; round++) {
        uint8_t noise[64];
        size_t len = next_random(&rng) % sizeof(noise);
        for (size_t i = 0; i < len; i++) noise[i] = (uint8_t)next_random(&rng);
        assert_int_not_equal(wire_one(noise, len), 0);
    }
}

/* NaN and infinity have an error of their own, and the batch keeps its name. */
static void a_number_that_is_not_finite_is_told_apart(void **state) {
    (void)state;
    struct wire_message m = sample(WIRE_INSERT);
    float *columns[] = {m.insert.rows.s, m.insert.rows.a, m.insert.rows.r,
                        m.insert.rows.next};
    const float evil[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 3; k++) {
            float kept = columns[i][1];
            columns[i][1] = evil[k];
            struct bytes b = pack(&m);
            struct wire_message got;
            char why[128];
            assert_int_equal(wire_unpack(&got, b.data, b.len, why, sizeof(why)),
                             -EDOM);
            assert_int_equal(got.type, WIRE_INSERT);
            assert_string_equal(got.name, m.name);
            assert_true(got.insert.epoch == m.insert.epoch);
            assert_true(got.insert.seq == m.insert.seq);
            assert_null(got.insert.rows.s);
            free(b.data);
            columns[i][1] = kept;
        }
    }
}

/* The same for parameters and for statistics. */
static void parameters_and_returns_are_finite(void **state) {
    (void)state;
    struct wire_message m = sample(WIRE_PARAMETERS);
    float phi[2] = {1.0f, NAN};
    m.parameters.phi = phi;
    m.parameters.count = 2;
    assert_int_equal(verdict(&m), -EDOM);
    struct wire_episode episode = {(double)INFINITY, 1, 1, 0, {0}};
    m = sample(WIRE_EPISODES);
    m.episodes.n = 1;
    m.episodes.list = &episode;
    assert_int_equal(verdict(&m), -EDOM);
}

/* Latencies name buckets that there are, each once and in order. */
static void latencies_are_buckets_in_order(void **state) {
    (void)state;
    const uint32_t wrong[2][2] = {{3u << 24 | 1, 240u << 24 | 1},
                                  {9u << 24 | 1, 9u << 24 | 1}};
    struct wire_message m = sample(WIRE_HEARTBEAT);
    assert_int_equal(verdict(&m), 0);
    for (size_t i = 0; i < 2; i++) {
        m = sample(WIRE_HEARTBEAT);
        m.heartbeat.pulls = (struct wire_latencies){wrong[i], 2};
        assert_int_equal(verdict(&m), -EBADMSG);
    }
}

/* Another protocol version is told as such, even where nothing else is known.
 */
static void another_version_is_told_apart(void **state) {
    (void)state;
    struct wire_message m = sample(WIRE_HELLO);
    m.protocol = WIRE_PROTOCOL + 1;
    assert_int_equal(verdict(&m), -EPROTONOSUPPORT);
    const uint8_t later[] = {0x08, WIRE_PROTOCOL + 1, 0xFF, 0xFF, 0xFF};
    assert_int_equal(wire_one(later, sizeof(later)), -EPROTONOSUPPORT);
}

/* Texts cannot write to a terminal; a reason is one line whatever it quotes. */
static void texts_hold_no_control_characters(void **state) {
    (void)state;
    struct wire_message m = sample(WIRE_HELLO);
    strcpy(m.hello.build, "\033[2J");
    assert_int_equal(verdict(&m), -EBADMSG);
    m = sample(WIRE_STOP);
    m.text = (struct wire_text){"a\rb", 3};
    assert_int_equal(verdict(&m), -EBADMSG);
    m = sample(WIRE_REFUSED);
    strcpy(m.refused.reason, "two\nlines");
    assert_int_equal(verdict(&m), 0);
}

/* Values that no program of ours sends are refused. */
static void values_out_of_range_are_refused(void **state) {
    (void)state;
    struct wire_message m = sample(WIRE_HELLO);
    m.hello.role = (enum wire_role)9;
    assert_int_equal(verdict(&m), -EBADMSG);
    m = sample(WIRE_HELLO);
    m.hello.endpoint[0] = '\0';
    assert_int_equal(verdict(&m), -EBADMSG);
    m = sample(WIRE_READY);
    m.ready.spec.act_dim = WIRE_MAX_DIM + 1;
    assert_int_equal(verdict(&m), -EBADMSG);
    m = sample(WIRE_READY);
    m.ready.spec.obs_dim = 0;
    assert_int_equal(verdict(&m), -EBADMSG);
    m.ready.spec.obs_dim = 1;
    m.ready.model = UINT64_MAX; // any hash is one
    assert_int_equal(verdict(&m), 0);
    m = sample(WIRE_SAMPLE);
    m.sample.n = WIRE_MAX_ROWS + 1;
    assert_int_equal(verdict(&m), -EBADMSG);
    m = sample(WIRE_SHARD_READY);
    m.shard_ready.present = m.shard_ready.stored + 1;
    assert_int_equal(verdict(&m), -EBADMSG);
    m = sample(WIRE_TOPOLOGY);
    struct wire_shard twice[2] = {m.topology.shards[0], m.topology.shards[0]};
    m.topology.shards = twice;
    assert_int_equal(verdict(&m), -EBADMSG);
    m.topology.n = 1;
    assert_int_equal(verdict(&m), 0);
    strcpy(twice[0].key, "abcdef"); // a key is whole or none
    assert_int_equal(verdict(&m), -EBADMSG);
    m = sample(WIRE_INSERT);
    uint8_t flags[3] = {0, 4, 0};
    m.insert.rows.flags = flags;
    assert_int_equal(verdict(&m), -EBADMSG);
}

/* Peers' names are 1 to 64 of A-Za-z0-9._- */
static void names_are_checked(void **state) {
    (void)state;
    char longest[WIRE_NAME_LEN + 1];
    memset(longest, 'a', sizeof(longest));
    longest[WIRE_NAME_LEN] = '\0';
    assert_false(wire_name_ok(longest));
    longest[WIRE_NAME_LEN - 1] = '\0';
    assert_true(wire_name_ok(longest));
    assert_true(wire_name_ok("a.B-9_"));
    assert_false(wire_name_ok(""));
    assert_false(wire_name_ok("a b"));
    assert_false(wire_name_ok("a/b"));
    assert_false(wire_name_ok("\xc3\xa4"));
}

/* Keys are 64 lower-case hexadecimal digits, or none. */
static void keys_are_checked(void **state) {
    (void)state;
    char key[WIRE_KEY_LEN + 1] = "";
    assert_true(wire_key_ok(key));
    memset(key, 'e', WIRE_KEY_LEN - 1);
    assert_true(wire_key_ok(key));
    key[7] = 'E';
    assert_false(wire_key_ok(key));
    key[7] = 'g';
    assert_false(wire_key_ok(key));
    key[7] = '0';
    key[WIRE_KEY_LEN - 1] = '0';
    assert_false(wire_key_ok(key));
    key[WIRE_KEY_LEN - 2] = '\0';
    assert_false(wire_key_ok(key));
}

/* ---- hand-made bytes ---- */

static void put_varint(struct bytes *b, uint64_t x) {
    do {
        b->data[b->len++] = (uint8_t)((x & 0x7F) | (x > 0x7F ? 0x80 : 0));
        x >>= 7;
    } while (x > 0);
}

static void put_field(struct bytes *b, uint32_t field, const struct bytes *x) {
    put_varint(b, field << 3 | 2);
    put_varint(b, x->len);
    memcpy(b->data + b->len, x->data, x->len);
    b->len += x->len;
}

/* An envelope around a body of our own making, unpacked. */
static int body_verdict(enum wire_type type, const struct bytes *body) {
    struct wire_message m = sample(WIRE_GO);
    struct bytes head = pack(&m);
    struct bytes all = {malloc(head.len + body->len + 32), head.len - 2};
    memcpy(all.data, head.data, head.len - 2); /* go's body is two bytes */
    put_field(&all, 10 + type, body);
    int rc = wire_one(all.data, all.len);
    free(all.data);
    free(head.data);
    return rc;
}

/* Rows that claim n, S and A over columns of `bytes` zeros each. */
static int rows_verdict(uint64_t n, uint64_t S, uint64_t A, size_t bytes) {
    uint8_t zeros[64] = {0}, rows_data[1024], body_data[1024];
    struct bytes column = {zeros, bytes}, rows = {rows_data, 0},
                 body = {body_data, 0};
    const uint64_t counts[] = {n, S, A};
    for (uint32_t i = 0; i < 3; i++) {
        put_varint(&rows, (i + 1) << 3);
        put_varint(&rows, counts[i]);
    }
    for (uint32_t field = 4; field <= 9; field++) {
        put_field(&rows, field, &column);
    }
    put_field(&body, 4, &rows);
    return body_verdict(WIRE_INSERT, &body);
}

/* Counts are held against the bytes that are there before anything is read. */
static void counts_without_bytes_are_refused(void **state) {
    (void)state;
    assert_int_equal(rows_verdict(1, 1, 1, 4), -EBADMSG); /* flags: 4 for 1 */
    assert_int_equal(rows_verdict(0, 1, 1, 0), -EBADMSG);
    assert_int_equal(rows_verdict(16, 1, 1, 64), -EBADMSG);
    assert_int_equal(rows_verdict(65536, 4096, 4096, 8), -EBADMSG);
    assert_int_equal(rows_verdict(65537, 1, 1, 8), -EBADMSG);
    assert_int_equal(rows_verdict(UINT32_MAX, UINT32_MAX, 1, 4), -EBADMSG);
    assert_int_equal(rows_verdict(1u << 30, 4, 4, 0),
                     -EBADMSG); /* 2^32 wraps */
    assert_int_equal(rows_verdict(1, 0, 1, 8), -EBADMSG);
}

/*
 * Four megabytes of empty submessages or unknown fields would be a hundred as
 * protobuf-c's structs; they end at the budget.
 */
static void small_lists_of_many_cannot_eat_the_memory(void **state) {
    (void)state;
    const size_t len = 4u << 20;
    struct bytes body = {malloc(len), 0};
    while (body.len + 2 <= len) { /* shards: [] */
        body.data[body.len++] = 3 << 3 | 2;
        body.data[body.len++] = 0;
    }
    assert_int_equal(body_verdict(WIRE_TOPOLOGY, &body), -EBADMSG);
    for (size_t i = 0; i < len; i += 2) { /* an unknown field, again */
        body.data[i] = 9 << 3;
        body.data[i + 1] = 1;
    }
    assert_int_equal(body_verdict(WIRE_TOPOLOGY, &body), -EBADMSG);
    free(body.data);
}

/* One more shard than a topology may list. */
static void long_lists_are_refused(void **state) {
    (void)state;
    struct bytes body = {malloc(16384), 0};
    for (uint32_t i = 0; i <= WIRE_MAX_SHARDS; i++) {
        uint8_t shard_data[16];
        struct bytes shard = {shard_data, 0};
        put_varint(&shard, 1 << 3);
        put_varint(&shard, i);
        put_varint(&shard, 4 << 3);
        put_varint(&shard, WIRE_SHARD_LISTED);
        put_field(&body, 3, &shard);
    }
    assert_int_equal(body_verdict(WIRE_TOPOLOGY, &body), -EBADMSG);
    free(body.data);
}

/* Parameters come in whole floats. */
static void a_torn_float_is_refused(void **state) {
    (void)state;
    uint8_t zeros[7] = {0}, data[64];
    struct bytes phi = {zeros, 7}, body = {data, 0};
    put_field(&body, 3, &phi);
    assert_int_equal(body_verdict(WIRE_PARAMETERS, &body), -EBADMSG);
    body.len = 0;
    phi.len = 0;
    put_field(&body, 3, &phi);
    assert_int_equal(body_verdict(WIRE_PARAMETERS, &body), -EBADMSG);
}

/* Room for what the shapes need, 4 MiB at least, no overflow. */
static void the_largest_message_follows_from_the_shapes(void **state) {
    (void)state;
    struct wire_spec spec = {8, 2};
    assert_int_equal(wire_max_size(&spec, 64, 1000), 4 << 20);
    assert_true(wire_max_size(&spec, 0, 2u << 20) > 8u << 20);
    assert_true(wire_max_size(&spec, UINT64_MAX, 0) == SIZE_MAX);
    assert_true(wire_max_size(&spec, 0, UINT64_MAX) == SIZE_MAX);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* 256 transitions pack in microseconds (no submessage a row); the bound is
 * wide for sanitizers and busy machines. */
static void packing_a_batch_costs_microseconds(void **state) {
    (void)state;
    struct wire_message m = sample(WIRE_INSERT);
    struct batch rows;
    assert_int_equal(batch_init(&rows, 256, 28, 8), 0);
    rows.n = 256;
    memset(rows.s, 0, 256 * 28 * 4);
    memset(rows.next, 0, 256 * 28 * 4);
    memset(rows.a, 0, 256 * 8 * 4);
    memset(rows.r, 0, 256 * 4);
    memset(rows.flags, 0, 256);
    memset(rows.version, 0, 256 * 8);
    m.insert.rows = rows;
    double best_pack = 1, best_unpack = 1;
    for (int i = 0; i < 200; i++) {
        double t0 = seconds();
        struct bytes b = pack(&m);
        double t1 = seconds();
        struct wire_message got;
        char why[64];
        assert_int_equal(wire_unpack(&got, b.data, b.len, why, sizeof(why)), 0);
        double t2 = seconds();
        wire_free(&got);
        free(b.data);
        if (t1 - t0 < best_pack) best_pack = t1 - t0;
        if (t2 - t1 < best_unpack) best_unpack = t2 - t1;
    }
    print_message(
        "256 transitions of 264 bytes: pack %.1f us, unpack %.1f us\n",
        1e6 * best_pack, 1e6 * best_unpack);
    assert_true(best_pack < 1e-3 && best_unpack < 1e-3);
    batch_finish(&rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back_as_it_went),
        cmocka_unit_test(received_columns_are_aligned),
        cmocka_unit_test(a_minibatch_may_be_empty_an_insert_may_not),
        cmocka_unit_test(a_cut_message_is_refused_at_every_byte),
        cmocka_unit_test(a_hundred_thousand_damaged_messages_do_no_harm),
        cmocka_unit_test(noise_is_refused),
        cmocka_unit_test(a_number_that_is_not_finite_is_told_apart),
        cmocka_unit_test(parameters_and_returns_are_finite),
        cmocka_unit_test(latencies_are_buckets_in_order),
        cmocka_unit_test(another_version_is_told_apart),
        cmocka_unit_test(texts_hold_no_control_characters),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(keys_are_checked),
        cmocka_unit_test(counts_without_bytes_are_refused),
        cmocka_unit_test(small_lists_of_many_cannot_eat_the_memory),
        cmocka_unit_test(long_lists_are_refused),
        cmocka_unit_test(a_torn_float_is_refused),
        cmocka_unit_test(the_largest_message_follows_from_the_shapes),
        cmocka_unit_test(packing_a_batch_costs_microseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
