#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/wire_one.h"
#include "tests/unit/wire_case.h"

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

/* An evaluation names what played, and no more episodes at a goal than there
 * were. */
static void an_evaluation_is_one_that_can_be(void **state) {
    (void)state;
    const struct wire_message m = sample(WIRE_HEARTBEAT);
    struct wire_message wrong[5] = {m, m, m, m, m};
    wrong[0].heartbeat.evaluation.reached = 21;
    wrong[1].heartbeat.evaluation.has_goals = false;
    wrong[2].heartbeat.evaluation.std_return = -1.0;
    wrong[3].heartbeat.evaluation.mean_length = -1.0;
    wrong[4].heartbeat.evaluation.episodes = UINT64_C(1) << 57;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(verdict(&wrong[i]), -EBADMSG);
    wrong[0] = m;
    wrong[0].heartbeat.evaluation.mean_return = (double)NAN;
    assert_int_equal(verdict(&wrong[0]), -EDOM);
    // an older version's heartbeat has none, and none is sent
    struct wire_message none = m;
    none.heartbeat.evaluation = (struct wire_evaluation){0};
    struct bytes with = pack(&m), without = pack(&none);
    assert_true(without.len < with.len);
    free(with.data), free(without.data);
    assert_int_equal(verdict(&none), 0);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_that_is_not_finite_is_told_apart),
        cmocka_unit_test(parameters_and_returns_are_finite),
        cmocka_unit_test(latencies_are_buckets_in_order),
        cmocka_unit_test(an_evaluation_is_one_that_can_be),
        cmocka_unit_test(another_version_is_told_apart),
        cmocka_unit_test(texts_hold_no_control_characters),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(keys_are_checked),
        cmocka_unit_test(counts_without_bytes_are_refused),
        cmocka_unit_test(small_lists_of_many_cannot_eat_the_memory),
        cmocka_unit_test(long_lists_are_refused),
        cmocka_unit_test(a_torn_float_is_refused),
    };
    return cmocka_run_group_tests_name("wire_values", tests, NULL, NULL);
}
