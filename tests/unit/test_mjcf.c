#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"
#include "actor/tasks/mjcf.h"
#include "tests/unit/test.h"

static char folder[64];

static const char *write_file(const char *name, const char *text) {
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static int set_up(void **unused) {
    (void)unused;
    char path[128];
    strcpy(folder, "/tmp/softq-mjcf-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof(path), "%s/parts", folder);
    return mkdir(path, 0700);
}

static int tear_down(void **unused) {
    (void)unused;
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command); // NOLINT(cert-env33-c): a test's own folder
}

static bool has(const struct mjcf *mjcf, const char *file) {
    for (size_t i = 0; i < mjcf->n; i++)
        if (strcmp(mjcf->files[i], file) == 0) return true;
    return false;
}

/* Includes in includes, meshes and textures in their folders, each once. */
static void all_files_of_a_model_are_found(void **unused) {
    (void)unused;
    struct mjcf mjcf;
    write_file("parts/a.stl", "mesh");
    write_file("parts/t.png", "texture");
    write_file("parts/b.xml", "<x><include file='c.xml'/></x>");
    write_file("c.xml", "<mesh\n name='a' file = \"a.stl\" />");
    const char *path = write_file(
        "m.xml", "<mujoco><!-- <mesh file='no.stl'> -->\n"
                 "<texture fileright='t.png' type='cube'/>\n"
                 "<mesh file='gone.stl'/><include file='parts/b.xml'/>"
                 "<include file='parts/b.xml'/><include file='m.xml'/>"
                 "<compiler meshdir='parts' texturedir='parts'/></mujoco>");
    assert_int_equal(mjcf_read(&mjcf, path), 0);
    assert_string_equal(mjcf.folder, folder);
    assert_string_equal(mjcf.files[0], "m.xml");
    assert_int_equal(mjcf.n, 5);
    assert_true(has(&mjcf, "parts/b.xml") && has(&mjcf, "c.xml"));
    assert_true(has(&mjcf, "parts/a.stl") && has(&mjcf, "parts/t.png"));
    mjcf_finish(&mjcf);
}

/* strippath takes the folders out of what is named. */
static void a_stripped_path_is_its_last_part(void **unused) {
    (void)unused;
    struct mjcf mjcf;
    write_file("parts/a.stl", "mesh");
    const char *path =
        write_file("m.xml", "<compiler assetdir='parts' strippath='true'/>"
                            "<hfield file='/home/them/a.stl'/>");
    assert_int_equal(mjcf_read(&mjcf, path), 0);
    assert_int_equal(mjcf.n, 2);
    assert_true(has(&mjcf, "parts/a.stl"));
    mjcf_finish(&mjcf);
}

/* Any byte of any of its files changes a model's hash, its place does not. */
static void the_hash_is_of_all_files(void **unused) {
    (void)unused;
    uint64_t first = HASH_START, second = HASH_START, third = HASH_START;
    write_file("a.stl", "mesh");
    const char *text = "<mesh file='a.stl'/>";
    assert_int_equal(mjcf_hash(&first, write_file("m.xml", text)), 0);
    write_file("parts/a.stl", "mesh");
    assert_int_equal(mjcf_hash(&second, write_file("parts/n.xml", text)), 0);
    assert_int_equal(first, second);
    write_file("a.stl", "mush");
    char path[128];
    snprintf(path, sizeof(path), "%s/m.xml", folder);
    assert_int_equal(mjcf_hash(&third, path), 0);
    assert_int_not_equal(first, third);
}

/* Only what lies below the model's folder can be copied with it. */
static void outside_is_told_from_inside(void **unused) {
    (void)unused;
    char files[][MJCF_PATH_LEN] = {"a.stl",  "b/a.stl",  "b/..a/c", "..a",
                                   "/a.stl", "../a.stl", "b/../c",  "b/.."};
    const struct mjcf mjcf = {.folder = "x", .n = 8, .files = files};
    for (size_t i = 0; i < 4; i++) assert_true(mjcf_is_inside(&mjcf, i));
    for (size_t i = 4; i < 8; i++) assert_false(mjcf_is_inside(&mjcf, i));
}

/* Broken text ends the search; a file that is not there is an error. */
static void broken_text_is_no_trouble(void **unused) {
    (void)unused;
    static const char *const texts[] = {"",
                                        "<",
                                        "<>",
                                        "<mesh",
                                        "<mesh file",
                                        "<mesh file=",
                                        "<mesh file='",
                                        "<mesh file=a>",
                                        "<!--",
                                        "<mesh ====>",
                                        "\377\376<\001 = '\002'>"};
    struct mjcf mjcf;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        assert_int_equal(mjcf_read(&mjcf, write_file("m.xml", texts[i])), 0);
        assert_int_equal(mjcf.n, 1);
        mjcf_finish(&mjcf);
    }
    assert_int_equal(mjcf_read(&mjcf, "/nowhere/m.xml"), -ENOENT);
    assert_int_equal(mjcf_read(&mjcf, folder), -EISDIR);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(all_files_of_a_model_are_found),
        CASE(a_stripped_path_is_its_last_part),
        CASE(the_hash_is_of_all_files),
        CASE(outside_is_told_from_inside),
        CASE(broken_text_is_no_trouble),
    };
#undef CASE
    return cmocka_run_group_tests_name("mjcf", tests, NULL, NULL);
}
