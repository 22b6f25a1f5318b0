#ifndef PROTO_LINK_MONITOR_H
#define PROTO_LINK_MONITOR_H

#include <stdint.h>

/*
 * How the handshakes of a socket end: what keys allow is decided there, and
 * nothing of it comes up as a message. Private to the library.
 */
enum link_handshake {
    LINK_HANDSHAKE_NONE, /* nothing more has ended */
    LINK_HANDSHAKE_DONE,
    LINK_HANDSHAKE_REFUSED,  /* our key is not allowed there */
    LINK_HANDSHAKE_MISMATCH, /* one side uses keys, the other does not */
    LINK_HANDSHAKE_CUT,      /* the other side hung up in the middle */
    LINK_HANDSHAKE_BROKEN,   /* the other side's bytes are wrong */
    LINK_HANDSHAKE_ABSENT,   /* there was none: nobody listens there */
};

/* Watch sock, before it binds or connects. Returns the socket that events come
 * out of, NULL with zmq_errno(). */
void *link_monitor_new(void *zmq, void *sock);

/* The oldest event not yet taken; never blocks. */
enum link_handshake link_monitor_next(void *monitor);

/* Before sock is closed. NULL is fine. */
void link_monitor_close(void *monitor, void *sock);

#endif
