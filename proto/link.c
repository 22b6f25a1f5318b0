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
#include "proto/link_message.h"
#include "proto/link_socket.h"

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

int link_server_send(struct link_server *server, const struct link_route *to,
                     const struct wire_message *message) {
    return link_message_send(server->sock, server->self, to, message);
}

int link_packed_init(struct link_packed *packed, const struct link_self *self,
                     const struct wire_message *message) {
    zmq_msg_t *msg = malloc(sizeof(*msg));
    packed->private = NULL;
    if (msg == NULL) return -ENOMEM;
    int rc = link_message_pack(self, message, msg);
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

static void server_complain(struct link_server *server, const char *who,
                            enum wire_type type, const char *why) {
    char before[64];
    if (complaints_due(&server->complaints, &who, uv_now(server->loop), before,
                       sizeof(before))) {
        link_message_complain(who, type, why, before);
    }
}

static enum wire_refusal refusal_code(int rc) {
    switch (rc) {
    case -EDOM:
        return WIRE_CODE_NON_FINITE;
    case -EPROTONOSUPPORT:
        return WIRE_CODE_PROTOCOL;
    case -EREMCHG:
        return WIRE_CODE_RUN;
    case -EACCES:
        return WIRE_CODE_KEY;
    default:
        return WIRE_CODE_ILL_FORMED;
    }
}

void link_server_complain(struct link_server *server,
                          const struct wire_message *message, const char *why) {
    server_complain(server, message->name, message->type, why);
}

static void tell_refused(struct link_server *server,
                         const struct link_route *from,
                         const struct wire_message *message, int rc,
                         const char *why) {
    struct wire_message answer = {
        .type = WIRE_REFUSED,
        .refused = {.about = message->type, .code = refusal_code(rc)}};
    if (message->type == WIRE_INSERT) answer.refused.seq = message->insert.seq;
    snprintf(answer.refused.reason, sizeof(answer.refused.reason), "%s", why);
    link_server_send(server, from, &answer);
}

/* Count, log, and tell the sender; message holds what is known of it. */
static void refuse(struct link_server *server, const struct link_route *from,
                   const struct wire_message *message, int rc,
                   const char *why) {
    server->bad++;
    const char *who = message->name[0] != '\0'          ? message->name
                      : server->peer_address[0] != '\0' ? server->peer_address
                                                        : "an unnamed sender";
    server_complain(server, who, message->type, why);
    /* somebody who speaks our language, or a version of it, is told */
    bool told = message->name[0] != '\0' || rc == -EPROTONOSUPPORT;
    if (!told || message->type == WIRE_REFUSED || from->len == 0) return;
    tell_refused(server, from, message, rc, why);
}

/*
 * Is the sender's key good for that? message NULL: for anything, before its
 * bytes are looked at. Otherwise counted, logged and answered.
 */
static bool key_good(struct link_server *server, const struct link_route *from,
                     const struct wire_message *message) {
    const struct wire_message nothing = {0};
    char why[256];
    const char *who;
    if (server->guard == NULL ||
        guard_why_not(server->guard, server->peer_key, message, &who, why,
                      sizeof(why)) == 0) {
        return true;
    }
    if (message == NULL) message = &nothing;
    server_complain(server, who[0] != '\0' ? who : "a sender without a key",
                    message->type, why);
    if (message->type != WIRE_REFUSED && from->len > 0) {
        tell_refused(server, from, message, -EACCES, why);
    }
    return false;
}

/* ---- messages in ---- */

/* Is it for us? 0, -EREMCHG (another run), -EAGAIN (too early to tell). */
static int check_run(const struct link_self *self,
                     const struct wire_message *message) {
    if (message->run == self->run) return 0;
    bool stranger = message->run == 0 && (message->type == WIRE_HELLO ||
                                          message->type == WIRE_STATUS);
    if (stranger) return 0;
    return self->run == 0 ? -EAGAIN : -EREMCHG;
}

static void read_peer(struct link_server *server, const zmq_msg_t *frame) {
    server->peer_address[0] = server->peer_key[0] = '\0';
    const char *address = zmq_msg_gets(frame, "Peer-Address");
    /* an ipc peer's is its credentials */
    if (address != NULL && strncmp(server->endpoint, "tcp://", 6) == 0) {
        snprintf(server->peer_address, sizeof(server->peer_address), "%s",
                 address);
    }
    const char *key = zmq_msg_gets(frame, "User-Id"); /* as the guard gave it */
    if (key != NULL && server->guard != NULL) {
        snprintf(server->peer_key, sizeof(server->peer_key), "%s", key);
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
    read_peer(server, &frames[1]);
    if (!key_good(server, &from, NULL)) return;
    int rc = 0;
    if (n != 2 || from.len == 0) {
        rc = -EBADMSG;
        snprintf(why, sizeof(why), "not a message of ours");
    }
    if (rc == 0) {
        rc = link_message_read(&message, &frames[1], server->max_size, why,
                               sizeof(why));
    }
    if (rc == 0) {
        rc = check_run(server->self, &message);
        if (rc == 0 && key_good(server, &from, &message)) {
            server->on_message(server, &from, &message);
        }
        snprintf(why, sizeof(why), "this address serves another run");
        wire_free(&message);
        if (rc == -EAGAIN) return;
    }
    if (rc != 0) refuse(server, &from, &message, rc, why);
}

static void on_server_readable(struct sockpoll *poll) {
    struct link_server *server = poll->data;
    for (int i = 0; i < LINK_MESSAGE_PER_TURN; i++) {
        zmq_msg_t frames[2];
        int n = link_socket_receive(server->sock, frames, 2);
        if (n < 0) return; /* drained, or the context ends */
        serve(server, frames, n);
        zmq_msg_close(&frames[0]);
        zmq_msg_close(&frames[1]);
    }
}

/* ---- start and finish ---- */

int link_server_max_size(struct link_server *server, size_t bytes) {
    return link_message_limit(&server->max_size, bytes);
}

static void on_handshakes(struct sockpoll *poll) {
    struct link_server *server = poll->data;
    for (int i = 0; i < LINK_MESSAGE_PER_TURN; i++) {
        switch (link_monitor_next(server->monitor)) {
        case LINK_HANDSHAKE_NONE:
            return;
        case LINK_HANDSHAKE_DONE:
        case LINK_HANDSHAKE_ABSENT:
        case LINK_HANDSHAKE_REFUSED: /* the guard has said so */
            break;
        case LINK_HANDSHAKE_MISMATCH:
        case LINK_HANDSHAKE_CUT:
        case LINK_HANDSHAKE_BROKEN:
            guard_count_failed(server->guard);
        }
    }
}

static void server_close(struct link_server *server, int linger) {
    link_monitor_close(server->monitor, server->sock);
    link_socket_close(server->sock, linger);
    server->sock = server->monitor = NULL;
}

/* Keys and what watches over them, on a socket that is not bound yet. */
static int server_lock(struct link_server *server, void *zmq) {
    int rc = keys_serve(&server->guard->keys, server->sock);
    if (rc != 0) return rc;
    server->monitor = link_monitor_new(zmq, server->sock);
    if (server->monitor == NULL) return -zmq_errno();
    return sockpoll_start(&server->monitor_poll, server->loop, server->monitor,
                          on_handshakes, server);
}

int link_server_start(struct link_server *server, uv_loop_t *loop, void *zmq,
                      const struct link_server_options *options) {
    const bool tcp = strncmp(options->address, "tcp://", 6) == 0;
    const bool keys = tcp && guard_on(options->guard);
    *server = (struct link_server){.self = server->self,
                                   .on_message = server->on_message,
                                   .data = server->data,
                                   .guard = keys ? options->guard : NULL,
                                   .loop = loop,
                                   .max_size = LINK_MESSAGE_FIRST_MAX};
    server->sock =
        link_socket_new(zmq, ZMQ_ROUTER, options->address, options->high_water);
    int rc = server->sock == NULL ? -zmq_errno() : 0;
    if (rc == 0 && keys) rc = server_lock(server, zmq);
    if (rc != 0) {
        log_error("cannot make a socket for %s: %s", options->address,
                  zmq_strerror(-rc));
    } else {
        rc = link_socket_bind(server->sock, options->address,
                              options->insecure || keys, server->endpoint,
                              sizeof(server->endpoint));
    }
    if (rc == 0) {
        rc = sockpoll_start(&server->poll, loop, server->sock,
                            on_server_readable, server);
        if (rc != 0)
            log_error("cannot watch %s: %s", options->address, uv_strerror(rc));
    }
    if (rc == 0 && tcp && !keys) {
        log_info("%s is open to whoever reaches it, every user of this machine "
                 "at least: deploy/keys.sh makes keys",
                 server->endpoint);
    }
    if (rc != 0 && server->sock != NULL) server_close(server, 0);
    return rc;
}

void link_server_finish(struct link_server *server, int linger) {
    if (server->sock == NULL) return;
    server_close(server, linger);
    /* libzmq leaves the file behind; a later start would take it for stale */
    if (strncmp(server->endpoint, "ipc://", 6) == 0) {
        unlink(server->endpoint + 6);
    }
}
