#ifndef PROTO_LINK_FLEET_H
#define PROTO_LINK_FLEET_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>
#include <zmq.h>

#include "proto/link.h"

/*
 * Thousands of clients in one process, without a socket and its threads'
 * mailboxes each: clients whose self names a fleet and that connect to one
 * address share a ROUTER, which makes a connection of its own for every one of
 * them (ZMQ_CONNECT_ROUTING_ID before each connect; a DEALER would make one in
 * all). To the server they look like processes. They are started, sent by and
 * stopped as any link_client, but that a member's on_closed is called before
 * link_client_stop() returns, that high_water and keys are the first one's, and
 * that link_client_watch() sees nothing.
 */
struct link_fleet {
    /* private */
    struct link_fleet_server *servers; /* a list, owned */
};

/*
 * Close all sockets, after uv_run() has returned, its handles were closed by
 * the loop's walk and the clients were finished. linger in ms. A zeroed fleet
 * may be finished.
 */
void link_fleet_finish(struct link_fleet *fleet, int linger);

/* ---- for link_client.c ---- */

/* Connect client as a member of self->fleet. 0 or a negative errno, and then
 * nothing has changed. */
int link_fleet_join(struct link_client *client, uv_loop_t *loop, void *zmq,
                    const char *address, int high_water);

/* No message reaches client any more. The connection stays as long as another
 * member of its socket does: libzmq ends an address's connections all
 * together. */
void link_fleet_leave(struct link_client *client);

/* In link_client.c: a message for this client, frame borrowed, of n frames. */
void link_client_hear(struct link_client *client, zmq_msg_t *frame, int n);

#endif
