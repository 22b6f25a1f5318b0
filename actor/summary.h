#ifndef ACTOR_SUMMARY_H
#define ACTOR_SUMMARY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cjson/cJSON.h>

#include "actor/rollout.h"

/*
 * Statistics over episodes: returns, lengths and whatever the task counts. A
 * task's number named "goal" (-1: none, else which) is counted, not averaged.
 */
struct summary_number {
    uint64_t n;
    double mean, squares, min, max; /* squares: sum of (x - mean)^2 */
};

void summary_number_add(struct summary_number *number, double x);

enum { SUMMARY_GOALS = 4 };

struct summary {
    struct env_spec spec;
    struct summary_number ret, discounted, length, stats[ENV_MAX_STATS];
    int goal_stat; /* index of "goal", -1: the task has none */
    uint64_t goals[SUMMARY_GOALS], terminals;
};

void summary_init(struct summary *summary, const struct env_spec *spec);
void summary_add(struct summary *summary,
                 const struct rollout_episode *episode);

/* Standard deviation with n - 1; 0 of a single number. */
double summary_std(const struct summary_number *number);

/* A small table, one "name value ..." a line. */
void summary_print(const struct summary *summary, FILE *out);

/*
 * Add episodes, mean_return, std_return, min_return, max_return,
 * mean_discounted_return, std_discounted_return, mean_length, terminal_share,
 * mean_<statistic> and std_<statistic>, and where the task has goals
 * goal_counts (4) and success_rate. Returns 0 or -ENOMEM.
 */
int summary_json(const struct summary *summary, cJSON *object);

#endif
