#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zmq.h>

#include "common/log.h"
#include "proto/lifecycle.h"
#include "proto/link.h"
#include "tests/unit/link_bench.h"
#include "tests/unit/test.h"

/* Hosts with keys of their own: what each is in the server's list. */
enum host { SERVER, ACTOR, SHARD, STRANGER, HOSTS };

struct world {
    struct link_bench *b;
    char home[64], folder[HOSTS][96], key[HOSTS][WIRE_KEY_LEN];
    struct guard guard;
    struct keys keys; /* the client's */
    int reloads;
};

/* ---- keys ---- */

__attribute__((format(printf, 2, 3))) static void
write_list(struct world *w, const char *format, ...) {
    char path[128];
    snprintf(path, sizeof(path), "%s/allowed", w->folder[SERVER]);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    va_list args;
    va_start(args, format);
    vfprintf(out, format, args);
    va_end(args);
    assert_int_equal(fclose(out), 0);
}

static void allow_all_but_the_stranger(struct world *w) {
    write_list(w, "%s here learner,observer\n%s a actor\n%s s shard\n",
               w->key[SERVER], w->key[ACTOR], w->key[SHARD]);
}

static int set_up(void **state) {
    struct world *w = calloc(1, sizeof(*w));
    void *bench;
    log_init("test_guard", getenv("VERBOSE") != NULL ? LOG_DEBUG : LOG_ERROR);
    if (w == NULL || link_bench_set_up(&bench) != 0) return -1;
    w->b = bench;
    strcpy(w->home, "/tmp/softq-keys-XXXXXX");
    assert_non_null(mkdtemp(w->home));
    for (int i = 0; i < HOSTS; i++) {
        snprintf(w->folder[i], sizeof(w->folder[i]), "%s/%d", w->home, i);
        assert_int_equal(keys_make(w->folder[i], w->key[i]), 0);
    }
    allow_all_but_the_stranger(w);
    *state = w;
    return 0;
}

static void close_handles(struct world *w) {
    lifecycle_close_all(&w->b->loop);
    uv_run(&w->b->loop, UV_RUN_DEFAULT);
}

