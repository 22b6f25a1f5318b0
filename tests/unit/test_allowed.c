#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "proto/allowed.h"
#include "tests/unit/test.h"

#define K1 "1111111111111111111111111111111111111111111111111111111111111111"
#define K2 "2222222222222222222222222222222222222222222222222222222222222222"
#define K3 "33333333333333333333333333333333333333333333333333333333333333ab"

static int parse(struct allowed *allowed, const char *text, char why[512]) {
    why[0] = '\0';
    return allowed_parse(allowed, text, strlen(text), "keys/allowed", why, 512);
}

/* Comments, empty lines, tabs, CRLF and a last line without its end. */
static void a_list_is_read(void **state) {
    (void)state;
    struct allowed a;
    char why[512];
    assert_int_equal(parse(&a,
                           "# who may take part\n\n"
                           "  " K2 "\tgpu1  learner,shard,observer  \r\n"
                           "   # that was the learner\n" K1 " lab-7 actor",
                           why),
                     0);
    assert_int_equal(a.n, 2);
    const struct allowed_entry *e = allowed_find(&a, K2);
    assert_non_null(e);
    assert_string_equal(e->name, "gpu1");
    assert_int_equal(e->roles,
                     ALLOWED_LEARNER | 1u << WIRE_SHARD | 1u << WIRE_OBSERVER);
    assert_string_equal(a.list[a.learner].key, K2);
    assert_int_equal(allowed_find(&a, K1)->roles, 1u << WIRE_ACTOR);
    assert_null(allowed_find(&a, K3));
    assert_null(allowed_find(&a, ""));
    assert_null(allowed_find(&a, K1 K1));
    char roles[64];
    allowed_roles(e->roles, roles, sizeof(roles));
    assert_string_equal(roles, "learner,shard,observer");
    allowed_finish(&a);
}

/* Nobody is somebody too: an empty list lets no one in. */
static void an_empty_list_has_nobody(void **state) {
    (void)state;
    struct allowed a;
    char why[512];
    assert_int_equal(parse(&a, "", why), 0);
    assert_int_equal(a.n, 0);
    assert_int_equal(a.learner, -1);
    assert_null(allowed_find(&a, K1));
    allowed_finish(&a);
}

