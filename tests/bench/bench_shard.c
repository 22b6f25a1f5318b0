/*
 * What one shard takes: a real softq-replay on loopback tcp stores batches of
 * 256 rows (265 bytes each in a message, 312 in the ring) from two senders that
 * keep a window of 16 unanswered, while a played learner draws minibatches of
 * 64 rows at a given rate. Beside it what ZeroMQ alone carries: the same bytes
 * from the same senders, received, answered and thrown away.
 *
 *   build/tests/bench/bench_shard [--curve] [--sample] [--json] [--port=P]
 *                       [SECONDS [MINIBATCHES_A_SECOND [FOLDER...]]]
 *
 * --curve: all of it, ZeroMQ alone too, with keys.
 * --sample: a ring that took rows for a second only serves, always 64
 * minibatches unanswered; ZeroMQ alone answers as many with the same bytes.
 * --port: first of those used (5640); P to P + 10.
 * --json: one object a FOLDER, in one line each: name ("shard"), kind (insert,
 * both, sample), curve, folder, rows_per_s (stored; of sample: served),
 * zeromq_rows_per_s, minibatches_per_s, insert_ms_p50, insert_ms_p99,
 * sample_ms_p50, sample_ms_p99 (0 where there are none; of sample, the
 * inserts are those that filled the ring).
 *
 * FOLDER: where the ring lies, for one run each; /tmp and /dev/shm if none is
 * given. Seconds above 10 include an msync.
 */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>
#include <zmq.h>

#include "common/config.h"
#include "common/histogram.h"
#include "common/log.h"
#include "common/rng.h"
#include "proto/guard.h"
#include "proto/keys.h"
#include "proto/lifecycle.h"
#include "proto/link.h"
#include "tests/bench/zeromq_alone.h"

enum {
    S = 28,
    A = 7,
    ROWS = 256,
    WINDOW = 16,
    SENDERS = 2,
    ROW_BYTES = (2 * S + A + 1) * 4 + 9,
    MINIBATCH = 64,
    MOST_ASKED = 64,
    FILL_SECONDS = 1,
    RUN = 77,
    CAPACITY = 1000000,
    MOST_SECONDS = 600
};

/* One sender's figures, in memory shared with its parent. */
struct sent {
    uint64_t rows;                              /* acknowledged */
    double cpu;                                 /* s */
    struct histogram all, second[MOST_SECONDS]; /* microseconds to Inserted */
};

static struct keys keys; /* one pair for all; of no folder: without keys */
static bool only_sample, json;
static int first_port = 5640;

static double clock_s(void) {
    return 1e-9 * (double)uv_hrtime();
}

static void die(const char *what) {
    fprintf(stderr, "bench_shard: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double cpu_of(const struct rusage *u) {
    return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) +
           1e-6 * (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

static double own_cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return cpu_of(&usage);
}

/* Returns the child's CPU seconds. */
static double await(pid_t pid) {
    struct rusage usage;
    if (wait4(pid, NULL, 0, &usage) != pid) die("wait");
    return cpu_of(&usage);
}

static struct batch random_rows(void) {
    struct batch rows;
    struct rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0, 0);
    if (batch_init(&rows, ROWS, S, A) != 0) die("rows");
    rows.n = ROWS;
    rng_fill_normal(&rng, rows.s, (size_t)ROWS * S);
    rng_fill_normal(&rng, rows.a, (size_t)ROWS * A);
    rng_fill_normal(&rng, rows.next, (size_t)ROWS * S);
    rng_fill_normal(&rng, rows.r, ROWS);
    memset(rows.flags, 0, ROWS);
    for (size_t i = 0; i < ROWS; i++) rows.version[i] = i;
    return rows;
}

/* ---- a sender ---- */

struct sender {
    uv_loop_t loop;
    uv_timer_t end;
    struct link_self self;
    struct link_client client;
    struct batch rows;
    uint64_t rank, seq;
    uint64_t sent_us[WINDOW];
    double began;
    struct sent *sent;
};

