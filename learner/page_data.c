#include "learner/page_data.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "learner/learner.h"
#include "learner/metrics.h"

static void add_number(cJSON *object, const char *name, double value) {
    if (isfinite(value))
        cJSON_AddNumberToObject(object, name, value);
    else
        cJSON_AddNullToObject(object, name);
}

static void add_run(const struct learner *l, cJSON *root) {
    cJSON *run = cJSON_AddObjectToObject(root, "run");
    char id[17];
    snprintf(id, sizeof(id), "%016" PRIx64, l->state.run);
    cJSON_AddStringToObject(run, "id", id);
    cJSON_AddStringToObject(run, "task", l->config.task);
    cJSON_AddStringToObject(run, "algorithm",
                            config_word(&l->config, "algorithm"));
    cJSON_AddStringToObject(run, "folder", l->config.run_dir);
    cJSON_AddStringToObject(run, "address", l->address);
    cJSON_AddStringToObject(run, "version", config_version());
    cJSON_AddBoolToObject(run, "ending", l->ending);
}

static void add_metrics(const struct learner *l, cJSON *root) {
    struct metric list[METRICS_MOST];
    const size_t n = metrics_list(l, list);
    cJSON *metrics = cJSON_AddObjectToObject(root, "metrics");
    for (size_t i = 0; i < n; i++)
        add_number(metrics, list[i].name, list[i].value);
}

static void add_why(const struct learner *l, cJSON *root) {
    const struct why why = learner_why(l);
    cJSON *list = cJSON_AddArrayToObject(root, "why");
    char *text = NULL, *rest = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out) return;
    why_print(&why, out, "");
    if (fclose(out) == 0)
        for (char *line = strtok_r(text, "\n", &rest); line;
             line = strtok_r(NULL, "\n", &rest))
            cJSON_AddItemToArray(list, cJSON_CreateString(line));
    free(text);
}

static void add_shards(const struct learner *l, cJSON *root) {
    const struct registry *registry = &l->registry;
    cJSON *list = cJSON_AddArrayToObject(root, "shards");
    for (size_t i = 0; i < registry->n_shards; i++) {
        const struct registry_shard *s = &registry->shards[i];
        cJSON *shard = cJSON_CreateObject();
        cJSON_AddItemToArray(list, shard);
        add_number(shard, "index", s->index);
        cJSON_AddStringToObject(shard, "name", registry->peers[s->rank]->name);
        cJSON_AddStringToObject(shard, "state",
                                registry_shard_word(registry, s));
        add_number(shard, "stored", (double)s->stored);
        add_number(shard, "present", (double)s->present);
        add_number(shard, "capacity", (double)s->capacity);
        add_number(shard, "silent_seconds", 1e-3 * (double)s->silent_ms);
    }
}

/* An actor with what it is sorted by. */
struct shown {
    const struct registry_peer *peer;
    bool silent;
    double lag; /* -1: not known */
};

static int worst_first(const void *a, const void *b) {
    const struct shown *x = a, *y = b;
    if (x->silent != y->silent) return x->silent ? -1 : 1;
    const double by_silence =
        (double)y->peer->silent_ms - (double)x->peer->silent_ms;
    const double by = x->silent ? by_silence : y->lag - x->lag;
    if (by != 0.0) return by > 0.0 ? 1 : -1;
    return (x->peer->rank > y->peer->rank) - (x->peer->rank < y->peer->rank);
}

static void add_actor(cJSON *list, const struct shown *shown) {
    const struct registry_peer *p = shown->peer;
    const struct wire_counters *c = &p->progress.counters;
    cJSON *actor = cJSON_CreateObject();
    cJSON_AddItemToArray(list, actor);
    cJSON_AddStringToObject(actor, "name", p->name);
    add_number(actor, "rank", (double)p->rank);
    cJSON_AddBoolToObject(actor, "silent", shown->silent);
    add_number(actor, "silent_seconds", 1e-3 * (double)p->silent_ms);
    add_number(actor, "lag_updates",
               shown->lag >= 0.0 ? shown->lag : (double)NAN);
    add_number(actor, "steps", (double)c->steps);
    add_number(actor, "episodes", (double)c->episodes);
    add_number(actor, "outstanding", (double)c->outstanding);
    add_number(actor, "busy", (double)c->busy);
    cJSON_AddBoolToObject(actor, "window_full", c->waiting != 0);
}

