#include "proto/link_socket.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"

static bool starts_with(const char *text, const char *head) {
    return strncmp(text, head, strlen(head)) == 0;
}

static int set(void *sock, int option, int value) {
    return zmq_setsockopt(sock, option, &value, sizeof(value));
}

/*
 * A cut cable leaves a connection that looks alive for minutes, and requests
 * are sent again into it: heartbeats end it on the client's side, keepalive on
 * the server's. The kernel's retries wait twice as long each time, a
 * connection's as an attempt's, so that after a cut of a minute the next may be
 * another minute off: both are bounded, and libzmq connects anew.
 */
static int set_tcp(void *sock, int type, const char *address) {
    int rc = 0;
    if (strchr(address, '[') != NULL) rc |= set(sock, ZMQ_IPV6, 1);
    rc |= set(sock, ZMQ_TCP_MAXRT, 8 * 1000);
    rc |= set(sock, ZMQ_CONNECT_TIMEOUT, 2 * 1000);
    if (type == ZMQ_DEALER) {
        rc |= set(sock, ZMQ_HEARTBEAT_IVL, 5 * 1000);
        rc |= set(sock, ZMQ_HEARTBEAT_TIMEOUT, 15 * 1000);
    } else {
        rc |= set(sock, ZMQ_TCP_KEEPALIVE, 1);
        rc |= set(sock, ZMQ_TCP_KEEPALIVE_IDLE, 30);
        rc |= set(sock, ZMQ_TCP_KEEPALIVE_INTVL, 10);
        rc |= set(sock, ZMQ_TCP_KEEPALIVE_CNT, 3);
    }
    return rc;
}

void *link_socket_new(void *zmq, int type, const char *address,
                      int high_water) {
    void *sock = zmq_socket(zmq, type);
    if (sock == NULL) return NULL;
    int64_t most = LINK_SOCKET_MAX_SIZE;
    int rc = zmq_setsockopt(sock, ZMQ_MAXMSGSIZE, &most, sizeof(most));
    rc |= set(sock, ZMQ_LINGER, 0);
    /* libzmq takes note of what was read only every half of its mark, so that
     * a mark of W refuses some of W messages that are answered one by one */
    rc |= set(sock, ZMQ_SNDHWM, 2 * high_water + 2);
    rc |= set(sock, ZMQ_RCVHWM, 2 * high_water + 2);
    rc |= set(sock, ZMQ_BACKLOG, 1024);
    rc |= set(sock, ZMQ_RECONNECT_IVL, 100);
    rc |= set(sock, ZMQ_RECONNECT_IVL_MAX, 5 * 1000);
    rc |= set(sock, ZMQ_HANDSHAKE_IVL, 10 * 1000);
    if (type == ZMQ_ROUTER) rc |= set(sock, ZMQ_ROUTER_MANDATORY, 1);
    if (starts_with(address, "tcp://")) rc |= set_tcp(sock, type, address);
    if (rc != 0) {
        int error = zmq_errno();
        zmq_close(sock);
        errno = error;
        return NULL;
    }
    return sock;
}

/*
 * libzmq replaces a socket file whether or not somebody serves it; only a
 * stale one may go.
 */
static bool somebody_serves(const struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    int rc = connect(fd, (const struct sockaddr *)address, sizeof(*address));
    bool served = rc == 0 || errno == EAGAIN || errno == EINPROGRESS;
    close(fd);
    return served;
}

static int check_ipc(const char *address) {
    const char *path = address + strlen("ipc://");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(to.sun_path)) {
        log_error("socket path %s is %zu bytes long, a socket's may be %zu: "
                  "use a shorter directory",
                  path, strlen(path), sizeof(to.sun_path) - 1);
        return -ENAMETOOLONG;
    }
    memcpy(to.sun_path, path, strlen(path) + 1);
    if (somebody_serves(&to)) {
        log_error("%s is in use: another process serves it", address);
        return -EADDRINUSE;
    }
    return 0;
}

