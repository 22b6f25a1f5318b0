/*
 * What strangers cost who serves with keys: PEERS whose key is refused hang up
 * and come again, RATE connections a second in all (libzmq's own client would
 * wait out its handshake), while an honest peer asks for the status a hundred
 * times a second.
 *
 *   bench_refused ADDRESS SERVER_KEY KEYS PID [PEERS RATE SECONDS KIND]
 *
 * KEYS: the honest peer's folder. PID: the server's, whose processor time is
 * read. KIND: key (unknown, the default), none (no keys), wrong (another
 * server's), hello (an allowed peer says Hello RATE times a second instead,
 * always under another name). Prints, for SECONDS without strangers and SECONDS
 * with them, the handshakes a second that the server refused, its share of a
 * core, and p50, p99 and the largest of the honest answers' times in ms.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>
#include <zmq.h>

#include "common/log.h"
#include "proto/lifecycle.h"
#include "proto/link.h"

enum { ASK_MS = 10, MOST_PEERS = 1000, MOST_ANSWERS = 100000 };

struct bench {
    uv_loop_t loop;
    void *zmq, *zmq_strangers;
    const char *address, *server_key;
    long pid;
    int peers, rate, seconds;
    char kind;
    struct keys keys;
    struct link_self self;
    struct link_client client, hammer;
    struct link_self hammer_self;
    uv_timer_t ask, end, knock;
    void *strangers[MOST_PEERS];
    double due;                   /* connections */
    uint64_t knocked_ns, refused; /* refused: the server's count */
    int turn;
    uint64_t asked_ns, outstanding;
    uint64_t begun_ns;
    double cpu, answers[MOST_ANSWERS]; /* ms */
    size_t n;
};

static double cpu_seconds(long pid) {
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    FILE *in = fopen(path, "re");
    if (in == NULL) return 0;
    text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
    fclose(in);
    const char *at = strrchr(text, ')');
    if (at == NULL ||
        sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
               &user, &system) != 2) {
        return 0;
    }
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* ---- strangers ---- */

static int set(void *sock, int option, int value) {
    return zmq_setsockopt(sock, option, &value, sizeof(value));
}

static void *stranger(struct bench *b) {
    char public[41], secret[41], other[41];
    void *sock = zmq_socket(b->zmq_strangers, ZMQ_DEALER);
    zmq_curve_keypair(other, secret);
    zmq_curve_keypair(public, secret);
    set(sock, ZMQ_LINGER, 0);
    if (b->kind != 'n') {
        unsigned char bytes[32];
        for (size_t k = 0; k < sizeof(bytes); k++) {
            unsigned byte;
            sscanf(b->server_key + 2 * k, "%2x", &byte);
            bytes[k] = (unsigned char)byte;
        }
        if (b->kind == 'w') {
            zmq_setsockopt(sock, ZMQ_CURVE_SERVERKEY, other, 41);
        } else {
            zmq_setsockopt(sock, ZMQ_CURVE_SERVERKEY, bytes, 32);
        }
        zmq_setsockopt(sock, ZMQ_CURVE_PUBLICKEY, public, 41);
        zmq_setsockopt(sock, ZMQ_CURVE_SECRETKEY, secret, 41);
    }
    zmq_connect(sock, b->address);
    return sock;
}

static void hammer(struct bench *b) {
    struct link_self *self = &b->hammer_self;
    snprintf(self->name, sizeof(self->name), "hammer-%d", b->turn++);
    (void)link_client_send(
        &b->hammer, &(struct wire_message){.type = WIRE_HELLO,
                                           .hello = {.role = WIRE_ACTOR}});
}

/* Each in turn hangs up and comes again, as many as are due by now. */
static void on_knock(uv_timer_t *timer) {
    struct bench *b = timer->data;
    const uint64_t now = uv_hrtime();
    b->due += 1e-9 * (double)(now - b->knocked_ns) * b->rate;
    b->knocked_ns = now;
    for (; b->due >= 1; b->due -= 1) {
        if (b->kind == 'h') {
            hammer(b);
            continue;
        }
        void **sock = &b->strangers[b->turn++ % b->peers];
        if (*sock != NULL) zmq_close(*sock);
        *sock = stranger(b);
    }
}

/* ---- the honest peer ---- */

static void on_answer(struct link_client *client,
                      const struct wire_message *message) {
    struct bench *b = client->data;
    if (message->type != WIRE_STATUS_REPLY || b->outstanding == 0) return;
    b->outstanding = 0;
    static const char word[] = "\nkeys_refused ";
    const char *at =
        memmem(message->text.text, message->text.len, word, strlen(word));
    if (at != NULL) b->refused = strtoull(at + strlen(word), NULL, 10);
    if (b->n < MOST_ANSWERS) {
        b->answers[b->n++] = 1e-6 * (double)(uv_hrtime() - b->asked_ns);
    }
}

