#include "actor/delivery.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit_status.h"
#include "common/log.h"

enum { BUSY_MS = 1000, HIGH_WATER_SPARE = 8 };

/* On the heap: a link closes on the loop, after its shard's entry moved on. */
struct delivery_peer {
    struct link_client client; /* first: on_closed gets it back by address */
    struct delivery *delivery;
    uint32_t index;
};

static void note_sending(struct delivery *d, const struct window_batch *batch,
                         uint32_t shard) {
    if (!batch->sent) {
        ledger_sent(&d->ledger, d->rank, d->self->incarnation, batch->seq,
                    shard, &batch->rows);
    } else if (batch->shard != shard) {
        ledger_moved(&d->ledger, d->self->incarnation, batch->seq, shard);
    }
}

static void send_batch(struct delivery *d, const struct delivery_shard *shard,
                       struct window_batch *batch) {
    struct wire_message message = {
        .type = WIRE_INSERT,
        .insert = {.epoch = d->self->incarnation,
                   .seq = batch->seq,
                   .rank = d->rank,
                   .rows = batch->rows},
    };
    note_sending(d, batch, shard->index);
    int rc = link_client_send(&shard->peer->client, &message);
    uint64_t now = uv_now(d->loop);
    window_sent(batch, shard->index, shard->incarnation, now);
    if (rc != 0) {
        /* a full queue or no memory is as good as Busy: asked again soon */
        log_debug("shard %" PRIu32 ": %s", shard->index, strerror(-rc));
        window_busy(&d->window, batch->seq, shard->index, now);
    }
}

static struct delivery_shard *find(struct delivery *d, uint32_t index) {
    for (size_t i = 0; i < d->n; i++) {
        if (d->shards[i].index == index) {
            return &d->shards[i];
        }
    }
    return NULL;
}

/* Round-robin; NULL when none is listed. */
static struct delivery_shard *next_listed(struct delivery *d) {
    for (size_t i = 0; i < d->n; i++) {
        struct delivery_shard *shard = &d->shards[d->turn++ % d->n];
        if (shard->listed) {
            return shard;
        }
    }
    return NULL;
}

/* A new batch, or one whose shard died, goes to the next listed shard. */
static void place(struct delivery *d) {
    struct window_batch *batch = NULL;
    while (d->listed > 0 && (batch = window_unplaced(&d->window)) != NULL) {
        send_batch(d, next_listed(d), batch);
    }
}

/* Send again, in order, all that an earlier incarnation of it was sent. */
static void ask_new_incarnation(struct delivery *d,
                                const struct delivery_shard *shard) {
    struct window_batch *batch = window_at(&d->window, shard->index, 0);
    while (batch != NULL) {
        if (batch->incarnation != shard->incarnation) {
            send_batch(d, shard, batch);
        }
        batch = window_at(&d->window, shard->index, batch->seq + 1);
    }
}

/* There is room: the oldest that was told Busy, and the next one when this is
 * stored. All of them at once would mostly be told Busy again. */
static void ask_busy(struct delivery *d, const struct delivery_shard *shard) {
    struct window_batch *batch = window_at(&d->window, shard->index, 0);
    while (batch != NULL && !batch->busy) {
        batch = window_at(&d->window, shard->index, batch->seq + 1);
    }
    if (batch != NULL) send_batch(d, shard, batch);
}

static void ask_due(struct delivery *d, const struct delivery_shard *shard) {
    struct window_batch *batch = window_due(
        &d->window, shard->index, uv_now(d->loop), d->resend_ms, BUSY_MS);
    if (batch != NULL && shard->peer != NULL) send_batch(d, shard, batch);
}

/* Our key keeps us out of a shard, once a minute. */
static void complain(struct delivery *d, struct delivery_shard *shard,
                     const char *why) {
    char before[64];
    if (complaint_due(&shard->complaint, "shard", uv_now(d->loop), before,
                      sizeof(before))) {
        log_warn("shard %" PRIu32 " at %s: %s%s", shard->index, shard->address,
                 why, before);
    }
}

