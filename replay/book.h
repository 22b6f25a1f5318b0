#ifndef REPLAY_BOOK_H
#define REPLAY_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A ledger (common/ledger.h), all files of its folder, read into memory: about
 * 50 bytes a batch and 4 a row.
 */
struct book_batch {
    uint64_t actor, epoch, seq;
    size_t hash;     /* of its first row, in hashes */
    uint32_t rows;   /* >= 1 */
    uint32_t shard;  /* that it first went to */
    uint32_t sender; /* of epoch, counted from 0 */
};

struct book_event { /* moved to shard, or acknowledged by it */
    uint64_t epoch, seq;
    uint32_t shard;
};

struct book {
    size_t n, n_moves, n_acks, n_hashes, senders;
    struct book_batch *batches; /* (n) by epoch and seq */
    struct book_event *moves;   /* (n_moves) by epoch, seq, shard */
    struct book_event *acks;    /* (n_acks) likewise */
    uint32_t *hashes;           /* (n_hashes) */
    uint32_t most;              /* rows of the largest batch */
    size_t room[4];             /* private */
};

/*
 * What was acknowledged, and what was sent. While senders are alive the first
 * comes before a look at the rings and the second after it, so that nobody is
 * missed or accused by being fast. book is zeroed before the first. Return 0 or
 * a negative errno with one line in why (n bytes): -ENOENT no folder, or
 * nothing in it; -EBADMSG a line that is none, or a batch that was sent twice;
 * -ENOMEM.
 */
int book_read_acked(struct book *book, const char *folder, char *why, size_t n);
int book_read_sent(struct book *book, const char *folder, char *why, size_t n);

/* A zeroed book may be closed, and one whose reading failed. */
void book_close(struct book *book);

/* NULL when it was never sent. */
const struct book_batch *book_find(const struct book *book, uint64_t epoch,
                                   uint64_t seq);

/* Did it go to this shard, first or later? */
bool book_went_to(const struct book *book, const struct book_batch *batch,
                  uint32_t shard);

/* Was it acknowledged, by whichever shard? */
bool book_answered(const struct book *book, const struct book_batch *batch);

#endif
