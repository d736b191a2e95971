/* SPDX-License-Identifier: MIT */
/* What the files of `vm forward` share: listeners, and one object per connection that came by them. */
#ifndef SLICER_CLI_VM_FORWARD_H
#define SLICER_CLI_VM_FORWARD_H

#include "cli/client.h"
#include "cli/vm_forward_spec.h"
#include "io/acceptor.h"

enum {
	FORWARD_LISTENERS_MAX = 64,
	FORWARD_CONNECTIONS_MAX = 480, /* of one process: two fds each, below the usual 1,024 */
};

struct forward;

struct forward_listener {
	struct forward *forward;
	struct forward_spec spec; /* with the port that it got */
	struct acceptor *acceptor;
};
/* Listens, and prints where. take: the specification is the listener's afterwards. A Unix socket's directory is made (0755),
 * a stale socket replaced; the socket is 0660. */
int forward_listener_open(struct forward_listener *l, struct forward *f, struct forward_spec *take, struct error **err);
void forward_listener_close(struct forward_listener *l); /* removes its Unix socket */

struct forward_conn;
struct forward {
	struct client *client;
	char *vm;
	struct forward_listener listeners[FORWARD_LISTENERS_MAX];
	size_t nlisteners;
	struct forward_conn *conns;
	size_t nconns;
};
/* Listeners accept as long as there is room for connections. */
void forward_update(struct forward *f);

/* A connection that was accepted: opens a WebSocket for it and joins the two. What fails is printed; the rest goes on. */
void forward_conn_start(struct forward *f, const char *upstream, int take_fd);
void forward_conn_free(struct forward_conn *c);

#endif
