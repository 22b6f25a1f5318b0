#include "learner/feed.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int feed_init(struct feed *feed, size_t n_slots, size_t minibatch, size_t S,
              size_t A) {
    *feed = (struct feed){.minibatch = minibatch, .next_id = 1};
    feed->slots = calloc(n_slots, sizeof(*feed->slots));
    if (feed->slots == NULL) return -ENOMEM;
    for (; feed->n_slots < n_slots; feed->n_slots++) {
        struct batch *rows = &feed->slots[feed->n_slots].rows;
        if (batch_init(rows, minibatch, S, A) != 0) {
            feed_finish(feed);
            return -ENOMEM;
        }
    }
    return 0;
}

void feed_finish(struct feed *feed) {
    for (size_t i = 0; i < feed->n_slots; i++) {
        batch_finish(&feed->slots[i].rows);
    }
    free(feed->slots);
    *feed = (struct feed){0};
}

static uint64_t total_size(const struct feed_source *sources, size_t n) {
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) total += sources[i].size;
    return total;
}

/* ---- who is silent ---- */

static bool is_silent(const struct feed *feed, uint64_t key) {
    for (size_t i = 0; i < feed->n_silent; i++) {
        if (feed->silent[i] == key) return true;
    }
    return false;
}

static void fall_silent(struct feed *feed, uint64_t key) {
    if (is_silent(feed, key) || feed->n_silent == FEED_MAX_SOURCES) return;
    feed->silent[feed->n_silent++] = key;
}

void feed_heard(struct feed *feed, uint64_t key) {
    for (size_t i = 0; i < feed->n_silent; i++) {
        if (feed->silent[i] == key)
            feed->silent[i] = feed->silent[--feed->n_silent];
    }
}

/* Those that are not silent; all where they hold no row. out (n) */
static size_t answering(const struct feed *feed, struct feed_source *out,
                        const struct feed_source *sources, size_t n) {
    size_t n_out = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_silent(feed, sources[i].key)) out[n_out++] = sources[i];
    }
    if (total_size(out, n_out) > 0) return n_out;
    for (size_t i = 0; i < n; i++) out[i] = sources[i];
    return n;
}

/* ---- parts ---- */

/* counts out (n): how many of rows fall to each source, total > 0. */
static void draw_shares(uint32_t *counts, const struct feed_source *sources,
                        size_t n, size_t rows, struct rng *rng) {
    const uint64_t total = total_size(sources, n);
    memset(counts, 0, n * sizeof(*counts));
    for (size_t row = 0; row < rows; row++) {
        uint64_t x = rng_below(rng, total);
        size_t i = 0;
        while (i + 1 < n && x >= sources[i].size) x -= sources[i++].size;
        counts[i]++;
    }
}

static void ask_part(struct feed *feed, struct feed_slot *slot, size_t part,
                     uint64_t now_us) {
    slot->parts[part].asked_us = now_us;
    const struct feed_ask ask = {.key = slot->parts[part].key,
                                 .id = slot->id,
                                 .update = slot->id,
                                 .part = (uint32_t)part,
                                 .n = slot->parts[part].n};
    feed->ask(feed->data, &ask);
}

/* Draw rows over the sources as new parts of slot, and ask for them. */
static void draw_parts(struct feed *feed, struct feed_slot *slot,
                       const struct feed_source *sources, size_t n, size_t rows,
                       uint64_t now_us) {
    uint32_t counts[FEED_MAX_SOURCES];
    draw_shares(counts, sources, n, rows, feed->rng);
    for (size_t i = 0; i < n; i++) {
        if (counts[i] == 0) continue;
        slot->parts[slot->n_parts] = (struct feed_part){
            .key = sources[i].key, .n = counts[i], .awaited = true};
        ask_part(feed, slot, slot->n_parts++, now_us);
    }
}

/* From nothing, under an id of its own: answers to an earlier one are late. */
static void begin_slot(struct feed *feed, struct feed_slot *slot,
                       const struct feed_source *sources, size_t n,
                       uint64_t now_us) {
    slot->id = feed->next_id++;
    slot->asked_us = now_us;
    slot->state = FEED_AWAITED;
    slot->rows.n = 0;
    slot->n_parts = 0;
    draw_parts(feed, slot, sources, n, feed->minibatch, now_us);
}

void feed_fill(struct feed *feed, const struct feed_source *sources, size_t n,
               uint64_t now_us) {
    assert(n <= FEED_MAX_SOURCES);
    if (total_size(sources, n) == 0) return;
    struct feed_source here[FEED_MAX_SOURCES];
    const size_t n_here = answering(feed, here, sources, n);
    for (size_t i = 0; i < feed->n_slots; i++) {
        if (feed->slots[i].state == FEED_FREE) {
            begin_slot(feed, &feed->slots[i], here, n_here, now_us);
        }
    }
}