static int tear_down(void **state) {
    struct world *w = *state;
    void *bench = w->b;
    char command[128];
    close_handles(w);
    link_client_finish(&w->b->client, 0);
    link_server_finish(&w->b->server, 0);
    guard_finish(&w->guard);
    keys_finish(&w->keys);
    link_bench_tear_down(&bench);
    snprintf(command, sizeof(command), "rm -r %s", w->home);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

/* ---- both ends ---- */

static void on_reload(struct guard *guard) {
    ((struct world *)guard->data)->reloads++;
}

static void start_server(struct world *w, const char *address) {
    w->guard = (struct guard){.on_reload = on_reload, .data = w};
    assert_int_equal(
        guard_start(&w->guard, &w->b->loop, w->b->zmq, w->folder[SERVER]), 0);
    const struct link_server_options options = {
        .address = address, .high_water = HIGH_WATER, .guard = &w->guard};
    w->b->server = (struct link_server){.self = &w->b->server_self,
                                        .on_message = link_bench_on_request,
                                        .data = w->b};
    assert_int_equal(
        link_server_start(&w->b->server, &w->b->loop, w->b->zmq, &options), 0);
}

/* The server's address, as one of this machine's. */
static void address_of(const struct world *w, char *address, size_t n) {
    snprintf(address, n, "tcp://127.0.0.1%s",
             strrchr(w->b->server.endpoint, ':'));
}

/* As one of the hosts, taking server_key for the server's; NULL: no keys. */
static void start_client_at(struct world *w, const char *address,
                            enum host host, const char *server_key) {
    assert_int_equal(
        keys_load(&w->keys, server_key != NULL ? w->folder[host] : ""), 0);
    w->b->client = (struct link_client){.self = &w->b->client_self,
                                        .on_message = link_bench_on_answer,
                                        .data = w->b,
                                        .keys = &w->keys,
                                        .server_key = server_key};
    w->b->client_self.run = RUN;
    assert_int_equal(link_client_start(&w->b->client, &w->b->loop, w->b->zmq,
                                       address, HIGH_WATER),
                     0);
}

static void start_client(struct world *w, enum host host,
                         const char *server_key) {
    char address[64];
    address_of(w, address, sizeof(address));
    start_client_at(w, address, host, server_key);
}

static struct world *served(void **state, enum host host) {
    struct world *w = *state;
    start_server(w, "tcp://127.0.0.1:*");
    start_client(w, host, w->key[SERVER]);
    link_bench_ask_and_hear(w->b, WIRE_GO);
    return w;
}

static void say(struct world *w, const struct wire_message *message) {
    assert_int_equal(link_client_send(&w->b->client, message), 0);
}

/* libzmq frees the port by and by. */
static void await_free(struct world *w, const char *endpoint) {
    const struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(strrchr(endpoint, ':') + 1)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int rc = 0;
    for (int i = 0; i < 1000 && rc == 0; i++) {
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        link_bench_run_for(w->b, 10);
        rc = connect(fd, (const struct sockaddr *)&to, sizeof(to));
        close(fd);
    }
    assert_int_not_equal(rc, 0);
}

static void on_poll_closed(struct sockpoll *poll) {
    (void)poll;
}

/* While the loop goes on; the guard stays. */
static void close_server(struct world *w) {
    sockpoll_stop(&w->b->server.poll, on_poll_closed);
    if (w->b->server.monitor != NULL) {
        sockpoll_stop(&w->b->server.monitor_poll, on_poll_closed);
    }
    link_bench_run_for(w->b, 20);
    link_server_finish(&w->b->server, 0);
    await_free(w, w->b->server.endpoint);
}

/* It knocks for a while, and until it knows why; nothing reaches the handler.
 */
static void knocks_in_vain(struct world *w, const char *words) {
    const int before = w->b->served;
    const char *why = NULL;
    (void)link_bench_send_status(w->b);
    for (int i = 0;
         i < 6 || (i < 200 && (why == NULL || strstr(why, words) == NULL));
         i++) {
        link_bench_run_for(w->b, 100);
        why = link_client_watch(&w->b->client);
    }
    assert_int_equal(w->b->served, before);
    assert_non_null(why);
    if (strstr(why, words) == NULL) fail_msg("'%s' without '%s'", why, words);
}

/* ---- handshakes ---- */

/* Who is in the list is served, and known by its key. */
static void an_allowed_key_is_served(void **state) {
    struct world *w = served(state, ACTOR);
    assert_string_equal(w->b->server.peer_key, w->key[ACTOR]);
    assert_int_equal(w->guard.counters.admitted, 1);
    assert_int_equal(w->guard.counters.refused, 0);
    assert_null(link_client_watch(&w->b->client));
}

/* No key: no message comes up, and the client knows why. */
static void without_a_key_nothing_gets_in(void **state) {
    struct world *w = *state;
    start_server(w, "tcp://127.0.0.1:*");
    start_client(w, ACTOR, NULL);
    knocks_in_vain(w, "with keys only");
    assert_true(w->guard.counters.refused > 0);
    assert_int_equal(w->guard.counters.admitted, 0);
}

static void on_cut(uv_handle_t *handle) {
    free(handle);
}

static void cut(uv_stream_t *listener, int status) {
    uv_tcp_t *stream = calloc(1, sizeof(*stream));
    assert_int_equal(status, 0);
    assert_non_null(stream);
    assert_int_equal(uv_tcp_init(listener->loop, stream), 0);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)stream), 0);
    uv_close((uv_handle_t *)stream, on_cut);
}

/* A server with keys may hang up before our side has read why. */
static void who_hangs_up_again_and_again_may_want_keys(void **state) {
    struct world *w = *state;
    uv_tcp_t *listener = calloc(1, sizeof(*listener));
    struct sockaddr_in any;
    struct sockaddr_in here;
    int len = sizeof(here);
    char address[64];
    assert_non_null(listener);
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &any), 0);
    assert_int_equal(uv_tcp_init(&w->b->loop, listener), 0);
    assert_int_equal(uv_tcp_bind(listener, (struct sockaddr *)&any, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)listener, 8, cut), 0);
    assert_int_equal(
        uv_tcp_getsockname(listener, (struct sockaddr *)&here, &len), 0);
    snprintf(address, sizeof(address), "tcp://127.0.0.1:%u",
             ntohs(here.sin_port));
    start_client_at(w, address, ACTOR, NULL);
    const char *why = NULL;
    for (int i = 0; i < 50 && why == NULL; i++) {
        link_bench_run_for(w->b, 100);
        why = link_client_watch(&w->b->client);
    }
    assert_non_null(why);
    assert_non_null(strstr(why, "ends each connection at once"));
    uv_close((uv_handle_t *)listener, on_cut);
}

