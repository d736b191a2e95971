/* SPDX-License-Identifier: MIT */
/* Connections that the agent opens in the guest. */
#ifndef SLICER_AGENT_FORWARD_DIAL_H
#define SLICER_AGENT_FORWARD_DIAL_H

#include "agent/task.h"

enum {
	UPSTREAM_MAX = 512,	    /* bytes of its text */
	DIAL_TIMEOUT_MS = 8 * 1000, /* clients give a handshake 10 s */
};

/* Where to: "HOST:PORT" (HOST an IPv4 address or a name) or "unix:/PATH". */
struct upstream {
	char *host, *path; /* one of them is NULL */
	uint16_t port;
};
int upstream_parse(const char *text, struct upstream *ret, struct error **err); /* ERR_INVALID */
void upstream_clear(struct upstream *u);

struct dial;
/* A connected, non-blocking socket, the callee's; or -1 and why (borrowed): ERR_TIMEOUT, ERR_NOT_FOUND for a name that is
 * not known, or what connect(2) said. Called once, never from within dial_new(). */
typedef void dial_fn(void *arg, int take_fd, const struct error *error);
/* `u` is copied. Names are looked up by the guest's own getent(1): this program must not load the guest's libraries. */
struct dial *dial_new(struct loop *loop, struct task_factory *tasks, const struct upstream *u, dial_fn *fn, void *arg);
void dial_free(struct dial **d); /* NULL-safe; gives up, without a call. Also after (and in) the call. */

#endif
