/* SPDX-License-Identifier: MIT */
#ifndef SLICER_API_IMPORT_H
#define SLICER_API_IMPORT_H

#include "api/call.h"

/* Gets the keys of the request's github_user, in a worker, and adds them to its ssh_keys. then() has the call back, with NULL or
 * why there are none: ERR_INVALID (no such user, no keys), else ERR_PROTOCOL. It is not called when the client left. *take_request is
 * empty from here on. */
typedef void import_done_fn(struct call *call, struct node_request *request, const struct error *error);
void import_keys(struct call *call, struct node_request *take_request, import_done_fn *then);
void import_cancel(struct import **import); /* by call_free; NULL-safe */

#endif
