#include "learner/status.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>
#include <zmq.h>

#include "common/exit_status.h"
#include "common/log.h"
#include "common/rundir.h"
#include "learner/learner.h"
#include "learner/metrics.h"

enum { KEPT_MS = 100 };

static void print_run(const struct learner *l, FILE *out) {
    char text[128];
    const struct why why = learner_why(l);
    const char *waiting = why_waiting(&why, text, sizeof(text));
    fprintf(out, "run %016" PRIx64 "\ntask %s\nalgorithm %s\naddress %s\n",
            l->state.run, l->config.task, config_word(&l->config, "algorithm"),
            l->address);
    fprintf(out, "waiting %s\n", waiting != NULL ? waiting : "no");
    why_print(&why, out, "why ");
}

static void print_metrics(const struct learner *l, FILE *out) {
    struct metric list[METRICS_MOST];
    const size_t n = metrics_list(l, list);
    for (size_t i = 0; i < n; i++) {
        const double value = list[i].value;
        const bool whole = value == floor(value) && fabs(value) < 1e15;
        fprintf(out, whole ? "%s %.0f\n" : "%s %.6g\n", list[i].name, value);
    }
    for (size_t i = 0; i < WHY_AGES; i++) {
        // bucket i: ages in [2^(i-1), 2^i), the first one 0
        fprintf(out, "staleness_%u %" PRIu64 "\n", i == 0 ? 0u : 1u << (i - 1),
                l->ages[i]);
    }
    fprintf(out, "staleness_earlier %" PRIu64 "\n", l->aged_out);
}

static void print_latencies(const struct learner *l, FILE *out) {
    latency_print(&l->inserts, "insert", out);
    latency_print(&l->pulls, "pull", out);
    latency_print_histogram(&l->feed.latency, "sample", out);
}

/* Actors here that have a policy. */
static size_t actors_served(const struct registry *registry) {
    size_t n = 0;
    for (size_t i = 0; i < registry->n_peers; i++) {
        const struct registry_peer *p = registry->peers[i];
        n += p->here && p->role == WIRE_ACTOR &&
             p->progress.counters.policy_version != 0;
    }
    return n;
}

static void print_peers(const struct learner *l, FILE *out) {
    const struct registry *registry = &l->registry;
    fprintf(out, "actors_served %zu\n", actors_served(registry));
    for (size_t i = 0; i < registry->n_shards; i++) {
        const struct registry_shard *s = &registry->shards[i];
        const struct wire_counters *told =
            &registry->peers[s->rank]->progress.counters;
        fprintf(out,
                "shard %" PRIu32 " %s %s stored %" PRIu64 " present %" PRIu64
                " capacity %" PRIu64 " granted %" PRIu64 " silent_ms %" PRIu64
                " duplicates %" PRIu64 " refused %" PRIu64 " busy %" PRIu64
                "\n",
                s->index, registry->peers[s->rank]->name,
                registry_shard_word(registry, s), s->stored, s->present,
                s->capacity, s->granted, s->silent_ms, told->duplicates,
                told->refused, told->busy);
    }
    for (size_t i = 0; i < registry->n_peers; i++) {
        const struct registry_peer *p = registry->peers[i];
        if (!p->here || p->role != WIRE_ACTOR) continue;
        const struct wire_counters *c = &p->progress.counters;
        fprintf(out,
                "actor %" PRIu64 " %s steps %" PRIu64 " episodes %" PRIu64
                " acknowledged %" PRIu64 " outstanding %" PRIu64
                " busy %" PRIu64 " dropped %" PRIu64 " silent_ms %" PRIu64 "\n",
                p->rank, p->name, c->steps, c->episodes, c->acknowledged,
                c->outstanding, c->busy, c->dropped, p->silent_ms);
    }
}

static void print_evaluators(const struct learner *l, FILE *out) {
    const struct registry *registry = &l->registry;
    for (size_t i = 0; i < registry->n_peers; i++) {
        const struct registry_peer *p = registry->peers[i];
        const uint64_t version = p->progress.turn.version;
        if (!p->here || p->role != WIRE_EVALUATOR) continue;
        fprintf(out,
                "evaluator %" PRIu64 " %s %s %" PRIu64 " silent_ms %" PRIu64
                "\n",
                p->rank, p->name, version != 0 ? "plays" : "waits",
                evaluations_updates(version), p->silent_ms);
    }
}

