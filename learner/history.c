#include "learner/history.h"

#include <string.h>

const char *const history_names[HISTORY_SERIES] = {
    "seconds",          "updates",     "steps",        "updates_per_second",
    "steps_per_second", "mean_return", "q_loss",       "q_mean",
    "stein_norm",       "alpha",       "entropy_nats", "evaluation_return",
};

static void thin_out(struct history *history) {
    const size_t bytes = sizeof(history->points[0]);
    for (size_t i = 0; 2 * i < history->n; i++)
        memcpy(history->points[i], history->points[2 * i], bytes);
    history->n = (history->n + 1) / 2;
    history->stride *= 2;
}

void history_add(struct history *history, const double *point) {
    if (history->stride == 0) history->stride = 1;
    if (history->skipped + 1 < history->stride) {
        history->skipped++;
        return;
    }
    history->skipped = 0;
    if (history->n == HISTORY_MOST) thin_out(history);
    memcpy(history->points[history->n++], point, sizeof(history->points[0]));
}
