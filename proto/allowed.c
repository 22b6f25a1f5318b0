#include "proto/allowed.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 40 /* characters of a wrong word */ };

/* A line and what is said of it. */
struct line {
    const char *file;
    size_t number;
    char *why;
    size_t n;
};

__attribute__((format(printf, 2, 3))) static int bad(const struct line *line,
                                                     const char *format, ...) {
    int at = snprintf(line->why, line->n, "%.200s line %zu: ", line->file,
                      line->number);
    if (at < 0 || (size_t)at >= line->n) return -EBADMSG;
    va_list args;
    va_start(args, format);
    vsnprintf(line->why + at, line->n - (size_t)at, format, args);
    va_end(args);
    return -EBADMSG;
}

static const char *role_name(unsigned bit) {
    return bit == 0 ? "learner" : wire_role_name((enum wire_role)bit);
}

/* 0: there is no such role. */
static unsigned role_bit(const char *word) {
    for (unsigned bit = 0; bit <= WIRE_OBSERVER; bit++) {
        if (strcmp(role_name(bit), word) == 0) return 1u << bit;
    }
    return 0;
}

void allowed_roles(unsigned roles, char *text, size_t n) {
    size_t at = 0;
    text[0] = '\0';
    for (unsigned bit = 0; bit <= WIRE_OBSERVER && at < n; bit++) {
        if ((roles & 1u << bit) == 0) continue;
        at += (size_t)snprintf(text + at, n - at, "%s%s", at > 0 ? "," : "",
                               role_name(bit));
    }
}

/* ---- one line ---- */

/* The next word of *rest, ended in place; NULL: none is left. */
static char *next_word(char **rest) {
    char *word = *rest + strspn(*rest, " \t");
    if (*word == '\0') return NULL;
    char *end = word + strcspn(word, " \t");
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

static int parse_roles(const struct line *line, char *words, unsigned *roles) {
    char *word = words;
    *roles = 0;
    for (bool last = false; !last;) {
        char *end = word + strcspn(word, ",");
        last = *end == '\0';
        *end = '\0';
        const unsigned bit = role_bit(word);
        if (bit == 0) {
            return bad(line,
                       "role '%.*s': give one or more of learner, actor, "
                       "shard, evaluator, observer, by commas without spaces",
                       SHOWN, word);
        }
        if (*roles & bit) return bad(line, "role '%s' twice", word);
        *roles |= bit;
        word = end + 1;
    }
    return 0;
}

static int parse_entry(const struct line *line, char *text,
                       struct allowed_entry *entry) {
    char *rest = text;
    char *key = next_word(&rest), *name = next_word(&rest);
    char *roles = next_word(&rest), *more = next_word(&rest);
    if (!wire_key_ok(key) || key[0] == '\0') {
        return bad(line,
                   "key '%.*s': a public key is 64 hexadecimal digits "
                   "(0-9 a-f), as deploy/keys.sh show prints it",
                   SHOWN, key);
    }
    if (name == NULL || roles == NULL) {
        return bad(line, "%s is missing: PUBLIC_KEY NAME ROLES",
                   name == NULL ? "the name" : "the roles");
    }
    if (!wire_name_ok(name)) {
        return bad(line, "name '%.*s': 1 to %d of A-Z a-z 0-9 . _ -", SHOWN,
                   name, WIRE_NAME_LEN - 1);
    }
    if (more != NULL) {
        return bad(line,
                   "'%.*s' after the roles: they stand together, by commas "
                   "without spaces",
                   SHOWN, more);
    }
    memcpy(entry->key, key, sizeof(entry->key));
    memcpy(entry->name, name, strlen(name) + 1);
    return parse_roles(line, roles, &entry->roles);
}

/* What an earlier line has already. */
static int check_alone(const struct line *line, const struct allowed *allowed,
                       const struct allowed_entry *entry) {
    for (size_t i = 0; i < allowed->n; i++) {
        const struct allowed_entry *other = &allowed->list[i];
        if (strcmp(other->key, entry->key) == 0) {
            return bad(line, "the key of %s again: one line a key",
                       other->name);
        }
        if (strcmp(other->name, entry->name) == 0) {
            return bad(line, "name '%s' again: one line a name", entry->name);
        }
        if (other->roles & entry->roles & ALLOWED_LEARNER) {
            return bad(line, "%s is the learner already: one at most",
                       other->name);
        }
    }
    return 0;
}

static int add(const struct line *line, struct allowed *allowed, char *text) {
    struct allowed_entry entry = {0};
    int rc = parse_entry(line, text, &entry);
    if (rc == 0) rc = check_alone(line, allowed, &entry);
    if (rc == 0 && allowed->n == ALLOWED_MAX) {
        rc = bad(line, "more than %d keys", ALLOWED_MAX);
    }
    if (rc != 0) return rc;
    if ((allowed->n & (allowed->n - 1)) == 0) { // doubles
        const size_t room = allowed->n > 0 ? 2 * allowed->n : 1;
        struct allowed_entry *list =
            realloc(allowed->list, room * sizeof(*list));
        if (list == NULL) return -ENOMEM;
        allowed->list = list;
    }
    allowed->list[allowed->n++] = entry;
    return 0;
}

/* ---- the text ---- */

/* A line's bytes as text, without what ends it. */
static int take_line(const struct line *line, const char *from, size_t len,
                     char *text) {
    if (len > 0 && from[len - 1] == '\r') len--;
    if (len > ALLOWED_LINE_MAX) {
        return bad(line, "%zu characters, at most %d", len, ALLOWED_LINE_MAX);
    }
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)from[i];
        if ((c < 0x20 && c != '\t') || c == 0x7F) {
            return bad(line, "a character that cannot be shown (%u)", c);
        }
    }
    memcpy(text, from, len);
    text[len] = '\0';
    return 0;
}