static void on_ask(uv_timer_t *timer) {
    struct bench *b = timer->data;
    if (b->outstanding != 0) return; /* counted until it comes */
    b->outstanding = 1;
    b->asked_ns = uv_hrtime();
    (void)link_client_send(&b->client,
                           &(struct wire_message){.type = WIRE_STATUS});
}

static int ascending(const void *x, const void *y) {
    const double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static void on_end(uv_timer_t *timer) {
    uv_stop(timer->loop);
}

static void run_for(struct bench *b, uint64_t ms) {
    uv_update_time(&b->loop);
    uv_timer_start(&b->end, on_end, ms, 0);
    uv_run(&b->loop, UV_RUN_DEFAULT);
}

static void measure(struct bench *b, const char *what) {
    run_for(b, 300); /* the server's count is known, strangers are there */
    b->n = 0;
    const uint64_t refused = b->refused;
    b->cpu = cpu_seconds(b->pid);
    b->begun_ns = uv_hrtime();
    run_for(b, 1000 * (uint64_t)b->seconds);
    const double seconds = 1e-9 * (double)(uv_hrtime() - b->begun_ns);
    qsort(b->answers, b->n, sizeof(b->answers[0]), ascending);
    const size_t last = b->n > 0 ? b->n - 1 : 0;
    printf("%-9s %6.1f refused/s   server %5.1f %% of a core   "
           "p50 %.2f   p99 %.2f   max %.2f ms (%zu answers)\n",
           what, (double)(b->refused - refused) / seconds,
           100 * (cpu_seconds(b->pid) - b->cpu) / seconds, b->answers[b->n / 2],
           b->answers[b->n * 99 / 100], b->answers[last], b->n);
    fflush(stdout);
}

static int start(struct bench *b, const char *folder) {
    if (keys_load(&b->keys, folder) != 0 ||
        link_self_init(&b->self, "observer", "") != 0) {
        return 2;
    }
    b->zmq = zmq_ctx_new();
    b->zmq_strangers = zmq_ctx_new();
    zmq_ctx_set(b->zmq_strangers, ZMQ_MAX_SOCKETS, 4 * MOST_PEERS);
    uv_loop_init(&b->loop);
    uv_timer_init(&b->loop, &b->ask);
    uv_timer_init(&b->loop, &b->end);
    uv_timer_init(&b->loop, &b->knock);
    b->ask.data = b->knock.data = b;
    b->client = (struct link_client){.self = &b->self,
                                     .on_message = on_answer,
                                     .data = b,
                                     .keys = &b->keys,
                                     .server_key = b->server_key};
    b->hammer_self = b->self;
    b->hammer = b->client;
    b->hammer.self = &b->hammer_self;
    uv_timer_start(&b->ask, on_ask, 0, ASK_MS);
    int rc = link_client_start(&b->client, &b->loop, b->zmq, b->address, 8);
    if (rc == 0) {
        rc = link_client_start(&b->hammer, &b->loop, b->zmq, b->address,
                               MOST_PEERS);
    }
    return rc;
}

int main(int argc, char **argv) {
    static struct bench b;
    log_init("bench_refused", LOG_WARN);
    if (argc < 5) {
        fprintf(stderr, "usage: bench_refused ADDRESS SERVER_KEY KEYS PID "
                        "[PEERS RATE SECONDS KIND]\n");
        return 2;
    }
    b.address = argv[1];
    b.server_key = argv[2];
    b.pid = atol(argv[4]);
    b.peers = argc > 5 ? atoi(argv[5]) : 50;
    b.rate = argc > 6 ? atoi(argv[6]) : 200;
    b.seconds = argc > 7 ? atoi(argv[7]) : 10;
    b.kind = argc > 8 ? argv[8][0] : 'k';
    if (b.peers < 1 || b.peers > MOST_PEERS || b.rate < 1 || b.seconds < 1) {
        fprintf(stderr, "PEERS 1 to %d, RATE and SECONDS 1 or more\n",
                MOST_PEERS);
        return 2;
    }
    if (start(&b, argv[3]) != 0) return 2;
    measure(&b, "quiet");
    b.knocked_ns = uv_hrtime();
    uv_timer_start(&b.knock, on_knock, 1, 1);
    measure(&b, "strangers");
    for (int i = 0; i < b.peers; i++) {
        if (b.strangers[i] != NULL) zmq_close(b.strangers[i]);
    }
    lifecycle_close_all(&b.loop);
    uv_run(&b.loop, UV_RUN_DEFAULT);
    link_client_finish(&b.client, 0);
    link_client_finish(&b.hammer, 0);
    uv_loop_close(&b.loop);
    zmq_ctx_term(b.zmq);
    zmq_ctx_term(b.zmq_strangers);
    return 0;
}
