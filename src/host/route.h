/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_ROUTE_H
#define SLICER_HOST_ROUTE_H

#include "cli/command.h"
#include "config/config.h"
#include "net/routes.h"

extern const struct command command_vm_route; /* slicer vm route FILE */

/* What `vm route` prints, with this host's address in the LAN; NULL when there is nothing to route
 * to. For `up` as well. The caller's. */
char *route_text(const struct config *cfg, enum net_route_os os);

#endif