static void send_next(struct sender *s) {
    const struct wire_message message = {
        .type = WIRE_INSERT,
        .insert = {.epoch = s->self.incarnation,
                   .seq = s->seq,
                   .rank = s->rank,
                   .rows = s->rows}};
    s->sent_us[s->seq++ % WINDOW] = uv_hrtime() / 1000;
    errno = -link_client_send(&s->client, &message);
    if (errno != 0) die("send");
}

static void on_answer(struct link_client *client,
                      const struct wire_message *message) {
    struct sender *s = client->data;
    if (message->type != WIRE_INSERTED) {
        errno = EPROTO;
        die(wire_type_name(message->type));
    }
    const uint64_t us =
        uv_hrtime() / 1000 - s->sent_us[message->answer.seq % WINDOW];
    const size_t second = (size_t)(clock_s() - s->began);
    histogram_add(&s->sent->all, us);
    if (second < MOST_SECONDS) histogram_add(&s->sent->second[second], us);
    s->sent->rows += ROWS;
    send_next(s);
}

static void on_end(uv_timer_t *timer) {
    lifecycle_close_all(timer->loop);
}

static pid_t start_sender(const char *address, double seconds, size_t i,
                          struct sent *sent) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    static struct sender s;
    void *zmq = zmq_ctx_new();
    s.sent = sent;
    s.rank = i;
    s.rows = random_rows();
    uv_loop_init(&s.loop);
    link_self_init(&s.self, "actor", i == 0 ? "sender-0" : "sender-1");
    s.self.run = RUN;
    s.client = (struct link_client){.self = &s.self,
                                    .on_message = on_answer,
                                    .data = &s,
                                    .keys = &keys,
                                    .server_key = keys.public};
    if (link_client_start(&s.client, &s.loop, zmq, address, WINDOW + 8) != 0)
        die(address);
    uv_timer_init(&s.loop, &s.end);
    uv_timer_start(&s.end, on_end, (uint64_t)(1e3 * seconds), 0);
    s.began = clock_s();
    for (size_t k = 0; k < WINDOW; k++) send_next(&s);
    uv_run(&s.loop, UV_RUN_DEFAULT);
    sent->cpu = own_cpu();
    _exit(0);
}

/* ---- the learner ---- */

struct learner {
    uv_loop_t loop;
    uv_timer_t turn, end;
    struct config config;
    struct guard guard;
    struct link_self self;
    struct link_server server;
    struct link_route shard;
    char endpoint[WIRE_ADDRESS_LEN];
    bool listed;
    double rate, asking_since;
    uint64_t asked, answered;
    uint64_t asked_us[4096];
    struct histogram samples;
};

/* The sample whose answer says that the grant is there: from then on nobody is
 * told Busy. */
static const uint64_t GRANTED = UINT64_MAX;

static void to_shard(struct learner *l, const struct wire_message *message) {
    (void)link_server_send(&l->server, &l->shard, message);
}

static void welcome(struct learner *l) {
    char options[16384];
    long len = config_shared_text(&l->config, options, sizeof options);
    to_shard(l, &(struct wire_message){
                    .type = WIRE_WELCOME,
                    .welcome = {.options = options,
                                .options_len = (size_t)len,
                                .topology = {.version = 1, .spec = {S, A}}}});
}

/* As many as are due. */
static void ask(struct learner *l) {
    if (!l->listed) return;
    const double due = l->rate * (clock_s() - l->asking_since);
    while ((double)l->asked < due && l->asked - l->answered < MOST_ASKED) {
        l->asked_us[l->asked % 4096] = uv_hrtime() / 1000;
        to_shard(l,
                 &(struct wire_message){.type = WIRE_SAMPLE,
                                        .sample = {.id = l->asked++,
                                                   .n = MINIBATCH,
                                                   .store_until = UINT64_MAX}});
    }
}

