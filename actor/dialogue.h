#ifndef ACTOR_DIALOGUE_H
#define ACTOR_DIALOGUE_H

#include "proto/link.h"

/* What is said between an actor and its learner: for join.c, which knows when.
 */
struct actor;

/* Losing it is legal. */
void dialogue_tell(struct actor *actor, const struct wire_message *message);
/* Hello, or Ready after its Welcome; the state says which answer is awaited. */
void dialogue_hello(struct actor *actor);
void dialogue_ready(struct actor *actor);

/* link_client.on_message; client->data is the actor. */
void dialogue_on_message(struct link_client *client,
                         const struct wire_message *message);

#endif
