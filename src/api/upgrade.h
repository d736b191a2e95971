/* SPDX-License-Identifier: MIT */
/* A client's WebSocket for which the agent must first say yes. */
#ifndef SLICER_API_UPGRADE_H
#define SLICER_API_UPGRADE_H

#include "io/http.h"
#include "vm/vm.h"

struct upgrade_of {
	struct loop *loop;
	struct manager *manager;
	char *vm; /* borrowed: its name */
};
/* The client has its 101: its raw connection, and the exchange with the agent whose answer was 200. Both the callee's. */
typedef void upgrade_fn(const struct upgrade_of *of, struct stream *take_raw, struct http_exchange *take_agent);

/* Opens the request at the VM's agent, whose body goes both ways. Another answer than 200 is passed on to the client, none
 * within 10 s is answered 500. Owns the exchange, whose request ws_accept_head() has found right, and the head. */
void upgrade_start(struct vm *vm, struct http_exchange *take_client, struct http_head *take_request, upgrade_fn *fn);

#endif