static bool loopback(const char *address) {
    const char *host = address + strlen("tcp://");
    const char *colon = strrchr(host, ':');
    size_t n = colon != NULL ? (size_t)(colon - host) : strlen(host);
    static const char *const names[] = {"localhost", "[::1]", "lo"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i]) == n && strncmp(host, names[i], n) == 0) {
            return true;
        }
    }
    /* 127.0.0.0/8 as numbers; 127.evil.org is a name */
    return starts_with(host, "127.") && strspn(host, "0123456789.") == n;
}

static int check_tcp(const char *address, bool open) {
    if (open || loopback(address)) return 0;
    log_error("%s can be reached from other machines, and everyone who reaches "
              "it could take part in the run: give --keys=DIR (deploy/keys.sh "
              "makes them), bind 127.0.0.1, or give --insecure on a network "
              "that you trust",
              address);
    return -EACCES;
}

int link_socket_bind(void *sock, const char *address, bool open, char *endpoint,
                     size_t n) {
    int rc;
    if (starts_with(address, "ipc://")) {
        rc = check_ipc(address);
    } else if (starts_with(address, "tcp://")) {
        rc = check_tcp(address, open);
    } else {
        log_error("address '%s': it starts with ipc:// or tcp://", address);
        rc = -EINVAL;
    }
    if (rc != 0) return rc;
    if (zmq_bind(sock, address) != 0) {
        rc = -zmq_errno();
        if (rc == -EADDRINUSE) {
            log_error("%s is in use by another process: stop it or choose "
                      "another --port",
                      address);
        } else {
            log_error("cannot serve %s: %s", address, zmq_strerror(-rc));
        }
        return rc;
    }
    return zmq_getsockopt(sock, ZMQ_LAST_ENDPOINT, endpoint, &n) == 0
               ? 0
               : -zmq_errno();
}

static bool more(void *sock) {
    int value = 0;
    size_t len = sizeof(value);
    return zmq_getsockopt(sock, ZMQ_RCVMORE, &value, &len) == 0 && value != 0;
}

int link_socket_receive(void *sock, zmq_msg_t *frames, int want) {
    for (int i = 0; i < want; i++) zmq_msg_init(&frames[i]);
    int n = 0, rc = 0;
    do {
        zmq_msg_t extra;
        zmq_msg_init(&extra);
        /* the frames of a message arrive together: only the first may block */
        if (zmq_msg_recv(n < want ? &frames[n] : &extra, sock, ZMQ_DONTWAIT) <
            0) {
            rc = -zmq_errno();
        }
        zmq_msg_close(&extra);
        n++;
    } while (rc == 0 && more(sock));
    if (rc == 0) return n;
    for (int i = 0; i < want; i++) zmq_msg_close(&frames[i]);
    return rc;
}

static int try_to_send(void *sock, const struct link_route *to,
                       zmq_msg_t *msg) {
    if (to != NULL &&
        zmq_send(sock, to->id, to->len, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0) {
        return -zmq_errno();
    }
    return zmq_msg_send(msg, sock, ZMQ_DONTWAIT) < 0 ? -zmq_errno() : 0;
}

int link_socket_send(void *sock, const struct link_route *to, zmq_msg_t *msg) {
    int rc = try_to_send(sock, to, msg);
    if (rc == -EAGAIN) {
        /* a queue may look full because libzmq, when it does not wait, looks
         * at what was read only once in a millisecond: make it look now */
        int events = 0;
        size_t len = sizeof(events);
        (void)zmq_getsockopt(sock, ZMQ_EVENTS, &events, &len);
        rc = try_to_send(sock, to, msg);
    }
    if (rc != 0) zmq_msg_close(msg);
    return rc;
}

void link_socket_close(void *sock, int linger) {
    zmq_setsockopt(sock, ZMQ_LINGER, &linger, sizeof(linger));
    zmq_close(sock);
}
