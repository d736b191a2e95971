/* SPDX-License-Identifier: MIT */
/* A client's WebSocket joined to a shell at the agent: one binary message is one frame (type, 4 bytes length in network order,
 * payload), and the same frames follow each other in the body of the agent's stream. */
#ifndef SLICER_API_SHELL_H
#define SLICER_API_SHELL_H

#include "io/http1.h"
#include "vm/vm.h"

/* Owns the exchange, a valid upgrade request. A refusal of the agent is passed on as plain HTTP. */
void shell_start(struct vm *vm, struct http_exchange *take_client);

#endif