/* A message takes so much: of very many actors the last ones are left out. */
static void cut(char *text, size_t *len) {
    static const char end[] = "truncated 1\n";
    if (*len <= WIRE_MAX_TEXT) return;
    size_t at = WIRE_MAX_TEXT - strlen(end);
    while (at > 0 && text[at - 1] != '\n') at--;
    strcpy(text + at, end);
    *len = at + strlen(end);
}

static char *print_status(const struct learner *learner, size_t *len) {
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    if (out == NULL) return NULL;
    print_run(learner, out);
    print_metrics(learner, out);
    print_latencies(learner, out);
    print_evaluators(learner, out);
    print_peers(learner, out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    cut(text, len);
    return text;
}

const char *status_text(struct learner *learner, size_t *len) {
    struct status *status = &learner->status;
    const uint64_t now = uv_now(learner->loop);
    if (status->text == NULL || now - status->ms > KEPT_MS) {
        free(status->text);
        status->text = print_status(learner, &status->len);
        status->ms = now;
    }
    *len = status->len;
    return status->text;
}

void status_finish(struct status *status) {
    free(status->text);
    *status = (struct status){0};
}

/* One question, asked each second until it is answered. */
struct query {
    const char *whom; /* as the user named it */
    struct link_self self;
    struct link_client client;
    uv_timer_t again;
    int asked, exit_status;
};

static void on_again(uv_timer_t *timer) {
    struct query *query = timer->data;
    const char *key = link_client_watch(&query->client);
    if (query->asked++ == 5 || (key != NULL && query->asked > 1)) {
        if (key != NULL) {
            log_error("%s: %s", query->whom, key);
        } else {
            log_error("%s: no answer within 5 s; it has ended, or is of "
                      "another host: its log says (RUN/logs/learner.log)",
                      query->whom);
        }
        lifecycle_close_all(timer->loop);
        return;
    }
    (void)link_client_send(&query->client,
                           &(struct wire_message){.type = WIRE_STATUS});
}

static void on_answer(struct link_client *client,
                      const struct wire_message *message) {
    struct query *query = client->data;
    if (message->type == WIRE_REFUSED) {
        log_error("refused: %s", message->refused.reason);
    } else if (message->type == WIRE_STATUS_REPLY) {
        fwrite(message->text.text, 1, message->text.len, stdout);
        query->exit_status = EXIT_FINISHED;
    } else {
        return;
    }
    lifecycle_close_all(query->again.loop);
}

int status_query(const struct config *config) {
    char address[CONFIG_PATH_LEN];
    snprintf(address, sizeof(address), "%s", config->status);
    if (strstr(address, "://") == NULL) {
        int rc =
            rundir_address(address, sizeof(address), config->status, "learner");
        if (rc != 0) {
            log_error("%s/address: %s; no learner serves this run",
                      config->status, strerror(-rc));
            return EXIT_REFUSED;
        }
    }
    struct query query = {.whom = config->status, .exit_status = EXIT_REFUSED};
    struct keys keys = {0};
    if (link_self_init(&query.self, "observer", config->name) != 0 ||
        (strncmp(address, "tcp://", 6) == 0 &&
         keys_load(&keys, config->keys) != 0)) {
        return EXIT_REFUSED;
    }
    uv_loop_t loop;
    void *zmq = zmq_ctx_new();
    if (zmq == NULL || uv_loop_init(&loop) != 0) return EXIT_CRASH;
    query.client = (struct link_client){.self = &query.self,
                                        .on_message = on_answer,
                                        .data = &query,
                                        .keys = &keys};
    int rc = link_client_start(&query.client, &loop, zmq, address, 8);
    if (rc == 0) {
        uv_timer_init(&loop, &query.again);
        query.again.data = &query;
        uv_timer_start(&query.again, on_again, 0, 1000);
    }
    if (rc != 0) lifecycle_close_all(&loop);
    uv_run(&loop, UV_RUN_DEFAULT);
    link_client_finish(&query.client, 0);
    uv_loop_close(&loop);
    zmq_ctx_term(zmq);
    keys_finish(&keys);
    return query.exit_status;
}
