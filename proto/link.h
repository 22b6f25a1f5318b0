#ifndef PROTO_LINK_H
#define PROTO_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "proto/complaint.h"
#include "proto/guard.h"
#include "proto/link_monitor.h"
#include "proto/route.h"
#include "proto/sockpoll.h"
#include "proto/wire.h"

/*
 * The two ends of every conversation on a libuv loop: a ROUTER that serves
 * (learner, shard) and a DEALER to one server (actor, shard, observer). They
 * set the socket options of DESIGN.md section 3, stamp the envelope, validate
 * what arrives, and count and log bad bytes once a sender and a minute.
 */

struct link_fleet;

/* Who speaks: stamped on every message sent. run may be set after Welcome. */
struct link_self {
    uint64_t run; /* run id, 0 until known */
    char name[WIRE_NAME_LEN];
    uint64_t incarnation;
    struct link_fleet *fleet; /* borrowed: its clients share sockets with those
                                 of others (link_fleet.h); NULL: they do not */
};

/*
 * Fill name (role-HOST-PID when name is "": containers on several hosts share
 * their pids) and a random incarnation; run is 0, fleet NULL.
 * Returns 0 or -EINVAL after one log_error: name is not a valid one.
 */
int link_self_init(struct link_self *self, const char *role, const char *name);

struct link_server {
    struct link_self *self; /* borrowed */
    /*
     * A valid message of this run (or a Hello or Status with run 0). message is
     * freed on return. Whatever else arrives is counted, logged and, where its
     * sender is known, answered with Refused by the link itself. While
     * self->run is 0 (a shard before its Welcome) messages of a run are
     * dropped: they are asked again.
     */
    void (*on_message)(struct link_server *server,
                       const struct link_route *from,
                       const struct wire_message *message);
    void *data;
    char endpoint[256]; /* where it is bound, after link_server_start() */
    uint64_t bad;       /* messages refused by validation */
    /* in on_message: where the sender's tcp connection comes from, a bare IP
     * address; "" for ipc */
    char peer_address[64];
    /* in on_message: the sender's public key, which may send that message; ""
     * where we serve without keys */
    char peer_key[WIRE_KEY_LEN];

    /* private */
    void *sock, *monitor;
    uv_loop_t *loop;
    size_t max_size;
    struct sockpoll poll, monitor_poll;
    struct guard *guard; /* NULL: without keys */
    struct complaints complaints;
};

struct link_server_options {
    const char *address; /* ipc://PATH, tcp://HOST:PORT or tcp://HOST:* */
    bool insecure;       /* allow a tcp host that is not loopback */
    int high_water;      /* unanswered messages a peer, W + 8: never -EAGAIN */
    struct guard *guard; /* tcp is served with its keys, if it has any;
                            borrowed, may be NULL */
};

/*
 * Bind and serve. Returns 0 or negative errno: -EADDRINUSE a busy port or a
 * live ipc socket (a stale file is replaced), -EACCES not ipc or loopback and
 * neither keys nor insecure, -ENAMETOOLONG a long ipc path. One log line names
 * the address and the next step. On error nothing is left to finish. self,
 * on_message and data are set by the caller before; all else is.
 */
int link_server_start(struct link_server *server, uv_loop_t *loop, void *zmq,
                      const struct link_server_options *options);

/*
 * Largest message taken from now on; 4 MiB at start. Returns 0, or -EMSGSIZE:
 * more than 64 MiB, where the transport ends (the limit is then that).
 */
int link_server_max_size(struct link_server *server, size_t bytes);

/*
 * Send; never blocks. Returns 0, -EHOSTUNREACH (gone), -EAGAIN (its queue is
 * full), -ENOMEM. Losing a message is legal: every request is asked again.
 */
int link_server_send(struct link_server *server, const struct link_route *to,
                     const struct wire_message *message);

/* A message of this sender was refused by our owner: logged as bad bytes are,
 * one line a sender and a minute. Not counted. */
void link_server_complain(struct link_server *server,
                          const struct wire_message *message, const char *why);

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

/* Unbind and close the socket, after uv_run() has returned and its handles were
 * closed by the loop's walk. linger in ms. A zeroed server may be finished. */
void link_server_finish(struct link_server *server, int linger);

struct link_client {
    struct link_self *self; /* borrowed */
    void (*on_message)(struct link_client *client,
                       const struct wire_message *message);
    void *data;
    /* for tcp; NULL or of no folder: without keys. Borrowed */
    const struct keys *keys;
    const char *server_key; /* hexadecimal, read at the start; NULL: that of the
                               learner by keys */
    uint64_t bad;
    uint64_t last_heard_ms; /* uv_now() of the last valid message; 0: never */

    /* private */
    void *sock, *monitor;
    struct link_fleet_server *server; /* whose socket it is; NULL: our own */
    struct link_route route;          /* there */
    uv_loop_t *loop;
    size_t max_size;
    struct sockpoll poll;
    bool stopping;
    int linger;
    void (*on_closed)(struct link_client *client);
    struct complaint complaint;
    enum link_handshake handshake; /* how the last one ended */
    unsigned cuts;                 /* in a row, by the other side */
    char address[256];
    uint64_t again_ms; /* uv_now() to connect again at; 0: libzmq does */
};

/*
 * Connect (returns at once; ZeroMQ reconnects for ever). self, on_message,
 * data, keys and server_key are set by the caller before; all else is. 0, or a
 * negative errno after one log_error and nothing left to finish (-ENOKEY: we
 * have keys, but not the server's public one).
 * on_message gets the valid messages of self->run, any while it is 0, and
 * Refused of any run (of a server that serves another one).
 */
int link_client_start(struct link_client *client, uv_loop_t *loop, void *zmq,
                      const char *address, int high_water);
/*
 * Look at how the last handshakes ended, and connect again where libzmq gives
 * up: it takes a refusal for the last word, but the list may change. Call it
 * some times a second. Returns in words why keys keep us out, or NULL: as far
 * as the last handshake tells they do not. Constant text.
 */
const char *link_client_watch(struct link_client *client);
/* As link_server_max_size(). */
int link_client_max_size(struct link_client *client, size_t bytes);
/* As link_server_send(). */
int link_client_send(struct link_client *client,
                     const struct wire_message *message);
/*
 * Stop and close while the loop goes on (a shard's address changed); on_closed
 * (may be NULL) is called on the loop when the memory may be reused. Callable
 * in on_message, which is not called again; not after lifecycle_close_all().
 */
void link_client_stop(struct link_client *client, int linger,
                      void (*on_closed)(struct link_client *client));
/* After uv_run() has returned and handles were closed by the loop's walk. A
 * client that is zeroed or was stopped may be finished. */
void link_client_finish(struct link_client *client, int linger);

#endif
