#include "learner/latency.h"

#include <assert.h>
#include <inttypes.h>

void latency_take(struct latency *latency, const struct wire_latencies *told) {
    int rc = histogram_unpack(&latency->all, told->pairs, told->n);
    if (rc == 0) rc = histogram_unpack(&latency->now, told->pairs, told->n);
    assert(rc == 0);
    (void)rc;
}

void latency_turn(struct latency *latency, uint64_t now_ms) {
    if (now_ms - latency->turned_ms < LATENCY_TURN_MS) return;
    latency->turned_ms = now_ms;
    latency->last = latency->now;
    latency->now = (struct histogram){0};
}

void latency_print_histogram(const struct histogram *histogram,
                             const char *name, FILE *out) {
    static const struct {
        const char *name;
        double q;
    } quantiles[] = {
        {"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}, {"p999", 0.999}};
    fprintf(out, "%ss %" PRIu64 "\n", name, histogram->n);
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        fprintf(out, "%s_us_%s %" PRIu64 "\n", name, quantiles[i].name,
                histogram_quantile(histogram, quantiles[i].q));
    }
}

void latency_print(const struct latency *latency, const char *name, FILE *out) {
    struct histogram recent = latency->last;
    histogram_merge(&recent, &latency->now);
    latency_print_histogram(&latency->all, name, out);
    fprintf(out, "recent_%s_us_p50 %" PRIu64 "\nrecent_%s_us_p99 %" PRIu64 "\n",
            name, histogram_quantile(&recent, 0.5), name,
            histogram_quantile(&recent, 0.99));
}
