/* Many clients on one socket are as many connections to their server. */

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "proto/link_fleet.h"
#include "tests/unit/link_bench.h"
#include "tests/unit/test.h"

enum { MEMBERS = 100 };

struct member {
    struct link_self self;
    struct link_client client;
    int heard, closed;
};

static struct link_bench *bench;
static struct link_fleet fleet;
static struct member members[MEMBERS];
static struct link_route routes[MEMBERS]; /* as the server sees them */
static int served, all_heard;

/* A sender's number is its name: m-17. */
static int number_of(const struct wire_message *message) {
    int i = -1;
    assert_int_equal(sscanf(message->name, "m-%d", &i), 1);
    assert_true(i >= 0 && i < MEMBERS);
    return i;
}

/* Everyone is answered by its own number. */
static void on_request(struct link_server *server,
                       const struct link_route *from,
                       const struct wire_message *message) {
    int i = number_of(message);
    routes[i] = *from;
    served++;
    const struct wire_message answer = {.type = WIRE_INSERTED,
                                        .answer = {.seq = (uint64_t)i}};
    assert_int_equal(link_server_send(server, from, &answer), 0);
}

static void on_answer(struct link_client *client,
                      const struct wire_message *message) {
    struct member *m = client->data;
    assert_int_equal(message->type, WIRE_INSERTED);
    assert_int_equal(message->answer.seq, m - members);
    m->heard++;
    all_heard++;
}

static void on_closed(struct link_client *client) {
    ((struct member *)client->data)->closed++;
}

static int set_up(void **state) {
    int rc = link_bench_set_up(state);
    bench = *state;
    log_init("test_fleet", LOG_ERROR);
    memset(members, 0, sizeof(members));
    memset(routes, 0, sizeof(routes));
    served = all_heard = 0;
    return rc;
}

/* Members, then the fleet, once the loop is over; the bench ends the rest. */
static int tear_down(void **state) {
    struct link_bench *b = *state;
    for (int i = 0; i < MEMBERS; i++) link_client_finish(&members[i].client, 0);
    link_bench_run_for(b, 20);
    link_fleet_finish(&fleet, 0);
    return link_bench_tear_down(state);
}

static void start_server(const char *address) {
    assert_int_equal(link_bench_start_server(bench, address), 0);
    bench->server.on_message = on_request;
}

static void start_member(int i) {
    struct member *m = &members[i];
    char name[16];
    snprintf(name, sizeof(name), "m-%d", i);
    assert_int_equal(link_self_init(&m->self, "actor", name), 0);
    m->self.run = RUN;
    m->self.fleet = &fleet;
    m->client = (struct link_client){
        .self = &m->self, .on_message = on_answer, .data = m};
    assert_int_equal(link_client_start(&m->client, &bench->loop, bench->zmq,
                                       bench->server.endpoint, HIGH_WATER),
                     0);
}

static void ask(int i) {
    const struct wire_message status = {.type = WIRE_STATUS};
    assert_int_equal(link_client_send(&members[i].client, &status), 0);
}

static bool all_answered(struct link_bench *b) {
    return all_heard >= b->until;
}

static void ask_all(void) {
    all_heard = 0;
    bench->until = 0;
    for (int i = 0; i < MEMBERS; i++) {
        if (members[i].client.sock == NULL) continue;
        ask(i);
        bench->until++;
    }
    link_bench_run_until(bench, all_answered);
    assert_int_equal(all_heard, bench->until);
}

static void check_connections(const char *address) {
    start_server(address);
    for (int i = 0; i < MEMBERS; i++) start_member(i);
    ask_all();
    for (int i = 0; i < MEMBERS; i++) {
        assert_int_equal(members[i].heard, 1);
        assert_true(members[i].client.last_heard_ms > 0);
        for (int k = 0; k < i; k++)
            assert_false(link_route_equal(&routes[i], &routes[k]));
    }
}

/* The server sees a connection for each, and answers reach whom they are for.
 */
static void each_has_a_connection_over_ipc(void **state) {
    (void)state;
    check_connections(bench->ipc);
}

static void each_has_a_connection_over_tcp(void **state) {
    (void)state;
    check_connections("tcp://127.0.0.1:*");
}

/* Who left hears nothing, the others go on; a newcomer is not taken for it. */
static void the_others_go_on_when_one_leaves(void **state) {
    (void)state;
    start_server(bench->ipc);
    for (int i = 0; i < 10; i++) start_member(i);
    ask_all();
    ask(3);
    link_client_stop(&members[3].client, 0, on_closed);
    assert_int_equal(members[3].closed, 1);
    link_bench_run_for(bench, 100);
    assert_int_equal(members[3].heard, 1);
    start_member(10);
    ask_all();
    assert_int_equal(members[10].heard, 1);
    assert_int_equal(members[9].heard, 2);
    assert_false(link_route_equal(&routes[3], &routes[10]));
}

/* The last one closes the socket; the address can be joined again. */
static void a_fleet_comes_back(void **state) {
    (void)state;
    start_server(bench->ipc);
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 5; i++) start_member(i);
        assert_non_null(fleet.servers);
        ask_all();
        for (int i = 0; i < 5; i++)
            link_client_stop(&members[i].client, 0, on_closed);
        link_bench_run_for(bench, 20);
        assert_null(fleet.servers);
    }
    assert_int_equal(members[4].heard, 3);
}

/* Every connection is made again when the server is. */
static void all_find_their_server_again(void **state) {
    (void)state;
    start_server(bench->ipc);
    for (int i = 0; i < MEMBERS; i++) start_member(i);
    ask_all();
    sockpoll_stop(&bench->server.poll, NULL);
    link_bench_run_for(bench, 20);
    link_server_finish(&bench->server, 0);
    start_server(bench->ipc);
    bool all = false;
    for (int turn = 0; turn < 50 && !all; turn++) { /* what is lost: again */
        all = true;
        for (int i = 0; i < MEMBERS; i++) {
            if (members[i].heard >= 2) continue;
            ask(i);
            all = false;
        }
        link_bench_run_for(bench, 100);
    }
    assert_true(all);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(each_has_a_connection_over_ipc),
        CASE(each_has_a_connection_over_tcp),
        CASE(the_others_go_on_when_one_leaves),
        CASE(a_fleet_comes_back),
        CASE(all_find_their_server_again),
    };
#undef CASE
    return cmocka_run_group_tests_name("fleet", tests, NULL, NULL);
}
