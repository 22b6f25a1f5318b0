#include "learner/learner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/exit_status.h"
#include "common/log.h"
#include "common/rundir.h"
#include "learner/cycle.h"
#include "learner/dialogue.h"
#include "learner/door.h"
#include "learner/host.h"
#include "learner/metrics.h"
#include "learner/opening.h"
#include "learner/page_data.h"

enum {
    TICK_MS = 100,
    HEARTBEAT_MS = 1000,
    LINE_MS = 500,
    ROW_MS = 2000,
    FAREWELL_MS = 200, /* for Stop to leave */
    LINGER_MS = 1000,
    OWN_FILES = 64, /* descriptors that are no peer's */
};

double learner_seconds(const struct learner *learner) {
    const uint64_t ms = uv_now(learner->loop) - learner->started_ms;
    return learner->progress.seconds_before + 1e-3 * (double)ms;
}

struct progress_now learner_now(const struct learner *learner) {
    struct progress_now now = {
        .seconds = learner_seconds(learner),
        .updates = learner->updates,
        .steps = (uint64_t)limiter_inserted(&learner->limiter),
        .wall = progress_wall()};
    for (size_t i = 0; i < learner->registry.n_shards; i++) {
        const struct registry_shard *shard = &learner->registry.shards[i];
        if (shard->state != WIRE_SHARD_LISTED) continue;
        now.stored += shard->stored;
        now.present += shard->present;
    }
    return now;
}

struct why learner_why(const struct learner *learner) {
    const struct progress_now now = learner_now(learner);
    const struct progress_rates rates =
        progress_rates(&learner->progress, &now);
    return (struct why){
        .config = &learner->config,
        .registry = &learner->registry,
        .limiter = &learner->limiter,
        .feed = &learner->feed,
        .address = learner->address,
        .now_ms = uv_now(learner->loop),
        .progressed_ms = learner->progressed_ms,
        .updates_per_second = rates.updates,
        .steps_per_second = rates.steps,
        .version = learner->publish.version,
        .ages = learner->ages,
        .aged_out = learner->aged_out,
        .refused = learner->refused,
        .refusal = learner->refusal,
        .bad = learner->server.bad,
        .keys_refused = learner->guard.counters.refused,
        .keys_messages = learner->guard.counters.messages,
        .checkpoint_rc = learner->saver.last_rc,
        .checkpoint_updates = learner->saver.newest,
    };
}

/* ---- timers ---- */

static void report(struct learner *learner, uint64_t now_ms) {
    const struct progress_now now = learner_now(learner);
    if (now_ms - learner->lined_ms >= LINE_MS) {
        char text[128];
        const struct why why = learner_why(learner);
        learner->lined_ms = now_ms;
        progress_line(&learner->progress, &now,
                      why_waiting(&why, text, sizeof(text)));
    }
    if (now_ms - learner->row_ms >= ROW_MS) {
        double point[HISTORY_SERIES];
        learner->row_ms = now_ms;
        progress_row(&learner->progress, &now);
        page_data_point(learner, point);
        history_add(&learner->history, point);
        if (learner->page) {
            size_t len = 0;
            char *text = page_data_history(&learner->history, &len);
            page_set(learner->page, PAGE_HISTORY, text, len);
        }
    }
}

static void watch(struct learner *learner, uint64_t now_ms) {
    // silence counts only while our own loop runs: a stopped learner must not
    // wake up to a run full of dead shards
    uint64_t elapsed = now_ms - learner->ticked_ms;
    const uint64_t most = UINT64_C(2) * TICK_MS;
    if (elapsed > most) elapsed = most;
    learner->ticked_ms = now_ms;
    const uint64_t dead_ms = (uint64_t)(1e3 * learner->config.dead_after);
    if (!registry_tick(&learner->registry, elapsed, dead_ms,
                       REGISTRY_FORGET_MS)) {
        return;
    }
    for (size_t i = 0; i < learner->registry.n_shards; i++) {
        const struct registry_shard *shard = &learner->registry.shards[i];
        const bool before = shard->silent_ms - elapsed >= dead_ms;
        if (shard->state != WIRE_SHARD_DEAD || before) continue;
        log_warn("shard %" PRIu32 " is silent: sampling goes on without it",
                 shard->index);
        limiter_list(&learner->limiter, shard->ring_id, false);
    }
    dialogue_topology(learner);
}

