#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <zmq.h>

#include "common/log.h"
#include "tests/unit/link_bench.h"
#include "tests/unit/test.h"

/* ---- conversations ---- */

static void check_hello(struct link_bench *b, const char *address) {
    assert_int_equal(link_bench_start_server(b, address), 0);
    link_bench_start_client(b, b->server.endpoint);
    link_bench_ask_and_hear(b, WIRE_WELCOME);
    assert_int_equal(b->client_self.run, RUN);
    assert_true(b->client.last_heard_ms > 0);
    link_bench_ask_and_hear(b, WIRE_GO);
}

/* The same over local sockets and over tcp. */
static void hello_is_answered_over_ipc(void **state) {
    struct link_bench *b = *state;
    check_hello(b, b->ipc);
    assert_string_equal(b->peer_address, "");
}

static void hello_is_answered_over_tcp(void **state) {
    struct link_bench *b = *state;
    check_hello(b, "tcp://127.0.0.1:*");
    assert_string_equal(b->peer_address, "127.0.0.1");
}

static void hello_is_answered_over_ipv6(void **state) {
    struct link_bench *b = *state;
    if (link_bench_start_server(b, "tcp://[::1]:*") != 0)
        skip(); /* a host without */
    link_server_finish(&b->server, 0);
}

/* A client may come first, and outlives its server. */
static void a_client_finds_its_server_again(void **state) {
    struct link_bench *b = *state;
    link_bench_start_client(b, b->ipc);
    assert_int_equal(link_bench_send_hello(b), 0);
    link_bench_run_for(b, 50);
    assert_int_equal(link_bench_start_server(b, b->ipc), 0);
    b->until = 1;
    link_bench_run_until(b, link_bench_heard_all);
    sockpoll_stop(&b->server.poll, NULL);
    link_bench_run_for(b, 20);
    link_server_finish(&b->server, 0);
    b->server_self.incarnation++;
    link_bench_run_for(b, 50);
    assert_int_equal(link_bench_start_server(b, b->ipc), 0);
    link_bench_ask_and_hear(b, WIRE_GO);
}

/* One turn of the loop handles at most 64 messages; all arrive in the end. */
static bool served_300(struct link_bench *b) {
    return b->served >= 300;
}
static void a_turn_handles_at_most_64_messages(void **state) {
    struct link_bench *b = *state;
    b->silent = true;
    assert_int_equal(link_bench_start_server(b, b->ipc), 0);
    struct link_client clients[20];
    b->client_self.run = RUN;
    for (int i = 0; i < 20; i++) {
        clients[i] = (struct link_client){.self = &b->client_self,
                                          .on_message = link_bench_on_answer,
                                          .data = b};
        assert_int_equal(link_client_start(&clients[i], &b->loop, b->zmq,
                                           b->ipc, HIGH_WATER),
                         0);
        struct wire_message status = {.type = WIRE_STATUS};
        for (int k = 0; k < 15; k++) {
            assert_int_equal(link_client_send(&clients[i], &status), 0);
        }
    }
    usleep(100000); /* they queue up */
    link_bench_run_until(b, served_300);
    assert_true(b->most_a_turn <= 64);
    for (int i = 0; i < 20; i++) link_client_stop(&clients[i], 0, NULL);
    link_bench_run_for(b, 20);
}

static bool served_one(struct link_bench *b) {
    return b->served >= 1;
}

/* A set of parameters is packed once and sent to many. */
static void a_packed_message_goes_to_many(void **state) {
    struct link_bench *b = *state;
    b->silent = true;
    assert_int_equal(link_bench_start_server(b, b->ipc), 0);
    link_bench_start_client(b, b->ipc);
    link_bench_send_hello(b);
    link_bench_run_until(b, served_one);
    float phi[3] = {1, 2, 3};
    struct wire_message parameters = {
        .type = WIRE_PARAMETERS,
        .parameters = {.version = 5, .alpha = 1, .phi = phi, .count = 3}};
    struct link_packed packed;
    assert_int_equal(link_packed_init(&packed, &b->server_self, &parameters),
                     0);
    b->until = 5;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(link_server_send_packed(&b->server, &b->from, &packed),
                         0);
    }
    link_packed_finish(&packed);
    link_bench_run_until(b, link_bench_heard_all);
    assert_int_equal(b->last_heard, WIRE_PARAMETERS);
}

