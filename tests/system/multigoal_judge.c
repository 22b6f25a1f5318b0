/*
 * Hold a finished multigoal run against the exact solution of its task:
 *
 *   multigoal_judge RUN
 *
 * reads RUN/config.ini and the newest checkpoint, solves the grid and prints a
 * table. Exit status 0: everything agrees; 1: something does not; 2: there is
 * no such run, or it is not the task that the grid solves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/log.h"
#include "common/mlp.h"
#include "common/rundir.h"
#include "common/tensors.h"
#include "tests/system/multigoal_grid.h"

struct network {
    struct mlp_shape shape;
    float *p;
    struct mlp_work work;
};

static double q_of(void *user, const double x[2], const double a[2]) {
    struct network *q = user;
    const float s[2] = {(float)x[0], (float)x[1]};
    const float action[2] = {(float)a[0], (float)a[1]};
    float y;
    mlp_forward(&q->shape, &y, q->p, s, action, 1, 1, 0, &q->work);
    return (double)y;
}

/* The options must be those that the grid was solved for. */
static int check_task(const char *run) {
    struct config config;
    char argument[CONFIG_PATH_LEN + 16];
    char *argv[] = {"multigoal_judge", argument, "--run_dir=unused", NULL};
    snprintf(argument, sizeof(argument), "--config=%s/config.ini", run);
    if (config_load(&config, CONFIG_LEARNER, NULL, 3, argv) < 0) return -1;
    if (strcmp(config.task, "multigoal") != 0 ||
        strcmp(config.multigoal_reward, "goals") != 0 || config.alpha != 10.0 ||
        config.gamma != 0.99 || config.reward_scale != 1.0) {
        log_error("%s is not multigoal with alpha 10, gamma 0.99, reward_scale "
                  "1 and reward goals",
                  run);
        return -1;
    }
    return 0;
}

/* Q's seven tensors into one vector. Owns q.p and q.work. */
static int load_q(struct network *q, const struct tensors *tensors) {
    struct mlp_slice slices[MLP_TENSORS];
    const struct tensors_entry *b1 = tensors_find(tensors, "q.b1");
    if (!b1 || b1->rank != 1) return -1;
    q->shape = (struct mlp_shape){.S = 2, .X = 2, .H = b1->shape[0], .Y = 1};
    q->p = calloc(mlp_parameters(&q->shape), sizeof(*q->p));
    if (!q->p || mlp_work_init(&q->work, &q->shape, 1, 1) < 0) return -1;
    mlp_slices(&q->shape, slices);
    for (size_t i = 0; i < MLP_TENSORS; i++) {
        char name[64];
        snprintf(name, sizeof(name), "q.%s", slices[i].name);
        const struct tensors_entry *entry = tensors_find(tensors, name);
        const size_t rank = slices[i].cols ? 2 : 1;
        if (!entry || entry->type != TENSORS_F32 || entry->rank != rank ||
            entry->shape[0] != slices[i].rows ||
            (rank == 2 && entry->shape[1] != slices[i].cols)) {
            return -1;
        }
        const size_t n = slices[i].rows * (rank == 2 ? slices[i].cols : 1);
        memcpy(q->p + slices[i].offset, entry->data, sizeof(float) * n);
    }
    return 0;
}

int main(int argc, char **argv) {
    static struct multigoal_grid grid;
    struct network q = {0};
    struct tensors tensors = {0};
    char path[CONFIG_PATH_LEN + 64], why[200] = "";
    int status = 2;

    log_init("multigoal_judge", LOG_INFO);
    if (argc != 2) {
        log_error("usage: multigoal_judge RUN");
        return 2;
    }
    if (check_task(argv[1]) < 0) return 2;
    if (rundir_newest_checkpoint(path, sizeof(path), argv[1]) < 0) {
        log_error("%s: no checkpoint", argv[1]);
        return 2;
    }
    if (tensors_read(&tensors, path, why, sizeof(why)) < 0) {
        log_error("%s: %s", path, why);
        return 2;
    }
    if (load_q(&q, &tensors) < 0) {
        log_error("%s: no Q network of two observations and actions", path);
    } else {
        printf("%s\n", path);
        multigoal_grid_solve(&grid, 1e-3);
        status = multigoal_judge(&grid, q_of, &q);
        printf("%s\n", status ? "FAIL" : "PASS");
    }
    mlp_work_finish(&q.work);
    free(q.p);
    tensors_finish(&tensors);
    return status;
}
