/* SPDX-License-Identifier: MIT */
/* Which address a VM gets. Pure: who has which address is the caller's knowledge. */
#ifndef SLICER_NET_POOL_H
#define SLICER_NET_POOL_H

#include "config/config.h"
#include "config/ip4.h"

/* The addresses of a group in the order in which they are given out: the list `addresses`; or
 * `range` ascending; or in mode macvtap the last NET_LAN_POOL ones; or the subnet ascending from the gateway on, then from its beginning. Never
 * the network's, the broadcast's or the gateway's own. */
enum { NET_LAN_POOL = CONFIG_LAN_POOL, NET_LAN_POOL_PREFIX_MAX = CONFIG_LAN_POOL_PREFIX_MAX };
struct net_pool {
	char *group;
	struct ip4_cidr gateway;
	struct ip4_range range; /* unless there is a list */
	uint32_t *list;
	uint32_t count; /* how many addresses there are */
};

/* For groups whose network has a gateway. ERR_INVALID for a subnet without room, or values that
 * config_check() would have refused. The caller's; net_pool_free(). */
struct net_pool *net_pool_new(const struct config_group *g, struct error **err);
void net_pool_free(struct net_pool **pool);
#define cleanup_net_pool __attribute__((cleanup(net_pool_free)))

/* VM number N (from 1) gets the Nth address, or the next free one after it. `wanted` ("A" or "A/L",
 * NULL: any) is given or refused: ERR_INVALID when it is not of the pool, ERR_CONFLICT when it is
 * used. ERR_UNAVAILABLE when all are used. */
int net_pool_take(const struct net_pool *pool, unsigned number, const char *wanted, const uint32_t *used, size_t nused,
		  uint32_t *ret, struct error **err);

/* net_mode.reserve of the modes that have a pool; the text has the gateway's prefix length. */
struct net_vm;
int net_pool_reserve(const struct net_vm *vm, const char *wanted, const uint32_t *used, size_t nused, char **ret,
		     struct error **err);

#endif
