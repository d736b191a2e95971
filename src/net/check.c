/* SPDX-License-Identifier: MIT */
#include "net/check.h"

#include <arpa/inet.h>

#include "base/str.h"
#include "net/apply.h"
#include "net/netns.h"
#include "net/policy.h"

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

size_t net_count_ours(const struct net_facts *facts, const char *daemon_id)
{
	size_t n = 0;

	for (size_t i = 0; i < facts->nlinks; i++)
		n += net_is_ours(&facts->links[i], daemon_id);
	return n;
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

/* What a group asks for, and of what. */
struct check {
	const struct config_group *group;
	const char *daemon_id;
	struct ip4_cidr gateway;
	const struct net_facts *facts;
	int own; /* index of its bridge; -1: none */
};

static int check_bridge(const struct check *c, struct error **err)
{
	const struct config_group *g = c->group;
	const struct link *link = net_facts_link(c->facts, g->network.bridge);
	cleanup_free char *who = NULL;

	if (!link || (net_is_ours(link, c->daemon_id) && str_eq(link->kind, "bridge")))
		return 0;
	who = describe(link);
	if (g->network.mode == NET_SLOTS)
		return error_set(
			err, ERR_CONFLICT,
			"slot \"%s\": there is an interface %s. Remove that interface, or call the slot otherwise",
			g->name, who);
	return error_set(err, ERR_CONFLICT,
			 "there is an interface %s. Set network.bridge to another name, or remove that interface", who);
}

/* A bridge of this daemon's from before its configuration was changed. One without VMs is gone by now, where it is no group's any
 * more (net/renew.c). `overlaps`: the beginning of the sentence. */
static int fail_former(const struct check *c, const char *overlaps, const struct link *link, struct error **err)
{
	const struct link *port = net_bridge_port(c->facts->links, c->facts->nlinks, link);
	cleanup_free char *id = NULL, *former = NULL, *port_id = NULL, *vm = NULL;

	net_alias_parse(link->alias, &id, &former);
	if (!port || !net_alias_parse(port->alias, &port_id, &vm))
		return error_set(err, ERR_CONFLICT,
				 "%s, which \"%s\" had before the configuration was changed. No VM uses it: remove it "
				 "with slicer net check --fix",
				 overlaps, former);
	return error_set(
		err, ERR_CONFLICT,
		"%s, which \"%s\" had before the configuration was changed, and on which its VM \"%s\" still runs. "
		"Undo the change and delete the VMs of \"%s\" first (a new name makes a new group), or %s",
		overlaps, former, vm, former,
		c->group->network.mode == NET_SLOTS
			? "give the slot another number, which is the second of its subnet (index: N)"
			: "set network.gateway to an address in another subnet");
}

static int fail_subnet(const struct check *c, const char *what, struct ip4_cidr other, const struct link *link,
		       struct error **err)
{
	cleanup_free char *who = link ? describe(link) : str_dup("an interface"), *overlaps = NULL;
	const struct config_group *g = c->group;
	bool slot = g->network.mode == NET_SLOTS,
	     former = link && net_is_ours(link, c->daemon_id) && str_eq(link->kind, "bridge");
	const char *of = former ? link->name : who;
	char text[IP4_TEXT_MAX];

	ip4_format_cidr(other, text);
	overlaps =
		slot ? str_fmt("slot \"%s\": the subnet of its gateway %s overlaps the %s %s of %s", g->name,
			       g->network.gateway, what, text, of)
		     : str_fmt("the subnet of gateway %s overlaps the %s %s of %s", g->network.gateway, what, text, of);
	if (former)
		return fail_former(c, overlaps, link, err);
	if (slot)
		return error_set(err, ERR_CONFLICT,
				 "%s. Give the slot another number, which is the second of its subnet (index: N)",
				 overlaps);
	return error_set(err, ERR_CONFLICT, "%s. Set network.gateway to an address in another subnet", overlaps);
}

static int check_addresses(const struct check *c, struct error **err)
{
	for (size_t i = 0; i < c->facts->naddrs; i++) {
		const struct link_addr *a = &c->facts->addrs[i];
		struct ip4_cidr other = {ntohl(a->addr.s_addr), a->prefix};

		if (a->index != c->own && ip4_overlaps(other, c->gateway))
			return fail_subnet(c, "address", other, net_facts_index(c->facts, a->index), err);
	}
	return 0;
}

/* A route to a wider network, through a VPN perhaps, is no obstacle: the narrower one wins, as it
 * does for everybody who divides a network. One as narrow or narrower leads our VMs' packets away.
 */
static int check_routes(const struct check *c, struct error **err)
{
	for (size_t i = 0; i < c->facts->nroutes; i++) {
		const struct link_route *r = &c->facts->routes[i];
		struct ip4_cidr other = {ntohl(r->dst.s_addr), r->prefix};

		if (r->index != c->own && r->prefix >= c->gateway.prefix && ip4_overlaps(other, c->gateway))
			return fail_subnet(c, "route", other, net_facts_index(c->facts, r->index), err);
	}
	return 0;
}

int net_check_group(const struct config_group *g, const char *daemon_id, struct ip4_cidr gateway,
		    const struct net_facts *facts, struct error **err)
{
	const struct link *bridge = net_facts_link(facts, g->network.bridge);
	const struct check c = {g, daemon_id, gateway, facts, bridge ? bridge->index : -1};

	return check_bridge(&c, err) < 0 || check_addresses(&c, err) < 0 ? -1 : check_routes(&c, err);
}

int net_check_rules(const struct config_group *g, const struct net_facts *facts, struct error **err)
{
	const struct link *bridge = net_facts_link(facts, g->network.bridge);
	const struct check c = {.group = g, .daemon_id = "", .facts = facts};
	const struct link_route *r;
	struct ip4_cidr gateway;

	if (ip4_parse_cidr(g->network.gateway, &gateway, err) < 0)
		return -1;
	r = net_policy_rival(facts, gateway, bridge ? bridge->index : -1);
	return r ? fail_subnet(&c, "route", (struct ip4_cidr){ntohl(r->dst.s_addr), r->prefix},
			       net_facts_index(facts, r->index), err)
		 : 0;
}
