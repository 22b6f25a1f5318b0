#include "replay/waiting.h"

#include <string.h>

/* n when it is not there. */
static size_t find(const struct waiting *waiting,
                   const struct link_route *route) {
    size_t i = 0;
    while (i < waiting->n &&
           !link_route_equal(&waiting->peers[i].route, route)) {
        i++;
    }
    return i;
}

static void drop(struct waiting *waiting, size_t i) {
    memmove(&waiting->peers[i], &waiting->peers[i + 1],
            (--waiting->n - i) * sizeof *waiting->peers);
    if (i < waiting->woken) waiting->woken--;
}

void waiting_add(struct waiting *waiting, const struct link_route *route,
                 uint64_t seq, uint64_t rows) {
    const size_t i = find(waiting, route);
    if (i < waiting->n) {
        struct waiting_peer *peer = &waiting->peers[i];
        if (seq > peer->highest) {
            *(peer->begun ? &peer->later : &peer->rows) += rows;
            peer->highest = seq;
        }
        /* it came, and the room was gone: it is the first to be woken again */
        if (i < waiting->woken) waiting->woken = i;
        return;
    }
    if (waiting->n < WAITING_MOST) {
        waiting->peers[waiting->n++] = (struct waiting_peer){
            .route = *route, .first = rows, .rows = rows, .highest = seq};
    }
}

/* Those woken that did not come in time lose their place. Returns the rows that
 * are kept for the others. */
static uint64_t kept(struct waiting *waiting, uint64_t now_ms) {
    uint64_t rows = 0;
    for (size_t i = 0; i < waiting->woken;) {
        if (now_ms - waiting->peers[i].woken_ms >= WAITING_KEEP_MS) {
            drop(waiting, i);
        } else {
            rows += waiting->peers[i++].rows;
        }
    }
    return rows;
}

void waiting_wake(struct waiting *waiting, uint64_t room, uint64_t now_ms,
                  int (*wake)(void *data, const struct link_route *route),
                  void *data) {
    const uint64_t taken = kept(waiting, now_ms);
    room -= taken < room ? taken : room;
    while (waiting->woken < waiting->n) {
        struct waiting_peer *peer = &waiting->peers[waiting->woken];
        if (peer->first > room) break;
        if (wake(data, &peer->route) != 0) {
            drop(waiting, waiting->woken);
            continue;
        }
        room -= peer->rows < room ? peer->rows : room;
        peer->woken_ms = now_ms;
        peer->begun = true;
        waiting->woken++;
    }
}

bool waiting_may(struct waiting *waiting, const struct link_route *route,
                 uint64_t rows, uint64_t room, uint64_t now_ms) {
    if (rows > room) return false;
    if (waiting->n == 0) return true;
    const uint64_t taken = kept(waiting, now_ms);
    if (find(waiting, route) < waiting->woken) return true;
    return waiting->woken == waiting->n && taken <= room - rows;
}

void waiting_stored(struct waiting *waiting, const struct link_route *route,
                    uint64_t rows) {
    if (waiting->n == 0) return;
    const size_t i = find(waiting, route);
    if (i == waiting->n) return;
    struct waiting_peer peer = waiting->peers[i];
    if (peer.rows > rows) {
        waiting->peers[i].rows -= rows;
        return;
    }
    drop(waiting, i);
    if (peer.later > 0) {
        peer.first = rows; /* as large as the one before, as most are */
        peer.rows = peer.later;
        peer.later = 0;
        peer.begun = false;
        waiting->peers[waiting->n++] = peer;
    }
}
