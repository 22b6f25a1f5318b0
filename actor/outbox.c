#include "actor/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int outbox_init(struct outbox *outbox, size_t capacity) {
    memset(outbox, 0, sizeof(*outbox));
    outbox->ring = calloc(capacity, sizeof(*outbox->ring));
    outbox->capacity = capacity;
    return outbox->ring != NULL ? 0 : -ENOMEM;
}

void outbox_finish(struct outbox *outbox) {
    free(outbox->ring);
    memset(outbox, 0, sizeof(*outbox));
}

void outbox_push(struct outbox *outbox, const struct wire_episode *episode) {
    if (outbox->n == outbox->capacity) {
        outbox->first++;
        outbox->n--;
        outbox->lost++;
    }
    uint64_t number = outbox->first + outbox->n++;
    outbox->ring[number % outbox->capacity] = *episode;
}

size_t outbox_list(const struct outbox *outbox, uint64_t from,
                   struct wire_episode *list, size_t max, uint64_t *number) {
    *number = from > outbox->first ? from : outbox->first;
    size_t n = 0;
    for (; n < max && *number + n < outbox->first + outbox->n; n++) {
        list[n] = outbox->ring[(*number + n) % outbox->capacity];
    }
    return n;
}

void outbox_received(struct outbox *outbox, uint64_t next) {
    if (next > outbox->first && next <= outbox->first + outbox->n) {
        outbox->n -= next - outbox->first;
        outbox->first = next;
    }
}
