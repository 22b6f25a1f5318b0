#ifndef PROTO_ROUTE_H
#define PROTO_ROUTE_H

#include <stdint.h>

/*
 * A connection to a server, as ROUTER sees it. Apart from link.h so that pure
 * bookkeeping (learner/registry) can keep routes without knowing sockets.
 * Comparable by link_route_equal().
 */
struct link_route {
    uint8_t len, id[32];
};

#endif