/* Each mistake is named with file, line, value and what is allowed. */
static void mistakes_are_named(void **state) {
    (void)state;
    const struct {
        const char *text, *line, *value, *words;
    } cases[] = {
        {"\n11 gpu1 actor\n", "line 2", "'11'", "64 hexadecimal digits"},
        {K3 "0 a actor\n", "line 1", "'33333333", "64 hexadecimal digits"},
        {"A111111111111111111111111111111111111111111111111111111111111111 a "
         "actor",
         "line 1", "'A1111", "0-9 a-f"},
        {K1 "\n", "line 1", "the name", "PUBLIC_KEY NAME ROLES"},
        {K1 " gpu1\n", "line 1", "the roles", "PUBLIC_KEY NAME ROLES"},
        {K1 " g:1 actor\n", "line 1", "'g:1'", "A-Z a-z 0-9"},
        {K1 " gpu1 act\n", "line 1", "'act'", "learner, actor, shard"},
        {K1 " gpu1 actor,\n", "line 1", "''", "by commas"},
        {K1 " gpu1 actor,actor\n", "line 1", "'actor'", "twice"},
        {K1 " gpu1 actor shard\n", "line 1", "'shard'", "commas"},
        {K1 " a actor\n" K1 " b actor\n", "line 2", "of a", "one line a key"},
        {K1 " a actor\n" K2 " a actor\n", "line 2", "'a'", "one line a name"},
        {K1 " a learner\n" K2 " b learner\n", "line 2", "a is the learner",
         "one at most"},
        {K1 " a\x01 actor\n", "line 1", "(1)", "cannot be shown"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct allowed a;
        char why[512];
        assert_int_equal(parse(&a, cases[i].text, why), -EBADMSG);
        if (strstr(why, "keys/allowed ") == NULL ||
            strstr(why, cases[i].line) == NULL ||
            strstr(why, cases[i].value) == NULL ||
            strstr(why, cases[i].words) == NULL) {
            fail_msg("case %zu: %s", i, why);
        }
        assert_null(a.list);
    }
}

/* What is too long or too much, and a zero byte within. */
static void bounds_are_kept(void **state) {
    (void)state;
    struct allowed a;
    char why[512], line[ALLOWED_LINE_MAX + 3];
    memset(line, 'x', sizeof(line));
    line[0] = '#';
    line[ALLOWED_LINE_MAX + 1] = '\n';
    assert_int_equal(
        allowed_parse(&a, line, ALLOWED_LINE_MAX, "f", why, sizeof(why)), 0);
    assert_int_equal(
        allowed_parse(&a, line, sizeof(line) - 1, "f", why, sizeof(why)),
        -EBADMSG);
    assert_non_null(strstr(why, "at most 255"));
    assert_int_equal(
        allowed_parse(&a, K1 "\0a actor", 73, "f", why, sizeof(why)), -EBADMSG);

    char *text = malloc((size_t)100 * (ALLOWED_MAX + 1)), *at = text;
    for (int i = 0; i <= ALLOWED_MAX; i++) {
        if (i == ALLOWED_MAX) {
            assert_int_equal(allowed_parse(&a, text, (size_t)(at - text), "f",
                                           why, sizeof(why)),
                             0);
            assert_int_equal(a.n, ALLOWED_MAX);
            for (size_t k = 1; k < a.n; k++)
                assert_true(strcmp(a.list[k - 1].key, a.list[k].key) < 0);
            allowed_finish(&a);
        }
        /* keys out of order */
        at += sprintf(at, "%064x h%d actor\n", (unsigned)i * 2654435761u, i);
    }
    assert_int_equal(
        allowed_parse(&a, text, (size_t)(at - text), "f", why, sizeof(why)),
        -EBADMSG);
    assert_non_null(strstr(why, "more than 4096"));
    free(text);
}

/* Random bytes and random edits of a good list: read or refused in words. */
static void any_bytes_are_survived(void **state) {
    (void)state;
    static const char good[] = "# x\n" K1 " a learner,actor\n" K2 " b shard\n";
    static const char letters[] = "# \t\n\r,1a2learnctoshdv\x80\x00";
    struct rng rng;
    rng_init(&rng, 7, RNG_ACTOR, 0, 0, 0);
    for (int round = 0; round < 20000; round++) {
        char text[sizeof(good)], why[200] = "";
        memcpy(text, good, sizeof(good));
        size_t len = (size_t)(rng_uniform(&rng) * sizeof(good));
        const int edits = (int)(rng_uniform(&rng) * 6);
        for (int i = 0; i < edits; i++) {
            const size_t at = (size_t)(rng_uniform(&rng) * sizeof(good));
            text[at < sizeof(text) ? at : 0] =
                letters[(size_t)(rng_uniform(&rng) * (sizeof(letters) - 1))];
        }
        char *exact = malloc(len + 1); /* a sanitizer sees its end */
        memcpy(exact, text, len);
        struct allowed a;
        const int rc = allowed_parse(&a, exact, len, "f", why, sizeof(why));
        assert_true(rc == 0 || (rc == -EBADMSG && why[0] != '\0'));
        free(exact);
        for (size_t k = 0; k < a.n; k++) {
            assert_true(wire_key_ok(a.list[k].key) && a.list[k].roles != 0);
            assert_ptr_equal(allowed_find(&a, a.list[k].key), &a.list[k]);
        }
        allowed_finish(&a);
    }
}

/* The whole table: who may send what to a server. */
static void roles_decide_messages(void **state) {
    (void)state;
    const unsigned a = 1u << WIRE_ACTOR, s = 1u << WIRE_SHARD,
                   e = 1u << WIRE_EVALUATOR, o = 1u << WIRE_OBSERVER,
                   l = ALLOWED_LEARNER;
    const unsigned who[WIRE_STATUS_REPLY + 1] = {
        [WIRE_READY] = a | e,
        [WIRE_GET_PARAMETERS] = a | e,
        [WIRE_EPISODES] = a | e,
        [WIRE_INSERT] = a,
        [WIRE_SHARD_READY] = s,
        [WIRE_MINIBATCH] = s,
        [WIRE_HEARTBEAT] = a | s | e,
        [WIRE_REFUSED] = a | s | e,
        [WIRE_STATUS] = a | s | e | o | l,
    };
    for (int type = 1; type <= WIRE_STATUS_REPLY; type++) {
        const struct wire_message m = {.type = (enum wire_type)type,
                                       .hello = {.role = WIRE_OBSERVER}};
        const unsigned may = type == WIRE_HELLO ? o : who[type];
        for (unsigned bit = 0; bit <= WIRE_OBSERVER; bit++) {
            assert_int_equal(allowed_may(1u << bit, &m),
                             (may & 1u << bit) != 0);
        }
        assert_false(allowed_may(0, &m));
    }
    const struct wire_message hello = {.type = WIRE_HELLO,
                                       .hello = {.role = WIRE_SHARD}};
    assert_false(allowed_may(a | e | o | l, &hello));
    assert_true(allowed_may(a | s, &hello));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_read),
        cmocka_unit_test(an_empty_list_has_nobody),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(bounds_are_kept),
        cmocka_unit_test(any_bytes_are_survived),
        cmocka_unit_test(roles_decide_messages),
    };
    return cmocka_run_group_tests_name("allowed", tests, NULL, NULL);
}
