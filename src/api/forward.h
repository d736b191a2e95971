/* SPDX-License-Identifier: MIT */
#ifndef SLICER_API_FORWARD_H
#define SLICER_API_FORWARD_H

#include "io/http.h"
#include "vm/vm.h"

/* /vm/{hostname}/forward: a WebSocket whose binary messages are the bytes of one connection that the agent opens, to where
 * the field X-Inlets-Upstream says. Owns the exchange, whose request ws_accept_head() has found right. */
void forward_start(struct vm *vm, struct http_exchange *take_client);

#endif
