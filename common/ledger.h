#ifndef COMMON_LEDGER_H
#define COMMON_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#include "common/batch.h"

/*
 * What a sender of transitions sent and what it was told is stored, for an
 * audit (softq-replay --audit) that trusts neither side. Two append-only text
 * files, FOLDER/NAME-INCARNATION.sent and .acked (INCARNATION: 16 hex digits);
 * numbers are decimal, hashes 8 hex digits:
 *
 *   .sent    sent ACTOR EPOCH SEQ SHARD ROWS HASH HASH ... (ROWS of them)
 *            moved EPOCH SEQ SHARD       the batch goes to another shard as
 * well .acked   acked EPOCH SEQ SHARD INCARNATION
 *
 * A line is one plain write() that returns before the sender goes on, so a kill
 * leaves at most a last line without its end, of a batch that never left, or
 * whose answer nobody acted on. EPOCH names the sender in every line: several
 * senders of one process may share a ledger.
 */
struct ledger {
    /* private; zero: no ledger, every call but ledger_open() does nothing */
    int sent, acked; /* descriptors + 1 */
    size_t rows;
    char *line;
};

/*
 * Create folder if it is missing, and the two files. rows: the most of a batch.
 * Returns 0 or a negative errno (-ENAMETOOLONG, -ENOMEM, of mkdir and open);
 * nothing to close then.
 */
int ledger_open(struct ledger *ledger, const char *folder, const char *name,
                uint64_t incarnation, size_t rows);
/* A zeroed ledger may be closed. */
void ledger_close(struct ledger *ledger);

/* Before batch (actor, epoch, seq) goes to a shard for the first time. When a
 * line cannot be written it is logged, and nothing further is. */
void ledger_sent(struct ledger *ledger, uint64_t actor, uint64_t epoch,
                 uint64_t seq, uint32_t shard, const struct batch *rows);

/* Before it goes to another shard than the one it went to last. */
void ledger_moved(struct ledger *ledger, uint64_t epoch, uint64_t seq,
                  uint32_t shard);

/* When this shard, in this incarnation, said Inserted, before anything else. */
void ledger_acked(struct ledger *ledger, uint64_t epoch, uint64_t seq,
                  uint32_t shard, uint64_t incarnation);

/*
 * Hash of row i over exactly what sender and ring both know: hash_bytes() of
 * s (S), a (A), r (1) and s' (S) as float32, flags (one byte) and version
 * (uint64), its halves XORed. Not the ring's CRC: an audit must not share the
 * code that it judges.
 */
uint32_t ledger_hash(const struct batch *rows, size_t i);

#endif
