#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor/tasks/recipe.h"
#include "tests/unit/test.h"

static char why[512];

/* A description of the given lines; the file is gone afterwards. */
static int read_lines(struct recipe *recipe, const char *lines) {
    char path[] = "/tmp/softq-robot-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    fputs(lines, file);
    fclose(file);
    memset(recipe, 0xAB, sizeof(*recipe));
    why[0] = '\0';
    const int rc = recipe_read(recipe, path, why, sizeof(why));
    unlink(path);
    return rc;
}

#define LEAST "[robot]\nmodel = a.xml\nobserve = qpos qvel\nreward = 1 alive\n"

static int parse(struct recipe_quantity *q, const char *text) {
    why[0] = '\0';
    return recipe_quantity_parse(q, text, strlen(text), why, sizeof(why));
}

/* Three lines are a task; the rest has defaults. */
static void the_least_is_three_lines(void **unused) {
    (void)unused;
    struct recipe recipe;
    assert_int_equal(read_lines(&recipe, LEAST), 0);
    assert_string_equal(recipe.model, "a.xml");
    assert_int_equal(recipe.frame_skip, 1);
    assert_int_equal(recipe.horizon, 1000);
    assert_int_equal(recipe.skip, 0);
    assert_true(recipe.reset_noise == 0.0);
    assert_string_equal(recipe.start, "");
    assert_int_equal(recipe.n_observed, 2);
    assert_int_equal(recipe.n_terms, 1);
    assert_int_equal(recipe.n_ends, 0);
}

/* Every line that there is, options around the section left alone. */
static void a_whole_description_is_read(void **unused) {
    (void)unused;
    struct recipe recipe;
    const char *lines = "alpha = 3\n[robot]\nmodel = b/c d.xml ; a comment\n"
                        "frame_skip = 5\nhorizon = 200\nstart = home\n"
                        "skip = 2\nreset_noise = 0.1\n"
                        "observe = qpos, sensor( a , 1 )  cos(hip)\n"
                        "observe = velocity(torso,z)\n"
                        "reward = -0.5 distance(tip, goal)^2\n"
                        "reward = 2 * velocity(torso,x)\n"
                        "end = position(torso,z) < 0.2\n"
                        "end = up(torso)^2 > 1e-3\n[else]\nreward = 9\n";
    assert_int_equal(read_lines(&recipe, lines), 0);
    assert_string_equal(recipe.model, "b/c d.xml");
    assert_int_equal(recipe.frame_skip, 5);
    assert_int_equal(recipe.horizon, 200);
    assert_string_equal(recipe.start, "home");
    assert_int_equal(recipe.skip, 2);
    assert_true(recipe.reset_noise == 0.1);
    assert_int_equal(recipe.n_observed, 4);
    assert_int_equal(recipe.observed[0].kind, RECIPE_QPOS);
    assert_string_equal(recipe.observed[1].name, "a");
    assert_int_equal(recipe.observed[1].index, 1);
    assert_int_equal(recipe.observed[2].kind, RECIPE_COS);
    assert_int_equal(recipe.observed[3].index, 2);
    assert_int_equal(recipe.n_terms, 2);
    assert_true(recipe.terms[0].weight == -0.5);
    assert_true(recipe.terms[0].of.squared);
    assert_string_equal(recipe.terms[0].of.other, "goal");
    assert_string_equal(recipe.terms[0].of.text, "distance(tip,goal)^2");
    assert_true(recipe.terms[1].weight == 2.0);
    assert_int_equal(recipe.n_ends, 2);
    assert_false(recipe.ends[0].above);
    assert_true(recipe.ends[0].bound == 0.2);
    assert_true(recipe.ends[1].above && recipe.ends[1].of.squared);
}

/* Bare, of a joint, of one of its numbers. */
static void quantities_are_told_apart(void **unused) {
    (void)unused;
    struct recipe_quantity q;
    assert_int_equal(parse(&q, "qvel"), 0);
    assert_string_equal(q.name, "");
    assert_int_equal(q.index, -1);
    assert_int_equal(parse(&q, "qvel(root)"), 0);
    assert_string_equal(q.name, "root");
    assert_int_equal(q.index, -1);
    assert_int_equal(parse(&q, " qvel ( root , 12 ) "), 0);
    assert_int_equal(q.index, 12);
    assert_string_equal(q.text, "qvel(root,12)");
    assert_int_equal(parse(&q, "control"), 0);
    assert_int_equal(q.kind, RECIPE_CONTROL);
}

