/* SPDX-License-Identifier: MIT */
/* `network.forwards`: ports of this host that lead to a VM, through its agent: nothing of the host's network is involved, and
 * a guest without one can be reached. */
#ifndef SLICER_API_FORWARDS_H
#define SLICER_API_FORWARDS_H

#include "config/config.h"
#include "vm/vm.h"

enum {
	FORWARDS_CONNECTIONS_MAX = 256, /* at once, of one listener; further ones wait in its backlog */
	FORWARDS_AGENT_MS = 30 * 1000,	/* for a VM that is still booting */
	FORWARDS_ANSWER_MS = 10 * 1000,
	FORWARDS_LOG_MS = 1000, /* between lines about failed connections of one listener */
};

struct forwards;
/* Listens on all of them; each leads to the first VM of its group. ERR_CONFLICT names a port that is in use. */
struct forwards *forwards_new(struct loop *loop, struct manager *manager, const struct config *config,
			      struct error **err);
void forwards_free(struct forwards **f); /* before the manager; NULL-safe. Ends the connections. */

#endif
