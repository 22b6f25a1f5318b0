#include "actor/task.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actor/tasks/tasks.h"

static int no_such_task(const struct config *config, char *why, size_t n) {
    char names[512];
    env_names(names, sizeof(names));
    snprintf(why, n,
             "there is no task \"%s\": %s; your own by --robot=FILE.ini or "
             "--env=FILE.so",
             config->task, names);
    return -EINVAL;
}

/* The run's own copy, if it has one. */
static const struct env_class *find_copy(const struct config *config,
                                         char *path, size_t n) {
    static const struct {
        const char *name;
        const struct env_class *class;
    } copies[] = {{"robot.ini", &tasks_custom}, {"env.so", &tasks_plugin}};
    for (size_t i = 0; config->run_dir[0] != '\0' && i < 2; i++) {
        const int len =
            snprintf(path, n, "%s/task/%s", config->run_dir, copies[i].name);
        if (len > 0 && (size_t)len < n && access(path, F_OK) == 0)
            return copies[i].class;
    }
    path[0] = '\0';
    return NULL;
}

int task_find(struct task *task, const struct config *config, char *why,
              size_t n) {
    *task = (struct task){0};
    const bool robot = config->robot[0] != '\0', env = config->env[0] != '\0';
    if (robot && env) {
        snprintf(why, n,
                 "robot is '%.80s' and env '%.80s': a task is one or "
                 "the other",
                 config->robot, config->env);
        return -EINVAL;
    }
    if (robot || env) {
        task->class = robot ? &tasks_custom : &tasks_plugin;
        snprintf(task->file, sizeof(task->file), "%s",
                 robot ? config->robot : config->env);
    } else {
        task->class = find_copy(config, task->file, sizeof(task->file));
    }
    const struct env_class *ours = env_find(config->task);
    if (!task->class) {
        task->class = ours;
        return ours ? 0 : no_such_task(config, why, n);
    }
    if (!ours) return 0;
    snprintf(why, n,
             "the task %s is softq's own, not %s: give yours another name",
             config->task, task->file);
    return -EINVAL;
}

int task_load(struct task *task, void **model, struct env_spec *spec,
              const struct config *config, char *why, size_t n) {
    int err = task_find(task, config, why, n);
    if (err) return err;
    const struct env_options options = {
        .horizon = config->horizon,
        .reward = config->multigoal_reward,
        .start_sd = config->multigoal_start_sd,
        .data_dir = config->models,
        .model = config->model,
        .file = task->file,
    };
    return task->class->load(task->class, model, spec, &options, why, n);
}
