/* SPDX-License-Identifier: MIT */
/* Plans of mode `slots`: pure. */
#ifndef SLICER_NET_SLOTS_H
#define SLICER_NET_SLOTS_H

#include "net/mode.h"

/* A slot as the group of a bridge that it would be, for net_plan_group(). It borrows from the group, the slot and itself. */
struct net_slot_group {
	struct config_group group;
	char bridge[IFNAMSIZ], gateway[IP4_TEXT_MAX];
};
void net_slot_group(const struct config_group *g, const char *daemon_id, const struct config_slot *slot,
		    struct net_slot_group *ret);
/* ERR_NOT_FOUND when the VM is no slot of its group. */
int net_plan_slots_vm(const struct net_vm *vm, const struct net_facts *facts, struct net_plan *ret, struct error **err);

#endif
