#ifndef PROTO_GUARD_H
#define PROTO_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "proto/allowed.h"
#include "proto/complaint.h"
#include "proto/keys.h"
#include "proto/sockpoll.h"

/*
 * Who gets in. ZeroMQ's handshake asks the guard about every key (RFC 27, ZAP)
 * and libzmq admits everyone where nobody answers, so it starts before any
 * other socket of its context and ends after all of them. A key that got in is
 * the User-Id of each of its messages, which link.c shows to guard_why_not()
 * before anybody else sees the message: what the list says now holds for live
 * connections too.
 *
 * The list is KEYS/allowed, read again on SIGHUP: a bad file is told in one
 * line and the list in force stays.
 */
struct guard_counters {
    uint64_t admitted; /* handshakes */
    uint64_t refused;  /* handshakes: a key that is not in the list, or none */
    uint64_t messages; /* refused for their sender's key */
};

struct guard {
    struct keys keys;       /* folder "": no keys, everything below is zero */
    struct allowed allowed; /* read-only, as everything but the next two */
    void (*on_reload)(struct guard *guard); /* another list is in force */
    void *data;
    struct guard_counters counters;

    /* private */
    uv_loop_t *loop;
    void *sock;
    struct sockpoll poll;
    uv_signal_t hangup;
    struct complaints complaints;
};

/*
 * folder: --keys; "" does nothing. on_reload and data are set by the caller
 * before; all else is. Returns 0 or a negative errno after one log_error;
 * handles that were made close with the loop's either way.
 */
int guard_start(struct guard *guard, uv_loop_t *loop, void *zmq,
                const char *folder);

/* Are there keys to serve with? guard may be NULL. */
bool guard_on(const struct guard *guard);

/* As SIGHUP does: false: the file is bad, one line was logged. */
bool guard_reload(struct guard *guard);

/*
 * May the owner of key ("": none) send this? message NULL: anything at all.
 * 0, or -EACCES with the reason in why (n bytes), counted. *who is set to the
 * name that the list gives the key, else the key itself.
 */
int guard_why_not(struct guard *guard, const char *key,
                  const struct wire_message *message, const char **who,
                  char *why, size_t n);

/* A handshake failed before a key was shown. */
void guard_count_failed(struct guard *guard);

/* After uv_run() has returned and every other socket is closed. */
void guard_finish(struct guard *guard);

#endif
