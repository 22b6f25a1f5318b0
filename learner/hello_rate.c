#include "learner/hello_rate.h"

#include <stdio.h>
#include <string.h>

/* Its own place, or that of the one that was silent longest. */
static struct hello_rate_source *place_of(struct hello_rate *rate,
                                          const char *who, uint64_t now_ms) {
    struct hello_rate_source *oldest = &rate->sources[0];
    for (int i = 0; i < HELLO_RATE_SOURCES; i++) {
        struct hello_rate_source *source = &rate->sources[i];
        if (strcmp(source->who, who) == 0) return source;
        if (source->ms < oldest->ms) oldest = source;
    }
    // whoever comes by often is not let off by being forgotten: a place that
    // was used just now is shared
    const bool fresh = oldest->who[0] == '\0' || now_ms - oldest->ms >= 1000;
    if (fresh) oldest->left = HELLO_RATE_BURST;
    snprintf(oldest->who, sizeof(oldest->who), "%s", who);
    if (fresh) oldest->ms = now_ms;
    return oldest;
}

bool hello_rate_take(struct hello_rate *rate, const char *who,
                     uint64_t now_ms) {
    if (who[0] == '\0') who = "ipc";
    struct hello_rate_source *source = place_of(rate, who, now_ms);
    source->left += 1e-3 * (double)(now_ms - source->ms) * HELLO_RATE_SECOND;
    if (source->left > HELLO_RATE_BURST) source->left = HELLO_RATE_BURST;
    source->ms = now_ms;
    if (source->left < 1) {
        rate->over++;
        return false;
    }
    source->left -= 1;
    return true;
}
