#include "common/ledger.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/log.h"

enum {
    HEAD = 128,       /* a line without its hashes, at most */
    ONE_HASH = 1 + 8, /* " 0123abcd" */
    PATH_LEN = 1024,
};

uint32_t ledger_hash(const struct batch *rows, size_t i) {
    const size_t S = rows->S, A = rows->A;
    uint64_t hash = HASH_START;
    hash = hash_bytes(hash, rows->s + i * S, S * sizeof(float));
    hash = hash_bytes(hash, rows->a + i * A, A * sizeof(float));
    hash = hash_bytes(hash, rows->r + i, sizeof(float));
    hash = hash_bytes(hash, rows->next + i * S, S * sizeof(float));
    hash = hash_bytes(hash, rows->flags + i, 1);
    hash = hash_bytes(hash, rows->version + i, sizeof(uint64_t));
    return (uint32_t)(hash ^ hash >> 32);
}

static int open_file(const char *folder, const char *name, uint64_t incarnation,
                     const char *kind) {
    char path[PATH_LEN];
    int n = snprintf(path, sizeof path, "%s/%s-%016" PRIx64 ".%s", folder, name,
                     incarnation, kind);
    if (n < 0 || (size_t)n >= sizeof path) return -ENAMETOOLONG;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    return fd >= 0 ? fd : -errno;
}

int ledger_open(struct ledger *ledger, const char *folder, const char *name,
                uint64_t incarnation, size_t rows) {
    *ledger = (struct ledger){.rows = rows};
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) return -errno;
    ledger->line = malloc(HEAD + rows * ONE_HASH);
    if (ledger->line == NULL) return -ENOMEM;
    int rc = open_file(folder, name, incarnation, "sent");
    if (rc >= 0) {
        ledger->sent = rc + 1;
        rc = open_file(folder, name, incarnation, "acked");
    }
    if (rc < 0) {
        ledger_close(ledger);
        return rc;
    }
    ledger->acked = rc + 1;
    return 0;
}

void ledger_close(struct ledger *ledger) {
    if (ledger->sent > 0) close(ledger->sent - 1);
    if (ledger->acked > 0) close(ledger->acked - 1);
    free(ledger->line);
    *ledger = (struct ledger){0};
}

/* A gap would make the audit accuse the innocent: better none of the rest. */
static void append(struct ledger *ledger, int file, size_t n) {
    ssize_t written = write(file - 1, ledger->line, n);
    if (written >= 0 && (size_t)written == n) return;
    log_warn("ledger: %s: no longer written",
             strerror(written < 0 ? errno : ENOSPC));
    ledger_close(ledger);
}

static char *put_hash(char *at, uint32_t hash) {
    *at++ = ' ';
    for (int shift = 28; shift >= 0; shift -= 4)
        *at++ = "0123456789abcdef"[hash >> shift & 15];
    return at;
}

void ledger_sent(struct ledger *ledger, uint64_t actor, uint64_t epoch,
                 uint64_t seq, uint32_t shard, const struct batch *rows) {
    if (ledger->sent == 0) return;
    assert(rows->n <= ledger->rows);
    char *at = ledger->line;
    at += snprintf(at, HEAD,
                   "sent %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu32 " %zu",
                   actor, epoch, seq, shard, rows->n);
    for (size_t i = 0; i < rows->n; i++)
        at = put_hash(at, ledger_hash(rows, i));
    *at++ = '\n';
    append(ledger, ledger->sent, (size_t)(at - ledger->line));
}

void ledger_moved(struct ledger *ledger, uint64_t epoch, uint64_t seq,
                  uint32_t shard) {
    if (ledger->sent == 0) return;
    int n = snprintf(ledger->line, HEAD,
                     "moved %" PRIu64 " %" PRIu64 " %" PRIu32 "\n", epoch, seq,
                     shard);
    append(ledger, ledger->sent, (size_t)n);
}

void ledger_acked(struct ledger *ledger, uint64_t epoch, uint64_t seq,
                  uint32_t shard, uint64_t incarnation) {
    if (ledger->sent == 0) return;
    int n = snprintf(ledger->line, HEAD,
                     "acked %" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu64 "\n",
                     epoch, seq, shard, incarnation);
    append(ledger, ledger->acked, (size_t)n);
}