/* A key that the list does not hold. */
static void an_unknown_key_does_not_get_in(void **state) {
    struct world *w = *state;
    start_server(w, "tcp://127.0.0.1:*");
    start_client(w, STRANGER, w->key[SERVER]);
    knocks_in_vain(w, "not in the allowed list");
    assert_true(w->guard.counters.refused > 0);
}

/* Asks ten times a second until it is served. */
static void gets_in_within(struct world *w, int seconds) {
    const int before = w->b->served;
    for (int i = 0; i < 10 * seconds && w->b->served == before; i++) {
        (void)link_bench_send_status(w->b);
        link_bench_run_for(w->b, 100);
        (void)link_client_watch(&w->b->client);
    }
    assert_true(w->b->served > before);
    assert_null(link_client_watch(&w->b->client));
}

/* Refused is no last word: who is allowed later gets in, with nothing started
 * again on either side. */
static void a_key_that_is_allowed_later_gets_in(void **state) {
    struct world *w = *state;
    start_server(w, "tcp://127.0.0.1:*");
    start_client(w, STRANGER, w->key[SERVER]);
    knocks_in_vain(w, "not in the allowed list");
    write_list(w, "%s late actor\n", w->key[STRANGER]);
    raise(SIGHUP);
    gets_in_within(w, 30);
}

/* Nor is a server without keys, once it serves with them. */
static void a_server_that_has_keys_later_is_found(void **state) {
    struct world *w = *state;
    char address[64];
    assert_int_equal(link_bench_start_server(w->b, "tcp://127.0.0.1:*"), 0);
    address_of(w, address, sizeof(address));
    start_client(w, ACTOR, w->key[SERVER]);
    knocks_in_vain(w, "serves without keys");
    close_server(w);
    start_server(w, address);
    gets_in_within(w, 30);
}

/* A client that takes another key for the server's: either may be an impostor.
 */
static void a_wrong_server_key_does_not_connect(void **state) {
    struct world *w = *state;
    start_server(w, "tcp://127.0.0.1:*");
    start_client(w, ACTOR, w->key[SHARD]);
    knocks_in_vain(w, "does not have the key");
    assert_true(w->guard.counters.refused > 0);
    assert_int_equal(w->guard.counters.admitted, 0);
    /* when nobody is there any more, it is no matter of keys */
    close_server(w);
    for (int i = 0; i < 200 && link_client_watch(&w->b->client) != NULL; i++)
        link_bench_run_for(w->b, 100);
    assert_null(link_client_watch(&w->b->client));
}

/* Who has keys does not talk to a server without. */
static void keys_are_not_shown_to_a_server_without(void **state) {
    struct world *w = *state;
    assert_int_equal(link_bench_start_server(w->b, "tcp://127.0.0.1:*"), 0);
    start_client(w, ACTOR, w->key[SERVER]);
    knocks_in_vain(w, "serves without keys");
}

/* ---- every message ---- */

/* Removed from the list by SIGHUP, a live connection is dead for handlers; back
 * in it, alive. */
static void a_removed_key_is_out_at_once(void **state) {
    struct world *w = served(state, ACTOR);
    const int served_before = w->b->served;
    write_list(w, "%s here learner\n", w->key[SERVER]);
    raise(SIGHUP);
    link_bench_run_for(w->b, 50);
    assert_int_equal(w->reloads, 1);
    for (int i = 0; i < 5; i++) link_bench_ask_and_hear(w->b, WIRE_REFUSED);
    assert_int_equal(w->b->served, served_before);
    assert_int_equal(w->b->refused.code, WIRE_CODE_KEY);
    assert_non_null(strstr(w->b->refused.reason, "(any more)"));
    assert_int_equal(w->guard.counters.messages, 5);
    assert_int_equal(w->guard.counters.admitted, 1); /* the same connection */

    /* its bytes are not even looked at */
    w->b->until = w->b->heard + 1;
    assert_int_equal(zmq_send(w->b->client.sock, "nonsense", 8, 0), 8);
    link_bench_run_until(w->b, link_bench_heard_all);
    assert_int_equal(w->b->refused.code, WIRE_CODE_KEY);
    assert_int_equal(w->guard.counters.messages, 6);
    assert_int_equal(w->b->server.bad, 0);

    allow_all_but_the_stranger(w);
    raise(SIGHUP);
    link_bench_run_for(w->b, 50);
    link_bench_ask_and_hear(w->b, WIRE_GO);
    assert_int_equal(w->b->served, served_before + 1);
    assert_int_equal(w->guard.counters.admitted, 1);
}

