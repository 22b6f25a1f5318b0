#include "learner/registry.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_name(const char *name) {
    uint64_t h = 0xcbf29ce484222325u; // FNV-1a
    for (; *name != '\0'; name++) {
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    }
    return h ^ h >> 32;
}

/* The slot that holds name's rank + 1, or the empty one where it belongs. */
static uint32_t *find_slot(const struct registry *registry, const char *name) {
    size_t i = hash_name(name) & (registry->n_slots - 1);
    while (registry->slots[i] != 0 &&
           strcmp(registry->peers[registry->slots[i] - 1]->name, name) != 0) {
        i = (i + 1) & (registry->n_slots - 1);
    }
    return &registry->slots[i];
}

int registry_init(struct registry *registry, uint64_t generation) {
    *registry = (struct registry){.topology = generation << 32, .n_slots = 64};
    registry->slots = calloc(registry->n_slots, sizeof(*registry->slots));
    return registry->slots != NULL ? 0 : -ENOMEM;
}

void registry_finish(struct registry *registry) {
    for (size_t i = 0; i < registry->n_peers; i++) free(registry->peers[i]);
    free(registry->peers);
    free(registry->slots);
    *registry = (struct registry){0};
}

static int grow(struct registry *registry) {
    if (registry->n_peers == registry->room) {
        size_t room = registry->room > 0 ? 2 * registry->room : 16;
        struct registry_peer **peers = registry->peers;
        // NOLINTNEXTLINE(bugprone-sizeof-expression): pointers are meant
        peers = realloc(peers, room * sizeof(*peers));
        if (peers == NULL) return -ENOMEM;
        registry->peers = peers, registry->room = room;
    }
    if (2 * (registry->n_peers + 1) > registry->n_slots) {
        size_t n_slots = 2 * registry->n_slots;
        uint32_t *slots = calloc(n_slots, sizeof(*slots));
        if (slots == NULL) return -ENOMEM;
        free(registry->slots);
        registry->slots = slots, registry->n_slots = n_slots;
        for (size_t i = 0; i < registry->n_peers; i++) {
            *find_slot(registry, registry->peers[i]->name) = (uint32_t)i + 1;
        }
    }
    return 0;
}

int registry_known_name(struct registry *registry, const char *name,
                        enum wire_role role, const char *key) {
    if (*find_slot(registry, name) != 0) return -EEXIST;
    if (registry->n_peers == REGISTRY_MAX_NAMES) return -ENOSPC;
    int rc = grow(registry);
    if (rc != 0) return rc;

    struct registry_peer *peer = calloc(1, sizeof(*peer));
    if (peer == NULL) return -ENOMEM;
    snprintf(peer->name, sizeof(peer->name), "%s", name);
    peer->rank = registry->n_peers;
    peer->role = role;
    snprintf(peer->key, sizeof(peer->key), "%s", key);
    *find_slot(registry, name) = (uint32_t)peer->rank + 1;
    registry->peers[registry->n_peers++] = peer;
    return 0;
}

const char *registry_name_key(const struct registry *registry,
                              const char *name) {
    const uint32_t slot = *find_slot(registry, name);
    return slot > 0 ? registry->peers[slot - 1]->key : "";
}

bool registry_name_is(const struct registry *registry, const char *name,
                      const char *key) {
    const char *owner = registry_name_key(registry, name);
    return key[0] == '\0' || owner[0] == '\0' || strcmp(owner, key) == 0;
}

void registry_free_name(struct registry *registry, const char *name) {
    const uint32_t slot = *find_slot(registry, name);
    if (slot > 0) registry->peers[slot - 1]->key[0] = '\0';
}

bool registry_key_full(const struct registry *registry, const char *name,
                       const char *key) {
    size_t n = 0;
    if (key[0] == '\0' || *find_slot(registry, name) != 0) return false;
    for (size_t i = 0; i < registry->n_peers; i++) {
        n += strcmp(registry->peers[i]->key, key) == 0;
    }
    return n >= REGISTRY_KEY_NAMES;
}

bool registry_bind_name(struct registry_peer *peer, const char *key) {
    if (peer->key[0] != '\0' || key[0] == '\0') return false;
    snprintf(peer->key, sizeof(peer->key), "%s", key);
    return true;
}

static bool was_replaced(const struct registry_peer *peer,
                         uint64_t incarnation) {
    for (size_t i = 0; i < REGISTRY_OLDER; i++) {
        if (peer->older[i] == incarnation && i < peer->n_older) return true;
    }
    return false;
}

/* A new incarnation begins: whatever was agreed with the old one is void. */
static void take_over(struct registry_peer *peer,
                      const struct wire_message *message) {
    if (peer->incarnation != 0) {
        peer->older[peer->n_older++ % REGISTRY_OLDER] = peer->incarnation;
    }
    peer->incarnation = message->incarnation;
    peer->role = message->hello.role;
    peer->index = message->hello.index;
    peer->progress = (struct registry_progress){0};
}

