#include "learner/publish.h"

#include <errno.h>
#include <math.h>

void publish_init(struct publish *publish, struct link_server *server,
                  double rate) {
    *publish = (struct publish){
        .server = server, .rate = rate, .tokens = fmax(rate / 2.0, 1.0)};
}

void publish_finish(struct publish *publish) {
    if (publish->packed_any) link_packed_finish(&publish->packed);
    *publish = (struct publish){0};
}

int publish_set(struct publish *publish, uint64_t version, uint64_t round,
                const struct policy *policy) {
    const struct wire_message message = {
        .type = WIRE_PARAMETERS,
        .parameters = {.version = version,
                       .round = round,
                       .alpha = policy->alpha,
                       .phi = policy->phi,
                       .count = mlp_parameters(&policy->shape),
                       .noise = policy->noise,
                       .noise_count = policy->n_noise * policy->shape.X,
                       .mean = policy->mean,
                       .scale = policy->scale,
                       .observed = policy->mean ? policy->shape.S : 0}};
    struct link_packed packed;
    int rc = link_packed_init(&packed, publish->server->self, &message);
    if (rc != 0) return rc;
    if (publish->packed_any) link_packed_finish(&publish->packed);
    publish->packed = packed;
    publish->packed_any = true;
    publish->version = version;
    return 0;
}

/* A bucket of half a second's answers: they come spread out, and none is lost
 * to a loop that comes late. */
static bool take_token(struct publish *publish, uint64_t now_ms) {
    const double elapsed = 1e-3 * (double)(now_ms - publish->refilled_ms);
    publish->refilled_ms = now_ms;
    publish->tokens = fmin(publish->tokens + elapsed * publish->rate,
                           fmax(publish->rate / 2.0, 1.0));
    if (publish->tokens < 1.0) return false;
    publish->tokens -= 1.0;
    return true;
}

int publish_answer(struct publish *publish, const struct link_route *to,
                   uint64_t have, uint64_t now_ms) {
    if (publish->version == 0) return -EAGAIN;
    if (have == publish->version) {
        const struct wire_message message = {.type = WIRE_NOT_MODIFIED,
                                             .not_modified = have};
        return link_server_send(publish->server, to, &message);
    }
    if (!take_token(publish, now_ms)) return -EAGAIN;
    publish->answers++;
    return link_server_send_packed(publish->server, to, &publish->packed);
}
