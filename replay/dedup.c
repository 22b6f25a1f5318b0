#include "replay/dedup.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int dedup_init(struct dedup *dedup) {
    *dedup = (struct dedup){.size = 64};
    dedup->pairs = calloc(dedup->size, sizeof *dedup->pairs);
    return dedup->pairs != NULL ? 0 : -ENOMEM;
}

void dedup_finish(struct dedup *dedup) {
    free(dedup->pairs);
    *dedup = (struct dedup){0};
}

/* splitmix64's finish: ranks are small numbers, epochs random ones. */
static size_t home(const struct dedup *dedup, uint64_t actor, uint64_t epoch) {
    uint64_t x = epoch ^ actor * 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return (size_t)(x ^ x >> 31) & (dedup->size - 1);
}

/* Where the pair is, or the free place where it would go. */
static size_t find(const struct dedup *dedup, uint64_t actor, uint64_t epoch) {
    size_t i = home(dedup, actor, epoch);
    while (dedup->pairs[i].rows != 0 &&
           (dedup->pairs[i].actor != actor || dedup->pairs[i].epoch != epoch)) {
        i = (i + 1) & (dedup->size - 1);
    }
    return i;
}

enum dedup_verdict dedup_check(const struct dedup *dedup, uint64_t actor,
                               uint64_t epoch, uint64_t seq) {
    const struct dedup_pair *pair = &dedup->pairs[find(dedup, actor, epoch)];
    if (pair->rows == 0 || pair->mask == 0 || seq > pair->highest)
        return DEDUP_NEW;
    uint64_t behind = pair->highest - seq;
    if (behind >= 64) return DEDUP_STALE;
    return (pair->mask >> behind & 1) != 0 ? DEDUP_DUPLICATE : DEDUP_NEW;
}

static int grow(struct dedup *dedup) {
    struct dedup bigger = {.size = dedup->size * 2, .used = dedup->used};
    bigger.pairs = calloc(bigger.size, sizeof *bigger.pairs);
    if (bigger.pairs == NULL) return -ENOMEM;
    for (size_t i = 0; i < dedup->size; i++) {
        const struct dedup_pair *pair = &dedup->pairs[i];
        if (pair->rows != 0)
            bigger.pairs[find(&bigger, pair->actor, pair->epoch)] = *pair;
    }
    free(dedup->pairs);
    *dedup = bigger;
    return 0;
}

int dedup_add(struct dedup *dedup, uint64_t actor, uint64_t epoch, uint64_t n) {
    assert(n > 0);
    size_t i = find(dedup, actor, epoch);
    if (dedup->pairs[i].rows == 0) {
        if ((dedup->used + 1) * 2 > dedup->size) {
            int rc = grow(dedup);
            if (rc != 0) return rc;
            i = find(dedup, actor, epoch);
        }
        dedup->pairs[i] = (struct dedup_pair){.actor = actor, .epoch = epoch};
        dedup->used++;
    }
    dedup->pairs[i].rows += n;
    return 0;
}

void dedup_drop(struct dedup *dedup, uint64_t actor, uint64_t epoch,
                uint64_t n) {
    size_t gap = find(dedup, actor, epoch);
    if (dedup->pairs[gap].rows == 0) return;
    if (dedup->pairs[gap].rows > n) {
        dedup->pairs[gap].rows -= n;
        return;
    }
    dedup->pairs[gap].rows = 0;
    dedup->used--;

    /* move back those that had to step over the freed place */
    size_t end = dedup->size - 1;
    for (size_t i = (gap + 1) & end; dedup->pairs[i].rows != 0;
         i = (i + 1) & end) {
        size_t from = home(dedup, dedup->pairs[i].actor, dedup->pairs[i].epoch);
        if (((i - from) & end) < ((i - gap) & end)) continue;
        dedup->pairs[gap] = dedup->pairs[i];
        dedup->pairs[i].rows = 0;
        gap = i;
    }
}

uint64_t *dedup_owner(const struct dedup *dedup, uint64_t actor,
                      uint64_t epoch) {
    struct dedup_pair *pair = &dedup->pairs[find(dedup, actor, epoch)];
    return pair->rows > 0 ? &pair->owner : NULL;
}

void dedup_mark(struct dedup *dedup, uint64_t actor, uint64_t epoch,
                uint64_t seq) {
    struct dedup_pair *pair = &dedup->pairs[find(dedup, actor, epoch)];
    assert(pair->rows > 0);
    if (pair->mask == 0 || seq > pair->highest) {
        uint64_t ahead = pair->mask == 0 ? 64 : seq - pair->highest;
        pair->mask = (ahead >= 64 ? 0 : pair->mask << ahead) | 1;
        pair->highest = seq;
    } else if (pair->highest - seq < 64) {
        pair->mask |= (uint64_t)1 << (pair->highest - seq);
    }
}