static void on_tick(uv_timer_t *timer) {
    struct learner *learner = timer->data;
    const uint64_t now_ms = uv_now(learner->loop);
    watch(learner, now_ms);
    if (learner->config.lockstep) {
        lockstep_go_on(learner);
    } else {
        cycle_expire(learner);
        cycle_publish(learner, now_ms);
        cycle_pump(learner);
        dialogue_serve_waiting(learner);
    }
    latency_turn(&learner->inserts, now_ms);
    latency_turn(&learner->pulls, now_ms);
    saver_tick(learner, now_ms);
    report(learner, now_ms);
    learner_check_limits(learner);
}

/* What the page's readers get from now on. */
static void show(struct learner *learner) {
    char *text = NULL;
    size_t len = 0;
    if (!learner->page) return;
    text = page_data_status(learner, &len);
    page_set(learner->page, PAGE_STATUS, text, len);
    FILE *out = open_memstream(&text, &len);
    if (!out) return;
    metrics_print(learner, out);
    if (fclose(out) == 0)
        page_set(learner->page, PAGE_METRICS, text, len);
    else
        free(text);
}

static void on_heartbeat(uv_timer_t *timer) {
    dialogue_heartbeats(timer->data);
    show(timer->data);
}

/* ---- the end ---- */

void learner_check_limits(struct learner *learner) {
    const struct config *config = &learner->config;
    const uint64_t steps = (uint64_t)limiter_inserted(&learner->limiter);
    const char *reason = NULL;
    if (config->max_updates > 0 && learner->updates >= config->max_updates) {
        reason = "max_updates reached";
    } else if (config->lockstep) {
        // a clock has no say, and steps are counted between rounds
    } else if (config->max_steps > 0 && steps >= config->max_steps) {
        reason = "max_steps reached";
    } else if (config->max_seconds > 0 &&
               learner_seconds(learner) >= config->max_seconds) {
        reason = "max_seconds reached";
    }
    if (reason != NULL) learner_end(learner, EXIT_FINISHED, reason);
}

void learner_end(struct learner *learner, int exit_status, const char *reason) {
    const bool worse =
        exit_status == EXIT_NON_FINITE && !learner->farewell_said;
    if (learner->ending && !worse) return;
    learner->ending = true;
    learner->exit_status = exit_status;
    snprintf(learner->reason, sizeof(learner->reason), "%s", reason);
    log_info("ending: %s", reason);
    if (exit_status == EXIT_FINISHED) {
        saver_last(learner);
    } else {
        learner_farewell(learner);
    }
}

static void on_farewell(uv_timer_t *timer) {
    lifecycle_close_all(timer->loop);
}

void learner_farewell(struct learner *learner) {
    if (learner->farewell_said) return;
    learner->farewell_said = true;
    dialogue_stop(learner, learner->reason);
    // joined before the loop's handles close: it may still wake us
    trainer_stop(learner->trainer);
    learner->trainer = NULL;
    uv_timer_start(&learner->farewell, on_farewell, FAREWELL_MS, 0);
}

static void on_stop(struct lifecycle *life, const char *why) {
    learner_end(life->data, EXIT_FINISHED, why);
}

/* ---- the start ---- */

/* What others connect to: where we are bound, but for the host if another one
 * is advertised or every interface is meant. */
