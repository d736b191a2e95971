/* SPDX-License-Identifier: MIT */
#include "net/check.h"

#include <arpa/inet.h>

#include "base/str.h"
#include "net/netns.h"

bool net_is_ours(const struct link *link, const char *daemon_id)
{
	cleanup_free char *id = NULL, *name = NULL;

	return net_alias_parse(link->alias, &id, &name) && str_eq(id, daemon_id);
}

const struct link *net_bridge_port(const struct link *links, size_t n, const struct link *bridge)
{
	for (size_t i = 0; i < n; i++)
		if (links[i].master == bridge->index && links[i].alias && str_starts(links[i].alias, "slicer:"))
			return &links[i];
	return NULL;
}

bool net_is_ending(const struct link *link)
{
	cleanup_free char *id = NULL, *name = NULL;

	return str_eq(link->kind, "veth") && !(link->flags & IFF_UP) && net_alias_parse(link->alias, &id, &name) &&
	       !net_space_exists(name);
}

bool net_is_last(const struct net_facts *facts, const struct link *link, const char *daemon_id)
{
	for (size_t i = 0; i < facts->nlinks; i++)
		if (&facts->links[i] != link && net_is_ours(&facts->links[i], daemon_id))
			return false;
	return true;
}

bool net_subnet_in_use(const struct net_facts *facts, struct ip4_cidr subnet, const char *daemon_id)
{
	for (size_t i = 0; i < facts->naddrs; i++) {
		const struct link *link = net_facts_index(facts, facts->addrs[i].index);

		if (link && net_is_ours(link, daemon_id) && ip4_contains(subnet, ntohl(facts->addrs[i].addr.s_addr)))
			return true;
	}
	return false;
}

/* "brvm0, a bridge of the slicer daemon vm-1a2b3c"; the caller's. */
static char *describe(const struct link *link)
{
	cleanup_free char *id = NULL, *name = NULL;

	if (net_alias_parse(link->alias, &id, &name))
		return str_fmt("%s, which belongs to %s of the slicer daemon %s", link->name, name, id);
	if (*link->kind)
		return str_fmt("%s, a %s that slicer did not make", link->name, link->kind);
	return str_fmt("%s", link->name);
}

static int check_bridge(const struct config_group *g, const char *daemon_id, const struct net_facts *facts,
			struct error **err)
{
	const struct link *link = net_facts_link(facts, g->network.bridge);
	cleanup_free char *who = NULL;

	if (!link || (net_is_ours(link, daemon_id) && str_eq(link->kind, "bridge")))
		return 0;
	who = describe(link);
	if (g->network.mode == NET_SLOTS)
		return error_set(
			err, ERR_CONFLICT,
			"slot \"%s\": there is an interface %s. Remove that interface, or call the slot otherwise",
			g->name, who);
	return error_set(err, ERR_CONFLICT,
			 "host group \"%s\": there is an interface %s. Set network.bridge to "
			 "another name, or remove that interface",
			 g->name, who);
}

static int fail_subnet(const struct config_group *g, const char *what, struct ip4_cidr other, const struct link *link,
		       struct error **err)
{
	cleanup_free char *who = link ? describe(link) : str_dup("an interface");
	char text[IP4_TEXT_MAX];

	ip4_format_cidr(other, text);
	if (g->network.mode == NET_SLOTS)
		return error_set(
			err, ERR_CONFLICT,
			"slot \"%s\": the subnet of its gateway %s overlaps the %s %s of %s. Give the slot another number, "
			"which is the second of its subnet (index: N)",
			g->name, g->network.gateway, what, text, who);
	return error_set(err, ERR_CONFLICT,
			 "host group \"%s\": the subnet of gateway %s overlaps the %s %s of %s. Set "
			 "network.gateway to an address in another subnet",
			 g->name, g->network.gateway, what, text, who);
}

static int check_addresses(const struct config_group *g, struct ip4_cidr gateway, int own,
			   const struct net_facts *facts, struct error **err)
{
	for (size_t i = 0; i < facts->naddrs; i++) {
		const struct link_addr *a = &facts->addrs[i];
		struct ip4_cidr c = {ntohl(a->addr.s_addr), a->prefix};

		if (a->index != own && ip4_overlaps(c, gateway))
			return fail_subnet(g, "address", c, net_facts_index(facts, a->index), err);
	}
	return 0;
}

/* A route to a wider network, through a VPN perhaps, is no obstacle: the narrower one wins, as it
 * does for everybody who divides a network. One as narrow or narrower leads our VMs' packets away.
 */
static int check_routes(const struct config_group *g, struct ip4_cidr gateway, int own, const struct net_facts *facts,
			struct error **err)
{
	for (size_t i = 0; i < facts->nroutes; i++) {
		const struct link_route *r = &facts->routes[i];
		struct ip4_cidr c = {ntohl(r->dst.s_addr), r->prefix};

		if (r->index != own && r->prefix >= gateway.prefix && ip4_overlaps(c, gateway))
			return fail_subnet(g, "route", c, net_facts_index(facts, r->index), err);
	}
	return 0;
}

int net_check_group(const struct config_group *g, const char *daemon_id, struct ip4_cidr gateway,
		    const struct net_facts *facts, struct error **err)
{
	const struct link *bridge = net_facts_link(facts, g->network.bridge);
	int own = bridge ? bridge->index : -1;

	if (check_bridge(g, daemon_id, facts, err) < 0 || check_addresses(g, gateway, own, facts, err) < 0)
		return -1;
	return check_routes(g, gateway, own, facts, err);
}