static void expect_refused(struct world *w, const struct wire_message *message,
                           const char *words) {
    const int before = w->b->served;
    const uint64_t counted = w->guard.counters.messages;
    w->b->until = w->b->heard + 1;
    say(w, message);
    link_bench_run_until(w->b, link_bench_heard_all);
    assert_int_equal(w->b->last_heard, WIRE_REFUSED);
    assert_int_equal(w->b->refused.code, WIRE_CODE_KEY);
    assert_int_equal(w->b->refused.about, message->type);
    if (strstr(w->b->refused.reason, words) == NULL)
        fail_msg("'%s' without '%s'", w->b->refused.reason, words);
    assert_int_equal(w->b->served, before);
    assert_int_equal(w->guard.counters.messages, counted + 1);
}

/* An actor's key is an actor's: a shard's messages do not pass with it. */
static void a_role_sends_its_own_messages_only(void **state) {
    struct world *w = served(state, ACTOR);
    float s[2] = {0}, a[1] = {0}, r[1] = {0};
    uint8_t flags[1] = {0};
    uint64_t version[1] = {0};
    const struct batch rows = {1, 1, 2, 1, s, a, r, s, flags, version, NULL};
    const struct wire_message minibatch = {
        .type = WIRE_MINIBATCH,
        .minibatch = {.id = 1, .rows = rows, .size = 1, .stored = 1}};
    const struct wire_message ready = {
        .type = WIRE_SHARD_READY,
        .shard_ready = {.spec = {2, 1}, .capacity = 1, .ring_id = 1}};
    const struct wire_message hello = {
        .type = WIRE_HELLO,
        .hello = {.role = WIRE_SHARD, .endpoint = "tcp://x:1"}};
    const struct wire_message stop = {.type = WIRE_STOP, .text = {"x", 1}};
    expect_refused(w, &minibatch, "the key of a is that of actor");
    expect_refused(w, &ready, "may not send shard ready");
    expect_refused(w, &hello, "may not send hello as shard");
    expect_refused(w, &stop, "may not send stop");
    const struct wire_message insert = {.type = WIRE_INSERT,
                                        .insert = {.seq = 1, .rows = rows}};
    w->b->until = w->b->heard + 1;
    say(w, &insert);
    link_bench_run_until(w->b, link_bench_heard_all);
    assert_int_equal(w->b->last_heard, WIRE_GO);
}

/* And the other way round. */
static void a_shards_key_inserts_nothing(void **state) {
    struct world *w = served(state, SHARD);
    float s[2] = {0}, a[1] = {0}, r[1] = {0};
    uint8_t flags[1] = {0};
    uint64_t version[1] = {0};
    const struct wire_message insert = {
        .type = WIRE_INSERT,
        .insert = {.seq = 9,
                   .rows = {1, 1, 2, 1, s, a, r, s, flags, version, NULL}}};
    expect_refused(w, &insert, "may not send insert");
    assert_int_equal(w->b->refused.seq, 9);
}

/* ---- the list ---- */

/* A bad file changes nothing: the list in force stays. */
static void a_bad_list_is_not_taken(void **state) {
    struct world *w = served(state, ACTOR);
    write_list(w, "%s here learner\nnonsense\n", w->key[SERVER]);
    log_init("test_guard", (enum log_level) - 1);
    raise(SIGHUP);
    link_bench_run_for(w->b, 50);
    assert_int_equal(w->reloads, 0);
    assert_int_equal(w->guard.allowed.n, 3);
    link_bench_ask_and_hear(w->b, WIRE_GO);
}

static bool knocked(struct link_bench *b) {
    return b->server.guard->counters.refused > 0;
}

