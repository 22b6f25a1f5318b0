#include "learner/schedule.h"

#include <math.h>

/* Share of span that is over, in [0, 1]. */
static double done(uint64_t updates, uint64_t span) {
    return updates >= span ? 1.0 : (double)updates / (double)span;
}

double schedule_alpha(const struct config *config, uint64_t updates) {
    if (config->temperature != TEMPERATURE_ANNEAL) return config->alpha;
    const double share = done(updates, config->alpha_span);
    // exp(log(x)) is not x: the ends are the options themselves
    if (share == 0.0) return config->alpha;
    if (share == 1.0) return config->alpha_end;
    return exp((1.0 - share) * log(config->alpha) +
               share * log(config->alpha_end));
}

double schedule_automatic(double alpha, double entropy, double target,
                          double rate) {
    return alpha * exp(rate * (target - entropy));
}

double schedule_ramp(double factor, uint64_t span, uint64_t updates) {
    return factor + (1.0 - factor) * done(updates, span);
}

uint64_t schedule_noise_set(uint64_t size, uint64_t span, uint64_t updates) {
    if (size == 0 || span == 0) return size;
    if (updates >= span) return 1;
    // the product first: whole steps then stay whole
    const double gone = (double)(size - 1) * (double)updates / (double)span;
    return size - (uint64_t)floor(gone);
}
