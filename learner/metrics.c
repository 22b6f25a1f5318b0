#include "learner/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "learner/learner.h"

/* Appends one that is known. */
static void add(struct metric *list, size_t *n, enum metric_kind kind,
                const char *name, const char *help, double value) {
    if (isnan(value)) return;
    list[(*n)++] = (struct metric){name, kind, help, value};
}

static void list_run(const struct learner *l, struct metric *list, size_t *n) {
    const struct progress_now now = learner_now(l);
    const struct progress_rates rates = progress_rates(&l->progress, &now);
    add(list, n, METRIC_GAUGE, "generation", "Starts of the learner so far.",
        (double)l->state.generation);
    add(list, n, METRIC_COUNTER, "seconds",
        "Time of the run, over all its learners.", now.seconds);
    add(list, n, METRIC_COUNTER, "updates", "Updates made.",
        (double)now.updates);
    add(list, n, METRIC_GAUGE, "max_updates", "Updates to make; 0: no limit.",
        (double)l->config.max_updates);
    add(list, n, METRIC_COUNTER, "steps", "Environment steps stored.",
        (double)now.steps);
    add(list, n, METRIC_GAUGE, "max_steps", "Steps to store; 0: no limit.",
        (double)l->config.max_steps);
    add(list, n, METRIC_GAUGE, "updates_per_second",
        "Updates a second, over the last seconds.", rates.updates);
    add(list, n, METRIC_GAUGE, "steps_per_second",
        "Steps stored a second, over the last seconds.", rates.steps);
    add(list, n, METRIC_COUNTER, "episodes",
        "Episodes ended since this learner started.",
        (double)l->progress.episodes);
    add(list, n, METRIC_GAUGE, "mean_return",
        "Mean return of the last 100 episodes.",
        progress_mean_return(&l->progress));
    add(list, n, METRIC_GAUGE, "trainer_threads", "Threads of an update.",
        (double)l->threads);
    add(list, n, METRIC_COUNTER, "trainer_seconds",
        "Time spent in updates since this learner started.", l->busy_seconds);
}

static void list_learning(const struct learner *l, struct metric *list,
                          size_t *n) {
    const struct algorithm_figures *figures = &l->figures;
    if (!(figures->alpha > 0.0)) return; // no update yet
    add(list, n, METRIC_GAUGE, "alpha", "Temperature.", figures->alpha);
    add(list, n, METRIC_GAUGE, "entropy_nats",
        "Entropy of the sampler's actions, where it is measured.",
        figures->entropy);
    add(list, n, METRIC_GAUGE, "q_loss", "Loss of Q in the last update.",
        figures->q_loss);
    add(list, n, METRIC_GAUGE, "q_mean", "Mean Q of the last minibatch.",
        figures->q_mean);
    add(list, n, METRIC_GAUGE, "target_mean",
        "Mean of r + gamma V of the last minibatch.", figures->target_mean);
    add(list, n, METRIC_GAUGE, "stein_norm",
        "Root mean square of the Stein direction in the last update.",
        figures->stein_norm);
    add(list, n, METRIC_GAUGE, "score_norm",
        "Root mean square of the score g at the fixed particles.",
        figures->score_norm);
    add(list, n, METRIC_GAUGE, "bandwidth", "Mean bandwidth of the kernel.",
        figures->bandwidth);
    add(list, n, METRIC_GAUGE, "q_gradient_norm", "Norm of Q's last gradient.",
        figures->q_gradient);
    add(list, n, METRIC_GAUGE, "f_gradient_norm",
        "Norm of the sampler's last gradient.", figures->f_gradient);
    add(list, n, METRIC_GAUGE, "negative_determinants",
        "Share of the sampler's determinants below 0.", figures->negative);
    add(list, n, METRIC_GAUGE, "degenerate_determinants",
        "Share of the sampler's determinants that are 0.", figures->degenerate);
}

static void list_limiter(const struct learner *l, struct metric *list,
                         size_t *n) {
    const struct limiter *limiter = &l->limiter;
    add(list, n, METRIC_GAUGE, "ratio", "Updates a step that are wanted.",
        limiter->ratio);
    add(list, n, METRIC_GAUGE, "warm", "1: warm-up is complete.",
        limiter->warm);
    add(list, n, METRIC_GAUGE, "may_update", "1: an update may start.",
        limiter_may_update(limiter));
    add(list, n, METRIC_GAUGE, "may_insert", "1: a row may be stored.",
        limiter_may_insert(limiter));
    add(list, n, METRIC_GAUGE, "limiter_updates",
        "Updates started, as the limiter counts.", (double)limiter->updates);
    add(list, n, METRIC_GAUGE, "limiter_inserted",
        "Rows stored in all rings ever seen.", (double)limiter->inserted);
    add(list, n, METRIC_GAUGE, "limiter_u0", "Its base of updates.",
        (double)limiter->u0);
    add(list, n, METRIC_GAUGE, "limiter_i0", "Its base of rows.",
        (double)limiter->i0);
}