/* Sending never blocks: a peer that is gone or full is an error. */
static void sending_to_nobody_is_an_error(void **state) {
    struct link_bench *b = *state;
    b->silent = true;
    assert_int_equal(link_bench_start_server(b, b->ipc), 0);
    struct wire_message go = {.type = WIRE_GO};
    struct link_route nobody = {.len = 5, .id = {0, 1, 2, 3, 4}};
    assert_int_equal(link_server_send(&b->server, &nobody, &go), -EHOSTUNREACH);
    link_bench_start_client(b, b->ipc);
    link_bench_send_hello(b);
    link_bench_run_until(b, served_one);
    static const char text[60000];
    char *lines = malloc(sizeof(text));
    memset(lines, 'x', sizeof(text));
    struct wire_message long_one = {.type = WIRE_STATUS_REPLY,
                                    .text = {lines, sizeof(text)}};
    int rc = 0; /* the client does not read: buffers fill */
    for (int i = 0; rc == 0 && i < 10000; i++) {
        rc = link_server_send(&b->server, &b->from, &long_one);
    }
    assert_int_equal(rc, -EAGAIN);
    free(lines);
}

/* ---- stopping a client ---- */

static void on_stopped(struct link_client *client) {
    struct link_bench *b = client->data;
    b->stopped++;
    b->heard_before = b->heard;
    link_bench_start_client(b, b->ipc); /* the memory is free again */
    link_bench_send_hello(b);
}

static void stop_on_first(struct link_client *client,
                          const struct wire_message *message) {
    link_bench_on_answer(client, message);
    link_client_stop(client, 0, on_stopped);
    link_client_stop(client, 0, on_stopped); /* twice is once */
}

/* Stopped in its own callback, it hears nothing more; then it may start anew.
 */
static void a_client_may_be_stopped_in_its_callback(void **state) {
    struct link_bench *b = *state;
    assert_int_equal(link_bench_start_server(b, b->ipc), 0);
    link_bench_start_client(b, b->ipc);
    b->client.on_message = stop_on_first;
    for (int i = 0; i < 5; i++) link_bench_send_hello(b);
    b->until = 2;
    link_bench_run_until(b, link_bench_heard_all);
    assert_int_equal(b->stopped, 1);
    assert_int_equal(b->heard_before, 1);
    assert_int_equal(b->last_heard, WIRE_WELCOME);
}

/* ---- bad bytes ---- */

/* Many kinds of nonsense, each from a peer of its own. */
static void send_nonsense(struct link_bench *b, int kind) {
    void *sock = zmq_socket(b->zmq, kind == 2 ? ZMQ_REQ : ZMQ_DEALER);
    int linger = 5000;
    zmq_setsockopt(sock, ZMQ_LINGER, &linger, sizeof(linger));
    if (kind == 3) { /* a routing id longer than ours ever are */
        char id[200];
        memset(id, 'i', sizeof(id));
        zmq_setsockopt(sock, ZMQ_ROUTING_ID, id, sizeof(id));
    }
    assert_int_equal(zmq_connect(sock, b->server.endpoint), 0);
    if (kind == 1) {
        for (int i = 0; i < 5; i++) zmq_send(sock, "frame", 5, ZMQ_SNDMORE);
    }
    zmq_send(sock, "\x08\x01 nonsense \xff\xff", 14, 0);
    if (kind == 0) zmq_send(sock, "", 0, 0);
    zmq_close(sock);
}

/* Bytes that are not even ZeroMQ's. */
static void send_raw(struct link_bench *b) {
    int fd;
    if (strncmp(b->server.endpoint, "ipc://", 6) == 0) {
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        snprintf(to.sun_path, sizeof(to.sun_path), "%s",
                 b->server.endpoint + 6);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (void *)&to, sizeof(to)), 0);
    } else {
        const char *port = strrchr(b->server.endpoint, ':') + 1;
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)atoi(port)),
                                 .sin_addr = {htonl(INADDR_LOOPBACK)}};
        fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (void *)&to, sizeof(to)), 0);
    }
    static const char http[] = "GET / HTTP/1.1\r\nHost: learner\r\n\r\n";
    assert_true(send(fd, http, sizeof(http) - 1, MSG_NOSIGNAL) > 0);
    char zeros[4096] = {0};
    (void)!send(fd, zeros, sizeof(zeros), MSG_NOSIGNAL);
    close(fd);
}

