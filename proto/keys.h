#ifndef PROTO_KEYS_H
#define PROTO_KEYS_H

#include "proto/allowed.h"

/*
 * A host's keys folder (--keys=KEYS, made by deploy/keys.sh), 0700:
 *
 *   secret   0600, this host's secret key; it never leaves the host, a log, or
 *            this process
 *   public   the same pair's public key, for people to copy
 *   allowed  allowed.h: who may take part, and which key is the learner's
 *
 * CURVE with one pair a host. Keys are 64 hexadecimal digits here and in files.
 */
struct keys {
    char folder[512];                                 /* "": no keys */
    char public[WIRE_KEY_LEN], learner[WIRE_KEY_LEN]; /* learner "": unknown */
    unsigned char secret_bytes[32];
};

/*
 * Read secret, and the learner's key from allowed where that is there. folder
 * "" is no keys: all of keys is zero. Returns 0, or a negative errno after one
 * log_error that says what to do: -EACCES a folder or secret that others may
 * read, -EPERM another user's, -ENOENT, -EBADMSG.
 */
int keys_load(struct keys *keys, const char *folder);

/* KEYS/allowed as it is now. Returns 0, or a negative errno and one line in
 * why (n bytes). Free by allowed_finish(). */
int keys_allowed(const struct keys *keys, struct allowed *allowed, char *why,
                 size_t n);

/* The learner's key is what this list says. */
void keys_learner(struct keys *keys, const struct allowed *allowed);

/*
 * A new pair: folder (0700, made where missing), secret and public in it.
 * Returns 0 and the public key, or a negative errno after one log_error:
 * -EEXIST there is a secret already.
 */
int keys_make(const char *folder, char public[WIRE_KEY_LEN]);

/*
 * Is a keys folder in order, with a learner in its list; or is a file a list as
 * allowed would be? 0, or a negative errno after one log_error.
 */
int keys_check(const char *path);

/* Forget the secret. */
void keys_finish(struct keys *keys);

/* This socket serves with our keys, or connects with them to a server of that
 * public key; before bind or connect. 0 or a negative errno. */
int keys_serve(const struct keys *keys, void *sock);
int keys_connect(const struct keys *keys, void *sock, const char *server);

/* 32 bytes as 64 digits and a zero. */
void keys_hex(char text[WIRE_KEY_LEN], const unsigned char bytes[32]);

#endif
