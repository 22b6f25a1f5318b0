/* The learner: coordinates a run and trains on what its shards hold. */

#include <stdio.h>
#include <stdlib.h>

#include <uv.h>
#include <zmq.h>

#include "common/config.h"
#include "common/exit_status.h"
#include "common/log.h"
#include "common/mlp.h"
#include "learner/learner.h"
#include "learner/page.h"
#include "learner/status.h"
#include "proto/libraries.h"
#include "proto/wire.h"

static const struct config_library libraries[] = {
    {"libzmq", libraries_zmq},
    {"libuv", libraries_uv},
    {"protobuf-c", wire_protobuf_version},
    {"OpenBLAS", mlp_blas_version},
    {"libmicrohttpd", page_http_version},
    {0},
};

static int serve(struct learner *learner) {
    uv_loop_t loop;
    void *zmq = zmq_ctx_new();
    if (zmq == NULL || uv_loop_init(&loop) != 0) {
        log_error("cannot create ZeroMQ context or loop");
        return EXIT_CRASH;
    }
    zmq_ctx_set(zmq, ZMQ_BLOCKY, 0); // a lost peer must not hold us at exit
    zmq_ctx_set(zmq, ZMQ_MAX_SOCKETS, 64);

    int status = learner_start(learner, &loop, zmq);
    if (status != 0) lifecycle_close_all(&loop);
    uv_run(&loop, UV_RUN_DEFAULT); // success and failure end here

    int end = learner_finish(learner);
    if (uv_loop_close(&loop) != 0) log_warn("a handle was left open");
    zmq_ctx_term(zmq);
    return status != 0 ? status : end;
}

static int make_keys(const char *folder) {
    char public[WIRE_KEY_LEN];
    if (keys_make(folder, public) != 0) return EXIT_REFUSED;
    printf("%s\n", public);
    return fflush(stdout) == 0 ? EXIT_FINISHED : EXIT_CRASH;
}

static int check_keys(const char *path) {
    return keys_check(path) == 0 ? EXIT_FINISHED : EXIT_REFUSED;
}

int main(int argc, char **argv) {
    lifecycle_one_heap();
    struct learner *learner = calloc(1, sizeof(*learner));
    if (learner == NULL) return EXIT_CRASH;
    int status = EXIT_REFUSED;
    const struct config *config = &learner->config;
    if (config_load(&learner->config, CONFIG_LEARNER, libraries, argc, argv) ==
        0) {
        status = config->make_keys[0] != '\0' ? make_keys(config->make_keys)
                 : config->check_keys[0] != '\0'
                     ? check_keys(config->check_keys)
                 : config->status[0] != '\0' ? status_query(config)
                                             : serve(learner);
    }
    free(learner);
    return status;
}