/* From before the server is there, over every moment of its life, until after
 * its handles are closed: an unknown key's message never comes up. */
static void an_unknown_key_never_gets_in(void **state) {
    struct world *w = *state;
    start_server(w, "tcp://127.0.0.1:*");
    char address[64];
    address_of(w, address, sizeof(address));
    close_handles(w);
    link_server_finish(&w->b->server, 0);
    guard_finish(&w->guard);
    uv_timer_init(&w->b->loop, &w->b->deadline);
    await_free(w, address);

    for (int round = 0; round < 3; round++) {
        start_client_at(w, address, STRANGER, w->key[SERVER]);
        (void)link_bench_send_status(w->b);
        link_bench_run_for(w->b, 150); /* it knocks at a closed door */
        allow_all_but_the_stranger(w);
        start_server(w, address);
        for (int i = 0; i < 4; i++) {
            link_bench_run_for(w->b, 60 + 40 * (uint64_t)round);
            raise(SIGHUP);
        }
        link_bench_run_until(w->b, knocked);
        link_bench_run_for(w->b, 50);
        assert_int_equal(w->b->served, 0);
        close_handles(w);
        uv_sleep(300); /* nobody answers ZAP now */
        char byte;
        assert_int_equal(zmq_recv(w->b->server.sock, &byte, 1, ZMQ_DONTWAIT),
                         -1);
        assert_int_equal(zmq_errno(), EAGAIN);
        link_client_finish(&w->b->client, 0);
        link_server_finish(&w->b->server, 0);
        guard_finish(&w->guard);
        uv_timer_init(&w->b->loop, &w->b->deadline);
        await_free(w, address);
    }
    assert_int_equal(w->b->served, 0);
}

static void on_stopped(struct sockpoll *poll) {
    struct guard *guard = poll->data;
    zmq_close(guard->sock);
    guard->sock = NULL;
}

static bool refused_some(struct link_bench *b) {
    return b->heard_refused > 0;
}

/* libzmq admits everyone where no handler is bound: even then no message of a
 * key that no guard has seen comes up. */
static void without_a_handler_no_message_comes_up(void **state) {
    struct world *w = *state;
    start_server(w, "tcp://127.0.0.1:*");
    sockpoll_stop(&w->guard.poll, on_stopped);
    link_bench_run_for(w->b, 20);
    assert_null(w->guard.sock);
    start_client(w, STRANGER, w->key[SERVER]);
    (void)link_bench_send_status(w->b);
    link_bench_run_until(w->b, refused_some); /* it was let in by libzmq */
    assert_int_equal(w->b->served, 0);
    assert_int_equal(w->guard.counters.messages, 1);
    assert_non_null(strstr(w->b->refused.reason, "it has none"));
}

/* ---- addresses ---- */

/* With keys every interface may be bound; ipc is private without. */
static void keys_open_every_interface(void **state) {
    struct world *w = *state;
    start_server(w, "tcp://0.0.0.0:*");
    start_client(w, ACTOR, w->key[SERVER]);
    link_bench_ask_and_hear(w->b, WIRE_GO);
}

static void ipc_asks_for_no_key(void **state) {
    struct world *w = *state;
    start_server(w, w->b->ipc);
    start_client_at(w, w->b->ipc, ACTOR, NULL);
    link_bench_ask_and_hear(w->b, WIRE_GO);
    assert_string_equal(w->b->server.peer_key, "");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(an_allowed_key_is_served),
        CASE(without_a_key_nothing_gets_in),
        CASE(who_hangs_up_again_and_again_may_want_keys),
        CASE(an_unknown_key_does_not_get_in),
        CASE(a_key_that_is_allowed_later_gets_in),
        CASE(a_server_that_has_keys_later_is_found),
        CASE(a_wrong_server_key_does_not_connect),
        CASE(keys_are_not_shown_to_a_server_without),
        CASE(a_removed_key_is_out_at_once),
        CASE(a_role_sends_its_own_messages_only),
        CASE(a_shards_key_inserts_nothing),
        CASE(a_bad_list_is_not_taken),
        CASE(an_unknown_key_never_gets_in),
        CASE(without_a_handler_no_message_comes_up),
        CASE(keys_open_every_interface),
        CASE(ipc_asks_for_no_key),
    };
    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