static bool seven_bad(struct link_bench *b) {
    return b->server.bad >= 7;
}

static void check_garbage(struct link_bench *b, const char *address) {
    assert_int_equal(link_bench_start_server(b, address), 0);
    link_bench_start_client(b, b->server.endpoint);
    link_bench_ask_and_hear(b, WIRE_WELCOME);
    int served = b->served;
    for (int kind = 0; kind < 4; kind++) {
        send_raw(b);
        send_nonsense(b, kind);
    }
    send_nonsense(b, 0);
    link_bench_run_until(b, seven_bad);
    link_bench_run_for(b, 50);
    assert_int_equal(b->server.bad, 7);
    assert_int_equal(b->served, served); /* none reached the program */
    link_bench_ask_and_hear(b, WIRE_GO); /* and it serves on */
    assert_int_equal(b->heard_refused, 0);
}

/* Garbage of every kind is counted and changes nothing. */
static void garbage_changes_nothing_over_ipc(void **state) {
    struct link_bench *b = *state;
    check_garbage(b, b->ipc);
}

static void garbage_changes_nothing_over_tcp(void **state) {
    struct link_bench *b = *state;
    check_garbage(b, "tcp://127.0.0.1:*");
}

static bool refused_once(struct link_bench *b) {
    return b->heard_refused >= 1;
}

/* A NaN in a batch: the batch is named and the reason is the numbers. */
static void a_batch_with_a_nan_is_refused_by_its_seq(void **state) {
    struct link_bench *b = *state;
    assert_int_equal(link_bench_start_server(b, b->ipc), 0);
    link_bench_start_client(b, b->ipc);
    b->client_self.run = RUN;
    float one = 1.0f, nan = NAN;
    uint8_t flags = 0;
    uint64_t version = 0;
    struct wire_message insert = {.type = WIRE_INSERT,
                                  .insert = {.epoch = 1,
                                             .seq = 41,
                                             .rows = {.n = 1,
                                                      .S = 1,
                                                      .A = 1,
                                                      .s = &one,
                                                      .a = &one,
                                                      .r = &nan,
                                                      .next = &one,
                                                      .flags = &flags,
                                                      .version = &version}}};
    assert_int_equal(link_client_send(&b->client, &insert), 0);
    link_bench_run_until(b, refused_once);
    assert_int_equal(b->refused.code, WIRE_CODE_NON_FINITE);
    assert_int_equal(b->refused.about, WIRE_INSERT);
    assert_int_equal(b->refused.seq, 41);
    assert_int_equal(b->served, 0);
    assert_int_equal(b->server.bad, 1);
}

/* A peer of another run is told so, and hears it although the run differs. */
static void a_peer_of_another_run_is_refused(void **state) {
    struct link_bench *b = *state;
    assert_int_equal(link_bench_start_server(b, b->ipc), 0);
    link_bench_start_client(b, b->ipc);
    b->client_self.run = RUN + 1;
    assert_int_equal(link_bench_send_hello(b), 0);
    link_bench_run_until(b, refused_once);
    assert_int_equal(b->refused.code, WIRE_CODE_RUN);
    assert_int_equal(b->served, 0);
}

/* Without a run only Hello and Status are heard. */
static void strangers_may_only_say_hello_or_ask_status(void **state) {
    struct link_bench *b = *state;
    assert_int_equal(link_bench_start_server(b, b->ipc), 0);
    link_bench_start_client(b, b->ipc);
    struct wire_message get = {.type = WIRE_GET_PARAMETERS};
    assert_int_equal(link_client_send(&b->client, &get), 0);
    link_bench_run_until(b, refused_once);
    b->until = b->heard + 1;
    assert_int_equal(link_bench_send_status(b), 0);
    link_bench_run_until(b, link_bench_heard_all);
    assert_int_equal(b->served, 1);
}

