#include "actor/summary.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static const char *const goal_names[SUMMARY_GOALS] = {"+x", "-x", "+y", "-y"};

/* Welford: exact enough for returns of any size. */
void summary_number_add(struct summary_number *number, double x) {
    const double delta = x - number->mean;
    number->n++;
    number->mean += delta / (double)number->n;
    number->squares += delta * (x - number->mean);
    number->min = number->n == 1 ? x : fmin(number->min, x);
    number->max = number->n == 1 ? x : fmax(number->max, x);
}

double summary_std(const struct summary_number *number) {
    return number->n > 1 ? sqrt(number->squares / (double)(number->n - 1))
                         : 0.0;
}

void summary_init(struct summary *summary, const struct env_spec *spec) {
    *summary = (struct summary){.spec = *spec, .goal_stat = -1};
    for (size_t i = 0; i < spec->n_stats; i++)
        if (strcmp(spec->stat_names[i], "goal") == 0)
            summary->goal_stat = (int)i;
}

void summary_add(struct summary *summary,
                 const struct rollout_episode *episode) {
    summary_number_add(&summary->ret, episode->ret);
    summary_number_add(&summary->discounted, episode->discounted);
    summary_number_add(&summary->length, (double)episode->length);
    summary->terminals += episode->terminal;
    for (size_t i = 0; i < summary->spec.n_stats; i++) {
        const double x = episode->stats[i];
        summary_number_add(&summary->stats[i], x);
        if ((int)i == summary->goal_stat && x >= 0.0 && x < SUMMARY_GOALS)
            summary->goals[(size_t)x]++;
    }
}

static double success_rate(const struct summary *summary) {
    uint64_t reached = 0;
    for (size_t g = 0; g < SUMMARY_GOALS; g++) reached += summary->goals[g];
    return summary->ret.n > 0 ? (double)reached / (double)summary->ret.n : 0.0;
}

static void print_number(FILE *out, const char *name,
                         const struct summary_number *number) {
    fprintf(out, "%-10s mean %.2f   std %.2f   min %.2f   max %.2f\n", name,
            number->mean, summary_std(number), number->min, number->max);
}

void summary_print(const struct summary *summary, FILE *out) {
    fprintf(out, "%-10s %" PRIu64 "\n", "episodes", summary->ret.n);
    print_number(out, "return", &summary->ret);
    print_number(out, "discounted", &summary->discounted);
    print_number(out, "length", &summary->length);
    for (size_t i = 0; i < summary->spec.n_stats; i++)
        if ((int)i != summary->goal_stat)
            print_number(out, summary->spec.stat_names[i], &summary->stats[i]);
    if (summary->goal_stat < 0) return;

    fprintf(out, "%-10s", "goals");
    for (size_t g = 0; g < SUMMARY_GOALS; g++)
        fprintf(out, " %s %" PRIu64 "  ", goal_names[g], summary->goals[g]);
    fprintf(out, " reached %.1f %%\n", 100.0 * success_rate(summary));
}

static bool add_number(cJSON *object, const char *prefix, const char *name,
                       double x) {
    char key[96];
    snprintf(key, sizeof(key), "%s%s", prefix, name);
    return cJSON_AddNumberToObject(object, key, x) != NULL;
}

static bool add_goals(const struct summary *summary, cJSON *object) {
    cJSON *counts = cJSON_AddArrayToObject(object, "goal_counts");
    bool ok = counts != NULL;
    for (size_t g = 0; g < SUMMARY_GOALS && ok; g++) {
        cJSON *count = cJSON_CreateNumber((double)summary->goals[g]);
        ok = count && cJSON_AddItemToArray(counts, count);
    }
    return ok && add_number(object, "", "success_rate", success_rate(summary));
}

int summary_json(const struct summary *summary, cJSON *object) {
    const struct summary_number *ret = &summary->ret;
    const double n = ret->n > 0 ? (double)ret->n : 1.0;
    bool ok = add_number(object, "", "episodes", (double)ret->n) &&
              add_number(object, "", "mean_return", ret->mean) &&
              add_number(object, "", "std_return", summary_std(ret)) &&
              add_number(object, "", "min_return", ret->min) &&
              add_number(object, "", "max_return", ret->max) &&
              add_number(object, "", "mean_discounted_return",
                         summary->discounted.mean) &&
              add_number(object, "", "std_discounted_return",
                         summary_std(&summary->discounted)) &&
              add_number(object, "", "mean_length", summary->length.mean) &&
              add_number(object, "", "terminal_share",
                         (double)summary->terminals / n);
    for (size_t i = 0; i < summary->spec.n_stats && ok; i++) {
        const char *name = summary->spec.stat_names[i];
        if ((int)i == summary->goal_stat) continue;
        ok = add_number(object, "mean_", name, summary->stats[i].mean) &&
             add_number(object, "std_", name, summary_std(&summary->stats[i]));
    }
    if (summary->goal_stat >= 0) ok = ok && add_goals(summary, object);
    return ok ? 0 : -ENOMEM;
}
