#include "replay/waiting.h"

#include <string.h>

void waiting_add(struct waiting *waiting, const struct link_route *route,
                 uint64_t seq, uint64_t rows) {
    for (size_t i = 0; i < waiting->n; i++) {
        struct waiting_peer *peer = &waiting->peers[i];
        if (!link_route_equal(&peer->route, route)) continue;
        if (seq > peer->highest) {
            peer->rows += rows;
            peer->highest = seq;
        }
        return;
    }
    if (waiting->n < WAITING_MOST) {
        waiting->peers[waiting->n++] = (struct waiting_peer){
            .route = *route, .first = rows, .rows = rows, .highest = seq};
    }
}

void waiting_wake(struct waiting *waiting, uint64_t room,
                  int (*wake)(void *data, const struct link_route *route),
                  void *data) {
    size_t woken = 0;
    for (; woken < waiting->n; woken++) {
        const struct waiting_peer *peer = &waiting->peers[woken];
        if (peer->first > room) break;
        if (wake(data, &peer->route) == 0)
            room -= peer->rows < room ? peer->rows : room;
    }
    waiting->n -= woken;
    memmove(waiting->peers, waiting->peers + woken,
            waiting->n * sizeof *waiting->peers);
}
