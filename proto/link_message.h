#ifndef PROTO_LINK_MESSAGE_H
#define PROTO_LINK_MESSAGE_H

#include <zmq.h>

#include "proto/link.h"

/*
 * Messages on a ZeroMQ socket, as both ends of link.h send and read them.
 * Private to the library.
 */
enum {
    LINK_MESSAGE_PER_TURN = 64,       /* handled in one callback */
    LINK_MESSAGE_FIRST_MAX = 4 << 20, /* bytes, until shapes are known */
};

/* Stamp and pack into msg, which the caller sends or closes. 0 or -ENOMEM. */
int link_message_pack(const struct link_self *self,
                      const struct wire_message *message, zmq_msg_t *msg);

/* As link_server_send(); to: NULL for a DEALER; sock NULL: -EHOSTUNREACH. */
int link_message_send(void *sock, const struct link_self *self,
                      const struct link_route *to,
                      const struct wire_message *message);

/* As wire_unpack(), and -EMSGSIZE for more than most bytes. */
int link_message_read(struct wire_message *message, zmq_msg_t *frame,
                      size_t most, char *why, size_t n);

/* The log's line about a message that was refused; before: complaint.h. */
void link_message_complain(const char *who, enum wire_type type,
                           const char *why, const char *before);

/* As link_server_max_size(), of the limit *max_size. */
int link_message_limit(size_t *max_size, size_t bytes);

#endif
