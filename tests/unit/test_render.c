#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "actor/render.h"
#include "tests/unit/test.h"

/* What a picture is refused for before any OpenGL is needed. */
static int refusal(const char *task, const struct render_options *options,
                   char why[512]) {
    const struct env_class *class = env_find(task);
    struct render *render;
    struct env_spec spec;
    void *model;
    assert_non_null(class);
    const struct env_options loading = {0};
    assert_int_equal(class->load(class, &model, &spec, &loading, why, 512), 0);
    void *state = class->create(model);
    assert_non_null(state);
    const int err = render_new(&render, class, state, options, why, 512);
    assert_null(render);
    class->destroy(state);
    class->unload(model);
    return err;
}

/* A ball of radius 1 fills 1 / 1.15 of a right angle's view from
 * 1.15 / sin 45 degrees; a picture half as wide as high needs more, one that
 * is wide needs no less. */
static void a_camera_stands_back_far_enough(void **unused) {
    (void)unused;
    assert_close((float)render_distance(1.0, 90.0, 1.0), 1.626346f, 1e-5f);
    assert_close((float)render_distance(2.0, 90.0, 1.0), 3.252691f, 1e-5f);
    assert_close((float)render_distance(1.0, 90.0, 0.5), 2.571478f, 1e-5f);
    assert_close((float)render_distance(1.0, 90.0, 3.0), 1.626346f, 1e-5f);
}

/* A wrong camera is answered with those there are. */
static void a_wrong_camera_lists_the_right_ones(void **unused) {
    (void)unused;
    char why[512] = "";
    const struct render_options options = {
        .width = 64, .height = 48, .camera = "nowhere", .models = ""};
    assert_int_equal(refusal("swimmer", &options, why), -ENOENT);
    assert_non_null(strstr(why, "\"nowhere\""));
    assert_non_null(strstr(why, "track, follow"));
    assert_int_equal(refusal("multigoal", &options, why), -ENOENT);
    assert_non_null(strstr(why, "above, follow"));
}

/* A drawing that is not among the models is named. */
static void a_missing_drawing_is_named(void **unused) {
    (void)unused;
    char why[512] = "";
    const struct render_options options = {
        .width = 64, .height = 48, .camera = "", .models = "/proc/nowhere"};
    assert_int_equal(refusal("multigoal", &options, why), -ENOENT);
    assert_non_null(strstr(why, "drawings/multigoal.xml"));
}

/* A task with neither simulation nor drawing is refused in words. */
static void a_task_without_a_model_is_refused(void **unused) {
    (void)unused;
    char why[512] = "";
    struct render *render;
    const struct env_class bare = {.name = "bare"};
    const struct render_options options = {
        .width = 64, .height = 48, .camera = "", .models = ""};
    assert_int_equal(
        render_new(&render, &bare, NULL, &options, why, sizeof(why)), -ENOTSUP);
    assert_null(render);
    assert_non_null(strstr(why, "task bare"));
}

/* Every task has something to show. */
static void every_task_shows_something(void **unused) {
    (void)unused;
    for (size_t i = 0; env_list()[i]; i++)
        assert_true(env_list()[i]->scene || env_list()[i]->drawing);
}

int main(void) {
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(a_camera_stands_back_far_enough),
        cmocka_unit_test(a_wrong_camera_lists_the_right_ones),
        cmocka_unit_test(a_missing_drawing_is_named),
        cmocka_unit_test(a_task_without_a_model_is_refused),
        cmocka_unit_test(every_task_shows_something),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
