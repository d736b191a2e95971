/* SPDX-License-Identifier: MIT */
/* Opening a WebSocket at the daemon. */
#ifndef SLICER_CLI_WS_OPEN_H
#define SLICER_CLI_WS_OPEN_H

#include "cli/client.h"

struct ws_open;
/* Called once: the raw connection, the callee's, after a 101; or NULL and the error in words for the user (borrowed), with
 * the status of the answer, 0 when there was none. The object is to be freed then, in the call or later. */
typedef void ws_open_fn(void *arg, struct stream *take_raw, int status, const struct error *error);
/* Owns the head, which client_head() made and to which the fields of the handshake are added here. */
struct ws_open *ws_open_new(struct client *c, struct http_head *take_head, ws_open_fn *fn, void *arg);
void ws_open_free(struct ws_open **o); /* NULL-safe; without a call */

#endif
