#include "proto/link_message.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "proto/link_socket.h"

static void release(void *data, void *unused) {
    (void)unused;
    free(data);
}

int link_message_pack(const struct link_self *self,
                      const struct wire_message *message, zmq_msg_t *msg) {
    struct wire_message stamped = *message;
    stamped.protocol = WIRE_PROTOCOL;
    stamped.run = self->run;
    stamped.incarnation = self->incarnation;
    memcpy(stamped.name, self->name, sizeof(stamped.name));
    void *data;
    size_t len;
    int rc = wire_pack(&stamped, &data, &len);
    if (rc != 0) return rc;
    if (zmq_msg_init_data(msg, data, len, release, NULL) != 0) {
        free(data);
        return -ENOMEM;
    }
    return 0;
}

int link_message_send(void *sock, const struct link_self *self,
                      const struct link_route *to,
                      const struct wire_message *message) {
    if (sock == NULL) return -EHOSTUNREACH;
    zmq_msg_t msg;
    int rc = link_message_pack(self, message, &msg);
    return rc != 0 ? rc : link_socket_send(sock, to, &msg);
}

int link_message_read(struct wire_message *message, zmq_msg_t *frame,
                      size_t most, char *why, size_t n) {
    const size_t len = zmq_msg_size(frame);
    if (len > most) {
        snprintf(why, n, "%zu bytes, at most %zu", len, most);
        return -EMSGSIZE;
    }
    return wire_unpack(message, zmq_msg_data(frame), len, why, n);
}

void link_message_complain(const char *who, enum wire_type type,
                           const char *why, const char *before) {
    log_warn("message from %s refused%s%s: %s%s", who,
             type != 0 ? ", type " : "", type != 0 ? wire_type_name(type) : "",
             why, before);
}

int link_message_limit(size_t *max_size, size_t bytes) {
    bool fits = bytes <= LINK_SOCKET_MAX_SIZE;
    *max_size = fits ? bytes : LINK_SOCKET_MAX_SIZE;
    return fits ? 0 : -EMSGSIZE;
}
