/* SPDX-License-Identifier: MIT */
/* Mode `macvtap`: VMs on the LAN of one of the host's interfaces, their parent. Here is the pure part. */
#ifndef SLICER_NET_MACVTAP_H
#define SLICER_NET_MACVTAP_H

#include "net/plan.h"

/* What facts about interfaces do not tell. */
struct net_macvtap_host {
	char *machine_id; /* of this host; NULL: it has none */
	char **wireless;  /* names of interfaces */
};
void net_macvtap_probe(const struct net_facts *facts, struct net_macvtap_host *ret);
void net_macvtap_host_clear(struct net_macvtap_host *h);

/* The parent of a group's VMs: `network.parent`, or where the default route leads. Borrowed from the facts. ERR_NOT_FOUND or
 * ERR_INVALID with the reason why there is none or it cannot be one, and what to do; ERR_CONFLICT when it is down. */
const struct link *net_macvtap_parent(const struct config_group *g, const struct net_facts *facts,
				      const struct net_macvtap_host *host, struct error **err);
/* vm->address is "" for DHCP. */
int net_plan_macvtap_vm(const struct net_vm *vm, const struct net_facts *facts, const struct net_macvtap_host *host,
			struct net_plan *ret, struct error **err);

#endif
