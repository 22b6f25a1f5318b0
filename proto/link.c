#include "proto/link.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <zmq.h>

#include "common/log.h"
#include "proto/link_fleet.h"
#include "proto/link_socket.h"

enum { PER_TURN = 64, FIRST_MAX_SIZE = 4 << 20, COMPLAINT_MS = 60 * 1000 };

/* Letters that a name may have, of a host's own. */
static void host_name(char *host, size_t n) {
    if (gethostname(host, n) != 0) snprintf(host, n, "host");
    host[n - 1] = '\0';
    for (char *c = host; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && *c != '.' && *c != '_') *c = '-';
    }
}

int link_self_init(struct link_self *self, const char *role, const char *name) {
    char host[32];
    *self = (struct link_self){0};
    host_name(host, sizeof(host));
    int n = name[0] != '\0'
                ? snprintf(self->name, sizeof(self->name), "%s", name)
                : snprintf(self->name, sizeof(self->name), "%s-%s-%ld", role,
                           host, (long)getpid());
    if (n >= (int)sizeof(self->name) || !wire_name_ok(self->name)) {
        log_error("name '%s': 1 to %d characters of A-Za-z0-9._-", name,
                  WIRE_NAME_LEN - 1);
        return -EINVAL;
    }
    while (self->incarnation == 0) { /* 0 is nobody's */
        if (getrandom(&self->incarnation, sizeof(self->incarnation), 0) < 0) {
            self->incarnation = uv_hrtime() ^ ((uint64_t)getpid() << 40);
        }
    }
    return 0;
}

/* ---- messages out ---- */

static void release(void *data, void *unused) {
    (void)unused;
    free(data);
}

