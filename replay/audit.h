#ifndef REPLAY_AUDIT_H
#define REPLAY_AUDIT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * The rings of a run against a ledger of its senders (common/ledger.h): was all
 * that was acknowledged stored by the shard that said so, unaltered, and was
 * nothing else?
 *
 * Rows that a ring has overwritten cannot be looked at. Of such a ring, what it
 * acknowledged to a sender must be there from AUDIT_SPAN batches above the
 * sender's oldest one in it on: a batch that far above was sent after the
 * oldest one was answered, so it was stored later. And the acknowledged rows
 * that it lacks are never more than those that it has overwritten: every row
 * ever stored has a number of its own. What hides a loss from this are as many
 * overwritten rows that nobody acknowledged: imported ones, and those stored
 * before a kill or a move, whose answer was never heard.
 *
 * A batch may be in two shards only if the ledger says that it went to both: it
 * was moved because the learner had declared the first one dead, before its
 * answer came. A sender's window bounds these to W for each such cut.
 */
enum { AUDIT_SPAN = 64 }; /* batches; the largest window */

struct audit {
    uint64_t senders, sent_batches, sent_rows, acked_batches, acked_rows;
    uint64_t moved_batches; /* that went to more than one shard */
    uint64_t shards, stored_rows, present_rows;
    uint64_t overwritten_batches; /* acknowledged, and rightly gone since */
    uint64_t imported_rows;       /* of other runs; not looked at */
    uint64_t distinct_batches;    /* present, wholly or not */
    uint64_t duplicate_batches;   /* of these, in two shards or more */
    uint64_t unanswered_batches;  /* of these, never acknowledged */

    /* findings: each should be 0 */
    uint64_t missing_batches, missing_rows; /* acknowledged, not in its ring */
    uint64_t altered_rows;                  /* hash or actor differ */
    uint64_t unknown_rows;                  /* never sent */
    uint64_t unknown_acks;                  /* of batches never sent */
    uint64_t doubled_batches;               /* twice in one shard */
    uint64_t strayed_batches;               /* where they were never sent */
    uint64_t lost_rows;        /* numbered, neither there nor overwritten */
    uint64_t overdrawn_shards; /* lack more than they have overwritten */
};

/*
 * Look at RUN/replay/shard-*.ring and the ledger's folder, in an order in which
 * senders and shards may be alive unless a ring wraps. Findings go to out as
 * they are met, the first few of a kind, a line each. Returns 0 or a negative
 * errno with one line in why (n bytes): as ring_open_read() and book_read_...()
 */
int audit_run(struct audit *audit, const char *run, const char *ledger,
              FILE *out, char *why, size_t n);

uint64_t audit_findings(const struct audit *audit);

/* A line "key value" each, findings last, then the verdict in words. */
void audit_print(const struct audit *audit, FILE *out);

#endif