int feed_answer(struct feed *feed, uint64_t key,
                const struct wire_minibatch *answer, uint64_t now_us) {
    struct feed_slot *slot = NULL;
    for (size_t i = 0; i < feed->n_slots; i++) {
        if (feed->slots[i].state == FEED_AWAITED &&
            feed->slots[i].id == answer->id) {
            slot = &feed->slots[i];
        }
    }
    if (slot == NULL || answer->part >= slot->n_parts ||
        !slot->parts[answer->part].awaited ||
        slot->parts[answer->part].key != key) {
        feed->late++;
        return -ESTALE;
    }
    struct feed_part *part = &slot->parts[answer->part];
    if (answer->rows.n != part->n || answer->rows.S != slot->rows.S ||
        answer->rows.A != slot->rows.A) {
        return -EBADMSG;
    }
    part->awaited = false;
    batch_append(&slot->rows, &answer->rows, 0, part->n);
    if (slot->rows.n == feed->minibatch) {
        slot->state = FEED_COMPLETE;
        histogram_add(&feed->latency, now_us - slot->asked_us);
    }
    return 0;
}

static bool among(const struct feed_source *sources, size_t n, uint64_t key) {
    for (size_t i = 0; i < n; i++) {
        if (sources[i].key == key) return true;
    }
    return false;
}

static void expire_part(struct feed *feed, struct feed_slot *slot, size_t part,
                        const struct feed_source *sources, size_t n,
                        uint64_t now_us) {
    struct feed_source others[FEED_MAX_SOURCES];
    size_t n_others = 0;
    const bool listed = among(sources, n, slot->parts[part].key);
    for (size_t i = 0; i < n; i++) {
        if (sources[i].key != slot->parts[part].key)
            others[n_others++] = sources[i];
    }
    if (total_size(others, n_others) > 0) {
        feed->redrawn++;
        if (slot->n_parts + n_others > FEED_MAX_PARTS) {
            begin_slot(feed, slot, sources, n, now_us);
            return;
        }
        slot->parts[part].awaited = false;
        draw_parts(feed, slot, others, n_others, slot->parts[part].n, now_us);
    } else if (listed) {
        feed->asked_again++;
        ask_part(feed, slot, part, now_us);
    } // else nobody is there: the next call looks again
}

static bool overdue(const struct feed_part *part, uint64_t now_us,
                    uint64_t timeout_us) {
    return part->awaited && now_us - part->asked_us >= timeout_us;
}

static void note_silent(struct feed *feed, uint64_t now_us,
                        uint64_t timeout_us) {
    for (size_t i = 0; i < feed->n_slots; i++) {
        const struct feed_slot *slot = &feed->slots[i];
        if (slot->state != FEED_AWAITED) continue;
        for (size_t p = 0; p < slot->n_parts; p++) {
            if (overdue(&slot->parts[p], now_us, timeout_us))
                fall_silent(feed, slot->parts[p].key);
        }
    }
}

void feed_expire(struct feed *feed, const struct feed_source *sources, size_t n,
                 uint64_t now_us, uint64_t timeout_us) {
    assert(n <= FEED_MAX_SOURCES);
    note_silent(feed, now_us, timeout_us);
    struct feed_source here[FEED_MAX_SOURCES];
    const size_t n_here = answering(feed, here, sources, n);
    for (size_t i = 0; i < feed->n_slots; i++) {
        struct feed_slot *slot = &feed->slots[i];
        const uint64_t id = slot->id;
        const size_t n_parts = slot->n_parts; // not those drawn meanwhile
        for (size_t p = 0; p < n_parts && slot->id == id; p++) {
            const struct feed_part *part = &slot->parts[p];
            if (slot->state != FEED_AWAITED || !part->awaited) continue;
            if (!among(here, n_here, part->key) ||
                overdue(part, now_us, timeout_us)) {
                expire_part(feed, slot, p, here, n_here, now_us);
            }
        }
    }
}

bool feed_has_complete(const struct feed *feed) {
    for (size_t i = 0; i < feed->n_slots; i++) {
        if (feed->slots[i].state == FEED_COMPLETE) return true;
    }
    return false;
}

struct feed_slot *feed_take(struct feed *feed) {
    struct feed_slot *oldest = NULL;
    for (size_t i = 0; i < feed->n_slots; i++) {
        struct feed_slot *slot = &feed->slots[i];
        if (slot->state == FEED_COMPLETE &&
            (oldest == NULL || slot->id < oldest->id)) {
            oldest = slot;
        }
    }
    if (oldest != NULL) oldest->state = FEED_LENT;
    return oldest;
}

void feed_give_back(struct feed *feed, struct feed_slot *slot) {
    (void)feed;
    assert(slot->state == FEED_LENT);
    slot->state = FEED_FREE;
}