static void on_message(struct link_server *server,
                       const struct link_route *from,
                       const struct wire_message *message) {
    struct learner *l = server->data;
    l->shard = *from;
    switch (message->type) {
    case WIRE_HELLO:
        strcpy(l->endpoint, message->hello.endpoint);
        welcome(l);
        break;
    case WIRE_SHARD_READY:
        to_shard(l, &(struct wire_message){.type = WIRE_GO});
        to_shard(l, &(struct wire_message){
                        .type = WIRE_SAMPLE,
                        .sample = {
                            .id = GRANTED, .n = 1, .store_until = UINT64_MAX}});
        break;
    case WIRE_MINIBATCH:
        if (message->minibatch.id == GRANTED) {
            l->listed = true;
            break;
        }
        l->answered++;
        histogram_add(&l->samples,
                      uv_hrtime() / 1000 -
                          l->asked_us[message->minibatch.id % 4096]);
        if (only_sample) ask(l);
        break;
    default:
        break;
    }
}

static void on_filled(uv_timer_t *timer) {
    uv_stop(timer->loop);
}

static void on_turn(uv_timer_t *timer) {
    ask(timer->data);
}

static pid_t start_shard(const char *program, const char *join,
                         const char *folder) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    char join_option[600], run[600], with[600], port[32];
    snprintf(port, sizeof port, "--port=%d", first_port);
    snprintf(join_option, sizeof join_option, "--join=%s", join);
    snprintf(run, sizeof run, "--run_dir=%s", folder);
    snprintf(with, sizeof with, "--keys=%s", keys.folder);
    execl(program, program, join_option, run, with, "--transport=tcp", port,
          "--log_level=warn", (char *)NULL);
    die(program);
    return -1;
}

static void start_learner(struct learner *l, void *zmq, double rate) {
    config_defaults(&l->config);
    l->config.replay_size = CAPACITY;
    l->config.batch = ROWS;
    l->config.minibatch = MINIBATCH;
    l->rate = rate;
    uv_loop_init(&l->loop);
    uv_timer_init(&l->loop, &l->turn);
    uv_timer_init(&l->loop, &l->end);
    l->turn.data = l;
    if (guard_start(&l->guard, &l->loop, zmq, keys.folder) != 0) die("keys");
    link_self_init(&l->self, "learner", "learner");
    l->self.run = RUN;
    l->server = (struct link_server){
        .self = &l->self, .on_message = on_message, .data = l};
    const struct link_server_options options = {
        .address = "tcp://127.0.0.1:*", .guard = &l->guard, .high_water = 1024};
    if (link_server_start(&l->server, &l->loop, zmq, &options) != 0)
        die("learner");
}

/* Rows a second that ZeroMQ carries, as many bytes each. */
static double bench_plain(double seconds) {
    const struct zeromq_alone what = {
        .port = first_port + 1,
        .keys = &keys,
        .clients = only_sample ? 1 : SENDERS,
        .window = only_sample ? MOST_ASKED : WINDOW,
        .request = only_sample ? 16 : ROWS * ROW_BYTES,
        .answer = only_sample ? MINIBATCH * ROW_BYTES : 16,
        .seconds = seconds};
    const struct zeromq_alone_result r = zeromq_alone(&what);
    const double rows = r.answers_per_s * (only_sample ? MINIBATCH : ROWS);
    if (json) return rows;
    const double millions = 1e-6 * rows * seconds;
    printf("ZeroMQ alone%s: %.2f M rows/s; CPU s a million rows: server %.2f, "
           "clients %.2f\n",
           keys.folder[0] != '\0' ? " with CURVE" : "", 1e-6 * rows,
           r.server_cpu / millions, r.clients_cpu / millions);
    return rows;
}

/* ---- the shard ---- */

