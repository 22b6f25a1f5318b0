#include "actor/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int outbox_init(struct outbox *outbox, size_t capacity) {
    enum { FEW = 16 };
    memset(outbox, 0, sizeof(*outbox));
    outbox->slots = capacity < FEW ? capacity : FEW;
    outbox->ring = calloc(outbox->slots, sizeof(*outbox->ring));
    outbox->capacity = capacity;
    return outbox->ring != NULL ? 0 : -ENOMEM;
}

void outbox_finish(struct outbox *outbox) {
    free(outbox->ring);
    memset(outbox, 0, sizeof(*outbox));
}

static struct wire_episode *kept(const struct outbox *outbox, size_t i) {
    return &outbox->ring[(outbox->start + i) % outbox->slots];
}

static void forget(struct outbox *outbox, size_t n) {
    outbox->first += n;
    outbox->n -= n;
    outbox->start = (outbox->start + n) % outbox->slots;
}

/* Twice the slots, the oldest episode in the first; as it is without memory. */
static void grow(struct outbox *outbox) {
    const size_t slots = 2 * outbox->slots < outbox->capacity
                             ? 2 * outbox->slots
                             : outbox->capacity;
    struct wire_episode *ring = calloc(slots, sizeof(*ring));
    if (ring == NULL) return;
    for (size_t i = 0; i < outbox->n; i++) ring[i] = *kept(outbox, i);
    free(outbox->ring);
    outbox->ring = ring;
    outbox->slots = slots;
    outbox->start = 0;
}

void outbox_push(struct outbox *outbox, const struct wire_episode *episode) {
    if (outbox->n == outbox->slots && outbox->slots < outbox->capacity) {
        grow(outbox);
    }
    if (outbox->n == outbox->slots) {
        forget(outbox, 1);
        outbox->lost++;
    }
    *kept(outbox, outbox->n++) = *episode;
}

size_t outbox_list(const struct outbox *outbox, uint64_t from,
                   struct wire_episode *list, size_t max, uint64_t *number) {
    *number = from > outbox->first ? from : outbox->first;
    size_t n = 0;
    for (; n < max && *number + n < outbox->first + outbox->n; n++) {
        list[n] = *kept(outbox, *number + n - outbox->first);
    }
    return n;
}

void outbox_received(struct outbox *outbox, uint64_t next) {
    if (next > outbox->first && next <= outbox->first + outbox->n) {
        forget(outbox, next - outbox->first);
    }
}
