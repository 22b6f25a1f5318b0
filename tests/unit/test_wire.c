#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/wire.h"
#include "tests/fuzz/samples.h"
#include "tests/fuzz/wire_one.h"
#include "tests/unit/wire_case.h"

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
        assert_memory_equal(&x->heartbeat.evaluation, &y->heartbeat.evaluation,
                            sizeof(x->heartbeat.evaluation));
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

static void fill_from(void *data, const struct batch_columns *to) {
    const struct batch *from = data;
    const size_t n = from->n;
    memcpy(to->s, from->s, n * from->S * 4);
    memcpy(to->a, from->a, n * from->A * 4);
    memcpy(to->r, from->r, n * 4);
    memcpy(to->next, from->next, n * from->S * 4);
    memcpy(to->flags, from->flags, n);
    memcpy(to->version, from->version, n * 8);
}

static void check_filled(struct wire_message *m, size_t n, size_t S, size_t A) {
    struct batch rows;
    assert_int_equal(batch_init(&rows, n, S, A), 0);
    rows.n = n;
    memset(rows.block, 0x5A, n * (8 + 4 * (2 * S + A + 1) + 1));
    m->minibatch.rows = rows;
    m->minibatch.fill = NULL;
    struct bytes copied = pack(m);
    m->minibatch.rows = (struct batch){.n = n, .S = S, .A = A};
    m->minibatch.fill = fill_from;
    m->minibatch.fill_data = &rows;
    struct bytes filled = pack(m);
    assert_int_equal(filled.len, copied.len);
    assert_memory_equal(filled.data, copied.data, copied.len);
    free(copied.data);
    free(filled.data);
    batch_finish(&rows);
}

/* Rows that are written into the message lie where copied ones do, whatever
 * the lengths and the numbers about them. */
static void rows_filled_in_are_rows_copied(void **state) {
    (void)state;
    struct wire_message m = sample(WIRE_MINIBATCH);
    check_filled(&m, 1, 1, 1);
    check_filled(&m, 64, 28, 8);
    check_filled(&m, 31, 1, 4);
    check_filled(&m, 5000, 200, 3);
    m.minibatch.id = UINT64_MAX;
    m.minibatch.part = m.minibatch.size = 0;
    check_filled(&m, 64, 4, 2);
    m.minibatch.rows.n = 0; /* then nobody is asked */
    m.minibatch.fill_data = NULL;
    assert_int_equal(verdict(&m), 0);
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
        cmocka_unit_test(rows_filled_in_are_rows_copied),
        cmocka_unit_test(a_cut_message_is_refused_at_every_byte),
        cmocka_unit_test(a_hundred_thousand_damaged_messages_do_no_harm),
        cmocka_unit_test(noise_is_refused),
        cmocka_unit_test(the_largest_message_follows_from_the_shapes),
        cmocka_unit_test(packing_a_batch_costs_microseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
