#include "proto/link_fleet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/keys.h"
#include "proto/link_socket.h"

enum { PER_TURN = 256, ID_LEN = 1 + sizeof(uint32_t) };

/* One address's socket. Member i speaks by routing id 1 i, i as it lies in
 * memory; a place whose member left is not used again. */
struct link_fleet_server {
    struct link_fleet_server *next;
    struct link_fleet *fleet;
    char address[256];
    void *sock;
    struct sockpoll poll;
    bool closing;
    size_t n, here, room;         /* places taken, members, places */
    struct link_client **members; /* (room) NULL: has left */
};

static struct link_client *member_of(const struct link_fleet_server *server,
                                     zmq_msg_t *id) {
    uint32_t place;
    if (zmq_msg_size(id) != ID_LEN) return NULL;
    memcpy(&place, (const uint8_t *)zmq_msg_data(id) + 1, sizeof(place));
    return place < server->n ? server->members[place] : NULL;
}

static void on_readable(struct sockpoll *poll) {
    struct link_fleet_server *server = poll->data;
    for (int i = 0; i < PER_TURN && !server->closing; i++) {
        zmq_msg_t frames[2];
        int n = link_socket_receive(server->sock, frames, 2);
        if (n < 0) return;
        struct link_client *client = member_of(server, &frames[0]);
        if (client != NULL) link_client_hear(client, &frames[1], n - 1);
        zmq_msg_close(&frames[0]);
        zmq_msg_close(&frames[1]);
    }
}

static void unlink_server(struct link_fleet_server *server) {
    struct link_fleet_server **at = &server->fleet->servers;
    while (*at != server) at = &(*at)->next;
    *at = server->next;
}

static void free_server(struct link_fleet_server *server, int linger) {
    unlink_server(server);
    link_socket_close(server->sock, linger);
    free(server->members);
    free(server);
}

static void on_poll_closed(struct sockpoll *poll) {
    free_server(poll->data, 0);
}

static int unlock(void *sock, const struct link_client *client,
                  const char *address) {
    const struct keys *keys = client->keys;
    if (keys == NULL || strncmp(address, "tcp://", 6) != 0) return 0;
    const char *server =
        client->server_key != NULL ? client->server_key : keys->learner;
    return server[0] == '\0' ? -ENOKEY : keys_connect(keys, sock, server);
}

static struct link_fleet_server *open_server(const struct link_client *client,
                                             uv_loop_t *loop, void *zmq,
                                             const char *address,
                                             int high_water, int *rc) {
    struct link_fleet *fleet = client->self->fleet;
    struct link_fleet_server *server = NULL;
    void *sock = NULL;
    *rc = 0;
    if (strlen(address) >= sizeof(server->address)) {
        *rc = -ENAMETOOLONG;
    } else if ((server = calloc(1, sizeof(*server))) == NULL) {
        *rc = -ENOMEM;
    } else if ((sock = link_socket_new(zmq, ZMQ_ROUTER, address, high_water)) ==
               NULL) {
        *rc = -zmq_errno();
    } else if ((*rc = unlock(sock, client, address)) == 0) {
        *rc = sockpoll_start(&server->poll, loop, sock, on_readable, server);
    }
    if (*rc != 0) {
        if (sock != NULL) link_socket_close(sock, 0);
        free(server);
        return NULL;
    }
    strcpy(server->address, address);
    server->sock = sock;
    server->fleet = fleet;
    server->next = fleet->servers;
    fleet->servers = server;
    return server;
}

static struct link_fleet_server *find(const struct link_fleet *fleet,
                                      const char *address) {
    struct link_fleet_server *server = fleet->servers;
    while (server != NULL &&
           (server->closing || strcmp(server->address, address) != 0)) {
        server = server->next;
    }
    return server;
}

static int make_room(struct link_fleet_server *server) {
    if (server->n < server->room) return 0;
    size_t room = server->room > 0 ? 2 * server->room : 64;
    struct link_client **members =
        realloc(server->members, room * sizeof(struct link_client *));
    if (members == NULL) return -ENOMEM;
    server->members = members;
    server->room = room;
    return 0;
}

static void close_server(struct link_fleet_server *server) {
    server->closing = true;
    sockpoll_stop(&server->poll, on_poll_closed);
}

int link_fleet_join(struct link_client *client, uv_loop_t *loop, void *zmq,
                    const char *address, int high_water) {
    struct link_fleet *fleet = client->self->fleet;
    int rc = 0;
    struct link_fleet_server *server = find(fleet, address);
    if (server == NULL) {
        server = open_server(client, loop, zmq, address, high_water, &rc);
    }
    if (rc == 0) rc = make_room(server);
    if (rc != 0) return rc;
    const uint32_t place = (uint32_t)server->n;
    client->route = (struct link_route){.len = ID_LEN, .id = {1}};
    memcpy(&client->route.id[1], &place, sizeof(place));
    if (zmq_setsockopt(server->sock, ZMQ_CONNECT_ROUTING_ID, client->route.id,
                       ID_LEN) != 0 ||
        zmq_connect(server->sock, address) != 0) {
        rc = -zmq_errno();
        if (server->here == 0) close_server(server);
        return rc;
    }
    server->members[server->n++] = client;
    server->here++;
    client->server = server;
    client->sock = server->sock;
    return 0;
}

void link_fleet_leave(struct link_client *client) {
    struct link_fleet_server *server = client->server;
    uint32_t place;
    memcpy(&place, &client->route.id[1], sizeof(place));
    server->members[place] = NULL;
    client->server = NULL;
    client->sock = NULL;
    if (--server->here == 0 && uv_is_active((uv_handle_t *)&server->poll.fd)) {
        close_server(server);
    }
}

void link_fleet_finish(struct link_fleet *fleet, int linger) {
    while (fleet->servers != NULL) free_server(fleet->servers, linger);
}