static int by_key(const void *x, const void *y) {
    return strcmp(((const struct allowed_entry *)x)->key,
                  ((const struct allowed_entry *)y)->key);
}

static void put_in_order(struct allowed *allowed) {
    if (allowed->n > 0) {
        qsort(allowed->list, allowed->n, sizeof(*allowed->list), by_key);
    }
    allowed->learner = -1;
    for (size_t i = 0; i < allowed->n; i++) {
        if (allowed->list[i].roles & ALLOWED_LEARNER) allowed->learner = (int)i;
    }
}

int allowed_parse(struct allowed *allowed, const char *text, size_t len,
                  const char *file, char *why, size_t n) {
    struct line line = {.file = file, .why = why, .n = n};
    int rc = 0;
    *allowed = (struct allowed){.learner = -1};
    for (size_t at = 0; rc == 0 && at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        const size_t here = end != NULL ? (size_t)(end - text) - at : len - at;
        char words[ALLOWED_LINE_MAX + 1];
        line.number++;
        rc = take_line(&line, text + at, here, words);
        const char *first = words + strspn(words, " \t");
        if (rc == 0 && *first != '\0' && *first != '#') {
            rc = add(&line, allowed, words);
        }
        at += here + 1;
    }
    if (rc != 0) {
        if (rc == -ENOMEM) snprintf(why, n, "%.200s: out of memory", file);
        allowed_finish(allowed);
        return rc;
    }
    put_in_order(allowed);
    return 0;
}

void allowed_finish(struct allowed *allowed) {
    free(allowed->list);
    *allowed = (struct allowed){.learner = -1};
}

const struct allowed_entry *allowed_find(const struct allowed *allowed,
                                         const char *key) {
    struct allowed_entry wanted = {0};
    if (allowed->n == 0 || strlen(key) >= sizeof(wanted.key)) return NULL;
    strcpy(wanted.key, key);
    return bsearch(&wanted, allowed->list, allowed->n, sizeof(*allowed->list),
                   by_key);
}

/* ---- roles ---- */

bool allowed_may(unsigned roles, const struct wire_message *message) {
    const unsigned actor = 1u << WIRE_ACTOR, shard = 1u << WIRE_SHARD;
    const unsigned evaluator = 1u << WIRE_EVALUATOR;
    switch (message->type) {
    case WIRE_STATUS:
        return roles != 0;
    case WIRE_HELLO:
        return (roles & 1u << message->hello.role) != 0;
    case WIRE_INSERT:
        return (roles & actor) != 0;
    case WIRE_READY:
    case WIRE_GET_PARAMETERS:
    case WIRE_EPISODES:
        return (roles & (actor | evaluator)) != 0;
    case WIRE_SHARD_READY:
    case WIRE_MINIBATCH:
        return (roles & shard) != 0;
    case WIRE_HEARTBEAT:
    case WIRE_REFUSED:
        return (roles & (actor | shard | evaluator)) != 0;
    default:
        return false;
    }
}
