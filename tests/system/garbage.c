/*
 * garbage ADDRESS SEED: bad bytes at an ipc:// or tcp:// address, in three
 * ways: bytes that are no ZeroMQ at all, ZeroMQ messages of random bytes, and
 * good messages of ours with bytes changed, cut or repeated. Prints how much
 * it sent; exits 0 unless it could not connect.
 */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <zmq.h>

#include "common/rng.h"
#include "proto/wire.h"

enum { RAW = 20, MESSAGES = 300, LONGEST = 4096 };

static int connect_unix(const char *path) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int connect_tcp(const char *host_port) {
    char host[64];
    const char *colon = strrchr(host_port, ':');
    if (colon == NULL || (size_t)(colon - host_port) >= sizeof(host)) {
        return -1;
    }
    memcpy(host, host_port, (size_t)(colon - host_port));
    host[colon - host_port] = '\0';
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)atoi(colon + 1))};
    inet_pton(AF_INET, host, &name.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void fill(struct rng *rng, unsigned char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (unsigned char)rng_below(rng, 256);
    }
}

static int send_raw(const char *address, struct rng *rng) {
    unsigned char bytes[LONGEST];
    for (int i = 0; i < RAW; i++) {
        int fd = strncmp(address, "ipc://", 6) == 0 ? connect_unix(address + 6)
                                                    : connect_tcp(address + 6);
        if (fd < 0) {
            return -errno;
        }
        size_t n = 1 + rng_below(rng, sizeof(bytes));
        fill(rng, bytes, n);
        /* half of them begin as ZeroMQ does */
        if (i % 2 == 0)
            memcpy(bytes, "\xff\0\0\0\0\0\0\0\1\x7f", n < 10 ? n : 10);
        (void)send(fd, bytes, n, MSG_NOSIGNAL);
        close(fd);
    }
    return 0;
}

/* A good message of a random type, by a stranger. */
static int good(struct rng *rng, void **data, size_t *len) {
    static float numbers[64];
    static uint8_t flags[4];
    static uint64_t versions[4];
    struct wire_message m = {.run = rng_below(rng, 2) ? rng_u64(rng) : 0,
                             .incarnation = rng_u64(rng)};
    snprintf(m.name, sizeof(m.name), "garbage-%d", (int)rng_below(rng, 5));
    switch (rng_below(rng, 6)) {
    case 0:
        m.type = WIRE_HELLO;
        m.hello.role = WIRE_ACTOR;
        snprintf(m.hello.build, sizeof(m.hello.build), "0");
        break;
    case 1:
        m.type = WIRE_STATUS;
        break;
    case 2:
        m.type = WIRE_HEARTBEAT;
        break;
    case 3:
        m.type = WIRE_GET_PARAMETERS;
        break;
    case 4:
        m.type = WIRE_SAMPLE;
        m.sample.n = (uint32_t)rng_u64(rng);
        break;
    default:
        m.type = WIRE_INSERT;
        m.insert.epoch = m.incarnation;
        m.insert.rows = (struct batch){.capacity = 4,
                                       .n = 4,
                                       .S = 2,
                                       .A = 2,
                                       .s = numbers,
                                       .a = numbers,
                                       .r = numbers,
                                       .next = numbers,
                                       .flags = flags,
                                       .version = versions};
    }
    return wire_pack(&m, data, len);
}

/* Change a few bytes, or cut it, or neither. */
static size_t spoil(struct rng *rng, unsigned char *bytes, size_t len) {
    switch (rng_below(rng, 4)) {
    case 0:
        return len;
    case 1:
        return rng_below(rng, len + 1);
    default:
        for (uint64_t i = rng_below(rng, 8); len > 0 && i < 8; i++) {
            bytes[rng_below(rng, len)] = (unsigned char)rng_below(rng, 256);
        }
        return len;
    }
}

static int send_messages(const char *address, struct rng *rng) {
    void *context = zmq_ctx_new();
    void *sock = zmq_socket(context, ZMQ_DEALER);
    int linger = 1000, wait = 1000;
    zmq_setsockopt(sock, ZMQ_LINGER, &linger, sizeof(linger));
    zmq_setsockopt(sock, ZMQ_SNDTIMEO, &wait, sizeof(wait));
    int rc = zmq_connect(sock, address) == 0 ? 0 : -zmq_errno();
    for (int i = 0; rc == 0 && i < MESSAGES; i++) {
        unsigned char bytes[LONGEST];
        void *data = NULL;
        size_t len = 0;
        if (i % 3 == 0) {
            len = rng_below(rng, sizeof(bytes));
            fill(rng, bytes, len);
        } else if (good(rng, &data, &len) == 0) {
            if (len > sizeof(bytes)) len = sizeof(bytes);
            memcpy(bytes, data, len);
            len = spoil(rng, bytes, len);
            free(data);
        }
        int more = rng_below(rng, 20) == 0 ? ZMQ_SNDMORE : 0;
        if (zmq_send(sock, bytes, len, more) < 0) break;
        /* every now and then as another connection */
        if (rng_below(rng, 40) == 0) {
            zmq_disconnect(sock, address);
            rc = zmq_connect(sock, address) == 0 ? 0 : -zmq_errno();
        }
    }
    zmq_close(sock);
    zmq_ctx_term(context);
    return rc;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "garbage ADDRESS SEED\n");
        return 2;
    }
    struct rng rng;
    rng_init(&rng, (uint64_t)atoll(argv[2]), RNG_TEST, 0, 0, 0);
    int rc = send_raw(argv[1], &rng);
    if (rc == 0) rc = send_messages(argv[1], &rng);
    if (rc != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], zmq_strerror(-rc));
        return 1;
    }
    printf("%d connections, %d messages\n", RAW, MESSAGES);
    return 0;
}
