#ifndef PROTO_ALLOWED_H
#define PROTO_ALLOWED_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/wire.h"

/*
 * Who may take part in a run, and as what: the text of KEYS/allowed, a host a
 * line, the same on every host.
 *
 *   # PUBLIC_KEY NAME ROLES
 *   5f1c...9a gpu1 learner,shard,observer
 *   02be...44 lab-7 actor
 *
 * PUBLIC_KEY is 64 hexadecimal digits, NAME [A-Za-z0-9._-] for people, ROLES
 * one or more of learner, actor, shard, evaluator, observer, by commas. Any
 * spaces and tabs between; a line that begins with # and an empty one say
 * nothing. No key and no name twice, and one learner at most: its line is also
 * how all others know the learner. Pure: bytes come in.
 */
enum {
    ALLOWED_MAX = 4096,      /* keys */
    ALLOWED_LINE_MAX = 255,  /* characters */
    ALLOWED_LEARNER = 1 << 0 /* the bit of a wire_role is 1 << role */
};

struct allowed_entry {
    char key[WIRE_KEY_LEN];
    char name[WIRE_NAME_LEN];
    unsigned roles; /* bits */
};

struct allowed {
    size_t n;
    struct allowed_entry *list; /* (n) in the order of keys, owned */
    int learner;                /* index in list, -1: none is named */
};

/*
 * Parse len bytes; file: what messages call them. Returns 0, or with one line
 * in why (n bytes) and nothing to free -ENOMEM or -EBADMSG. The line names
 * file, line, what is wrong and what is allowed. allowed is overwritten.
 */
int allowed_parse(struct allowed *allowed, const char *text, size_t len,
                  const char *file, char *why, size_t n);
void allowed_finish(struct allowed *allowed);

/* Borrowed; NULL: not allowed. "" is nobody's key. */
const struct allowed_entry *allowed_find(const struct allowed *allowed,
                                         const char *key);

/*
 * May somebody of these roles send this message to a server? A Hello is for
 * who has the role that it names, Status for everyone, what only servers send
 * for nobody.
 */
bool allowed_may(unsigned roles, const struct wire_message *message);

/* "actor,shard" into text (n bytes, 64 hold all). */
void allowed_roles(unsigned roles, char *text, size_t n);

#endif
