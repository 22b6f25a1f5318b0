#ifndef LEARNER_DIALOGUE_H
#define LEARNER_DIALOGUE_H

#include <stdint.h>

#include "learner/registry.h"
#include "proto/link.h"
#include "proto/wire.h"

/* What the learner says to whom (DESIGN.md, section 3). */
struct learner;

/* link_server.on_message; server->data is the learner. */
void dialogue_on_message(struct link_server *server,
                         const struct link_route *from,
                         const struct wire_message *message);

/* To a peer's last connection. Losing it is legal. */
void dialogue_send(struct learner *learner, const struct registry_peer *peer,
                   const struct wire_message *message);

/* In words why a message was not accepted: sent, counted, logged. */
void dialogue_refuse(struct learner *learner, const struct link_route *to,
                     const struct wire_message *message, enum wire_refusal code,
                     const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Ranks reached the disk: welcome those who wait for it. */
void dialogue_welcome_all(struct learner *learner);
/* The topology changed: tell everybody. */
void dialogue_topology(struct learner *learner);
/* Heartbeats to all; shards get their grant with it. */
void dialogue_heartbeats(struct learner *learner);
/* Parameters for those who asked before there were any, or too fast. */
void dialogue_serve_waiting(struct learner *learner);
/* Stop to all. */
void dialogue_stop(struct learner *learner, const char *reason);

#endif
