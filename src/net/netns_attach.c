/* SPDX-License-Identifier: MIT */
/* In slicer-netns: a VM takes the place of an interface that somebody else made in its namespace: the two are ports of a
 * bridge, the guest gets the interface's MAC address, and the interface another one. Its IP address stays, because plugins
 * look for it when they remove what they made; but nobody answers for it here (arp_ignore).
 *
 *   guest ── tap │ bridge │ eth0 ══ what the plugins made */
#include <arpa/inet.h>

#include "base/links.h"
#include "base/str.h"
#include "net/apply_impl.h"
#include "net/netns_protocol.h"

#define BRIDGE "br0"

int netns_make_empty(const char *name, const char *alias, struct error **err)
{
	static const char *const sysctls[] = {"-net/ipv6/conf/all/disable_ipv6=1",
					      "-net/ipv6/conf/default/disable_ipv6=1", "net/ipv4/conf/all/arp_ignore=8",
					      NULL};
	cleanup_netlink struct netlink *nl = NULL;
	int lo;

	if (netns_enter_new(alias, err) < 0 || net_sysctls_apply((char *const *)sysctls, err) < 0)
		return -1;
	nl = netlink_open(err);
	lo = nl ? netlink_link_index(nl, "lo", err) : -1;
	if (lo < 0 || netlink_link_set_up(nl, lo, true, err) < 0)
		return -1;
	return netns_mount(name, err);
}

/* Of whatever kind: it is only looked at. */
int netns_make_stand_in(const char *name, const char *alias, const char *ifname, const char *addresses,
			struct error **err)
{
	static const unsigned char mac[6] = {0x02, 0, 0, 0, 0, 1};
	cleanup_strv char **list = strv_split(addresses, ',');
	cleanup_netlink struct netlink *nl = NULL;
	struct ip4_cidr c;
	int index, there = netns_enter(name, alias, err);

	/* The file of one whose mount is gone is in the way of another. */
	if (there < 0 || (there > 0 && netns_unmount(name, err) < 0) ||
	    (there > 0 && netns_make_empty(name, alias, err) < 0))
		return -1;
	nl = netlink_open(err);
	if (nl && netlink_link_index(nl, ifname, NULL) >= 0)
		return 0;
	if (!nl || links_bridge_create(nl, ifname, mac, err) < 0)
		return -1;
	index = netlink_link_index(nl, ifname, err);
	for (char **text = list; index >= 0 && text && *text; text++)
		if (ip4_parse_cidr(*text, &c, err) < 0 ||
		    netlink_addr_add(nl, index, (struct in_addr){htonl(c.addr)}, c.prefix, err) < 0)
			return -1;
	return index < 0 ? -1 : 0;
}

/* Has the interface a route to its subnet? */
static int is_connected(struct netlink *nl, int index, bool *ret, struct error **err)
{
	struct link_route *routes;
	size_t n;

	*ret = false;
	if (links_routes(nl, &routes, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (routes[i].index == index && routes[i].prefix > 0 && routes[i].prefix < 32 &&
		    !routes[i].gateway.s_addr)
			*ret = true;
	free(routes);
	return 0;
}

static int join(struct netlink *nl, int bridge, int index, struct error **err)
{
	if (links_set_master(nl, index, bridge, err) < 0)
		return -1;
	return netlink_link_set_up(nl, index, true, err);
}

/* Ports get their MAC addresses first: a bridge keeps those of its ports for itself. */
static int build(struct netlink *nl, const struct net_plan *p, int index, unsigned mtu, int *ret_tap,
		 struct error **err)
{
	const struct net_plan_link *tap = &p->links[0];
	unsigned char mac[6];
	int bridge, port;

	net_derived_mac("cni-port", p->daemon_id, p->name, mac);
	if (netlink_link_set_up(nl, index, false, err) < 0 || netlink_link_set_mac(nl, index, mac, err) < 0)
		return -1;
	net_derived_mac("cni-bridge", p->daemon_id, p->name, mac);
	if (links_bridge_create(nl, BRIDGE, mac, err) < 0)
		return -1;
	*ret_tap = links_tap_create(tap->name, (uid_t)-1, err);
	bridge = *ret_tap < 0 ? -1 : netlink_link_index(nl, BRIDGE, err);
	port = bridge < 0 ? -1 : netlink_link_index(nl, tap->name, err);
	if (port < 0 || netlink_link_set_mac(nl, port, tap->mac, err) < 0 || links_set_mtu(nl, port, mtu, err) < 0 ||
	    join(nl, bridge, index, err) < 0 || join(nl, bridge, port, err) < 0)
		return -1;
	return netlink_link_set_up(nl, bridge, true, err);
}

int netns_take_over(const struct net_plan *p, const char *ifname, struct error **err)
{
	cleanup_netlink struct netlink *nl = NULL;
	cleanup_close int tap = -1;
	struct link link = {0};
	bool connected;
	int r = netns_enter(p->netns, p->links[0].alias, err);

	if (r > 0)
		return error_set(err, ERR_NOT_FOUND, "its network namespace " NETNS_DIR "/%s is gone", p->netns);
	nl = r < 0 ? NULL : netlink_open(err);
	if (!nl || links_get(nl, ifname, &link, err) < 0)
		return -1;
	free(link.alias);
	if (is_connected(nl, link.index, &connected, err) < 0 || build(nl, p, link.index, link.mtu, &tap, err) < 0)
		return -1;
	printf("%u %d\n", link.mtu, connected);
	return netns_send_fd(tap, err);
}
