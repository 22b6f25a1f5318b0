#ifndef PROTO_LINK_H
#define PROTO_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "proto/route.h"
#include "proto/sockpoll.h"
#include "proto/wire.h"

/*
 * The two ends of every conversation on a libuv loop: a ROUTER that serves
 * (learner, shard) and a DEALER to one server (actor, shard, observer). They
 * set the socket options of DESIGN.md section 3, stamp the envelope, validate
 * what arrives, and count and log bad bytes once a sender and a minute.
 */

/* Who speaks: stamped on every message sent. run may be set after Welcome. */
struct link_self {
    uint64_t run; /* run id, 0 until known */
    char name[WIRE_NAME_LEN];
    uint64_t incarnation;
};

/* Fill name (role-PID when name is "") and a random incarnation. */
void link_self_init(struct link_self *self, const char *role, const char *name);

bool link_route_equal(const struct link_route *x, const struct link_route *y);

struct link_server {
    struct link_self *self; /* borrowed */
    /*
     * A valid message of this run (or a Hello or Status with run 0). message is
     * freed on return.
     */
    void (*on_message)(struct link_server *server,
                       const struct link_route *from,
                       const struct wire_message *message);
    void *data;
    char endpoint[256]; /* where it is bound, after link_server_start() */
    uint64_t bad;       /* messages refused by validation */

    /* private */
    void *sock;
    struct sockpoll poll;
    struct link_complaint {
        char who[WIRE_NAME_LEN];
        uint64_t since_ms, count;
    } complaints[32];
};

struct link_server_options {
    const char *address; /* ipc://PATH, tcp://HOST:PORT or tcp://HOST:* */
    bool insecure;       /* allow a tcp host that is not loopback */
    int high_water;      /* messages a peer, W + 8 */
};

/*
 * Bind and serve. Returns 0 or negative errno: -EADDRINUSE a busy port,
 * -EACCES not ipc or loopback and not insecure. One log line names the address
 * and the next step.
 */
int link_server_start(struct link_server *server, uv_loop_t *loop, void *zmq,
                      const struct link_server_options *options);

/* Largest message taken from now on (new connections). */
void link_server_max_size(struct link_server *server, size_t bytes);

/*
 * Send; never blocks. Returns 0, -EHOSTUNREACH (gone), -EAGAIN (its queue is
 * full), -ENOMEM. Losing a message is legal: every request is asked again.
 */
int link_server_send(struct link_server *server, const struct link_route *to,
                     const struct wire_message *message);

/*
 * The same bytes to many peers without a copy each (parameters): a message
 * packed once, shared by reference. link_packed_init() stamps and packs;
 * link_packed_finish() drops our reference.
 */
struct link_packed {
    void *private; /* zmq_msg_t, heap */
};
int link_packed_init(struct link_packed *packed, const struct link_self *self,
                     const struct wire_message *message);
void link_packed_finish(struct link_packed *packed);
int link_server_send_packed(struct link_server *server,
                            const struct link_route *to,
                            const struct link_packed *packed);

/* Unbind and close the socket (after its handles closed). linger in ms. */
void link_server_finish(struct link_server *server, int linger);

struct link_client {
    struct link_self *self; /* borrowed */
    void (*on_message)(struct link_client *client,
                       const struct wire_message *message);
    void *data;
    uint64_t bad;
    uint64_t last_heard_ms; /* uv_now() of the last valid message; 0: never */

    /* private */
    void *sock;
    uv_loop_t *loop;
    struct sockpoll poll;
    struct link_complaint complaint;
};

/* Connect (returns at once; ZeroMQ reconnects for ever). 0 or negative errno. */
int link_client_start(struct link_client *client, uv_loop_t *loop, void *zmq,
                      const char *address, int high_water);
void link_client_max_size(struct link_client *client, size_t bytes);
/* As link_server_send(). */
int link_client_send(struct link_client *client,
                     const struct wire_message *message);
/*
 * Stop and close while the loop goes on (a shard's address changed); on_closed
 * (may be NULL) is called on the loop when the memory may be reused.
 */
void link_client_stop(struct link_client *client, int linger,
                      void (*on_closed)(struct link_client *client));
/* After uv_run() has returned and handles were closed by the loop's walk. */
void link_client_finish(struct link_client *client, int linger);

#endif
