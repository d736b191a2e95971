/* SPDX-License-Identifier: MIT */
/* The guest's side of the control and agent ports (docs/protocol.md §2): hello, reset, await, echo, then HTTP/2. */
#ifndef SLICER_AGENT_SESSION_H
#define SLICER_AGENT_SESSION_H

#include "agent/server.h"

/*   waiting ──reset N──▶ discarding ──N read, echoed──▶ serving ──┐
 *      ▲                    ▲    └──────── reset N' ◀─────────────┤ (from any state)
 *      └── agent port lost ─┴─────────────────────────────────────┘ */
struct session *session_new(struct server *s, struct error **err);
void session_free(struct session **session);
void session_bye(struct session *session, bool reboot); /* says on the control port that the system goes down */

#endif