/* Stamp and pack into msg, which the caller sends or closes. */
static int pack(const struct link_self *self,
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

static int send_message(void *sock, const struct link_self *self,
                        const struct link_route *to,
                        const struct wire_message *message) {
    if (sock == NULL) return -EHOSTUNREACH;
    zmq_msg_t msg;
    int rc = pack(self, message, &msg);
    return rc != 0 ? rc : link_socket_send(sock, to, &msg);
}

int link_server_send(struct link_server *server, const struct link_route *to,
                     const struct wire_message *message) {
    return send_message(server->sock, server->self, to, message);
}

int link_client_send(struct link_client *client,
                     const struct wire_message *message) {
    const struct link_route *to =
        client->server != NULL ? &client->route : NULL;
    return send_message(client->sock, client->self, to, message);
}

int link_packed_init(struct link_packed *packed, const struct link_self *self,
                     const struct wire_message *message) {
    zmq_msg_t *msg = malloc(sizeof(*msg));
    packed->private = NULL;
    if (msg == NULL) return -ENOMEM;
    int rc = pack(self, message, msg);
    if (rc != 0) {
        free(msg);
        return rc;
    }
    packed->private = msg;
    return 0;
}

void link_packed_finish(struct link_packed *packed) {
    if (packed->private == NULL) return;
    zmq_msg_close(packed->private);
    free(packed->private);
    packed->private = NULL;
}

int link_server_send_packed(struct link_server *server,
                            const struct link_route *to,
                            const struct link_packed *packed) {
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    if (zmq_msg_copy(&msg, packed->private) != 0) {
        return -zmq_errno();
    }
    return link_socket_send(server->sock, to, &msg);
}

/* ---- bad bytes ---- */

/* One line a sender and minute; it says how many went unsaid. */
static void complain(struct link_complaint *complaint, const char *who,
                     uint64_t now, enum wire_type type, const char *why) {
    bool due = complaint->who[0] == '\0' || strcmp(complaint->who, who) != 0 ||
               now - complaint->since_ms >= COMPLAINT_MS;
    if (!due) {
        complaint->count++;
        return;
    }
    bool same = strcmp(complaint->who, who) == 0;
    char before[64] = "";
    if (same && complaint->count > 0) {
        snprintf(before, sizeof(before), " (and %llu since the last such line)",
                 (unsigned long long)complaint->count);
    }
    log_warn("message from %s refused%s%s: %s%s", who,
             type != 0 ? ", type " : "", type != 0 ? wire_type_name(type) : "",
             why, before);
    snprintf(complaint->who, sizeof(complaint->who), "%s", who);
    complaint->since_ms = now;
    complaint->count = 0;
}

/*
 * The sender's own line, a free or expired one, else the shared last: a
 * thousand names cannot make a thousand log lines a minute.
 */
static struct link_complaint *complaint_of(struct link_server *server,
                                           const char **who, uint64_t now) {
    const size_t last =
        sizeof(server->complaints) / sizeof(server->complaints[0]) - 1;
    struct link_complaint *free_one = NULL;
    for (size_t i = 0; i < last; i++) {
        struct link_complaint *c = &server->complaints[i];
        if (strcmp(c->who, *who) == 0) return c;
        bool old = c->who[0] == '\0' || now - c->since_ms >= COMPLAINT_MS;
        if (old && free_one == NULL) free_one = c;
    }
    if (free_one != NULL) return free_one;
    *who = "many senders";
    return &server->complaints[last];
}

static enum wire_refusal refusal_code(int rc) {
    switch (rc) {
    case -EDOM:
        return WIRE_CODE_NON_FINITE;
    case -EPROTONOSUPPORT:
        return WIRE_CODE_PROTOCOL;
    case -EREMCHG:
        return WIRE_CODE_RUN;
    default:
        return WIRE_CODE_ILL_FORMED;
    }
}

void link_server_complain(struct link_server *server,
                          const struct wire_message *message, const char *why) {
    const char *who = message->name;
    uint64_t now = uv_now(server->loop);
    struct link_complaint *complaint = complaint_of(server, &who, now);
    complain(complaint, who, now, message->type, why);
}

/* Count, log, and tell the sender; message holds what is known of it. */
static void refuse(struct link_server *server, const struct link_route *from,
                   const struct wire_message *message, int rc,
                   const char *why) {
    server->bad++;
    const char *who = message->name[0] != '\0'          ? message->name
                      : server->peer_address[0] != '\0' ? server->peer_address
                                                        : "an unnamed sender";
    uint64_t now = uv_now(server->loop);
    struct link_complaint *complaint = complaint_of(server, &who, now);
    complain(complaint, who, now, message->type, why);
    /* somebody who speaks our language, or a version of it, is told */
    bool told = message->name[0] != '\0' || rc == -EPROTONOSUPPORT;
    if (!told || message->type == WIRE_REFUSED || from->len == 0) return;
    struct wire_message answer = {
        .type = WIRE_REFUSED,
        .refused = {.about = message->type, .code = refusal_code(rc)}};
    if (message->type == WIRE_INSERT) answer.refused.seq = message->insert.seq;
    snprintf(answer.refused.reason, sizeof(answer.refused.reason), "%s", why);
    link_server_send(server, from, &answer);
}

/* ---- messages in ---- */

static int check_size(size_t len, size_t most, char *why, size_t n) {
    if (len <= most) return 0;
    snprintf(why, n, "%zu bytes, at most %zu", len, most);
    return -EMSGSIZE;
}

/* Is it for us? 0, -EREMCHG (another run), -EAGAIN (too early to tell). */
static int check_run(const struct link_self *self,
                     const struct wire_message *message) {
    if (message->run == self->run) return 0;
    bool stranger = message->run == 0 && (message->type == WIRE_HELLO ||
                                          message->type == WIRE_STATUS);
    if (stranger) return 0;
    return self->run == 0 ? -EAGAIN : -EREMCHG;
}

static void read_peer_address(struct link_server *server,
                              const zmq_msg_t *frame) {
    server->peer_address[0] = '\0';
    const char *address = zmq_msg_gets(frame, "Peer-Address");
    /* an ipc peer's is its credentials */
    if (address != NULL && strncmp(server->endpoint, "tcp://", 6) == 0) {
        snprintf(server->peer_address, sizeof(server->peer_address), "%s",
                 address);
    }
}

/* frames: who, what. */
static void serve(struct link_server *server, zmq_msg_t *frames, int n) {
    struct link_route from = {0};
    struct wire_message message = {0};
    char why[256] = "";
    size_t id_len = zmq_msg_size(&frames[0]);
    if (id_len <= sizeof(from.id)) {
        from.len = (uint8_t)id_len;
        memcpy(from.id, zmq_msg_data(&frames[0]), id_len);
    }
    read_peer_address(server, &frames[1]);
    int rc = 0;
    if (n != 2 || from.len == 0) {
        rc = -EBADMSG;
        snprintf(why, sizeof(why), "not a message of ours");
    }
    size_t len = zmq_msg_size(&frames[1]);
    if (rc == 0) rc = check_size(len, server->max_size, why, sizeof(why));
    if (rc == 0) {
        rc = wire_unpack(&message, zmq_msg_data(&frames[1]), len, why,
                         sizeof(why));
    }
    if (rc == 0) {
        rc = check_run(server->self, &message);
        if (rc == 0) server->on_message(server, &from, &message);
        snprintf(why, sizeof(why), "this address serves another run");
        wire_free(&message);
        if (rc == -EAGAIN) return;
    }
    if (rc != 0) refuse(server, &from, &message, rc, why);
}

static void on_server_readable(struct sockpoll *poll) {
    struct link_server *server = poll->data;
    for (int i = 0; i < PER_TURN; i++) {
        zmq_msg_t frames[2];
        int n = link_socket_receive(server->sock, frames, 2);
        if (n < 0) return; /* drained, or the context ends */
        serve(server, frames, n);
        zmq_msg_close(&frames[0]);
        zmq_msg_close(&frames[1]);
    }
}

void link_client_hear(struct link_client *client, zmq_msg_t *frame, int n) {
    struct wire_message message = {0};
    char why[256] = "not a message of ours";
    size_t len = zmq_msg_size(frame);
    int rc = n != 1 ? -EBADMSG : 0;
    if (rc == 0) rc = check_size(len, client->max_size, why, sizeof(why));
    if (rc == 0) {
        rc = wire_unpack(&message, zmq_msg_data(frame), len, why, sizeof(why));
    }
    uint64_t now = uv_now(client->loop);
    if (rc == 0) {
        uint64_t run = client->self->run;
        bool ours =
            run == 0 || message.run == run || message.type == WIRE_REFUSED;
        if (ours) {
            client->last_heard_ms = now > 0 ? now : 1;
            client->on_message(client, &message);
        } else {
            rc = -EREMCHG;
            snprintf(why, sizeof(why), "of another run");
        }
        wire_free(&message);
    }
    if (rc != 0) {
        client->bad++;
        complain(&client->complaint,
                 message.name[0] != '\0' ? message.name : "the server", now,
                 message.type, why);
    }
}

static void on_client_readable(struct sockpoll *poll) {
    struct link_client *client = poll->data;
    for (int i = 0; i < PER_TURN && !client->stopping; i++) {
        zmq_msg_t frame;
        int n = link_socket_receive(client->sock, &frame, 1);
        if (n < 0) return;
        link_client_hear(client, &frame, n);
        zmq_msg_close(&frame);
    }
}

/* ---- start and finish ---- */

static int limit(size_t *max_size, size_t bytes) {
    bool fits = bytes <= LINK_SOCKET_MAX_SIZE;
    *max_size = fits ? bytes : LINK_SOCKET_MAX_SIZE;
    return fits ? 0 : -EMSGSIZE;
}

int link_server_max_size(struct link_server *server, size_t bytes) {
    return limit(&server->max_size, bytes);
}

int link_client_max_size(struct link_client *client, size_t bytes) {
    return limit(&client->max_size, bytes);
}

int link_server_start(struct link_server *server, uv_loop_t *loop, void *zmq,
                      const struct link_server_options *options) {
    *server = (struct link_server){.self = server->self,
                                   .on_message = server->on_message,
                                   .data = server->data,
                                   .loop = loop,
                                   .max_size = FIRST_MAX_SIZE};
    void *sock =
        link_socket_new(zmq, ZMQ_ROUTER, options->address, options->high_water);
    if (sock == NULL) {
        int error = zmq_errno();
        log_error("cannot make a socket for %s: %s", options->address,
                  zmq_strerror(error));
        return -error;
    }
    int rc = link_socket_bind(sock, options->address, options->insecure,
                              server->endpoint, sizeof(server->endpoint));
    if (rc == 0) {
        rc = sockpoll_start(&server->poll, loop, sock, on_server_readable,
                            server);
        if (rc != 0)
            log_error("cannot watch %s: %s", options->address, uv_strerror(rc));
    }
    if (rc != 0) {
        link_socket_close(sock, 0);
        return rc;
    }
    server->sock = sock;
    return 0;
}

void link_server_finish(struct link_server *server, int linger) {
    if (server->sock == NULL) return;
    link_socket_close(server->sock, linger);
    server->sock = NULL;
    /* libzmq leaves the file behind; a later start would take it for stale */
    if (strncmp(server->endpoint, "ipc://", 6) == 0) {
        unlink(server->endpoint + 6);
    }
}

int link_client_start(struct link_client *client, uv_loop_t *loop, void *zmq,
                      const char *address, int high_water) {
    *client = (struct link_client){.self = client->self,
                                   .on_message = client->on_message,
                                   .data = client->data,
                                   .loop = loop,
                                   .max_size = FIRST_MAX_SIZE};
    int rc = 0;
    if (client->self->fleet != NULL) {
        rc = link_fleet_join(client, loop, zmq, address, high_water);
        if (rc != 0) {
            log_error("cannot connect to '%s': %s", address, zmq_strerror(-rc));
        }
        return rc;
    }
    void *sock = link_socket_new(zmq, ZMQ_DEALER, address, high_water);
    if (sock == NULL || zmq_connect(sock, address) != 0) rc = -zmq_errno();
    if (rc == 0) {
        rc = sockpoll_start(&client->poll, loop, sock, on_client_readable,
                            client);
    }
    if (rc != 0) {
        log_error("cannot connect to '%s': %s", address, zmq_strerror(-rc));
        if (sock != NULL) link_socket_close(sock, 0);
        return rc;
    }
    client->sock = sock;
    return 0;
}

static void on_client_closed(struct sockpoll *poll) {
    struct link_client *client = poll->data;
    link_socket_close(client->sock, client->linger);
    client->sock = NULL;
    if (client->on_closed != NULL) client->on_closed(client);
}

void link_client_stop(struct link_client *client, int linger,
                      void (*on_closed)(struct link_client *client)) {
    if (client->sock == NULL || client->stopping) return;
    client->stopping = true;
    if (client->server != NULL) {
        link_fleet_leave(client);
        if (on_closed != NULL) on_closed(client);
        return;
    }
    client->linger = linger;
    client->on_closed = on_closed;
    sockpoll_stop(&client->poll, on_client_closed);
}

void link_client_finish(struct link_client *client, int linger) {
    if (client->server != NULL) {
        link_fleet_leave(client);
    } else if (client->sock != NULL) {
        link_socket_close(client->sock, linger);
    }
    client->sock = NULL;
}