/* A shard that knows no run yet keeps still: it will be asked again. */
static void before_its_welcome_a_server_drops(void **state) {
    struct link_bench *b = *state;
    b->server_self.run = 0;
    assert_int_equal(link_bench_start_server(b, b->ipc), 0);
    link_bench_start_client(b, b->ipc);
    b->client_self.run = RUN;
    assert_int_equal(link_bench_send_status(b), 0);
    link_bench_run_for(b, 100);
    assert_int_equal(b->served, 0);
    assert_int_equal(b->heard, 0);
    assert_int_equal(b->server.bad, 0);
    b->server_self.run = RUN;
    link_bench_ask_and_hear(b, WIRE_GO);
}

/* A peer of another version is told, in our version. */
static void another_version_is_refused(void **state) {
    struct link_bench *b = *state;
    assert_int_equal(link_bench_start_server(b, b->ipc), 0);
    struct wire_message hello = {.protocol = WIRE_PROTOCOL + 1,
                                 .name = "actor-9",
                                 .type = WIRE_HELLO,
                                 .hello = {.role = WIRE_ACTOR}};
    void *data;
    size_t len;
    assert_int_equal(wire_pack(&hello, &data, &len), 0);
    link_bench_start_client(b, b->ipc);
    assert_true(zmq_send(b->client.sock, data, len, 0) > 0);
    free(data);
    link_bench_run_until(b, refused_once);
    assert_int_equal(b->refused.code, WIRE_CODE_PROTOCOL);
    assert_int_equal(b->served, 0);
}

static bool client_bad(struct link_bench *b) {
    return b->client.bad == 1;
}

/* Messages above the limit are dropped; the limit follows the shapes. */
static void a_message_above_the_limit_is_dropped(void **state) {
    struct link_bench *b = *state;
    assert_int_equal(link_bench_start_server(b, b->ipc), 0);
    link_bench_start_client(b, b->ipc);
    link_bench_ask_and_hear(b, WIRE_WELCOME);
    size_t count = (5u << 20) / sizeof(float);
    float *phi = calloc(count, sizeof(float));
    struct wire_message parameters = {
        .type = WIRE_PARAMETERS,
        .parameters = {.alpha = 1, .phi = phi, .count = count}};
    link_server_send(&b->server, &b->from, &parameters);
    link_bench_run_until(b, client_bad);
    assert_int_equal(link_client_max_size(&b->client, 6u << 20), 0);
    b->until = b->heard + 1;
    link_server_send(&b->server, &b->from, &parameters);
    link_bench_run_until(b, link_bench_heard_all);
    assert_int_equal(link_client_max_size(&b->client, 1u << 30), -EMSGSIZE);
    free(phi);
}

/* ---- addresses ---- */

/* A busy port and a live socket are errors, a stale socket file is not. */
static void only_stale_sockets_are_replaced(void **state) {
    struct link_bench *b = *state;
    assert_int_equal(link_bench_start_server(b, b->ipc), 0);
    struct link_server first = b->server;
    struct link_server other = {.self = &b->server_self,
                                .on_message = link_bench_on_request};
    struct link_server_options options = {.address = b->ipc,
                                          .high_water = HIGH_WATER};
    assert_int_equal(link_server_start(&other, &b->loop, b->zmq, &options),
                     -EADDRINUSE);
    assert_string_equal(first.endpoint, b->server.endpoint);
    link_bench_start_client(b, b->ipc);
    link_bench_ask_and_hear(b, WIRE_WELCOME); /* the first still serves */

    char stale[128];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/stale", b->folder);
    snprintf(stale, sizeof(stale), "ipc://%s", address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (void *)&address, sizeof(address)), 0);
    close(fd); /* as a killed process leaves it */
    options.address = stale;
    assert_int_equal(link_server_start(&other, &b->loop, b->zmq, &options), 0);
    sockpoll_stop(&other.poll, NULL);
    link_bench_run_for(b, 20);
    link_server_finish(&other, 0);
}