/* The worst p99.9 of a whole second: where an msync falls. */
static uint64_t worst_second(const struct sent *sent, size_t seconds) {
    uint64_t worst = 0;
    for (size_t i = 0; i + 1 < seconds && i < MOST_SECONDS; i++) {
        struct histogram both = sent[0].second[i];
        histogram_merge(&both, &sent[1].second[i]);
        const uint64_t us = histogram_quantile(&both, 0.999);
        if (us > worst) worst = us;
    }
    return worst;
}

static void report(const char *folder, const struct sent *sent, double seconds,
                   double shard_cpu, const struct learner *l, double plain) {
    if (only_sample) {
        const double rows = MINIBATCH * (double)l->answered / seconds;
        printf("%s: %.2f M rows/s sampled, %.0f %% of ZeroMQ alone; sample p50 "
               "%.2f ms, p99.9 %.2f\n",
               folder, 1e-6 * rows, 100.0 * rows / plain,
               1e-3 * (double)histogram_quantile(&l->samples, 0.5),
               1e-3 * (double)histogram_quantile(&l->samples, 0.999));
        return;
    }
    struct histogram all = sent[0].all;
    histogram_merge(&all, &sent[1].all);
    const double rows = (double)(sent[0].rows + sent[1].rows);
    const double cpu = sent[0].cpu + sent[1].cpu;
    printf("%s: %.2f M rows/s, %.0f %% of ZeroMQ alone; %.0f minibatches/s; "
           "CPU s a million rows: shard %.2f, senders %.2f\n",
           folder, 1e-6 * rows / seconds, 100.0 * rows / seconds / plain,
           (double)l->answered / seconds, 1e6 * shard_cpu / rows,
           1e6 * cpu / rows);
    printf("  insert p50 %.2f ms, p99 %.2f, p99.9 %.2f, most %.2f; the worst "
           "second's p99.9 %.2f; sample p50 %.2f ms, p99.9 %.2f\n",
           1e-3 * (double)histogram_quantile(&all, 0.5),
           1e-3 * (double)histogram_quantile(&all, 0.99),
           1e-3 * (double)histogram_quantile(&all, 0.999),
           1e-3 * (double)histogram_quantile(&all, 1.0),
           1e-3 * (double)worst_second(sent, (size_t)seconds),
           1e-3 * (double)histogram_quantile(&l->samples, 0.5),
           1e-3 * (double)histogram_quantile(&l->samples, 0.999));
}

static double ms_of(const struct histogram *h, double share) {
    return h->n > 0 ? 1e-3 * (double)histogram_quantile(h, share) : 0.0;
}

static void report_json(const char *folder, const struct sent *sent,
                        double seconds, double shard_cpu,
                        const struct learner *l, double plain) {
    (void)shard_cpu;
    struct histogram all = sent[0].all;
    histogram_merge(&all, &sent[1].all);
    const double samples = (double)l->answered / seconds;
    const double rows = only_sample
                            ? MINIBATCH * samples
                            : (double)(sent[0].rows + sent[1].rows) / seconds;
    printf("{\"name\": \"shard\", \"kind\": \"%s\", \"curve\": %s, "
           "\"folder\": \"%s\", \"rows_per_s\": %.6g, "
           "\"zeromq_rows_per_s\": %.6g, \"minibatches_per_s\": %.6g, "
           "\"insert_ms_p50\": %.4g, \"insert_ms_p99\": %.4g, "
           "\"sample_ms_p50\": %.4g, \"sample_ms_p99\": %.4g}\n",
           only_sample       ? "sample"
           : l->answered > 0 ? "both"
                             : "insert",
           keys.folder[0] != '\0' ? "true" : "false", folder, rows, plain,
           samples, ms_of(&all, 0.5), ms_of(&all, 0.99),
           ms_of(&l->samples, 0.5), ms_of(&l->samples, 0.99));
}

static void remove_folder(const char *folder) {
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0) die(folder);
}