/* What is no quantity is refused with the words that are. */
static void a_wrong_quantity_is_refused_in_words(void **unused) {
    (void)unused;
    static const char *const wrong[][2] = {
        {"speed", "velocity"},
        {"", "no quantity"},
        {"sensor", "sensor(NAME)"},
        {"sensor()", "sensor(NAME)"},
        {"sensor(a,b)", "sensor(NAME)"},
        {"sensor(a,-1)", "sensor(NAME)"},
        {"sensor(a,1,2)", "sensor(NAME)"},
        {"sensor(a,9999)", "sensor(NAME)"},
        {"alive(a)", "write alive"},
        {"distance(a)", "distance(SITE,SITE)"},
        {"distance(a,)", "distance(SITE,SITE)"},
        {"up(a,z)", "up(BODY)"},
        {"up(a", "match"},
        {"up)a(", "match"},
        {"up((a))", "match"},
        {"up(a)b", "match"},
        {"^2", "no quantity"},
        {"alive^3", "no quantity"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct recipe_quantity q;
        assert_int_equal(parse(&q, wrong[i][0]), -EINVAL);
        if (!strstr(why, wrong[i][1])) fail_msg("%s: %s", wrong[i][0], why);
    }
    char longest[RECIPE_TEXT_LEN + 20];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    struct recipe_quantity q;
    assert_int_equal(parse(&q, longest), -EINVAL);
    longest[RECIPE_TEXT_LEN - 2] = '\0';
    memcpy(longest, "up(", 3);
    longest[RECIPE_TEXT_LEN - 3] = ')';
    assert_int_equal(parse(&q, longest), -EINVAL); // a name of 64 and more
}

/* One line: file, number, what is wrong and what would be right. */
static void a_wrong_line_is_named(void **unused) {
    (void)unused;
    static const char *const wrong[][2] = {
        {"frame_skip = 0", "[1, 1000]"},
        {"frame_skip = 1.5", "[1, 1000]"},
        {"frame_skip = nan", "[1, 1000]"},
        {"horizon = -1", "[1, 1e+09]"},
        {"horizon = 5 steps", "[1, 1e+09]"},
        {"reset_noise = inf", "[0, 10]"},
        {"reset_noise = -1", "[0, 10]"},
        {"skip = x", "[0, 1000]"},
        {"start =", "start"},
        {"model = b.xml", "twice"},
        {"observe = qvel", "twice"},
        {"observe = sensor(a) sensor(a)", "twice"},
        {"reward = 2 alive", "twice"},
        {"reward = control", "weight"},
        {"reward = nan control", "weight"},
        {"reward = inf control", "weight"},
        {"reward = 1e999 control", "weight"},
        {"reward =", "weight"},
        {"reward = 1", "no quantity"},
        {"end = alive", "< or >"},
        {"end = alive <", "< or >"},
        {"end = alive < nan", "< or >"},
        {"end = alive < 1 2", "< or >"},
        {"end = < 1", "no quantity"},
        {"rewrad = 1 alive", "reward"},
        {"nonsense", "name = value"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct recipe recipe;
        char lines[256];
        snprintf(lines, sizeof(lines), LEAST "%s\n", wrong[i][0]);
        assert_int_equal(read_lines(&recipe, lines), -EINVAL);
        if (!strstr(why, wrong[i][1]) || !strstr(why, ":5: ") ||
            strchr(why, '\n'))
            fail_msg("%s: %s", wrong[i][0], why);
    }
}

/* Without a model, an observation or a reward there is no task. */
static void what_is_missing_is_said(void **unused) {
    (void)unused;
    struct recipe recipe;
    assert_int_equal(read_lines(&recipe, "alpha = 1\n"), -EINVAL);
    assert_non_null(strstr(why, "model"));
    assert_int_equal(
        read_lines(&recipe, "[robot]\nmodel = a\nreward=1 alive\n"), -EINVAL);
    assert_non_null(strstr(why, "observe"));
    assert_int_equal(
        read_lines(&recipe, "[robot]\nmodel = a\nobserve = qpos\n"), -EINVAL);
    assert_non_null(strstr(why, "reward"));
    assert_int_equal(recipe_read(&recipe, "/nowhere.ini", why, sizeof(why)),
                     -EINVAL);
    assert_non_null(strstr(why, "/nowhere.ini"));
}

/* Neither too many quantities nor too many terms overrun the struct. */
static void there_is_a_most_of_everything(void **unused) {
    (void)unused;
    struct recipe recipe;
    char lines[16384];
    int at = snprintf(lines, sizeof(lines), LEAST);
    for (int i = 0; i < RECIPE_MAX_OBSERVED - 1; i++)
        at += snprintf(lines + at, sizeof(lines) - (size_t)at,
                       "observe = qpos(j%d)\n", i);
    assert_int_equal(read_lines(&recipe, lines), -EINVAL);
    assert_non_null(strstr(why, "more than 64"));
    at = snprintf(lines, sizeof(lines), LEAST);
    for (int i = 0; i < RECIPE_MAX_TERMS; i++)
        at += snprintf(lines + at, sizeof(lines) - (size_t)at,
                       "reward = 1 qpos(j%d)\n", i);
    assert_int_equal(read_lines(&recipe, lines), -EINVAL);
    assert_non_null(strstr(why, "more than 16"));
    at = snprintf(lines, sizeof(lines), LEAST);
    for (int i = 0; i <= RECIPE_MAX_ENDS; i++)
        at += snprintf(lines + at, sizeof(lines) - (size_t)at,
                       "end = qpos(j%d) < 1\n", i);
    assert_int_equal(read_lines(&recipe, lines), -EINVAL);
    assert_non_null(strstr(why, "more than 16"));
}

/* The hash tells descriptions apart, but not where their models lie. */
static void the_hash_is_of_what_is_said(void **unused) {
    (void)unused;
    struct recipe a, b;
    assert_int_equal(read_lines(&a, LEAST), 0);
    assert_int_equal(
        read_lines(&b, "; moved\nseed = 4\n[robot]\nmodel = /else/b.xml\n"
                       "observe =   qpos qvel\nreward = 1 alive\n"),
        0);
    assert_int_equal(a.hash, b.hash);
    assert_int_equal(read_lines(&b, LEAST "frame_skip = 2\n"), 0);
    assert_int_not_equal(a.hash, b.hash);
}

/* A model is looked for beside the description. */
static void the_model_lies_beside_its_description(void **unused) {
    (void)unused;
    struct recipe recipe = {.model = "x/a.xml"};
    char path[64];
    assert_int_equal(recipe_model(&recipe, "d/e.ini", path, sizeof(path)), 0);
    assert_string_equal(path, "d/x/a.xml");
    assert_int_equal(recipe_model(&recipe, "e.ini", path, sizeof(path)), 0);
    assert_string_equal(path, "./x/a.xml");
    assert_int_equal(recipe_model(&recipe, "/e.ini", path, sizeof(path)), 0);
    assert_string_equal(path, "/x/a.xml");
    assert_int_equal(recipe_model(&recipe, "d/e.ini", path, 9), -ENAMETOOLONG);
    strcpy(recipe.model, "/a.xml");
    assert_int_equal(recipe_model(&recipe, "d/e.ini", path, sizeof(path)), 0);
    assert_string_equal(path, "/a.xml");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_is_three_lines),
        cmocka_unit_test(a_whole_description_is_read),
        cmocka_unit_test(quantities_are_told_apart),
        cmocka_unit_test(a_wrong_quantity_is_refused_in_words),
        cmocka_unit_test(a_wrong_line_is_named),
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(there_is_a_most_of_everything),
        cmocka_unit_test(the_hash_is_of_what_is_said),
        cmocka_unit_test(the_model_lies_beside_its_description),
    };
    return cmocka_run_group_tests_name("recipe", tests, NULL, NULL);
}
