/* SPDX-License-Identifier: MIT */
/* Inside src/net: plans of mode `isolated`. Pure. */
#ifndef SLICER_NET_PLAN_ISOLATED_H
#define SLICER_NET_PLAN_ISOLATED_H

#include "net/mode.h"

/* `address`: from net_isolated_take(). */
int net_plan_isolated_vm(const struct net_vm *vm, uint32_t address, const struct net_facts *facts, struct net_plan *ret,
			 struct error **err);
/* What is not in the record: p->elements, from the rest. */
int net_plan_isolated_guard(struct net_plan *p, struct error **err);
/* p->nft and p->rules anew, for the host as it is now. */
int net_plan_isolated_rules(struct net_plan *p, const struct net_facts *facts, struct error **err);

#endif
