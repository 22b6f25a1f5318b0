#include "proto/guard.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <zmq.h>

#include "common/log.h"
#include "proto/link_socket.h"

enum { PER_TURN = 64 };

bool guard_on(const struct guard *guard) {
    return guard != NULL && guard->keys.folder[0] != '\0';
}

/* ---- ZAP: one request a handshake ---- */

/* Frames of a request, after its empty one. */
enum { EMPTY, VERSION, REQUEST, DOMAIN, ADDRESS, IDENTITY, MECHANISM, KEY, N };

static bool is(const zmq_msg_t *frame, const char *text) {
    zmq_msg_t *m = (zmq_msg_t *)frame; // libzmq reads only
    return zmq_msg_size(m) == strlen(text) &&
           memcmp(zmq_msg_data(m), text, strlen(text)) == 0;
}

static void complain(struct guard *guard, const char *key, zmq_msg_t *from) {
    char before[64];
    const char *who = key;
    guard->counters.refused++;
    if (!complaints_due(&guard->complaints, &who, uv_now(guard->loop), before,
                        sizeof(before))) {
        return;
    }
    log_warn("handshake from %.*s refused: key %s is not in %s/allowed%s",
             (int)zmq_msg_size(from), (const char *)zmq_msg_data(from), who,
             guard->keys.folder, before);
}

/* The key that asks, or NULL: not a CURVE request of this version. */
static const char *asked_key(zmq_msg_t *frames, int n,
                             char text[WIRE_KEY_LEN]) {
    if (n != N || !is(&frames[VERSION], "1.0") ||
        !is(&frames[MECHANISM], "CURVE") || zmq_msg_size(&frames[KEY]) != 32) {
        return NULL;
    }
    keys_hex(text, zmq_msg_data(&frames[KEY]));
    return text;
}

static void answer(struct guard *guard, zmq_msg_t *request, const char *key) {
    const char *parts[] = {key != NULL ? "200" : "400",
                           key != NULL ? "OK" : "key not allowed",
                           key != NULL ? key : "", ""};
    const size_t last = sizeof(parts) / sizeof(parts[0]) - 1;
    // a lost answer is a handshake that runs out of time
    const int more = ZMQ_DONTWAIT | ZMQ_SNDMORE;
    zmq_send(guard->sock, "1.0", 3, more);
    zmq_send(guard->sock, zmq_msg_data(request), zmq_msg_size(request), more);
    for (size_t i = 0; i <= last; i++) {
        zmq_send(guard->sock, parts[i], strlen(parts[i]),
                 i < last ? more : ZMQ_DONTWAIT);
    }
}

static void on_request(struct sockpoll *poll) {
    struct guard *guard = poll->data;
    for (int i = 0; i < PER_TURN; i++) {
        // a REP takes the empty frame off and puts it on again
        zmq_msg_t frames[N];
        char text[WIRE_KEY_LEN];
        zmq_msg_init(&frames[EMPTY]);
        int n = link_socket_receive(guard->sock, &frames[VERSION], N - 1);
        if (n < 0) return;
        const char *key = asked_key(frames, n + 1, text);
        const bool known =
            key != NULL && allowed_find(&guard->allowed, key) != NULL;
        if (known) {
            guard->counters.admitted++;
        } else {
            complain(guard, key != NULL ? key : "of another kind",
                     &frames[ADDRESS]);
        }
        answer(guard, &frames[REQUEST], known ? key : NULL);
        for (int f = 0; f < N; f++) zmq_msg_close(&frames[f]);
    }
}

/* ---- every message ---- */

int guard_why_not(struct guard *guard, const char *key,
                  const struct wire_message *message, const char **who,
                  char *why, size_t n) {
    const struct allowed_entry *entry = allowed_find(&guard->allowed, key);
    *who = entry != NULL ? entry->name : key;
    if (entry == NULL) {
        snprintf(why, n, "the list of allowed keys does not hold its key%s",
                 key[0] == '\0' ? ": it has none" : " (any more)");
    } else if (message != NULL && !allowed_may(entry->roles, message)) {
        char roles[64];
        allowed_roles(entry->roles, roles, sizeof(roles));
        snprintf(why, n, "the key of %s is that of %s: it may not send %s%s%s",
                 entry->name, roles, wire_type_name(message->type),
                 message->type == WIRE_HELLO ? " as " : "",
                 message->type == WIRE_HELLO
                     ? wire_role_name(message->hello.role)
                     : "");
    } else {
        return 0;
    }
    guard->counters.messages++;
    return -EACCES;
}

void guard_count_failed(struct guard *guard) {
    char before[64];
    const char *who = "somebody";
    guard->counters.refused++;
    if (complaints_due(&guard->complaints, &who, uv_now(guard->loop), before,
                       sizeof(before))) {
        log_warn("a handshake failed: no key, or one for another server%s",
                 before);
    }
}

/* ---- the list ---- */

bool guard_reload(struct guard *guard) {
    struct allowed fresh;
    char why[512];
    if (keys_allowed(&guard->keys, &fresh, why, sizeof(why)) != 0) {
        log_error("%s; the list in force stays", why);
        return false;
    }
    const size_t before = guard->allowed.n;
    allowed_finish(&guard->allowed);
    guard->allowed = fresh;
    keys_learner(&guard->keys, &fresh);
    log_info("%s/allowed read again: %zu keys, %zu before", guard->keys.folder,
             fresh.n, before);
    if (guard->on_reload != NULL) guard->on_reload(guard);
    return true;
}

static void on_hangup(uv_signal_t *handle, int signum) {
    (void)signum;
    (void)guard_reload(handle->data);
}

/* ---- start and finish ---- */

static int start_zap(struct guard *guard, void *zmq) {
    const int none = 0;
    guard->sock = zmq_socket(zmq, ZMQ_REP);
    if (guard->sock == NULL ||
        zmq_setsockopt(guard->sock, ZMQ_LINGER, &none, sizeof(none)) != 0 ||
        zmq_bind(guard->sock, "inproc://zeromq.zap.01") != 0) {
        return -zmq_errno();
    }
    return sockpoll_start(&guard->poll, guard->loop, guard->sock, on_request,
                          guard);
}

static int start_signal(struct guard *guard) {
    int rc = uv_signal_init(guard->loop, &guard->hangup);
    if (rc != 0) return rc;
    guard->hangup.data = guard;
    return uv_signal_start(&guard->hangup, on_hangup, SIGHUP);
}

int guard_start(struct guard *guard, uv_loop_t *loop, void *zmq,
                const char *folder) {
    char why[512];
    *guard = (struct guard){.on_reload = guard->on_reload,
                            .data = guard->data,
                            .loop = loop,
                            .allowed.learner = -1};
    int rc = keys_load(&guard->keys, folder);
    if (rc != 0 || folder[0] == '\0') return rc;
    rc = keys_allowed(&guard->keys, &guard->allowed, why, sizeof(why));
    if (rc != 0) {
        log_error("%s", why);
        return rc;
    }
    rc = start_zap(guard, zmq);
    if (rc == 0) rc = start_signal(guard);
    if (rc != 0) {
        log_error("cannot guard our sockets: %s", zmq_strerror(-rc));
        return rc;
    }
    log_info("%zu keys may take part, by %s/allowed (read again on SIGHUP)",
             guard->allowed.n, guard->keys.folder);
    return 0;
}

void guard_finish(struct guard *guard) {
    if (guard->sock != NULL) link_socket_close(guard->sock, 0);
    guard->sock = NULL;
    allowed_finish(&guard->allowed);
    keys_finish(&guard->keys);
}