static void on_refused(struct delivery *d, const struct delivery_shard *shard,
                       const struct wire_refused *refused) {
    const struct window_batch *batch = NULL;
    if (refused->code == WIRE_CODE_STALE) {
        batch = refused->about == WIRE_INSERT
                    ? window_answer(&d->window, refused->seq)
                    : NULL;
        if (batch == NULL)
            return; /* answered before: sent twice, stored once */
        d->stale++;
        log_warn("shard %" PRIu32 " refused batch %" PRIu64
                 " as stale: dropped",
                 shard->index, refused->seq);
        d->on_room(d);
    } else if (refused->code == WIRE_CODE_NON_FINITE) {
        log_error("shard %" PRIu32 " refused batch %" PRIu64 " of rank %" PRIu64
                  " as not finite: %s",
                  shard->index, refused->seq, d->rank, refused->reason);
        d->on_fatal(d, EXIT_NON_FINITE);
    } else if (refused->code == WIRE_CODE_KEY ||
               refused->code == WIRE_CODE_RUN) {
        /* it may be allowed again, or another run's shard has its address now
         * and the learner will say so: what is outstanding stays so */
        complain(d, find(d, shard->index), refused->reason);
    } else if (refused->code != WIRE_CODE_OTHER) {
        log_error("shard %" PRIu32 " refused: %s", shard->index,
                  refused->reason);
        d->on_fatal(d, EXIT_REFUSED);
    } else {
        log_debug("shard %" PRIu32 ": not now: %s", shard->index,
                  refused->reason);
    }
}

static void on_message(struct link_client *client,
                       const struct wire_message *message) {
    struct delivery_peer *peer = client->data;
    struct delivery *d = peer->delivery;
    const struct delivery_shard *shard = find(d, peer->index);
    if (shard == NULL || shard->peer != peer) {
        return; /* closing: the shard moved to another address */
    }
    const struct wire_answer *answer = &message->answer;
    switch (message->type) {
    case WIRE_INSERTED: {
        if (answer->epoch != d->self->incarnation) break;
        const struct window_batch *batch =
            window_answer(&d->window, answer->seq);
        if (batch != NULL) {
            ledger_acked(&d->ledger, answer->epoch, answer->seq, shard->index,
                         message->incarnation);
            d->acknowledged += batch->rows.n;
            histogram_add(&d->inserts, uv_hrtime() / 1000 - batch->pushed_us);
            ask_busy(d, shard);
            d->on_room(d);
        }
        break;
    }
    case WIRE_BUSY:
        if (answer->epoch != d->self->incarnation) break;
        d->busy++;
        window_busy(&d->window, answer->seq, shard->index, uv_now(d->loop));
        break;
    case WIRE_ROOM:
        ask_busy(d, shard);
        break;
    case WIRE_REFUSED:
        on_refused(d, shard, &message->refused);
        break;
    default:
        break; /* nothing else concerns an actor */
    }
}

static void on_closed(struct link_client *client) {
    free((struct delivery_peer *)client);
}

static void disconnect(struct delivery *d, struct delivery_shard *shard) {
    if (shard->peer != NULL) {
        d->bad += shard->peer->client.bad;
        link_client_stop(&shard->peer->client, 0, on_closed);
        shard->peer = NULL;
    }
}

static void connect_to(struct delivery *d, struct delivery_shard *shard) {
    struct delivery_peer *peer = calloc(1, sizeof(*peer));
    if (peer == NULL) {
        log_error("shard %" PRIu32 ": out of memory", shard->index);
        return;
    }
    peer->delivery = d;
    peer->index = shard->index;
    peer->client.self = d->self;
    peer->client.on_message = on_message;
    peer->client.data = peer;
    peer->client.keys = d->keys;
    peer->client.server_key = shard->key;
    int rc = link_client_start(&peer->client, d->loop, d->zmq, shard->address,
                               (int)d->window.span + HIGH_WATER_SPARE);
    if (rc != 0) {
        log_error("shard %" PRIu32 " at %s: %s", shard->index, shard->address,
                  strerror(-rc));
        free(peer);
        return;
    }
    link_client_max_size(&peer->client, wire_max_size(&d->spec, d->rows, 0));
    shard->peer = peer;
}

