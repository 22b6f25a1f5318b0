#ifndef PROTO_ROUTE_H
#define PROTO_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A connection to a server, as ROUTER sees it. Apart from link.h so that pure
 * bookkeeping (learner/registry) can keep routes without knowing sockets.
 * Part of the pure library `wire`.
 */
struct link_route {
    uint8_t len, id[32];
};
bool link_route_equal(const struct link_route *x, const struct link_route *y);

#endif
