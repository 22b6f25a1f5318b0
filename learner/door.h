#ifndef LEARNER_DOOR_H
#define LEARNER_DOOR_H

#include <stdbool.h>

#include "proto/guard.h"
#include "proto/link.h"

/*
 * Who comes through to the registry, of those whose key and role the guard has
 * let pass: names stay with the key that first used them, as long as that is
 * allowed, Hellos are answered at a rate, and there is room for so many.
 */
struct learner;

/* false: it was refused, or goes unanswered and is asked again. */
bool door_admits(struct learner *learner, const struct link_route *from,
                 const struct wire_message *message);

/* guard.on_reload; guard->data is the learner: whose key is not allowed any
 * more gets nothing any more. */
void door_keys_changed(struct guard *guard);

#endif