static void list_traffic(const struct learner *l, struct metric *list,
                         size_t *n) {
    add(list, n, METRIC_COUNTER, "parts_redrawn",
        "Parts of minibatches asked of another shard.",
        (double)l->feed.redrawn);
    add(list, n, METRIC_COUNTER, "parts_asked_again",
        "Parts of minibatches asked of the same shard again.",
        (double)l->feed.asked_again);
    add(list, n, METRIC_COUNTER, "parts_late",
        "Parts of minibatches that came too late.", (double)l->feed.late);
    add(list, n, METRIC_GAUGE, "parameters_version",
        "Newest parameters: generation << 40 | updates.",
        (double)l->publish.version);
    add(list, n, METRIC_COUNTER, "parameters_sent",
        "Answers that carried parameters.", (double)l->publish.answers);
    add(list, n, METRIC_COUNTER, "checkpoints_written", "Checkpoints written.",
        (double)l->saver.written);
    add(list, n, METRIC_COUNTER, "checkpoints_failed",
        "Checkpoints that could not be written.", (double)l->saver.failed);
    add(list, n, METRIC_GAUGE, "checkpoint_updates",
        "Updates of the newest checkpoint.", (double)l->saver.newest);
    add(list, n, METRIC_COUNTER, "refused", "Messages answered with Refused.",
        (double)l->refused);
    add(list, n, METRIC_COUNTER, "bad_messages",
        "Messages that were not valid.", (double)l->server.bad);
    add(list, n, METRIC_COUNTER, "keys_admitted", "Handshakes let in.",
        (double)l->guard.counters.admitted);
    add(list, n, METRIC_COUNTER, "keys_refused",
        "Handshakes of keys that are not allowed.",
        (double)l->guard.counters.refused);
    add(list, n, METRIC_COUNTER, "keys_messages_refused",
        "Messages that their sender's key may not send.",
        (double)l->guard.counters.messages);
    add(list, n, METRIC_COUNTER, "hellos_over_rate",
        "Hellos dropped because their source says too many.",
        (double)l->hello_rate.over);
    add(list, n, METRIC_GAUGE, "topology", "Version of the list of shards.",
        (double)l->registry.topology);
    add(list, n, METRIC_GAUGE, "actors", "Actors heard in the last 5 seconds.",
        (double)registry_count(&l->registry, WIRE_ACTOR, REGISTRY_SILENT_MS));
    add(list, n, METRIC_GAUGE, "shards", "Shards that serve.",
        (double)registry_listed(&l->registry));
}

static void list_evaluations(const struct learner *l, struct metric *list,
                             size_t *n) {
    const struct wire_evaluation *last = &l->evaluations.last;
    add(list, n, METRIC_GAUGE, "evaluators",
        "Evaluators heard in the last 5 seconds.",
        (double)registry_count(&l->registry, WIRE_EVALUATOR,
                               REGISTRY_SILENT_MS));
    add(list, n, METRIC_COUNTER, "evaluations",
        "Evaluations since this learner started.", (double)l->evaluations.n);
    if (last->version == 0 || last->episodes == 0) return;
    add(list, n, METRIC_GAUGE, "evaluation_updates",
        "Updates behind the parameters of the last evaluation.",
        (double)evaluations_updates(last->version));
    add(list, n, METRIC_GAUGE, "evaluation_return",
        "Mean return of the last evaluation, without exploration.",
        last->mean_return);
    add(list, n, METRIC_GAUGE, "evaluation_deviation",
        "Standard deviation of its returns.", last->std_return);
    add(list, n, METRIC_GAUGE, "evaluation_length",
        "Mean length of its episodes in steps.", last->mean_length);
    add(list, n, METRIC_GAUGE, "evaluation_success",
        "Share of its episodes that ended at a goal, of tasks with goals.",
        last->has_goals ? (double)last->reached / (double)last->episodes
                        : (double)NAN);
}

size_t metrics_list(const struct learner *learner, struct metric *list) {
    size_t n = 0;
    list_run(learner, list, &n);
    list_learning(learner, list, &n);
    list_limiter(learner, list, &n);
    list_traffic(learner, list, &n);
    list_evaluations(learner, list, &n);
    return n;
}

double metrics_lag(const struct learner *learner,
                   const struct registry_peer *actor) {
    const uint64_t version = actor->progress.counters.policy_version;
    const uint64_t newest = learner->publish.version;
    if (version == 0 || version >> 40 != newest >> 40 || version > newest)
        return (double)NAN;
    return (double)(newest - version);
}

/* ---- Prometheus ---- */

static void head(FILE *out, const char *name, const char *kind,
                 const char *help) {
    fprintf(out, "# HELP softq_%s %s\n# TYPE softq_%s %s\n", name, help, name,
            kind);
}