static int name_address(struct learner *learner) {
    const char *bound = learner->server.endpoint;
    const char *host = learner->config.advertise;
    char own[64];
    int len = snprintf(learner->address, sizeof(learner->address), "%s", bound);
    if (len >= (int)sizeof(learner->address)) {
        return opening_refuse(bound, -ENAMETOOLONG);
    }
    if (host[0] == '\0' && host_is_wildcard(bound)) {
        host_own(own, sizeof(own));
        host = own;
        log_info("others are told to connect to %s: --advertise=HOST names "
                 "another host",
                 own);
    }
    if (host[0] != '\0' &&
        host_replace(learner->address, sizeof(learner->address), host) != 0) {
        return opening_refuse("advertise", -ENAMETOOLONG);
    }
    return 0;
}

/* Its port was not asked for by name: P + 1 or, if that is taken or sockets are
 * ipc, any. */
static int start_page_anywhere(struct learner *learner, char *url, size_t n) {
    const struct config *config = &learner->config;
    const uint64_t next = config->port < 65535 ? config->port + 1 : 0;
    int rc = -EADDRINUSE;
    if (config->transport == TRANSPORT_TCP && next != 0)
        rc = page_start(&learner->page, config->http_bind, (uint16_t)next, url,
                        n);
    if (rc == -EADDRINUSE)
        rc = page_start(&learner->page, config->http_bind, 0, url, n);
    return rc;
}

/* url out (n): of the page, "" without one. An exit status. */
static int open_page(struct learner *learner, char *url, size_t n) {
    const struct config *config = &learner->config;
    url[0] = '\0';
    if (!config->http) return 0;
    int rc = config->http_port != 0
                 ? page_start(&learner->page, config->http_bind,
                              (uint16_t)config->http_port, url, n)
                 : start_page_anywhere(learner, url, n);
    if (rc == 0) return 0;
    log_error("the page cannot be served on http_bind = '%.80s', http_port = "
              "%" PRIu64 ": %s: give a numeric address of this host and a free "
              "port (0: any), or --http=false",
              config->http_bind, config->http_port, strerror(-rc));
    return EXIT_REFUSED;
}

/* RUN/address: where we and our page are. */
static int write_addresses(struct learner *learner) {
    char url[WIRE_ADDRESS_LEN], text[2 * WIRE_ADDRESS_LEN + 32];
    int status = open_page(learner, url, sizeof(url));
    if (status != 0) return status;
    int len = snprintf(text, sizeof(text), "learner %s\n", learner->address);
    if (url[0] != '\0') {
        len +=
            snprintf(text + len, sizeof(text) - (size_t)len, "http %s\n", url);
        progress_note(&learner->progress, "page", url);
    }
    int rc =
        rundir_write(learner->config.run_dir, "address", text, (size_t)len);
    return rc != 0 ? opening_refuse("address", rc) : 0;
}

static int bind_server(struct learner *learner) {
    const struct config *config = &learner->config;
    char folder[256], address[CONFIG_PATH_LEN + 32];
    int rc = link_self_init(&learner->self, "learner", config->name);
    if (rc != 0) return EXIT_REFUSED;
    learner->self.run = learner->state.run;
    if (config->transport == TRANSPORT_TCP) {
        snprintf(address, sizeof(address), "tcp://%s:%" PRIu64, config->bind,
                 config->port);
    } else {
        rc = rundir_sockets(folder, sizeof(folder), config->run_dir);
        if (rc != 0) return opening_refuse("socket folder", rc);
        snprintf(address, sizeof(address), "ipc://%s/learner.sock", folder);
    }
    long len =
        config_shared_text(config, learner->options, sizeof(learner->options));
    if (len < 0) return opening_refuse("shared options", (int)len);
    learner->options_len = (size_t)len;

    const uint64_t ahead =
        config->prefetch > config->window ? config->prefetch : config->window;
    const struct link_server_options options = {.address = address,
                                                .insecure = config->insecure,
                                                .high_water = (int)ahead + 8,
                                                .guard = &learner->guard};
    learner->server.self = &learner->self;
    learner->server.on_message = dialogue_on_message;
    learner->server.data = learner;
    rc = link_server_start(&learner->server, learner->loop, learner->zmq,
                           &options);
    if (rc != 0) return EXIT_REFUSED; // one line was logged
    publish_init(&learner->publish, &learner->server, config->parameter_rate);
    int status = name_address(learner);
    return status != 0 ? status : write_addresses(learner);
}

