#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <zmq.h>

#include "common/log.h"
#include "proto/link_fleet.h"
#include "proto/link_message.h"
#include "proto/link_socket.h"

enum { AGAIN_MS = 2000 }; /* after a refusal */

int link_client_send(struct link_client *client,
                     const struct wire_message *message) {
    const struct link_route *to =
        client->server != NULL ? &client->route : NULL;
    return link_message_send(client->sock, client->self, to, message);
}

void link_client_hear(struct link_client *client, zmq_msg_t *frame, int n) {
    struct wire_message message = {0};
    char why[256] = "not a message of ours";
    int rc = n != 1 ? -EBADMSG : 0;
    if (rc == 0) {
        rc = link_message_read(&message, frame, client->max_size, why,
                               sizeof(why));
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
        char before[64];
        const char *who = message.name[0] != '\0' ? message.name : "the server";
        client->bad++;
        if (complaint_due(&client->complaint, who, now, before,
                          sizeof(before))) {
            link_message_complain(who, message.type, why, before);
        }
    }
}

static void on_client_readable(struct sockpoll *poll) {
    struct link_client *client = poll->data;
    for (int i = 0; i < LINK_MESSAGE_PER_TURN && !client->stopping; i++) {
        zmq_msg_t frame;
        int n = link_socket_receive(client->sock, &frame, 1);
        if (n < 0) return;
        link_client_hear(client, &frame, n);
        zmq_msg_close(&frame);
    }
}

int link_client_max_size(struct link_client *client, size_t bytes) {
    return link_message_limit(&client->max_size, bytes);
}

static void client_close(struct link_client *client, int linger) {
    link_monitor_close(client->monitor, client->sock);
    link_socket_close(client->sock, linger);
    client->sock = client->monitor = NULL;
}

static int client_unlock(struct link_client *client, void *zmq,
                         const char *address) {
    const struct keys *keys = client->keys;
    if (strncmp(address, "tcp://", 6) != 0) return 0;
    client->monitor = link_monitor_new(zmq, client->sock);
    if (client->monitor == NULL) return -zmq_errno();
    if (keys == NULL) return 0;
    const char *server =
        client->server_key != NULL ? client->server_key : keys->learner;
    return server[0] == '\0' ? -ENOKEY
                             : keys_connect(keys, client->sock, server);
}

static void say_cannot_connect(const struct link_client *client,
                               const char *address, int rc) {
    if (rc == -ENOKEY && client->server_key == NULL) {
        log_error("cannot connect to '%s' with keys: no line of %s/allowed "
                  "has the role learner (deploy/keys.sh allow KEY NAME "
                  "learner)",
                  address, client->keys->folder);
    } else if (rc == -ENOKEY) {
        log_error("cannot connect to '%s' with keys: it serves without any",
                  address);
    } else {
        log_error("cannot connect to '%s': %s", address, zmq_strerror(-rc));
    }
}

int link_client_start(struct link_client *client, uv_loop_t *loop, void *zmq,
                      const char *address, int high_water) {
    const bool keys = client->keys != NULL && client->keys->folder[0] != '\0';
    *client = (struct link_client){.self = client->self,
                                   .on_message = client->on_message,
                                   .data = client->data,
                                   .keys = keys ? client->keys : NULL,
                                   .server_key = client->server_key,
                                   .loop = loop,
                                   .max_size = LINK_MESSAGE_FIRST_MAX};
    if (client->self->fleet != NULL) {
        int joined = link_fleet_join(client, loop, zmq, address, high_water);
        if (joined != 0) say_cannot_connect(client, address, joined);
        return joined;
    }
    client->sock = link_socket_new(zmq, ZMQ_DEALER, address, high_water);
    int rc = client->sock == NULL ? -zmq_errno() : 0;
    if (rc == 0) rc = client_unlock(client, zmq, address);
    if (rc == 0 && strlen(address) >= sizeof(client->address)) {
        rc = -ENAMETOOLONG;
    }
    if (rc == 0 && zmq_connect(client->sock, address) != 0) rc = -zmq_errno();
    if (rc == 0) {
        rc = sockpoll_start(&client->poll, loop, client->sock,
                            on_client_readable, client);
    }
    if (rc != 0) {
        say_cannot_connect(client, address, rc);
        if (client->sock != NULL) client_close(client, 0);
        return rc;
    }
    strcpy(client->address, address);
    return 0;
}

static void connect_again(struct link_client *client) {
    client->again_ms = 0;
    (void)zmq_disconnect(client->sock, client->address); // it may be gone
    if (zmq_connect(client->sock, client->address) != 0) {
        log_warn("cannot connect to '%s' again: %s", client->address,
                 zmq_strerror(zmq_errno()));
    }
}

/* Of handshakes since the last look; libzmq goes on by itself after some. */
static void take_note(struct link_client *client, uint64_t now_ms) {
    enum link_handshake next;
    while ((next = link_monitor_next(client->monitor)) != LINK_HANDSHAKE_NONE) {
        client->handshake = next;
        client->cuts = next == LINK_HANDSHAKE_CUT ? client->cuts + 1 : 0;
        const bool given_up = next == LINK_HANDSHAKE_REFUSED ||
                              next == LINK_HANDSHAKE_MISMATCH ||
                              next == LINK_HANDSHAKE_BROKEN;
        client->again_ms = given_up ? now_ms + AGAIN_MS : 0;
    }
}

const char *link_client_watch(struct link_client *client) {
    static const char not_ours[] =
        "key refused: it does not have the key that our allowed list gives it, "
        "or is none of ours";
    const uint64_t now_ms = uv_now(client->loop);
    if (client->sock == NULL || client->stopping) return NULL;
    if (client->server != NULL) return NULL; /* nobody looks there */
    take_note(client, now_ms);
    if (client->again_ms != 0 && now_ms >= client->again_ms) {
        connect_again(client);
    }
    const bool keys = client->keys != NULL;
    switch (client->handshake) {
    case LINK_HANDSHAKE_REFUSED:
        return "key refused: ours is not in the allowed list there "
               "(deploy/keys.sh show prints it, allow puts it in)";
    case LINK_HANDSHAKE_MISMATCH:
        return keys ? "key refused: it serves without keys, and we have some"
                    : "key refused: it serves with keys only (--keys=DIR, made "
                      "by deploy/keys.sh)";
    case LINK_HANDSHAKE_CUT:
        if (keys) return not_ours;
        /* one who ends may cut one; where only it has keys, the faster side
         * hangs up */
        return client->cuts < 2
                   ? NULL
                   : "key refused, or no softq: it ends each connection at "
                     "once, as who serves with keys only does (--keys=DIR, "
                     "made by deploy/keys.sh)";
    case LINK_HANDSHAKE_BROKEN:
        return keys ? not_ours : NULL;
    case LINK_HANDSHAKE_NONE:
    case LINK_HANDSHAKE_DONE:
    case LINK_HANDSHAKE_ABSENT:
        break;
    }
    return NULL;
}

static void on_client_closed(struct sockpoll *poll) {
    struct link_client *client = poll->data;
    client_close(client, client->linger);
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
        client_close(client, linger);
    }
}