static enum registry_verdict heard_hello(struct registry *registry,
                                         const struct wire_message *message,
                                         struct registry_peer **out) {
    uint32_t slot = *find_slot(registry, message->name);
    if (slot == 0) {
        if (registry_known_name(registry, message->name, message->hello.role,
                                "") != 0) {
            return REGISTRY_FULL;
        }
        slot = *find_slot(registry, message->name);
    }
    struct registry_peer *peer = *out = registry->peers[slot - 1];
    enum registry_verdict verdict = REGISTRY_AGAIN;
    if (peer->incarnation != message->incarnation) {
        if (was_replaced(peer, message->incarnation)) return REGISTRY_OLD;
        take_over(peer, message);
        verdict = REGISTRY_NEW;
    }
    // a shard may be bound anew under the same incarnation
    snprintf(peer->endpoint, sizeof(peer->endpoint), "%s",
             message->hello.endpoint);
    return verdict;
}

enum registry_verdict registry_heard(struct registry *registry,
                                     const struct wire_message *message,
                                     const struct link_route *from,
                                     struct registry_peer **peer) {
    enum registry_verdict verdict;
    *peer = NULL;
    if (message->type == WIRE_HELLO) {
        verdict = heard_hello(registry, message, peer);
    } else {
        uint32_t slot = *find_slot(registry, message->name);
        struct registry_peer *known =
            slot > 0 ? registry->peers[slot - 1] : NULL;
        if (known == NULL) return REGISTRY_UNKNOWN;
        if (was_replaced(known, message->incarnation)) {
            verdict = REGISTRY_OLD;
        } else if (known->incarnation != message->incarnation) {
            return REGISTRY_UNKNOWN;
        } else {
            verdict = REGISTRY_CURRENT;
        }
        *peer = known;
    }
    if (verdict == REGISTRY_OLD || verdict == REGISTRY_FULL) return verdict;

    (*peer)->here = true; // who was forgotten is back
    (*peer)->route = *from;
    (*peer)->silent_ms = 0;
    struct registry_shard *shard = registry_shard_of(registry, *peer);
    if (shard != NULL) shard->silent_ms = 0;
    return verdict;
}

static struct registry_shard *shard_at(struct registry *registry,
                                       uint32_t index) {
    for (size_t i = 0; i < registry->n_shards; i++) {
        if (registry->shards[i].index == index) return &registry->shards[i];
    }
    return NULL;
}

int registry_known_shard(struct registry *registry,
                         const struct wire_shard *known, uint64_t rank) {
    if (rank >= registry->n_peers) return -EINVAL;
    if (shard_at(registry, known->index) != NULL) return -EEXIST;
    if (registry->n_shards == WIRE_MAX_SHARDS) return -ENOSPC;
    struct registry_shard *shard = &registry->shards[registry->n_shards++];
    *shard = (struct registry_shard){.index = known->index,
                                     .rank = rank,
                                     .incarnation = known->incarnation,
                                     .state = WIRE_SHARD_LISTED,
                                     .remembered = true};
    memcpy(shard->address, known->address, sizeof(shard->address));
    return 0;
}

struct registry_shard *registry_list(struct registry *registry,
                                     const struct registry_peer *peer,
                                     const struct wire_shard_ready *ready) {
    struct registry_shard *shard = shard_at(registry, peer->index);
    if (shard == NULL) {
        if (registry->n_shards == WIRE_MAX_SHARDS) return NULL;
        shard = &registry->shards[registry->n_shards++];
        *shard = (struct registry_shard){.index = peer->index};
    }
    if (shard->state != WIRE_SHARD_LISTED || shard->remembered ||
        shard->rank != peer->rank || shard->incarnation != peer->incarnation ||
        strcmp(shard->address, peer->endpoint) != 0) {
        registry->topology++;
    }
    shard->rank = peer->rank;
    shard->incarnation = peer->incarnation;
    shard->state = WIRE_SHARD_LISTED;
    shard->remembered = false;
    shard->silent_ms = 0;
    snprintf(shard->address, sizeof(shard->address), "%s", peer->endpoint);
    shard->ring_id = ready->ring_id;
    shard->capacity = ready->capacity;
    shard->present = ready->present;
    shard->stored = ready->stored;
    shard->granted = 0;
    return shard;
}

struct registry_shard *registry_shard_of(struct registry *registry,
                                         const struct registry_peer *peer) {
    if (peer->role != WIRE_SHARD) return NULL;
    struct registry_shard *shard = shard_at(registry, peer->index);
    bool own = shard != NULL && !shard->remembered &&
               shard->rank == peer->rank &&
               shard->incarnation == peer->incarnation;
    return own ? shard : NULL;
}

