/* SPDX-License-Identifier: MIT */
/* What other machines need to reach the VMs of a configuration: `slicer vm route`, and `up`. */
#ifndef SLICER_NET_ROUTES_H
#define SLICER_NET_ROUTES_H

#include "config/config.h"

enum net_route_os { NET_ROUTE_ALL, NET_ROUTE_LINUX, NET_ROUTE_DARWIN };

/* Text of lines for the user; `host` is this host's address in the LAN, NULL when it is not known.
 * NULL when no group of the configuration has addresses that can be routed to. The caller's. */
char *net_route_text(const struct config *cfg, const char *host, enum net_route_os os);

#endif
