/* SPDX-License-Identifier: MIT */
/* Mode `slots`: each slot is a bridge of its own, br-<slot>, with the subnet 10.N.0.0/24 and one
 * VM, .2. What a bridge needs is bridge.c's and group.c's; that slots do not reach each other is a
 * rule about their link group (nft.h). */
#include "net/slots.h"

#include "base/str.h"
#include "net/apply_impl.h"
#include "net/mode.h"
#include "net/slots.h"

enum { SLOT_PREFIX = 24 };

static uint32_t slot_address(const struct config_slot *slot, uint32_t host)
{
	return 10U << 24 | slot->index << 16 | host;
}

size_t net_bridged_count(const struct config_group *g)
{
	return g->network.mode == NET_BRIDGE ? 1 : g->network.mode == NET_SLOTS ? g->nslots : 0;
}

static void bridged_slot(const struct config_group *g, const char *daemon_id, const struct config_slot *slot,
			 struct net_bridged *ret)
{
	int n = snprintf(ret->bridge, sizeof(ret->bridge), "br-%s", slot->name);

	if (n >= IFNAMSIZ)
		net_hashed_name("br-", daemon_id, slot->name, ret->bridge);
	ip4_format_cidr((struct ip4_cidr){slot_address(slot, 1), SLOT_PREFIX}, ret->gateway);
	ret->group = *g;
	ret->group.name = slot->name;
	ret->group.network = (struct config_network){
		.mode = NET_SLOTS, .bridge = ret->bridge, .tap_prefix = slot->name, .gateway = ret->gateway};
}

void net_bridged_get(const struct config_group *g, const char *daemon_id, size_t i, struct net_bridged *ret)
{
	*ret = (struct net_bridged){0};
	if (g->network.mode == NET_SLOTS)
		bridged_slot(g, daemon_id, &g->slots[i], ret);
	else
		ret->group = *g;
}

struct config_group net_bridged_part(const struct config_group *g, size_t i)
{
	struct config_group one = *g;

	if (g->network.mode == NET_SLOTS) {
		one.slots = &g->slots[i];
		one.nslots = 1;
	}
	return one;
}

void net_bridge_names(const struct config *cfg, const char *daemon_id, char ***ret)
{
	for (size_t i = 0; i < cfg->ngroups; i++)
		for (size_t k = 0; k < net_bridged_count(&cfg->groups[i]); k++) {
			struct net_bridged one;

			net_bridged_get(&cfg->groups[i], daemon_id, k, &one);
			strv_append(ret, one.group.network.bridge);
		}
}

static const struct config_slot *slot_find(const struct net_vm *vm, struct error **err)
{
	const struct config_slot *slot = config_group_slot(vm->group, vm->hostname);

	if (slot)
		return slot;
	error_set(err, ERR_NOT_FOUND, "slot \"%s\" is not in the configuration any more", vm->hostname);
	return NULL;
}

static int slots_group_up(const struct config_group *g, const char *daemon_id, char ***ret_notes, struct error **err)
{
	cleanup_strv char **made = NULL;

	for (size_t i = 0; i < g->nslots; i++) {
		cleanup_strv char **notes = NULL;
		struct net_bridged slot;
		bool is_new;

		net_bridged_get(g, daemon_id, i, &slot);
		is_new = if_nametoindex(slot.bridge) == 0;
		if (net_bridge_group_up(&slot.group, daemon_id, &notes, err) < 0) {
			if (made)
				net_bridges_down(made, daemon_id, NULL);
			return -1;
		}
		if (is_new)
			strv_append(&made, slot.bridge);
		for (char **note = notes; ret_notes && note && *note; note++)
			strv_append(ret_notes, *note);
	}
	return 0;
}

static int slots_group_down(const struct config_group *g, const char *daemon_id, struct error **err)
{
	cleanup_strv char **bridges = NULL;

	for (size_t i = 0; i < g->nslots; i++) {
		struct net_bridged slot;

		net_bridged_get(g, daemon_id, i, &slot);
		strv_append(&bridges, slot.bridge);
	}
	return bridges ? net_bridges_down(bridges, daemon_id, err) : 0;
}

static int slots_reserve(const struct net_vm *vm, const char *wanted, const uint32_t *used, size_t nused, char **ret,
			 struct error **err)
{
	const struct config_slot *slot = slot_find(vm, err);
	char text[IP4_TEXT_MAX];

	if (!slot)
		return -1;
	ip4_format_cidr((struct ip4_cidr){slot_address(slot, 2), SLOT_PREFIX}, text);
	*ret = str_dup(text);
	return 0;
}

int net_plan_slots_vm(const struct net_vm *vm, const struct net_facts *facts, struct net_plan *ret, struct error **err)
{
	const struct config_slot *slot = slot_find(vm, err);
	struct net_vm as_bridged = *vm;
	struct net_bridged group = {0};

	if (!slot)
		return -1;
	bridged_slot(vm->group, vm->daemon_id, slot, &group);
	as_bridged.group = &group.group;
	as_bridged.number = 0; /* its interface is named by a hash: a slot's name may be long */
	return net_plan_bridge_vm(&as_bridged, slot_address(slot, 2), facts, ret, err);
}

static int slots_plan(const struct net_vm *vm, struct net_plan *ret, struct error **err)
{
	cleanup_net_facts struct net_facts facts = {0};

	return net_facts_read(false, &facts, err) < 0 ? -1 : net_plan_slots_vm(vm, &facts, ret, err);
}

static int slots_from_record(struct net_plan *p, struct error **err)
{
	return net_mode_bridge.from_record(p, err);
}

static int slots_up(struct net_plan *p, struct nfset *sets, struct net_port *ret, struct error **err)
{
	return net_mode_bridge.up(p, sets, ret, err);
}

static int slots_mend(struct net_plan *p, struct nfset *sets, struct error **err)
{
	return net_mode_bridge.mend(p, sets, err);
}

static int slots_down(const struct net_plan *p, struct nfset *sets, struct error **err)
{
	return net_mode_bridge.down(p, sets, err);
}

const struct net_mode net_mode_slots = {
	.mode = NET_SLOTS,
	.needs_root = true,
	.needs_group = true,
	.forwards = true,
	.group_up = slots_group_up,
	.group_down = slots_group_down,
	.reserve = slots_reserve,
	.plan = slots_plan,
	.from_record = slots_from_record,
	.up = slots_up,
	.mend = slots_mend,
	.down = slots_down,
};
