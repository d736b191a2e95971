/* SPDX-License-Identifier: MIT */
/* Inside src/net: is what a group asks for free on this host? */
#ifndef SLICER_NET_CHECK_H
#define SLICER_NET_CHECK_H

#include "config/config.h"
#include "config/ip4.h"
#include "net/facts.h"

/* ERR_CONFLICT with a sentence that names the owner and the remedy, and the slot: which group it is, the caller says. */
int net_check_group(const struct config_group *g, const char *daemon_id, struct ip4_cidr gateway,
		    const struct net_facts *facts, struct error **err);
bool net_is_ours(const struct link *link, const char *daemon_id);
/* An interface of a VM, of whichever daemon, that is on the bridge; NULL: none. */
const struct link *net_bridge_port(const struct link *links, size_t n, const struct link *bridge);
/* The host's end of an isolated VM's pair, whose namespace is gone: the kernel is about to remove it. */
bool net_is_ending(const struct link *link);
size_t net_count_ours(const struct net_facts *facts, const char *daemon_id); /* links of the daemon's */
/* A link of the daemon's, a bridge or a VM's whatever its group, has an address of the subnet. */
bool net_subnet_in_use(const struct net_facts *facts, struct ip4_cidr subnet, const char *daemon_id);

#endif
