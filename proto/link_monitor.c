#include "proto/link_monitor.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <uv.h>
#include <zmq.h>

#include "proto/link_socket.h"

enum {
    EVENTS =
        ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
        ZMQ_EVENT_CLOSED
};

void *link_monitor_new(void *zmq, void *sock) {
    char name[80];
    const int none = 0;
    /* a socket's address may be another one's again, a moment is not */
    snprintf(name, sizeof(name), "inproc://monitor-%" PRIxPTR "-%" PRIx64,
             (uintptr_t)sock, uv_hrtime());
    if (zmq_socket_monitor(sock, name, EVENTS) != 0) return NULL;
    void *monitor = zmq_socket(zmq, ZMQ_PAIR);
    /* no mark: libzmq's own thread would wait for us at it */
    if (monitor == NULL ||
        zmq_setsockopt(monitor, ZMQ_RCVHWM, &none, sizeof(none)) != 0 ||
        zmq_setsockopt(monitor, ZMQ_LINGER, &none, sizeof(none)) != 0 ||
        zmq_connect(monitor, name) != 0) {
        if (monitor != NULL) zmq_close(monitor);
        zmq_socket_monitor(sock, NULL, 0);
        return NULL;
    }
    return monitor;
}

static enum link_handshake meaning(uint16_t event, uint32_t value) {
    switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return LINK_HANDSHAKE_DONE;
    case ZMQ_EVENT_CLOSED: // an attempt to connect
        return LINK_HANDSHAKE_ABSENT;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        return LINK_HANDSHAKE_REFUSED;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        return value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
                   ? LINK_HANDSHAKE_MISMATCH
                   : LINK_HANDSHAKE_BROKEN;
    default:
        return LINK_HANDSHAKE_CUT;
    }
}

enum link_handshake link_monitor_next(void *monitor) {
    zmq_msg_t frames[2];
    if (monitor == NULL || link_socket_receive(monitor, frames, 2) < 0) {
        return LINK_HANDSHAKE_NONE;
    }
    uint16_t event = 0;
    uint32_t value = 0;
    if (zmq_msg_size(&frames[0]) >= sizeof(event) + sizeof(value)) {
        const char *at = zmq_msg_data(&frames[0]);
        memcpy(&event, at, sizeof(event));
        memcpy(&value, at + sizeof(event), sizeof(value));
    }
    zmq_msg_close(&frames[0]);
    zmq_msg_close(&frames[1]);
    return meaning(event, value);
}

void link_monitor_close(void *monitor, void *sock) {
    if (monitor == NULL) return;
    zmq_socket_monitor(sock, NULL, 0);
    zmq_close(monitor);
}
