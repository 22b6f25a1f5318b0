#include "learner/door.h"

#include <string.h>

#include "common/log.h"
#include "learner/dialogue.h"
#include "learner/learner.h"

/* No room for one more? Whoever is here stays, also as a new process. */
static bool crowded(const struct learner *learner,
                    const struct wire_message *hello) {
    const struct registry *registry = &learner->registry;
    size_t here = 0;
    for (size_t i = 0; i < registry->n_peers; i++) {
        const struct registry_peer *peer = registry->peers[i];
        if (!peer->here) continue;
        if (strcmp(peer->name, hello->name) == 0) return false;
        here++;
    }
    return here >= learner->max_peers;
}

/*
 * May this key use the name? One whose key was removed from the list is free
 * for who says Hello: a host with new keys keeps its names, and who is thrown
 * out holds none.
 */
static bool is_theirs(struct learner *learner,
                      const struct wire_message *message, const char *key) {
    struct registry *registry = &learner->registry;
    if (registry_name_is(registry, message->name, key)) return true;
    const char *owner = registry_name_key(registry, message->name);
    if (message->type != WIRE_HELLO ||
        allowed_find(&learner->guard.allowed, owner) != NULL) {
        return false;
    }
    log_info("the name %s is free again: the key %s is not allowed any more",
             message->name, owner);
    registry_free_name(registry, message->name);
    return true;
}

bool door_admits(struct learner *learner, const struct link_route *from,
                 const struct wire_message *message) {
    const char *key = learner->server.peer_key;
    const char *host = learner->server.peer_address;
    if (message->type == WIRE_HELLO &&
        !hello_rate_take(&learner->hello_rate, key[0] != '\0' ? key : host,
                         uv_now(learner->loop))) {
        return false; // it asks again
    }
    if (!is_theirs(learner, message, key)) {
        learner->guard.counters.messages++;
        dialogue_refuse(learner, from, message, WIRE_CODE_FINAL,
                        "the name %s belongs to another key in this run: give "
                        "another --name",
                        message->name);
        return false;
    }
    if (message->type == WIRE_HELLO &&
        registry_key_full(&learner->registry, message->name, key)) {
        dialogue_refuse(learner, from, message, WIRE_CODE_FINAL,
                        "your key has used %d names in this run, the most: "
                        "give a --name that it has used before",
                        REGISTRY_KEY_NAMES);
        return false;
    }
    if (message->type == WIRE_HELLO && crowded(learner, message)) {
        dialogue_refuse(
            learner, from, message, WIRE_CODE_FINAL,
            "%zu processes are the most: raise the learner's limit of open "
            "files (ulimit -n)",
            learner->max_peers);
        return false;
    }
    return true;
}

void door_keys_changed(struct guard *guard) {
    struct learner *learner = guard->data;
    for (size_t i = 0; i < learner->registry.n_peers; i++) {
        struct registry_peer *peer = learner->registry.peers[i];
        if (!peer->here || peer->key[0] == '\0') continue;
        const struct allowed_entry *entry =
            allowed_find(&guard->allowed, peer->key);
        if (entry != NULL && (entry->roles & 1u << peer->role) != 0) continue;
        log_warn("%s %s goes: its key is not allowed to be one any more",
                 wire_role_name(peer->role), peer->name);
        peer->here = false;
    }
}