static int start_timers(struct learner *learner) {
    uv_loop_t *loop = learner->loop;
    int rc = lifecycle_start(&learner->life, loop, learner->config.lifeline,
                             on_stop, learner);
    if (rc == 0) rc = uv_timer_init(loop, &learner->tick);
    if (rc == 0) rc = uv_timer_init(loop, &learner->heartbeat);
    if (rc == 0) rc = uv_timer_init(loop, &learner->farewell);
    if (rc == 0) rc = uv_async_init(loop, &learner->results, cycle_on_results);
    learner->tick.data = learner->heartbeat.data = learner;
    learner->results.data = learner;
    if (rc == 0) rc = uv_timer_start(&learner->tick, on_tick, TICK_MS, TICK_MS);
    if (rc == 0) {
        rc = uv_timer_start(&learner->heartbeat, on_heartbeat, HEARTBEAT_MS,
                            HEARTBEAT_MS);
    }
    uv_update_time(loop);
    learner->started_ms = learner->ticked_ms = learner->progressed_ms =
        uv_now(loop);
    return rc != 0 ? opening_refuse("event loop", rc) : 0;
}

/* Before any socket of ours, and before a run is made in vain. */
static int start_guard(struct learner *learner) {
    struct guard *guard = &learner->guard;
    guard->on_reload = door_keys_changed;
    guard->data = learner;
    if (guard_start(guard, learner->loop, learner->zmq, learner->config.keys) !=
        0) {
        return EXIT_REFUSED; // one line was logged
    }
    if (guard_on(guard) &&
        strcmp(guard->keys.learner, guard->keys.public) != 0) {
        log_warn("%s/allowed gives the role learner to %s key: who reads the "
                 "same list will not find this learner, whose key is %s",
                 guard->keys.folder,
                 guard->keys.learner[0] == '\0' ? "no" : "another",
                 guard->keys.public);
    }
    return 0;
}

int learner_start(struct learner *learner, uv_loop_t *loop, void *zmq) {
    learner->loop = loop;
    learner->zmq = zmq;
    learner->lock = -1;
    const size_t files = lifecycle_raise_fd_limit() / 10 * 9;
    learner->max_peers = files > OWN_FILES ? files - OWN_FILES : 1;
    int status = start_guard(learner);
    if (status == 0) status = opening_run(learner);
    if (status == 0) status = start_timers(learner);
    if (status == 0) status = bind_server(learner);
    if (status == 0 && learner->registry.spec.obs_dim > 0) {
        status = cycle_start(learner, learner->registry.spec);
    }
    if (status != 0) return status;
    log_info("run %s, generation %" PRIu64 ", at %s", learner->config.run_dir,
             learner->state.generation, learner->address);
    return 0;
}

int learner_finish(struct learner *learner) {
    link_server_finish(&learner->server, LINGER_MS);
    guard_finish(&learner->guard);
    publish_finish(&learner->publish);
    trainer_stop(learner->trainer);
    feed_finish(&learner->feed);
    lockstep_finish(&learner->lockstep);
    origin_close(&learner->origin);
    if (learner->farewell_said) {
        // the loop is over: the last totals of the rings, without a pool
        size_t len = 0;
        char *text = state_print(&learner->state, &learner->registry,
                                 &learner->limiter, &len);
        if (text == NULL ||
            rundir_write(learner->config.run_dir, "state", text, len) != 0) {
            log_warn("%s/state could not be written", learner->config.run_dir);
        }
        free(text);
    }
    page_stop(learner->page);
    status_finish(&learner->status);
    progress_finish(&learner->progress);
    evaluations_finish(&learner->evaluations);
    registry_finish(&learner->registry);
    if (learner->lock >= 0) close(learner->lock);
    return learner->exit_status;
}
