#include "tests/bench/zeromq_alone.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { MOST_CLIENTS = 16 };

static void die(const char *what) {
    fprintf(stderr, "zeromq_alone: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double clock_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Returns the child's CPU seconds. */
static double await(pid_t pid) {
    struct rusage u;
    if (wait4(pid, NULL, 0, &u) != pid) die("wait");
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static pid_t start_server(const struct zeromq_alone *what, const char *address,
                          const void *bytes) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    void *sock = zmq_socket(zmq_ctx_new(), ZMQ_ROUTER);
    if (what->keys->folder[0] != '\0') keys_serve(what->keys, sock);
    if (zmq_bind(sock, address) != 0) die(address);
    for (;;) {
        zmq_msg_t id, message;
        zmq_msg_init(&id);
        zmq_msg_init(&message);
        zmq_msg_recv(&id, sock, 0);
        zmq_msg_recv(&message, sock, 0);
        zmq_msg_close(&message);
        zmq_msg_send(&id, sock, ZMQ_SNDMORE);
        zmq_send(sock, bytes, what->answer, 0);
    }
}

static pid_t start_client(const struct zeromq_alone *what, const char *address,
                          const void *bytes, uint64_t *answers) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    void *sock = zmq_socket(zmq_ctx_new(), ZMQ_DEALER);
    if (what->keys->folder[0] != '\0')
        keys_connect(what->keys, sock, what->keys->public);
    if (zmq_connect(sock, address) != 0) die(address);
    const double end = clock_s() + what->seconds;
    for (size_t i = 0; i < what->window; i++)
        zmq_send(sock, bytes, what->request, 0);
    while (clock_s() < end) {
        zmq_msg_t answer;
        zmq_msg_init(&answer);
        zmq_msg_recv(&answer, sock, 0);
        zmq_msg_close(&answer);
        (*answers)++;
        zmq_send(sock, bytes, what->request, 0);
    }
    _exit(0);
}

struct zeromq_alone_result zeromq_alone(const struct zeromq_alone *what) {
    struct zeromq_alone_result result = {0};
    const size_t most =
        what->request > what->answer ? what->request : what->answer;
    void *bytes = calloc(most, 1);
    uint64_t *answers =
        mmap(NULL, MOST_CLIENTS * sizeof(*answers), PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t clients[MOST_CLIENTS];
    char address[64];
    if (bytes == NULL || answers == MAP_FAILED || what->clients > MOST_CLIENTS)
        die("memory or clients");
    snprintf(address, sizeof address, "tcp://127.0.0.1:%d", what->port);
    pid_t server = start_server(what, address, bytes);
    for (size_t i = 0; i < what->clients; i++)
        clients[i] = start_client(what, address, bytes, &answers[i]);
    for (size_t i = 0; i < what->clients; i++) {
        result.clients_cpu += await(clients[i]);
        result.answers_per_s += (double)answers[i] / what->seconds;
    }
    kill(server, SIGKILL);
    result.server_cpu = await(server);
    munmap(answers, MOST_CLIENTS * sizeof(*answers));
    free(bytes);
    return result;
}
