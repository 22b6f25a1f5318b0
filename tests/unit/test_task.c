#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actor/task.h"
#include "actor/tasks/tasks.h"
#include "common/exit_status.h"
#include "common/log.h"
#include "tests/unit/test.h"

static char folder[64], why[1024];
static struct config config;

static const char *below(const char *rest) {
    static char paths[4][256];
    static size_t next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, rest);
    return path;
}

static void write_file(const char *rest, const char *text) {
    FILE *file = fopen(below(rest), "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* A robot in FOLDER/mine, with a mesh of its own. */
static void write_robot(const char *mesh_folder) {
    char text[1024];
    snprintf(text, sizeof(text),
             "<mujoco><compiler meshdir='%s'/><asset><mesh name='m' "
             "file='m.obj'/></asset><worldbody><body><joint name='j'/><geom "
             "type='mesh' mesh='m'/></body></worldbody><actuator><motor "
             "joint='j' ctrllimited='true' ctrlrange='-1 1'/></actuator>"
             "</mujoco>",
             mesh_folder);
    write_file("mine/m.xml", text);
    write_file("mine/my.ini",
               "alpha = 2\n[robot]\nmodel = m.xml\nobserve = qpos\n"
               "reward = 1 alive\n");
}

static int set_up(void **unused) {
    (void)unused;
    strcpy(folder, "/tmp/softq-task-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    config_defaults(&config);
    strcpy(config.task, "mine");
    if (mkdir(below("mine"), 0700) != 0) return -1;
    if (mkdir(below("mine/parts"), 0700) != 0) return -1;
    write_file("mine/parts/m.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n"
                                   "f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n");
    log_init("test", LOG_ERROR);
    return 0;
}

static int tear_down(void **unused) {
    (void)unused;
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command); // NOLINT(cert-env33-c): a test's own folder
}

static void set(const char *name, const char *value) {
    assert_int_equal(config_set(&config, name, value, why, sizeof(why)), 0);
}

static int find(struct task *task) {
    return task_find(task, &config, why, sizeof(why));
}

static uint64_t hash_of_task(void) {
    struct task task;
    struct env_spec spec;
    void *model = NULL;
    if (task_load(&task, &model, &spec, &config, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    task.class->unload(model);
    return spec.hash;
}

/* A file that is named, else the run's copy, else softq's own. */
static void the_nearest_task_is_found(void **unused) {
    (void)unused;
    struct task task;
    assert_int_equal(find(&task), -EINVAL);
    assert_non_null(strstr(why, "multigoal"));
    assert_non_null(strstr(why, "--robot"));
    mkdir(below("run"), 0700);
    mkdir(below("run/task"), 0700);
    set("run_dir", below("run"));
    assert_int_equal(find(&task), -EINVAL);
    write_file("run/task/env.so", "");
    assert_int_equal(find(&task), 0);
    assert_ptr_equal(task.class, &tasks_plugin);
    assert_string_equal(task.file, below("run/task/env.so"));
    set("robot", "else.ini");
    assert_int_equal(find(&task), 0);
    assert_ptr_equal(task.class, &tasks_custom);
    assert_string_equal(task.file, "else.ini");
    set("env", "else.so");
    assert_int_equal(find(&task), -EINVAL); // both
    set("robot", "");
    set("env", "");
    set("run_dir", "");
    set("task", "swimmer");
    assert_int_equal(find(&task), 0);
    assert_string_equal(task.class->name, "swimmer");
    assert_string_equal(task.file, "");
}

/* A file is never taken for a task that softq has under that name. */
static void a_built_in_name_is_not_for_others(void **unused) {
    (void)unused;
    struct task task;
    set("task", "multigoal");
    set("env", "mine.so");
    assert_int_equal(find(&task), -EINVAL);
    assert_non_null(strstr(why, "multigoal"));
}

/* The copy is the same task, wherever it goes, and without the original. */
static void a_kept_robot_needs_nothing_else(void **unused) {
    (void)unused;
    write_robot("parts");
    set("robot", below("mine/my.ini"));
    const uint64_t hash = hash_of_task();
    mkdir(below("run"), 0700);
    set("keep", below("run/task"));
    assert_int_equal(task_keep(&config), EXIT_FINISHED);
    assert_int_equal(rename(below("mine"), below("gone")), 0);
    assert_int_equal(rename(below("run"), below("moved")), 0);
    set("robot", "");
    set("run_dir", below("moved"));
    assert_int_equal(hash_of_task(), hash);
    assert_int_equal(access(below("moved/task/model/parts/m.obj"), R_OK), 0);
}

/* A model that reaches out of its folder stays; robot.ini says where. */
static void what_cannot_be_copied_is_pointed_at(void **unused) {
    (void)unused;
    write_robot("../mine/parts");
    set("robot", below("mine/my.ini"));
    const uint64_t hash = hash_of_task();
    set("keep", below("run/task"));
    assert_int_equal(task_keep(&config), EXIT_FINISHED);
    set("robot", "");
    set("run_dir", below("run"));
    assert_int_equal(hash_of_task(), hash);
    assert_int_not_equal(access(below("run/task/model"), F_OK), 0);
}

/* Nothing to keep, a task that does not load, a folder that cannot be. */
static void what_cannot_be_kept_is_refused(void **unused) {
    (void)unused;
    set("keep", below("run/task"));
    assert_int_equal(task_keep(&config), EXIT_REFUSED);
    set("robot", below("nowhere.ini"));
    assert_int_equal(task_keep(&config), EXIT_REFUSED);
    write_robot("parts");
    set("robot", below("mine/my.ini"));
    set("keep", "/dev/null/task");
    assert_int_equal(task_keep(&config), EXIT_REFUSED);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_nearest_task_is_found),
        CASE(a_built_in_name_is_not_for_others),
        CASE(a_kept_robot_needs_nothing_else),
        CASE(what_cannot_be_copied_is_pointed_at),
        CASE(what_cannot_be_kept_is_refused),
    };
#undef CASE
    return cmocka_run_group_tests_name("task", tests, NULL, NULL);
}
