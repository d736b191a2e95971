/* SPDX-License-Identifier: MIT */
/* Which /30 block an isolated VM gets: network, gateway (on the host), VM, broadcast. Pure. */
#ifndef SLICER_NET_ISOLATED_POOL_H
#define SLICER_NET_ISOLATED_POOL_H

#include "config/config.h"
#include "config/ip4.h"
#include "net/facts.h"

enum { ISOLATED_BLOCK_PREFIX = 30, ISOLATED_BLOCK = 4, ISOLATED_NARROW = 17 /* see net_isolated_take() */ };

/* `range` of the group, or the /22 of 169.254.0.0/16 that its name hashes to: FNV-1a, 32 bits, modulo 64, or the next that
 * has nothing of what config/ip4.h reserves. */
int net_isolated_range(const struct config_group *g, struct ip4_cidr *ret, struct error **err);

/* The Nth block for VM number N (from 1), or the next one after it in which nothing is used, by `used` (VMs that the caller
 * knows, running or not) or by this host: an address, or a route as narrow as a part of the range. Routes and networks that
 * are wider do not count: the narrower route wins, and 169.254.0.0/16 itself is on many hosts. *ret: the VM's address.
 * `wanted` ("A" or "A/L", NULL: any) is given or refused: ERR_INVALID, ERR_CONFLICT. ERR_UNAVAILABLE when all are used. */
struct net_isolated_ask {
	const struct config_group *group;
	unsigned number;
	const char *wanted;
	const uint32_t *used;
	size_t nused;
	const struct net_facts *facts;
	unsigned own_link; /* index of the interface whose addresses do not count; 0: none */
	/* *ret: who else has a part of that address's block, which the facts do not tell; the caller's, NULL: nobody. NULL: nobody is
	 * asked. */
	int (*rival)(const struct net_isolated_ask *ask, uint32_t address, char **ret, struct error **err);
	void *rival_arg;
};
int net_isolated_take(const struct net_isolated_ask *ask, uint32_t *ret, struct error **err);

#endif
