#include "actor/window.h"

#include <assert.h>
#include <string.h>

static struct window_batch *slot(struct window *window, uint64_t seq) {
    return &window->slots[seq % window->span];
}

int window_init(struct window *window, size_t span, size_t rows, size_t S,
                size_t A) {
    assert(span >= 1 && span <= WINDOW_MAX_SPAN);
    memset(window, 0, sizeof(*window));
    window->span = span;
    for (size_t i = 0; i < span; i++) {
        int rc = batch_init(&window->slots[i].rows, rows, S, A);
        if (rc != 0) {
            window_finish(window);
            return rc;
        }
    }
    return 0;
}

void window_finish(struct window *window) {
    for (size_t i = 0; i < window->span; i++) {
        batch_finish(&window->slots[i].rows);
    }
    memset(window, 0, sizeof(*window));
}

bool window_full(const struct window *window) {
    return window->next - window->oldest >= window->span;
}

size_t window_outstanding(const struct window *window) {
    size_t n = 0;
    for (size_t i = 0; i < window->span; i++) n += window->slots[i].waiting;
    return n;
}

struct window_batch *window_push(struct window *window, const struct batch *src,
                                 size_t from, size_t n) {
    assert(!window_full(window) && n > 0 && from + n <= src->n);
    struct window_batch *batch = slot(window, window->next);
    assert(!batch->waiting && n <= batch->rows.capacity);
    batch->seq = window->next++;
    batch->waiting = true;
    batch->placed = batch->busy = batch->sent = false;
    batch->rows.n = 0;
    batch_append(&batch->rows, src, from, n);
    return batch;
}

void window_sent(struct window_batch *batch, uint32_t shard,
                 uint64_t incarnation, uint64_t now_ms) {
    assert(batch->waiting);
    const bool again = batch->placed && batch->shard == shard &&
                       batch->incarnation == incarnation;
    batch->asked = again ? batch->asked + 1 : 1;
    batch->placed = batch->sent = true;
    batch->busy = false;
    batch->shard = shard;
    batch->incarnation = incarnation;
    batch->sent_ms = now_ms;
}

/* NULL unless seq is unanswered. Any number may come from outside. */
static struct window_batch *find(struct window *window, uint64_t seq) {
    if (seq < window->oldest || seq >= window->next) {
        return NULL;
    }
    struct window_batch *batch = slot(window, seq);
    return batch->waiting ? batch : NULL;
}

const struct window_batch *window_answer(struct window *window, uint64_t seq) {
    struct window_batch *batch = find(window, seq);
    if (batch == NULL) {
        return NULL;
    }
    batch->waiting = false;
    while (window->oldest < window->next &&
           !slot(window, window->oldest)->waiting) {
        window->oldest++;
    }
    return batch;
}

void window_busy(struct window *window, uint64_t seq, uint32_t shard,
                 uint64_t now_ms) {
    struct window_batch *batch = find(window, seq);
    if (batch != NULL && batch->placed && batch->shard == shard) {
        batch->busy = true;
        batch->asked = 0;
        batch->sent_ms = now_ms;
    }
}

struct window_batch *window_at(struct window *window, uint32_t shard,
                               uint64_t from) {
    uint64_t seq = from > window->oldest ? from : window->oldest;
    for (; seq < window->next; seq++) {
        struct window_batch *batch = slot(window, seq);
        if (batch->waiting && batch->placed && batch->shard == shard) {
            return batch;
        }
    }
    return NULL;
}

size_t window_abandon(struct window *window, uint32_t shard) {
    size_t n = 0;
    struct window_batch *batch = NULL;
    while ((batch = window_at(window, shard, 0)) != NULL) {
        batch->placed = batch->busy = false;
        n++;
    }
    return n;
}

struct window_batch *window_unplaced(struct window *window) {
    for (uint64_t seq = window->oldest; seq < window->next; seq++) {
        struct window_batch *batch = slot(window, seq);
        if (batch->waiting && !batch->placed) {
            return batch;
        }
    }
    return NULL;
}

struct window_batch *window_due(struct window *window, uint32_t shard,
                                uint64_t now_ms, uint64_t resend_ms,
                                uint64_t busy_ms) {
    struct window_batch *batch = window_at(window, shard, 0);
    if (batch == NULL) {
        return NULL;
    }
    uint64_t wait = busy_ms;
    if (!batch->busy) {
        wait = resend_ms << (batch->asked > 2 ? 2 : batch->asked - 1);
    }
    return now_ms - batch->sent_ms >= wait ? batch : NULL;
}
