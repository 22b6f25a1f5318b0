#include "tests/unit/link_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "proto/lifecycle.h"
#include "tests/unit/test.h"

static void on_deadline(uv_timer_t *timer) {
    struct link_bench *b = timer->data;
    b->late = true;
    uv_stop(timer->loop);
}

void link_bench_run_until(struct link_bench *b,
                          bool (*done)(struct link_bench *b)) {
    b->late = false;
    uv_update_time(&b->loop);
    uv_timer_start(&b->deadline, on_deadline, 10000, 0);
    while (!done(b) && !b->late) {
        b->this_turn = 0;
        uv_run(&b->loop, UV_RUN_ONCE);
        if (b->this_turn > b->most_a_turn) b->most_a_turn = b->this_turn;
    }
    assert_true(done(b));
}

void link_bench_run_for(struct link_bench *b, uint64_t ms) {
    uv_update_time(&b->loop);
    uv_timer_start(&b->deadline, on_deadline, ms, 0);
    uv_run(&b->loop, UV_RUN_DEFAULT);
}

void link_bench_on_request(struct link_server *server,
                           const struct link_route *from,
                           const struct wire_message *message) {
    struct link_bench *b = server->data;
    b->served++;
    b->this_turn++;
    b->from = *from;
    memcpy(b->peer_address, server->peer_address, sizeof(b->peer_address));
    if (b->silent) return;
    struct wire_message answer = {.type = WIRE_GO};
    if (message->type == WIRE_HELLO) {
        answer = (struct wire_message){
            .type = WIRE_WELCOME,
            .welcome = {.options = "seed = 1\n", .options_len = 9}};
    }
    link_server_send(server, from, &answer);
}

void link_bench_on_answer(struct link_client *client,
                          const struct wire_message *message) {
    struct link_bench *b = client->data;
    b->heard++;
    b->last_heard = message->type;
    if (message->type == WIRE_REFUSED) {
        b->heard_refused++;
        b->refused = message->refused;
    }
    if (message->type == WIRE_WELCOME) client->self->run = message->run;
}

int link_bench_start_server(struct link_bench *b, const char *address) {
    struct link_server_options options = {.address = address,
                                          .high_water = HIGH_WATER};
    b->server = (struct link_server){.self = &b->server_self,
                                     .on_message = link_bench_on_request,
                                     .data = b};
    return link_server_start(&b->server, &b->loop, b->zmq, &options);
}

void link_bench_start_client(struct link_bench *b, const char *address) {
    b->client = (struct link_client){
        .self = &b->client_self, .on_message = link_bench_on_answer, .data = b};
    assert_int_equal(
        link_client_start(&b->client, &b->loop, b->zmq, address, HIGH_WATER),
        0);
}

int link_bench_set_up(void **state) {
    struct link_bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    uv_loop_init(&b->loop);
    uv_timer_init(&b->loop, &b->deadline);
    b->deadline.data = b;
    b->zmq = zmq_ctx_new();
    zmq_ctx_set(b->zmq, ZMQ_BLOCKY, 0);
    strcpy(b->folder, "/tmp/softq-test-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    snprintf(b->ipc, sizeof(b->ipc), "ipc://%s/learner", b->folder);
    assert_int_equal(link_self_init(&b->server_self, "learner", ""), 0);
    assert_int_equal(link_self_init(&b->client_self, "actor", ""), 0);
    b->server_self.run = RUN;
    *state = b;
    return 0;
}

int link_bench_tear_down(void **state) {
    struct link_bench *b = *state;
    lifecycle_close_all(&b->loop);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    link_client_finish(&b->client, 0);
    link_server_finish(&b->server, 0);
    assert_int_equal(uv_loop_close(&b->loop), 0); /* no handle was forgotten */
    zmq_ctx_term(b->zmq);
    assert_int_equal(rmdir(b->folder), 0); /* nor a socket file */
    free(b);
    return 0;
}

int link_bench_send_hello(struct link_bench *b) {
    struct wire_message hello = {.type = WIRE_HELLO,
                                 .hello = {.role = WIRE_ACTOR, .build = "t"}};
    return link_client_send(&b->client, &hello);
}

int link_bench_send_status(struct link_bench *b) {
    struct wire_message status = {.type = WIRE_STATUS};
    return link_client_send(&b->client, &status);
}

bool link_bench_heard_all(struct link_bench *b) {
    return b->heard >= b->until;
}

void link_bench_ask_and_hear(struct link_bench *b, enum wire_type expected) {
    b->until = b->heard + 1;
    assert_int_equal(b->client_self.run == 0 ? link_bench_send_hello(b)
                                             : link_bench_send_status(b),
                     0);
    link_bench_run_until(b, link_bench_heard_all);
    assert_int_equal(b->last_heard, expected);
}
