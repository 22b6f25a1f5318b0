/* Actor: plays environments for a run, or a checkpoint without any network. */

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

#include "actor/actor.h"
#include "actor/check.h"
#include "actor/evaluate.h"
#include "actor/export.h"
#include "actor/film.h"
#include "actor/task.h"
#include "actor/tasks/mujoco.h"
#include "common/config.h"
#include "common/exit_status.h"
#include "common/log.h"
#include "common/mlp.h"
#include "proto/libraries.h"
#include "proto/lifecycle.h"
#include "proto/wire.h"

static const struct config_library libraries[] = {
    {"libzmq", libraries_zmq},
    {"libuv", libraries_uv},
    {"protobuf-c", wire_protobuf_version},
    {"OpenBLAS", mlp_blas_version},
    {"MuJoCo", mujoco_version},
    {0},
};

/* Acting must not slow the learner down when both share a host. */
static void be_idle(void) {
    const struct sched_param none = {0};
    if (sched_setscheduler(0, SCHED_IDLE, &none) == 0) {
        return;
    }
    if (setpriority(PRIO_PROCESS, 0, 19) != 0) {
        log_warn("idle_priority: %s", strerror(errno));
    }
}

int main(int argc, char **argv) {
    struct config config;
    if (config_load(&config, CONFIG_ACTOR, libraries, argc, argv) != 0) {
        return EXIT_REFUSED; /* never restarted */
    }
    (void)mlp_blas_setup(); /* one thread calls it: any build will do */
    if (config.idle_priority) be_idle();
    if (config.evaluate[0] != '\0') {
        return evaluate_run(&config);
    }
    if (config.export[0] != '\0') return export_run(&config);
    if (config.list_tasks) return check_list(&config);
    if (config.check[0] != '\0') return check_task(&config);
    if (config.keep[0] != '\0') return task_keep(&config);
    if (config.picture[0] != '\0') {
        return film_task(&config);
    }
    lifecycle_one_heap();
    (void)lifecycle_reserve(1); /* the learner's, before any other is known */
    lifecycle_raise_fd_limit();
    return actor_run(&config);
}
