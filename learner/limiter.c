#include "learner/limiter.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

/*
 * Totals come from outside. At 2^52 they are exact as doubles, and the sum of
 * all rings fits an int64.
 */
static int64_t total(uint64_t x) {
    const uint64_t most = (uint64_t)1 << 52;
    return (int64_t)(x < most ? x : most);
}

void limiter_init(struct limiter *limiter, const struct limiter_settings *s) {
    *limiter = (struct limiter){
        .ratio = s->ratio,
        .warmup = total(s->warmup),
        .slack = total(s->slack),
        .minibatch = total(s->minibatch),
    };
}

static void set_base(struct limiter *limiter) {
    limiter->u0 = limiter->updates;
    limiter->i0 = limiter->inserted;
}

/*
 * ratio * di - du, the updates that stored rows still allow. Both inequalities
 * and the grants are written in this one number, so that rounding cannot close
 * both doors at once.
 */
static double owed(const struct limiter *limiter) {
    int64_t du = limiter->updates - limiter->u0;
    int64_t di = limiter->inserted - limiter->i0;
    return limiter->ratio * (double)di - (double)du;
}

/* The warm-up rule, after anything that changes what is present. */
static void settle(struct limiter *limiter) {
    int64_t present = 0, capacity = 0;
    size_t listed = 0;
    for (size_t i = 0; i < limiter->n; i++) {
        const struct limiter_ring *ring = &limiter->rings[i];
        if (!ring->listed || !ring->known) continue;
        present += ring->present;
        capacity += ring->capacity;
        listed++;
    }
    bool enough = listed > 0 && present >= limiter->minibatch;
    if (limiter->resumed && listed > 0) {
        /* the first ring is back: go on with the checkpoint's base, or, if its
         * rows are gone, warm up again */
        limiter->resumed = false;
        limiter->warm = enough;
    }
    if (!enough) limiter->warm = false;
    if (limiter->warm || !enough) return;
    int64_t least = limiter->warmup < capacity ? limiter->warmup : capacity;
    if (present >= least) {
        limiter->warm = true;
        set_base(limiter);
        limiter->resumed = false;
    }
}

static struct limiter_ring *find(const struct limiter *limiter, uint64_t id) {
    for (size_t i = 0; i < limiter->n; i++) {
        if (limiter->rings[i].id == id) {
            return (struct limiter_ring *)&limiter->rings[i];
        }
    }
    return NULL;
}

static struct limiter_ring *find_or_add(struct limiter *limiter, uint64_t id) {
    struct limiter_ring *ring = find(limiter, id);
    if (ring == NULL && limiter->n < LIMITER_MAX_RINGS) {
        ring = &limiter->rings[limiter->n++];
        *ring = (struct limiter_ring){.id = id};
    }
    return ring;
}

/* Raise the ring's highest total; what that adds to inserted. */
static int64_t raise_stored(struct limiter *limiter, struct limiter_ring *ring,
                            int64_t stored) {
    int64_t added = stored > ring->stored ? stored - ring->stored : 0;
    ring->stored += added;
    limiter->inserted += added;
    return added;
}

struct limiter_base limiter_base(const struct limiter *limiter) {
    return (struct limiter_base){
        .ratio = limiter->ratio,
        .warm = limiter->warm || limiter->resumed,
        .updates = limiter->updates,
        .inserted = limiter->inserted,
        .u0 = limiter->u0,
        .i0 = limiter->i0,
    };
}

void limiter_restore(struct limiter *limiter, const struct limiter_base *base) {
    limiter->updates = base->updates;
    limiter->warm = false;
    limiter->resumed = base->warm;
    if (base->ratio != limiter->ratio) {
        set_base(limiter);
        return;
    }
    limiter->u0 = base->u0;
    limiter->i0 = limiter->inserted - (base->inserted - base->i0);
}

int limiter_known_ring(struct limiter *limiter, uint64_t id, uint64_t stored) {
    struct limiter_ring *ring = find_or_add(limiter, id);
    if (ring == NULL) return -ENOSPC;
    limiter->i0 += raise_stored(limiter, ring, total(stored));
    return 0;
}

int limiter_report(struct limiter *limiter, uint64_t id, uint64_t stored,
                   uint64_t present, uint64_t capacity) {
    struct limiter_ring *ring = find_or_add(limiter, id);
    if (ring == NULL) return -ENOSPC;
    int64_t added = raise_stored(limiter, ring, total(stored));
    if (!ring->known) limiter->i0 += added;
    ring->known = true;
    ring->reported = total(stored);
    ring->present = total(present);
    ring->capacity = total(capacity);
    settle(limiter);
    return 0;
}

void limiter_list(struct limiter *limiter, uint64_t id, bool listed) {
    struct limiter_ring *ring = find(limiter, id);
    if (ring == NULL) return;
    ring->listed = listed;
    settle(limiter);
}

bool limiter_may_update(const struct limiter *limiter) {
    return limiter->warm && (limiter->ratio == 0.0 || owed(limiter) > 0.0);
}

void limiter_updated(struct limiter *limiter) {
    assert(limiter_may_update(limiter));
    limiter->updates++;
}

bool limiter_may_insert(const struct limiter *limiter) {
    return !limiter->warm || limiter->ratio == 0.0 ||
           owed(limiter) < limiter->ratio * (double)limiter->slack;
}

uint64_t limiter_grant(const struct limiter *limiter, uint64_t id) {
    const struct limiter_ring *ring = find(limiter, id);
    if (ring == NULL) return 0;
    if (!ring->listed) return (uint64_t)ring->reported;
    if (limiter->ratio == 0.0) return UINT64_MAX;
    int64_t room = limiter->slack;
    if (limiter->warm) {
        /*
         * du / ratio + slack - di, but never above slack: the last update may
         * be one ahead of its rows, and 1 / ratio rows more for each of many
         * shards would break the bound on |du - ratio * di|.
         */
        double ahead = owed(limiter) / limiter->ratio;
        double rows = floor((double)limiter->slack - fmax(ahead, 0.0));
        room = rows > 0.0 ? (int64_t)rows : 0;
    }
    return (uint64_t)(ring->reported + room);
}

int64_t limiter_inserted(const struct limiter *limiter) {
    return limiter->inserted;
}
