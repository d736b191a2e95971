/* SPDX-License-Identifier: MIT */
/* Mode `macvtap`: an interface of the VM's own beside its parent, on the parent's wire. The VMM gets an fd of its device; one
 * that takes none would get a tap and tc(8) redirects between the two, which is another kind of port. */
#include "net/macvtap.h"

#include "base/str.h"
#include "net/apply_impl.h"
#include "net/mode.h"
#include "net/pool.h"

static int macvtap_group_up(const struct config_group *g, const char *daemon_id, char ***ret_notes, struct error **err)
{
	cleanup_net_facts struct net_facts facts = {0};
	struct net_macvtap_host host;
	const struct link *parent;

	if (net_facts_read(false, &facts, err) < 0)
		return -1;
	net_macvtap_probe(&facts, &host);
	parent = net_macvtap_parent(g, &facts, &host, err);
	if (parent && ret_notes)
		strv_append_fmt(
			ret_notes,
			"VMs of host group \"%s\" are on the LAN of %s. This host cannot reach them by their addresses, nor they "
			"it (a property of macvtap); exec, shell, cp and forward work",
			g->name, parent->name);
	net_macvtap_host_clear(&host);
	return parent ? 0 : -1;
}

static int macvtap_reserve(const struct net_vm *vm, const char *wanted, const uint32_t *used, size_t nused, char **ret,
			   struct error **err)
{
	if (vm->group->network.gateway)
		return net_pool_reserve(vm, wanted, used, nused, ret, err);
	if (wanted)
		return error_set(
			err, ERR_INVALID,
			"host group \"%s\" has its addresses from the LAN's DHCP server; an address cannot be asked for",
			vm->group->name);
	*ret = str_dup("");
	return 0;
}

static int macvtap_plan(const struct net_vm *vm, struct net_plan *ret, struct error **err)
{
	cleanup_net_facts struct net_facts facts = {0};
	struct net_macvtap_host host;
	int r;

	if (net_facts_read(false, &facts, err) < 0)
		return -1;
	net_macvtap_probe(&facts, &host);
	r = net_plan_macvtap_vm(vm, &facts, &host, ret, err);
	net_macvtap_host_clear(&host);
	return r;
}

static int macvtap_from_record(struct net_plan *p, struct error **err)
{
	if (p->nlinks != 1 || p->links[0].kind != NET_LINK_MACVTAP || !*p->links[0].master)
		return error_set(err, ERR_INVALID, "a macvtap and its parent are missing");
	return 0;
}

/* The address follows from the names of host and VM, so that two VMs of one name have the same. */
static int bring_up(struct netlink *nl, const struct net_plan *p, int index, struct error **err)
{
	cleanup_error struct error *why = NULL;

	if (links_macvtap_set_up(nl, index, &why) == 0)
		return 0;
	if (why->code != ERR_CONFLICT)
		return error_move(err, &why);
	return error_set(
		err, ERR_CONFLICT,
		"another VM on %s has this VM's MAC address %s: one of another daemon, whose host group has the same "
		"name, perhaps. Give the host group another name",
		p->links[0].master, p->guest.mac);
}

static int macvtap_make(struct netlink *nl, const struct net_plan *p, struct error **err)
{
	const struct net_plan_link *link = &p->links[0];
	cleanup_error struct error *why = NULL;
	int parent = netlink_link_index(nl, link->master, &why), index;

	if (parent < 0 && why->code == ERR_NOT_FOUND)
		return error_set(err, ERR_CONFLICT, "its parent %s is gone", link->master);
	if (parent < 0)
		return error_move(err, &why);
	if (links_macvtap_create(nl, link->name, parent, link->mac, link->mtu, err) < 0)
		return error_wrap(err, "on %s", link->master);
	index = netlink_link_index(nl, link->name, err);
	if (index < 0 || links_set_alias(nl, index, link->alias, err) < 0 ||
	    links_add_altname(nl, index, link->altname, err) < 0 || net_sysctls_apply(p->sysctls, err) < 0 ||
	    bring_up(nl, p, index, err) < 0)
		return -1;
	return links_macvtap_open(link->name, index, err);
}

static int macvtap_up(struct net_plan *p, struct nfset *sets, struct net_port *ret, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	int old = nl ? net_find_own_link(nl, p, err) : -1, fd;

	if (old < 0 || (old > 0 && links_delete(nl, old, err) < 0))
		return -1;
	fd = macvtap_make(nl, p, err);
	if (fd < 0) {
		old = net_find_own_link(nl, p, NULL);
		if (old > 0)
			links_delete(nl, old, NULL);
		return -1;
	}
	*ret = (struct net_port){.kind = NET_PORT_TAP, .tap_fd = fd};
	return 0;
}

/* What the parent takes along when it goes cannot come back to a VMM that runs. */
static int macvtap_mend(struct net_plan *p, struct nfset *sets, struct error **err)
{
	cleanup_net_facts struct net_facts facts = {0};
	const struct net_plan_link *link = &p->links[0];
	const struct link *parent;

	if (net_facts_read(false, &facts, err) < 0)
		return -1;
	parent = net_facts_link(&facts, link->master);
	if (!net_facts_link(&facts, link->name))
		return error_set(err, ERR_NOT_FOUND, "its interface is gone%s%s%s: " NET_STARTED_ANEW,
				 parent ? "" : " with its parent ", parent ? "" : link->master,
				 parent ? "" : ", which vanished");
	if (parent && !(parent->flags & IFF_UP))
		return error_set(err, ERR_CONFLICT,
				 "its parent %s is down: the VM has no network until it is up (ip link set %s up)",
				 parent->name, parent->name);
	return 0;
}

static int macvtap_down(const struct net_plan *p, struct nfset *sets, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	cleanup_error struct error *why = NULL;
	int index = nl ? net_find_own_link(nl, p, &why) : -1;

	if (index < 0 && (!why || why->code != ERR_CONFLICT))
		return error_move(err, &why);
	return index > 0 ? links_delete(nl, index, err) : 0;
}

const struct net_mode net_mode_macvtap = {
	.mode = NET_MACVTAP,
	.needs_root = true,
	.needs_group = true,
	.ipv6 = true,
	.group_up = macvtap_group_up,
	.reserve = macvtap_reserve,
	.plan = macvtap_plan,
	.from_record = macvtap_from_record,
	.up = macvtap_up,
	.mend = macvtap_mend,
	.down = macvtap_down,
};
