#include "tests/unit/test.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/rundir.h"

static char folder[64], run[96], path[512];

static void write_text(const char *rest, const char *text) {
    assert_int_equal(rundir_write(run, rest, text, strlen(text)), 0);
}

static void assert_content(const char *rest, const char *expected) {
    char text[256] = "";
    assert_int_equal(rundir_path(path, sizeof(path), run, rest), 0);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    const size_t n = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[n] = '\0';
    assert_string_equal(text, expected);
}

static bool exists(const char *rest) {
    assert_int_equal(rundir_path(path, sizeof(path), run, rest), 0);
    return access(path, F_OK) == 0;
}

/* A run gets its folders, parents included, and a second time is no error. */
static void create_makes_every_folder(void **state) {
    (void)state;
    assert_int_equal(rundir_create(run), 0);
    assert_int_equal(rundir_create(run), 0);
    assert_true(exists("checkpoints") && exists("replay") && exists("logs") &&
                exists("figures") && exists("bin"));
    assert_int_equal(rundir_create("/dev/null/run"), -ENOTDIR);
    assert_int_equal(rundir_create(""), -ENOENT);
}

/* A path that does not fit is an error, never cut. */
static void long_paths_are_refused(void **state) {
    (void)state;
    char small[8];
    assert_int_equal(rundir_path(small, sizeof(small), "abc", "def"), 0);
    assert_string_equal(small, "abc/def");
    assert_int_equal(rundir_path(small, sizeof(small), "abc", "defg"),
                     -ENAMETOOLONG);
}

/* A file is replaced whole, shorter text included, leaving no other file. */
static void write_replaces_the_whole_file(void **state) {
    (void)state;
    write_text("state", "a longer first text\n");
    write_text("state", "short\n");
    assert_content("state", "short\n");
    assert_false(exists("state.tmp"));
    assert_int_equal(rundir_write(run, "none/state", "x", 1), -ENOENT);
}

/* A disk that is full leaves the old text and no litter. */
static void failed_writes_keep_the_old_file(void **state) {
    (void)state;
    write_text("state", "old\n");
    struct rlimit before, tight = {.rlim_cur = 1000, .rlim_max = 0};
    char text[4000];
    memset(text, 'x', sizeof(text));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    const int rc = rundir_write(run, "state", text, sizeof(text));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(rc, -EFBIG);
    assert_content("state", "old\n");
    assert_false(exists("state.tmp"));
}

/* Names are found whole, wherever they stand; what is not there is ENOENT. */
static void addresses_are_found_by_name(void **state) {
    (void)state;
    char address[64];
    assert_int_equal(rundir_address(address, sizeof(address), run, "learner"),
                     -ENOENT);
    write_text("address", "learners ipc:///no\nlearner\n"
                          "learner ipc:///tmp/x/l\nhttp http://h:1\n");
    assert_int_equal(rundir_address(address, sizeof(address), run, "learner"),
                     0);
    assert_string_equal(address, "ipc:///tmp/x/l");
    assert_int_equal(rundir_address(address, sizeof(address), run, "http"), 0);
    assert_string_equal(address, "http://h:1");
    assert_int_equal(rundir_address(address, sizeof(address), run, "shard"),
                     -ENOENT);
    assert_int_equal(rundir_address(address, 5, run, "http"), -ENAMETOOLONG);
}

/* Newest is by generation, then updates; other files do not count. */
static void newest_checkpoint_is_by_generation_then_updates(void **state) {
    (void)state;
    static const char *const others[] = {
        "checkpoints/0000000009-000000000000.safetensors.tmp",
        "checkpoints/9-9.safetensors",
        "checkpoints/000000000d-000000000001.safetensors",
        "checkpoints/9999999999-000000000000.safetensorz",
    };
    assert_int_equal(rundir_newest_checkpoint(path, sizeof(path), run),
                     -ENOENT);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        write_text(others[i], "");
    }
    assert_int_equal(rundir_newest_checkpoint(path, sizeof(path), run),
                     -ENOENT);
    write_text("checkpoints/0000000001-000000099999.safetensors", "");
    write_text("checkpoints/0000000002-000000000010.safetensors", "");
    write_text("checkpoints/0000000002-000000000009.safetensors", "");
    assert_int_equal(rundir_newest_checkpoint(path, sizeof(path), run), 0);
    assert_non_null(strstr(path, "/0000000002-000000000010.safetensors"));
    assert_int_equal(rundir_newest_checkpoint(path, 20, run), -ENAMETOOLONG);
}

/* Sockets: a private folder of the run, the same whenever asked, and short. */
static void socket_folders_are_private_and_one_a_run(void **state) {
    (void)state;
    char first[108], again[108], other[108], winding[200], long_dir[300];
    struct stat info;
    setenv("XDG_RUNTIME_DIR", folder, 1);
    assert_int_equal(rundir_sockets(first, sizeof(first), run), 0);
    snprintf(winding, sizeof(winding), "%s/logs/..", run);
    assert_int_equal(rundir_sockets(again, sizeof(again), winding), 0);
    assert_string_equal(first, again);
    assert_int_equal(stat(first, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_true(exists("sock"));

    assert_int_equal(rundir_sockets(other, sizeof(other), folder), 0);
    assert_string_not_equal(first, other);

    memset(long_dir, 'x', sizeof(long_dir));
    long_dir[0] = '/';
    long_dir[299] = '\0';
    setenv("XDG_RUNTIME_DIR", long_dir, 1); // of no use: /tmp it is
    assert_int_equal(rundir_sockets(again, sizeof(again), run), 0);
    assert_true(strlen(again) < 60);
    assert_int_equal(rmdir(again), 0);

    setenv("XDG_RUNTIME_DIR", folder, 1);
    assert_int_equal(chmod(first, 0755), 0);
    assert_int_equal(rundir_sockets(again, sizeof(again), run), -EPERM);
    assert_int_equal(
        rundir_sockets(again, sizeof(again), "/tmp/softq-no-such-run"),
        -ENOENT);
}

static int make_folder(void **state) {
    (void)state;
    signal(SIGXFSZ, SIG_IGN); // a full disk is an error code here
    strcpy(folder, "/tmp/softq-test-rundir-XXXXXX");
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(run, sizeof(run), "%s/runs/one", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(create_makes_every_folder),
        cmocka_unit_test(long_paths_are_refused),
        cmocka_unit_test(write_replaces_the_whole_file),
        cmocka_unit_test(failed_writes_keep_the_old_file),
        cmocka_unit_test(addresses_are_found_by_name),
        cmocka_unit_test(newest_checkpoint_is_by_generation_then_updates),
        cmocka_unit_test(socket_folders_are_private_and_one_a_run),
    };
    return cmocka_run_group_tests_name("rundir", cases, make_folder,
                                       remove_folder);
}