int delivery_start(struct delivery *d, uv_loop_t *loop, void *zmq,
                   struct link_self *self, const struct keys *keys,
                   const struct config *config, uint64_t rank, size_t rows,
                   const struct wire_spec *spec) {
    d->loop = loop;
    d->zmq = zmq;
    d->self = self;
    d->keys = keys;
    d->rank = rank;
    d->rows = rows;
    d->spec = *spec;
    d->resend_ms = (uint64_t)(config->resend_after * 1e3);
    int rc = window_init(&d->window, config->window, rows, spec->obs_dim,
                         spec->act_dim);
    if (rc != 0) {
        log_error("out of memory for a window of %" PRIu64 " batches",
                  config->window);
        return rc;
    }
    if (config->ledger[0] != '\0') {
        rc = ledger_open(&d->ledger, config->ledger, self->name,
                         self->incarnation, rows);
        if (rc != 0) log_error("ledger %s: %s", config->ledger, strerror(-rc));
    }
    return rc;
}

static struct delivery_shard *remember(struct delivery *d, uint32_t index) {
    struct delivery_shard *shard = find(d, index);
    if (shard == NULL && d->n < WIRE_MAX_SHARDS) {
        shard = &d->shards[d->n++];
        *shard = (struct delivery_shard){.index = index};
    }
    return shard;
}

static void update(struct delivery *d, const struct wire_shard *news) {
    struct delivery_shard *shard = remember(d, news->index);
    if (shard == NULL) {
        log_warn("shard %" PRIu32 ": too many shards", news->index);
        return;
    }
    shard->seen = true;
    if (shard->peer == NULL || strcmp(shard->address, news->address) != 0 ||
        strcmp(shard->key, news->key) != 0) {
        disconnect(d, shard);
        memcpy(shard->address, news->address, sizeof(shard->address));
        memcpy(shard->key, news->key, sizeof(shard->key));
        connect_to(d, shard);
    }
    shard->incarnation = news->incarnation;
    shard->dead = news->state == WIRE_SHARD_DEAD;
    if (shard->dead) {
        size_t moved = window_abandon(&d->window, shard->index);
        if (moved > 0) {
            log_info("shard %" PRIu32 " is dead: %zu batches go elsewhere",
                     shard->index, moved);
        }
    } else if (shard->peer != NULL) {
        ask_new_incarnation(d, shard);
    }
}

void delivery_topology(struct delivery *d,
                       const struct wire_topology *topology) {
    for (size_t i = 0; i < d->n; i++) d->shards[i].seen = false;
    for (uint32_t i = 0; i < topology->n; i++) update(d, &topology->shards[i]);
    d->listed = 0;
    for (size_t i = 0; i < d->n; i++) {
        struct delivery_shard *shard = &d->shards[i];
        shard->listed = shard->seen && !shard->dead && shard->peer != NULL;
        d->listed += shard->listed;
    }
    place(d);
    d->on_room(d);
}

bool delivery_has_room(const struct delivery *d) {
    return d->listed > 0 && !window_full(&d->window);
}

void delivery_push(struct delivery *d, const struct batch *src, size_t from,
                   size_t n) {
    window_push(&d->window, src, from, n)->pushed_us = uv_hrtime() / 1000;
    place(d);
}

void delivery_tick(struct delivery *d) {
    for (size_t i = 0; i < d->n; i++) {
        struct delivery_shard *shard = &d->shards[i];
        ask_due(d, shard);
        if (shard->peer == NULL) continue;
        const char *why = link_client_watch(&shard->peer->client);
        if (why != NULL && !shard->dead) complain(d, shard, why);
    }
}

void delivery_finish(struct delivery *d, int linger) {
    if (d->loop == NULL) {
        return;
    }
    for (size_t i = 0; i < d->n; i++) {
        if (d->shards[i].peer != NULL) {
            link_client_finish(&d->shards[i].peer->client, linger);
            free(d->shards[i].peer);
        }
    }
    ledger_close(&d->ledger);
    window_finish(&d->window);
}
