/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_LISTEN_H
#define SLICER_HOST_LISTEN_H

#include "config/config.h"

/* The API's listening socket (non-blocking, the caller's), by TCP or Unix socket as configured. *ret_shown says where, for
 * people. ERR_CONFLICT: somebody else listens there. */
int listen_api(const struct config *config, char **ret_shown, struct error **err);
/* The same for --url: http://ADDRESS:PORT of this host, or the absolute path of the socket, whose own is relative to
 * `directory`. The caller's. */
char *listen_url(const struct config *config, const char *directory);

#endif
