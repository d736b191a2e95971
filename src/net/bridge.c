/* SPDX-License-Identifier: MIT */
/* Mode `bridge`: a tap on the bridge of the group, and elements of the daemon's sets that guard it. */
#include <arpa/inet.h>

#include "base/str.h"
#include "net/apply_impl.h"
#include "net/mode.h"
#include "net/nft.h"
#include "net/pool.h"

#include <linux/netfilter.h> /* after netinet/in.h, or both define the same */

typedef int limit_fn(struct nfset *sets, const char *table, const char *ifname, const struct net_limits *l,
		     struct error **err);

static int add_rules(const struct net_plan *p, struct nfset *sets, limit_fn *limit, struct error **err)
{
	cleanup_free char *table = nft_table(p->daemon_id);

	if (nft_rules_check(sets, table, false, err) < 0 ||
	    nfset_add(sets, NFPROTO_BRIDGE, table, p->elements, p->nelements, err) < 0)
		return -1;
	return limit(sets, table, p->links[0].name, &p->limits, err);
}

static int remove_rules(const struct net_plan *p, struct nfset *sets, struct error **err)
{
	cleanup_free char *table = nft_table(p->daemon_id);

	if (nfset_delete(sets, NFPROTO_BRIDGE, table, p->elements, p->nelements, err) < 0)
		return -1;
	return net_limits_down(sets, table, p->links[0].name, &p->limits, err);
}

static int join_bridge(struct netlink *nl, const struct net_plan *p, int index, struct error **err)
{
	const struct net_plan_link *link = &p->links[0];
	cleanup_error struct error *why = NULL;
	int master = netlink_link_index(nl, link->master, &why);

	if (master < 0 && why->code == ERR_NOT_FOUND)
		return error_set(err, ERR_GONE, "bridge %s is gone; the daemon makes it again", link->master);
	if (master < 0)
		return error_move(err, &why);
	if (links_set_master(nl, index, master, err) < 0)
		return -1;
	return netlink_link_set_up(nl, index, true, err);
}

static int configure_tap(struct netlink *nl, const struct net_plan *p, struct error **err)
{
	const struct net_plan_link *link = &p->links[0];
	int index = netlink_link_index(nl, link->name, err);

	if (index < 0 || links_set_alias(nl, index, link->alias, err) < 0 ||
	    links_add_altname(nl, index, link->altname, err) < 0 || links_set_mtu(nl, index, link->mtu, err) < 0 ||
	    net_sysctls_apply(p->sysctls, err) < 0)
		return -1;
	return join_bridge(nl, p, index, err);
}

/* Nobody sweeps up rules of an interface that is only just to come. */
static int make_tap(const struct net_plan *p, struct nfset *sets, struct error **err)
{
	cleanup_close int lock = net_lock_shared(err);

	return lock < 0 || add_rules(p, sets, net_limits_up, err) < 0
		       ? -1
		       : links_tap_create(p->links[0].name, (uid_t)-1, err);
}

static int bridge_up(struct net_plan *p, struct nfset *sets, struct net_port *ret, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	cleanup_close int fd = -1;
	int old = nl ? net_find_own_link(nl, p, err) : -1;

	if (old < 0 || (old > 0 && links_delete(nl, old, err) < 0))
		return -1;
	fd = make_tap(p, sets, err);
	if (fd < 0 || configure_tap(nl, p, err) < 0) {
		fd_closep(&fd);
		remove_rules(p, sets, NULL);
		return -1;
	}
	*ret = (struct net_port){.kind = NET_PORT_TAP, .tap_fd = TAKE_FD(fd)};
	return 0;
}

static int mend_tap(struct netlink *nl, const struct net_plan *p, struct nfset *sets, int index, struct error **err)
{
	if (add_rules(p, sets, net_limits_mend, err) < 0 || net_sysctls_apply(p->sysctls, err) < 0)
		return -1;
	return join_bridge(nl, p, index, err);
}

/* A VM that is looked at may end meanwhile: its rules, which came after they had been removed, would be left. While the lock is held
 * none of that name is about to come, see make_tap(). */
static void take_back(struct netlink *nl, const struct net_plan *p, struct nfset *sets)
{
	cleanup_close int lock = net_lock(NULL);

	if (lock >= 0 && net_find_own_link(nl, p, NULL) == 0)
		remove_rules(p, sets, NULL);
}

static int bridge_mend(struct net_plan *p, struct nfset *sets, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	int index = nl ? net_find_own_link(nl, p, err) : -1, r;

	if (index == 0)
		error_set(err, ERR_NOT_FOUND, "its interface %s is gone: " NET_STARTED_ANEW, p->links[0].name);
	if (index <= 0)
		return -1;
	r = mend_tap(nl, p, sets, index, err);
	if (net_find_own_link(nl, p, NULL) == 0)
		take_back(nl, p, sets);
	return r;
}

static int bridge_down(const struct net_plan *p, struct nfset *sets, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	cleanup_error struct error *why = NULL;
	int index = nl ? net_find_own_link(nl, p, &why) : -1;

	/* Somebody else's interface of that name stays, and so it does not need our rules. */
	if (index < 0 && (!why || why->code != ERR_CONFLICT))
		return error_move(err, &why);
	if (index > 0 && links_delete(nl, index, err) < 0)
		return -1;
	return remove_rules(p, sets, err);
}

static int bridge_plan(const struct net_vm *vm, struct net_plan *ret, struct error **err)
{
	cleanup_net_facts struct net_facts facts = {0};
	struct ip4_cidr address;

	/* The bridge is among those with a network; a list of all interfaces has one for each VM. */
	if (ip4_parse_cidr(vm->address, &address, err) < 0 || net_facts_read_networks(&facts, err) < 0)
		return -1;
	return net_plan_bridge_vm(vm, address.addr, &facts, ret, err);
}

static int bridge_from_record(struct net_plan *p, struct error **err)
{
	struct ip4_cidr address;
	unsigned char mac[6];

	if (p->nlinks != 1 || p->links[0].kind != NET_LINK_TAP || !*p->links[0].master)
		return error_set(err, ERR_INVALID, "a tap and its bridge are missing");
	if (ip4_parse_cidr(p->guest.address, &address, err) < 0)
		return -1;
	if (mac_parse(p->guest.mac, mac) < 0)
		return error_set(err, ERR_INVALID, "\"%s\" is no MAC address", p->guest.mac);
	net_plan_guard(p, mac, address.addr);
	return 0;
}

const struct net_mode net_mode_bridge = {
	.mode = NET_BRIDGE,
	.needs_root = true,
	.needs_group = true,
	.forwards = true,
	.group_up = net_bridge_group_up,
	.group_down = net_bridge_group_down,
	.reserve = net_pool_reserve,
	.plan = bridge_plan,
	.from_record = bridge_from_record,
	.up = bridge_up,
	.mend = bridge_mend,
	.down = bridge_down,
};
