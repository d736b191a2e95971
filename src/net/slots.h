/* SPDX-License-Identifier: MIT */
/* Which bridges a configuration asks for: one per group of mode bridge, one per slot, and the plans of slots' VMs. Pure. */
#ifndef SLICER_NET_SLOTS_H
#define SLICER_NET_SLOTS_H

#include <net/if.h>
#include "config/config.h"
#include "config/ip4.h"
#include "net/mode.h"

/* A group with one bridge: one of mode bridge, or a slot as the group that it would be, whose name is then the slot's and whose
 * mode NET_SLOTS. */
struct net_bridged {
	struct config_group group; /* borrows from what it is made of, and from this struct: not to be copied */
	char bridge[IFNAMSIZ], gateway[IP4_TEXT_MAX];
};
size_t net_bridged_count(const struct config_group *g); /* 0 in other modes */
/* `i`: below that number; of slots as in g->slots. */
void net_bridged_get(const struct config_group *g, const char *daemon_id, size_t i, struct net_bridged *ret);
/* The group with that one of its slots only; one of mode bridge as it is. Borrows all of it. */
struct config_group net_bridged_part(const struct config_group *g, size_t i);

/* The names of all of a configuration's bridges are added to the caller's list. */
void net_bridge_names(const struct config *cfg, const char *daemon_id, char ***ret);
/* The plan of a slot's VM. ERR_NOT_FOUND when it is no slot of its group. */
int net_plan_slots_vm(const struct net_vm *vm, const struct net_facts *facts, struct net_plan *ret, struct error **err);

#endif
