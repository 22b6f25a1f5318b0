#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "proto/link_socket.h"
#include "tests/unit/test.h"

enum { TURNS = 64 };

struct pair {
    void *zmq, *router, *dealer;
    char address[96];
};

static int set_up(void **state) {
    static struct pair pair;
    char endpoint[128];
    pair = (struct pair){.zmq = zmq_ctx_new()};
    snprintf(pair.address, sizeof pair.address, "ipc:///tmp/softq-pair-%ld",
             (long)getpid());
    pair.router = link_socket_new(pair.zmq, ZMQ_ROUTER, pair.address, 1);
    pair.dealer = link_socket_new(pair.zmq, ZMQ_DEALER, pair.address, 1);
    assert_int_equal(link_socket_bind(pair.router, pair.address, false,
                                      endpoint, sizeof endpoint),
                     0);
    assert_int_equal(zmq_connect(pair.dealer, pair.address), 0);
    *state = &pair;
    return 0;
}

static int tear_down(void **state) {
    struct pair *pair = *state;
    link_socket_close(pair->dealer, 0);
    link_socket_close(pair->router, 0);
    zmq_ctx_term(pair->zmq);
    return unlink(pair->address + strlen("ipc://"));
}

static int send_one(void *sock, const struct link_route *to) {
    zmq_msg_t msg;
    assert_int_equal(zmq_msg_init_size(&msg, 8), 0);
    memset(zmq_msg_data(&msg), 0, 8);
    return link_socket_send(sock, to, &msg);
}

/* Waits for the message; who sent it, of a ROUTER's. */
static struct link_route take_one(void *sock, bool routed) {
    struct link_route from = {0};
    char bytes[8];
    if (routed) {
        int len = zmq_recv(sock, from.id, sizeof from.id, 0);
        assert_in_range(len, 1, sizeof from.id);
        from.len = (uint8_t)len;
    }
    assert_int_equal(zmq_recv(sock, bytes, sizeof bytes, 0), sizeof bytes);
    return from;
}

/*
 * However fast they follow each other: libzmq looks only once in a millisecond
 * for news of what the other side took.
 */
static void answered_messages_never_fill_a_queue(void **state) {
    struct pair *pair = *state;
    struct link_route from = {0};
    for (int i = 0; i < TURNS; i++) {
        assert_int_equal(send_one(pair->dealer, NULL), 0);
        from = take_one(pair->router, true);
    }
    for (int i = 0; i < TURNS; i++) {
        assert_int_equal(send_one(pair->router, &from), 0);
        take_one(pair->dealer, false);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answered_messages_never_fill_a_queue,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