static void a_busy_port_is_an_error(void **state) {
    struct link_bench *b = *state;
    assert_int_equal(link_bench_start_server(b, "tcp://127.0.0.1:*"), 0);
    struct link_server other = {.self = &b->server_self,
                                .on_message = link_bench_on_request};
    struct link_server_options options = {.address = b->server.endpoint,
                                          .high_water = HIGH_WATER};
    assert_int_equal(link_server_start(&other, &b->loop, b->zmq, &options),
                     -EADDRINUSE);
}

/* Without keys nobody listens beyond loopback, unless told to. */
static void other_machines_are_shut_out(void **state) {
    struct link_bench *b = *state;
    const char *const open[] = {"tcp://0.0.0.0:*", "tcp://*:*",
                                "tcp://127.example.org:5550",
                                "tcp://10.0.0.1:5550", "tcp://[::]:*"};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(link_bench_start_server(b, open[i]), -EACCES);
    }
    assert_int_equal(link_bench_start_server(b, "udp://127.0.0.1:5550"),
                     -EINVAL);
    assert_int_equal(link_bench_start_server(b, ""), -EINVAL);
    struct link_server_options options = {.address = "tcp://0.0.0.0:*",
                                          .insecure = true,
                                          .high_water = HIGH_WATER};
    b->server = (struct link_server){.self = &b->server_self,
                                     .on_message = link_bench_on_request,
                                     .data = b};
    assert_int_equal(link_server_start(&b->server, &b->loop, b->zmq, &options),
                     0);
}

/* A path that no socket can have is said in words. */
static void a_long_socket_path_is_an_error(void **state) {
    struct link_bench *b = *state;
    char address[256] = "ipc:///tmp/";
    memset(address + strlen(address), 'x', 150);
    assert_int_equal(link_bench_start_server(b, address), -ENAMETOOLONG);
    b->client = (struct link_client){
        .self = &b->client_self, .on_message = link_bench_on_answer, .data = b};
    assert_true(link_client_start(&b->client, &b->loop, b->zmq, address, 8) <
                0);
    assert_true(link_client_start(&b->client, &b->loop, b->zmq, "nonsense", 8) <
                0);
}

/* Names: given or made; each start is an incarnation of its own. */
static void a_self_has_a_name_and_an_incarnation(void **state) {
    (void)state;
    struct link_self x, y;
    assert_int_equal(link_self_init(&x, "actor", ""), 0);
    assert_int_equal(link_self_init(&y, "actor", "left.arm"), 0);
    assert_memory_equal(x.name, "actor-", 6);
    assert_string_equal(y.name, "left.arm");
    assert_true(x.incarnation != y.incarnation && x.incarnation != 0);
    assert_int_equal(link_self_init(&x, "actor", "no spaces"), -EINVAL);
}

#define CASE(f) \
    cmocka_unit_test_setup_teardown(f, link_bench_set_up, link_bench_tear_down)

int main(void) {
    log_init("test_link", LOG_ERROR);
    const struct CMUnitTest tests[] = {
        CASE(hello_is_answered_over_ipc),
        CASE(hello_is_answered_over_tcp),
        CASE(hello_is_answered_over_ipv6),
        CASE(a_client_finds_its_server_again),
        CASE(a_turn_handles_at_most_64_messages),
        CASE(a_packed_message_goes_to_many),
        CASE(sending_to_nobody_is_an_error),
        CASE(a_client_may_be_stopped_in_its_callback),
        CASE(garbage_changes_nothing_over_ipc),
        CASE(garbage_changes_nothing_over_tcp),
        CASE(a_batch_with_a_nan_is_refused_by_its_seq),
        CASE(a_peer_of_another_run_is_refused),
        CASE(strangers_may_only_say_hello_or_ask_status),
        CASE(before_its_welcome_a_server_drops),
        CASE(another_version_is_refused),
        CASE(a_message_above_the_limit_is_dropped),
        CASE(only_stale_sockets_are_replaced),
        CASE(a_busy_port_is_an_error),
        CASE(other_machines_are_shut_out),
        CASE(a_long_socket_path_is_an_error),
        cmocka_unit_test(a_self_has_a_name_and_an_incarnation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