static void add_actors(const struct learner *l, cJSON *root) {
    const struct registry *registry = &l->registry;
    struct shown *all = malloc(sizeof(*all) * (registry->n_peers + 1));
    size_t n = 0, silent = 0;
    if (!all) return;
    for (size_t i = 0; i < registry->n_peers; i++) {
        const struct registry_peer *p = registry->peers[i];
        if (!p->here || p->role != WIRE_ACTOR) continue;
        const double lag = metrics_lag(l, p);
        all[n] = (struct shown){.peer = p,
                                .silent = p->silent_ms >= REGISTRY_SILENT_MS,
                                .lag = isnan(lag) ? -1.0 : lag};
        silent += all[n++].silent;
    }
    qsort(all, n, sizeof(*all), worst_first);
    cJSON *actors = cJSON_AddObjectToObject(root, "actors");
    add_number(actors, "here", (double)n);
    add_number(actors, "silent", (double)silent);
    cJSON *list = cJSON_AddArrayToObject(actors, "shown");
    for (size_t i = 0; i < n && i < PAGE_ACTORS; i++) add_actor(list, &all[i]);
    free(all);
}

static void add_evaluators(const struct learner *l, cJSON *root) {
    const struct registry *registry = &l->registry;
    cJSON *list = cJSON_AddArrayToObject(root, "evaluators");
    for (size_t i = 0; i < registry->n_peers; i++) {
        const struct registry_peer *p = registry->peers[i];
        const uint64_t version = p->progress.turn.version;
        if (!p->here || p->role != WIRE_EVALUATOR) continue;
        cJSON *evaluator = cJSON_CreateObject();
        cJSON_AddItemToArray(list, evaluator);
        cJSON_AddStringToObject(evaluator, "name", p->name);
        cJSON_AddBoolToObject(evaluator, "silent",
                              p->silent_ms >= REGISTRY_SILENT_MS);
        add_number(evaluator, "silent_seconds", 1e-3 * (double)p->silent_ms);
        add_number(evaluator, "plays_updates",
                   version != 0 ? (double)evaluations_updates(version)
                                : (double)NAN);
    }
}

char *page_data_status(const struct learner *learner, size_t *len) {
    cJSON *root = cJSON_CreateObject();
    if (!root) return NULL;
    add_run(learner, root);
    add_metrics(learner, root);
    add_why(learner, root);
    add_shards(learner, root);
    add_actors(learner, root);
    add_evaluators(learner, root);
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    *len = text ? strlen(text) : 0;
    return text;
}

char *page_data_history(const struct history *history, size_t *len) {
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    if (!out) return NULL;
    for (size_t k = 0; k < HISTORY_SERIES; k++) {
        fprintf(out, "%s\"%s\":[", k == 0 ? "{" : ",", history_names[k]);
        for (size_t i = 0; i < history->n; i++) {
            const double value = history->points[i][k];
            const char *comma = i > 0 ? "," : "";
            if (isfinite(value))
                fprintf(out, "%s%.7g", comma, value);
            else
                fprintf(out, "%snull", comma);
        }
        fputc(']', out);
    }
    fputc('}', out);
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

void page_data_point(const struct learner *l, double *point) {
    struct metric list[METRICS_MOST];
    const size_t n = metrics_list(l, list);
    for (size_t k = 0; k < HISTORY_SERIES; k++) {
        point[k] = (double)NAN;
        for (size_t i = 0; i < n; i++)
            if (strcmp(list[i].name, history_names[k]) == 0)
                point[k] = list[i].value;
    }
}