const struct registry_peer *registry_rival(const struct registry *registry,
                                           const struct registry_peer *peer) {
    for (size_t i = 0; i < registry->n_shards; i++) {
        const struct registry_shard *shard = &registry->shards[i];
        if (shard->index == peer->index && shard->rank != peer->rank &&
            registry_serves(registry, shard)) {
            return registry->peers[shard->rank];
        }
    }
    return NULL;
}

bool registry_serves(const struct registry *registry,
                     const struct registry_shard *shard) {
    const struct registry_peer *peer = registry->peers[shard->rank];
    return shard->state == WIRE_SHARD_LISTED && !shard->remembered &&
           peer->here && peer->incarnation == shard->incarnation;
}

const char *registry_shard_word(const struct registry *registry,
                                const struct registry_shard *shard) {
    if (registry_serves(registry, shard)) return "listed";
    return shard->state == WIRE_SHARD_DEAD ? "dead" : "returning";
}

void registry_fix_spec(struct registry *registry, struct wire_spec spec) {
    registry->spec = spec;
    registry->topology++;
}

bool registry_fits(const struct registry *registry, const char *task,
                   const struct wire_ready *ready, char *why, size_t n) {
    const struct wire_spec spec = registry->spec;
    if (spec.obs_dim != 0 && (spec.obs_dim != ready->spec.obs_dim ||
                              spec.act_dim != ready->spec.act_dim)) {
        snprintf(why, n,
                 "task %s has observations of %u and actions of %u in this "
                 "run, yours has %u and %u",
                 task, spec.obs_dim, spec.act_dim, ready->spec.obs_dim,
                 ready->spec.act_dim);
        return false;
    }
    if (registry->model_known && registry->model != ready->model) {
        snprintf(why, n,
                 "task %s is made of other files in this run (hash %08x) than "
                 "yours (%08x): take those of RUN/task, or begin a new run",
                 task, (unsigned)(registry->model >> 32),
                 (unsigned)(ready->model >> 32));
        return false;
    }
    return true;
}

int registry_known_model(struct registry *registry, uint64_t model) {
    if (registry->model_known) return -EEXIST;
    registry->model_known = true;
    registry->model = model;
    return 0;
}

bool registry_too_early(const struct registry *registry, enum wire_role role) {
    return registry->spec.obs_dim == 0 && role != WIRE_ACTOR;
}

bool registry_fix_task(struct registry *registry, enum wire_role role,
                       const struct wire_ready *ready) {
    if (role != WIRE_ACTOR) return false;
    const bool begins = registry->spec.obs_dim == 0;
    if (begins) registry_fix_spec(registry, ready->spec);
    return registry_known_model(registry, ready->model) == 0 || begins;
}

bool registry_tick(struct registry *registry, uint64_t elapsed_ms,
                   uint64_t dead_ms, uint64_t forget_ms) {
    bool changed = false;
    for (size_t i = 0; i < registry->n_shards; i++) {
        struct registry_shard *shard = &registry->shards[i];
        shard->silent_ms += elapsed_ms;
        if (shard->state == WIRE_SHARD_LISTED && shard->silent_ms >= dead_ms) {
            shard->state = WIRE_SHARD_DEAD;
            changed = true;
        }
    }
    for (size_t i = 0; i < registry->n_peers; i++) {
        struct registry_peer *peer = registry->peers[i];
        peer->silent_ms += elapsed_ms;
        if (peer->silent_ms >= forget_ms) peer->here = false;
    }
    if (changed) registry->topology++;
    return changed;
}

struct wire_topology registry_topology(const struct registry *registry,
                                       struct wire_shard *shards) {
    for (size_t i = 0; i < registry->n_shards; i++) {
        const struct registry_shard *from = &registry->shards[i];
        shards[i] = (struct wire_shard){.index = from->index,
                                        .incarnation = from->incarnation,
                                        .state = from->state};
        memcpy(shards[i].address, from->address, sizeof(shards[i].address));
        memcpy(shards[i].key, registry->peers[from->rank]->key,
               sizeof(shards[i].key));
    }
    return (struct wire_topology){.version = registry->topology,
                                  .spec = registry->spec,
                                  .n = (uint32_t)registry->n_shards,
                                  .shards = shards};
}

uint64_t registry_ordinal(const struct registry *registry,
                          const struct registry_peer *peer) {
    uint64_t n = 0;
    for (uint64_t rank = 0; rank < peer->rank; rank++) {
        n += registry->peers[rank]->role == peer->role;
    }
    return n;
}

size_t registry_count(const struct registry *registry, enum wire_role role,
                      uint64_t quiet_ms) {
    size_t n = 0;
    for (size_t i = 0; i < registry->n_peers; i++) {
        const struct registry_peer *peer = registry->peers[i];
        n += peer->here && peer->role == role && peer->silent_ms < quiet_ms;
    }
    return n;
}

size_t registry_listed(const struct registry *registry) {
    size_t n = 0;
    for (size_t i = 0; i < registry->n_shards; i++) {
        n += registry_serves(registry, &registry->shards[i]);
    }
    return n;
}
