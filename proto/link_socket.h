#ifndef PROTO_LINK_SOCKET_H
#define PROTO_LINK_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

#include <zmq.h>

#include "proto/route.h"

/*
 * What link.c needs of ZeroMQ: a socket with the options of DESIGN.md
 * section 3, binding with the errors a person can act on, whole messages in
 * and out. Private to the library.
 */

/*
 * The transport's own limit of a message. libzmq copies it when it binds or
 * connects, before shapes are known, so it only bounds memory; link.c holds the
 * exact limit.
 */
enum { LINK_SOCKET_MAX_SIZE = 64 << 20 };

/*
 * A ROUTER or DEALER for address. high_water: so many unanswered messages a
 * peer never meet a full queue. NULL with zmq_errno().
 */
void *link_socket_new(void *zmq, int type, const char *address, int high_water);

/*
 * Bind; open: hosts beyond loopback too; endpoint (n bytes) receives what a
 * peer may connect to. 0 or a negative errno after one log_error: see
 * link_server_start().
 */
int link_socket_bind(void *sock, const char *address, bool open, char *endpoint,
                     size_t n);

/*
 * Receive one whole message without blocking. Its first `want` frames land in
 * frames (all initialised, to be closed by the caller); more are dropped.
 * Returns the number of frames it had, -EAGAIN when there is none, or another
 * negative errno; nothing to close when negative.
 */
int link_socket_receive(void *sock, zmq_msg_t *frames, int want);

/*
 * Send without blocking; msg is consumed, sent or not. to: NULL for a DEALER.
 * Returns 0 or a negative errno.
 */
int link_socket_send(void *sock, const struct link_route *to, zmq_msg_t *msg);

/* Close now; what is queued may linger for so many ms. */
void link_socket_close(void *sock, int linger);

#endif
