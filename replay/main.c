/* Replay shard: keeps transitions from actors, serves minibatches. */

#include <stdio.h>

#include <uv.h>
#include <zmq.h>

#include "common/config.h"
#include "common/exit_status.h"
#include "common/log.h"
#include "proto/libraries.h"
#include "proto/lifecycle.h"
#include "proto/wire.h"
#include "replay/audit.h"
#include "replay/extracting.h"
#include "replay/npz.h"
#include "replay/shard.h"

struct program {
    uv_loop_t loop;
    struct lifecycle life;
    struct shard shard; /* all the logic */
};

static const struct config_library libraries[] = {
    {"libzmq", libraries_zmq},
    {"libuv", libraries_uv},
    {"protobuf-c", wire_protobuf_version},
    {"zlib", npz_zlib_version},
    {0},
};

static void on_stop(struct lifecycle *life, const char *why) {
    shard_end(life->data, EXIT_FINISHED, why);
}

static void on_end(struct shard *shard) {
    lifecycle_close_all(shard->data);
}

static int start(struct program *p, void *zmq) {
    struct shard *shard = &p->shard;
    shard->on_end = on_end;
    shard->data = &p->loop;
    int rc = lifecycle_start(&p->life, &p->loop, shard->config.lifeline,
                             on_stop, shard);
    if (rc != 0) {
        log_error("start: %s", uv_strerror(rc));
        return EXIT_CRASH;
    }
    return shard_start(shard, &p->loop, zmq);
}

/* --audit: of a run's rings, without joining it. */
static int judge(const struct config *config) {
    struct audit audit;
    char why[2 * CONFIG_PATH_LEN + 256];
    if (config->ledger[0] == '\0') {
        log_error(
            "audit: against what? --ledger=FOLDER is needed, the one that "
            "the actors were given");
        return EXIT_REFUSED;
    }
    if (audit_run(&audit, config->audit, config->ledger, stdout, why,
                  sizeof why) != 0) {
        log_error("%s", why);
        return EXIT_REFUSED;
    }
    audit_print(&audit, stdout);
    return audit_findings(&audit) == 0 ? EXIT_FINISHED : EXIT_CRASH;
}

int main(int argc, char **argv) {
    static struct program p; /* outlives uv_run(), as handles must */
    if (config_load(&p.shard.config, CONFIG_REPLAY, libraries, argc, argv) != 0)
        return EXIT_REFUSED;
    if (p.shard.config.export[0] != '\0')
        return extracting_run(&p.shard.config);
    if (p.shard.config.audit[0] != '\0') return judge(&p.shard.config);
    lifecycle_one_heap();
    lifecycle_raise_fd_limit();
    void *zmq = zmq_ctx_new();
    if (zmq == NULL || uv_loop_init(&p.loop) != 0) {
        log_error("no memory for a context and a loop");
        return EXIT_CRASH;
    }
    zmq_ctx_set(zmq, ZMQ_BLOCKY, 0); /* a lost peer must not hold us at exit */

    int status = start(&p, zmq);
    if (status != 0) lifecycle_close_all(&p.loop);
    uv_run(&p.loop, UV_RUN_DEFAULT); /* success and failure end here */

    shard_finish(&p.shard);
    int leaked = uv_loop_close(&p.loop); /* -EBUSY: a handle is still open */
    zmq_ctx_term(zmq);
    if (leaked != 0) log_warn("a handle was left open");
    return status != 0 ? status : p.shard.status;
}
