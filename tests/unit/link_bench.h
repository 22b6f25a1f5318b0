#ifndef TESTS_UNIT_LINK_BENCH_H
#define TESTS_UNIT_LINK_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "proto/link.h"

enum { RUN = 77, HIGH_WATER = 24 };

/* A server, a client and one loop, and what each heard. */
struct link_bench {
    uv_loop_t loop;
    void *zmq;
    uv_timer_t deadline;
    char folder[64], ipc[96];
    struct link_self server_self, client_self;
    struct link_server server;
    struct link_client client;
    int served, heard, heard_before, heard_refused, most_a_turn, this_turn,
        stopped;
    enum wire_type last_heard;
    struct wire_refused refused;
    struct link_route from;
    char peer_address[64];
    int until; /* the loop ends when heard reaches it */
    bool silent, late;
};

/*
 * Run until done says so; at most 10 s. Nothing else wakes the loop meanwhile,
 * so that a lost wakeup fails the test.
 */
void link_bench_run_until(struct link_bench *b,
                          bool (*done)(struct link_bench *b));

/* Run for so long, whatever happens. */
void link_bench_run_for(struct link_bench *b, uint64_t ms);

/* Hello and Status are welcomed, everything else is told to go on. */
void link_bench_on_request(struct link_server *server,
                           const struct link_route *from,
                           const struct wire_message *message);

/* Counts what the client hears, and takes a Welcome's run. */
void link_bench_on_answer(struct link_client *client,
                          const struct wire_message *message);

/* Of b, at address: 0 or a negative errno. */
int link_bench_start_server(struct link_bench *b, const char *address);

/* Of b, to address; asserts that it starts. */
void link_bench_start_client(struct link_bench *b, const char *address);

/* For cmocka: *state is a bench without server or client; and its end, which
 * asserts that no handle and no socket file is left. */
int link_bench_set_up(void **state);
int link_bench_tear_down(void **state);

/* By the client: 0 or a negative errno. */
int link_bench_send_hello(struct link_bench *b);
int link_bench_send_status(struct link_bench *b);

/* The client heard b->until messages: for run_until(). */
bool link_bench_heard_all(struct link_bench *b);

/* Hello, or Status once welcomed, and wait for an answer of that type. */
void link_bench_ask_and_hear(struct link_bench *b, enum wire_type expected);

#endif