static void bench_shard(const char *program, const char *where,
                        struct sent *sent, double seconds, double rate,
                        double plain) {
    char folder[512];
    static struct learner l;
    void *zmq = zmq_ctx_new();
    l = (struct learner){0};
    memset(sent, 0, SENDERS * sizeof *sent);
    snprintf(folder, sizeof folder, "%s/bench-shard-XXXXXX", where);
    if (mkdtemp(folder) == NULL) die(folder);
    start_learner(&l, zmq, rate);
    pid_t shard = start_shard(program, l.server.endpoint, folder);
    while (!l.listed) uv_run(&l.loop, UV_RUN_ONCE);

    pid_t senders[SENDERS];
    for (size_t i = 0; i < SENDERS; i++)
        senders[i] = start_sender(
            l.endpoint, only_sample ? FILL_SECONDS : seconds, i, &sent[i]);
    if (only_sample) {
        uv_timer_start(&l.end, on_filled, 1200 * FILL_SECONDS, 0);
        uv_run(&l.loop, UV_RUN_DEFAULT);
    }
    l.asking_since = clock_s();
    if (rate > 0) uv_timer_start(&l.turn, on_turn, 1, 1);
    uv_timer_start(&l.end, on_end, (uint64_t)(1e3 * seconds), 0);
    uv_run(&l.loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < SENDERS; i++) await(senders[i]);
    kill(shard, SIGTERM);
    const double shard_cpu = await(shard);
    (json ? report_json : report)(where, sent, seconds, shard_cpu, &l, plain);

    link_server_finish(&l.server, 0);
    guard_finish(&l.guard);
    uv_loop_close(&l.loop);
    zmq_ctx_term(zmq);
    remove_folder(folder);
}

/* A pair that may be anyone, in a folder for remove_folder(). */
static void make_keys(void) {
    static char folder[] = "/tmp/bench-shard-keys-XXXXXX";
    char path[600], public[WIRE_KEY_LEN];
    if (mkdtemp(folder) == NULL || keys_make(folder, public) != 0) die(folder);
    snprintf(path, sizeof path, "%s/allowed", folder);
    FILE *file = fopen(path, "w");
    if (file == NULL) die(path);
    fprintf(file, "%s bench learner,actor,shard\n", public);
    fclose(file);
    if (keys_load(&keys, folder) != 0) die(folder);
}

static double given(int argc, char **argv, int i, double otherwise) {
    return argc > i ? atof(argv[i]) : otherwise;
}

int main(int argc, char **argv) {
    const char *self = argv[0];
    bool curve = false;
    for (; argc > 1 && argv[1][0] == '-'; argc--, argv++) {
        const char *option = argv[1];
        if (strcmp(option, "--curve") == 0) {
            curve = true;
        } else if (strcmp(option, "--sample") == 0) {
            only_sample = true;
        } else if (strcmp(option, "--json") == 0) {
            json = true;
        } else if (sscanf(option, "--port=%d", &first_port) != 1) {
            fprintf(stderr, "bench_shard: what is %s?\n", option);
            return 2;
        }
    }
    const double seconds = given(argc, argv, 1, 15);
    const double rate = only_sample ? 1e9 : given(argc, argv, 2, 2000);
    static char *folders[] = {"/tmp", "/dev/shm", NULL};
    char **folder = argc > 3 ? argv + 3 : folders;
    if (!(seconds >= 1 && seconds < MOST_SECONDS)) {
        fprintf(stderr, "bench_shard: SECONDS from 1 to %d\n", MOST_SECONDS);
        return 2;
    }
    log_init("bench_shard", LOG_WARN);
    char program[600];
    snprintf(program, sizeof program, "%s/../../softq-replay",
             dirname(strdup(self)));
    struct sent *sent =
        mmap(NULL, SENDERS * sizeof *sent, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (sent == MAP_FAILED) die("memory");
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (curve) make_keys();
    const double plain = bench_plain(seconds < 5 ? seconds : 5);
    for (; *folder != NULL; folder++)
        bench_shard(program, *folder, sent, seconds, rate, plain);
    if (curve) remove_folder(keys.folder);
    return 0;
}
