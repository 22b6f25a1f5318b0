#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "proto/keys.h"
#include "tests/unit/test.h"

/* Two hosts' folders of keys, and what was read last. */
struct world {
    char home[64], folder[2][96], key[2][WIRE_KEY_LEN], secret[128];
    struct keys keys;
};

static int set_up(void **state) {
    struct world *w = calloc(1, sizeof(*w));
    if (w == NULL) return -1;
    log_init("test_keys", (enum log_level) - 1);
    strcpy(w->home, "/tmp/softq-keys-XXXXXX");
    assert_non_null(mkdtemp(w->home));
    for (int i = 0; i < 2; i++) {
        snprintf(w->folder[i], sizeof(w->folder[i]), "%s/%d", w->home, i);
        assert_int_equal(keys_make(w->folder[i], w->key[i]), 0);
    }
    snprintf(w->secret, sizeof(w->secret), "%s/secret", w->folder[1]);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = *state;
    char command[128];
    keys_finish(&w->keys);
    snprintf(command, sizeof(command), "rm -r %s", w->home);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

static int load(struct world *w) {
    return keys_load(&w->keys, w->folder[1]);
}

/* A secret that others may read is none, whoever made it so. */
static void a_readable_secret_is_refused(void **state) {
    struct world *w = *state;
    struct stat info;
    assert_int_equal(stat(w->secret, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(stat(w->folder[1], &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(load(w), 0);
    chmod(w->secret, 0640);
    assert_int_equal(load(w), -EACCES);
    chmod(w->secret, 0602);
    assert_int_equal(load(w), -EACCES);
    chmod(w->secret, 0600);
    chmod(w->folder[1], 0710);
    assert_int_equal(load(w), -EACCES);
    chmod(w->folder[1], 0700);
    assert_int_equal(load(w), 0);
    assert_string_equal(w->keys.public, w->key[1]);
}

/* Made once: a pair is never overwritten, and other bytes are no secret. */
static void a_secret_is_what_it_was_made(void **state) {
    struct world *w = *state;
    char public[WIRE_KEY_LEN];
    assert_int_equal(load(w), 0);
    assert_int_equal(keys_make(w->folder[1], public), -EEXIST);
    assert_int_equal(load(w), 0);
    assert_string_equal(w->keys.public, w->key[1]);
    assert_int_equal(truncate(w->secret, 63), 0);
    assert_int_equal(load(w), -EBADMSG);
    assert_int_equal(unlink(w->secret), 0);
    assert_int_equal(load(w), -ENOENT);
    assert_int_equal(symlink("../0/secret", w->secret), 0);
    assert_int_equal(load(w), -ELOOP);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_readable_secret_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_secret_is_what_it_was_made, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
