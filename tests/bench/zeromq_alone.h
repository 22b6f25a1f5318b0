#ifndef SOFTQ_BENCH_ZEROMQ_ALONE_H
#define SOFTQ_BENCH_ZEROMQ_ALONE_H

#include <stddef.h>

#include "proto/keys.h"

/*
 * What ZeroMQ carries by itself: clients on loopback tcp, processes of their
 * own, keep a window of requests unanswered by a server that reads them and
 * throws them away.
 */
struct zeromq_alone {
    int port;
    const struct keys *keys; /* of no folder: without keys */
    size_t clients, window;  /* window: of each client */
    size_t request, answer;  /* bytes */
    double seconds;
};

struct zeromq_alone_result {
    double answers_per_s;           /* of all clients together */
    double server_cpu, clients_cpu; /* s */
};

/* Ends the process with a line on stderr where the system refuses. */
struct zeromq_alone_result zeromq_alone(const struct zeromq_alone *what);

#endif
