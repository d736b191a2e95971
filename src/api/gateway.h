/* SPDX-License-Identifier: MIT */
/* A client's exchange joined to one with the agent of a VM: heads translated, bodies passed both ways at once with
 * backpressure, never held. Either side's leaving ends the other. */
#ifndef SLICER_API_GATEWAY_H
#define SLICER_API_GATEWAY_H

#include "io/http.h"
#include "vm/vm.h"

/* The agent's path and query for a request to /vm/{hostname}/…; the caller's. The fields that matter to the agent go along. */
struct http_head *gateway_request(const struct http_head *client, const char *method);

/* Opens the request at the VM's agent and passes all that follows. Owns `take_client` and the head. limit_ms: to the head of
 * the answer (0: none); what comes too late is answered 500. */
void gateway_start(struct vm *vm, struct http_exchange *take_client, struct http_head *take_request, int64_t limit_ms);

/* Passes on an answer whose head is there already. Owns both. */
void gateway_join(struct http_exchange *take_client, struct http_exchange *take_agent);

#endif