static void print_shards(const struct learner *l, FILE *out) {
    const struct registry *registry = &l->registry;
    static const char *const names[][3] = {
        {"shard_listed", "gauge", "1: the shard serves."},
        {"shard_stored_rows_total", "counter", "Rows ever stored in its ring."},
        {"shard_present_rows", "gauge", "Rows in its ring."},
        {"shard_capacity_rows", "gauge", "Rows that its ring takes."},
        {"shard_silent_seconds", "gauge", "Time since it was last heard."},
    };
    for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++) {
        head(out, names[k][0], names[k][1], names[k][2]);
        for (size_t i = 0; i < registry->n_shards; i++) {
            const struct registry_shard *s = &registry->shards[i];
            const double values[] = {registry_serves(registry, s),
                                     (double)s->stored, (double)s->present,
                                     (double)s->capacity,
                                     1e-3 * (double)s->silent_ms};
            fprintf(out, "softq_%s{shard=\"%" PRIu32 "\"} %.17g\n", names[k][0],
                    s->index, values[k]);
        }
    }
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* values (n), sorted here */
static void print_spread(FILE *out, const char *name, const char *help,
                         double *values, size_t n) {
    if (n == 0) return;
    qsort(values, n, sizeof(*values), by_size);
    head(out, name, "gauge", help);
    fprintf(out, "softq_%s{of=\"min\"} %.17g\n", name, values[0]);
    fprintf(out, "softq_%s{of=\"median\"} %.17g\n", name, values[n / 2]);
    fprintf(out, "softq_%s{of=\"max\"} %.17g\n", name, values[n - 1]);
}

static double silence_of(const struct learner *l,
                         const struct registry_peer *p) {
    (void)l;
    return 1e-3 * (double)p->silent_ms;
}

static double outstanding_of(const struct learner *l,
                             const struct registry_peer *p) {
    (void)l;
    return (double)p->progress.counters.outstanding;
}

static double steps_of(const struct learner *l, const struct registry_peer *p) {
    (void)l;
    return (double)p->progress.counters.steps;
}

static void print_actors(const struct learner *l, FILE *out) {
    static const struct {
        const char *name, *help;
        double (*of)(const struct learner *l, const struct registry_peer *p);
    } spreads[] = {
        {"actor_silent_seconds", "Time since an actor was last heard.",
         silence_of},
        {"actor_lag_updates",
         "Updates between the newest parameters and those acting.",
         metrics_lag},
        {"actor_outstanding_batches",
         "Batches of an actor that are not acknowledged.", outstanding_of},
        {"actor_steps", "Steps of an actor since it started.", steps_of},
    };
    const struct registry *registry = &l->registry;
    double *values = malloc(sizeof(*values) * (registry->n_peers + 1));
    if (!values) return;
    for (size_t k = 0; k < sizeof(spreads) / sizeof(*spreads); k++) {
        size_t n = 0;
        for (size_t i = 0; i < registry->n_peers; i++) {
            const struct registry_peer *p = registry->peers[i];
            if (!p->here || p->role != WIRE_ACTOR) continue;
            const double value = spreads[k].of(l, p);
            if (!isnan(value)) values[n++] = value;
        }
        print_spread(out, spreads[k].name, spreads[k].help, values, n);
    }
    free(values);
}

static void print_staleness(const struct learner *l, FILE *out) {
    uint64_t n = 0;
    double sum = 0.0; // from the buckets' middles
    head(out, "staleness_updates", "histogram",
         "Updates between acting and learning, a row; the sum is approximate.");
    for (unsigned i = 0; i < WHY_AGES; i++) {
        const double top = (double)((UINT64_C(1) << i) - 1);
        n += l->ages[i];
        sum += 0.75 * top * (double)l->ages[i];
        if (i + 1 < WHY_AGES)
            fprintf(out,
                    "softq_staleness_updates_bucket{le=\"%g\"} %" PRIu64 "\n",
                    top, n);
    }
    fprintf(out,
            "softq_staleness_updates_bucket{le=\"+Inf\"} %" PRIu64
            "\nsoftq_staleness_updates_sum %.17g\n"
            "softq_staleness_updates_count %" PRIu64 "\n",
            n, sum, n);
    head(out, "staleness_earlier_rows_total", "counter",
         "Rows learned from that were made before this learner started.");
    fprintf(out, "softq_staleness_earlier_rows_total %" PRIu64 "\n",
            l->aged_out);
}

void metrics_print(const struct learner *learner, FILE *out) {
    struct metric list[METRICS_MOST];
    const size_t n = metrics_list(learner, list);
    for (size_t i = 0; i < n; i++) {
        const bool counter = list[i].kind == METRIC_COUNTER;
        char name[64];
        snprintf(name, sizeof(name), "%s%s", list[i].name,
                 counter ? "_total" : "");
        head(out, name, counter ? "counter" : "gauge", list[i].help);
        fprintf(out, "softq_%s %.17g\n", name, list[i].value);
    }
    print_shards(learner, out);
    print_actors(learner, out);
    print_staleness(learner, out);
}
