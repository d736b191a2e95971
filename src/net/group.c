/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>

#include "base/str.h"
#include "net/apply_impl.h"
#include "net/check.h"
#include "net/firewall.h"
#include "net/nft.h"
#include "net/policy.h"

/* After a kill between its creation and its naming. 1: there was one. */
static int remove_nameless(struct netlink *nl, const char *bridge, const char *daemon_id, const struct net_facts *facts,
			   struct error **err)
{
	const struct link *link;
	char name[IFNAMSIZ];

	net_hashed_name("vb-", daemon_id, bridge, name);
	link = net_facts_link(facts, name);
	if (!link)
		return 0;
	return links_delete(nl, link->index, err) < 0 ? -1 : 1;
}

/* A bridge gets its name after its alias: without the one or the other, after a kill in between, it
 * would look like somebody else's. */
static int bridge_create(struct netlink *nl, const struct net_plan *p, const struct net_facts *facts,
			 struct error **err)
{
	const struct net_plan_link *link = &p->links[0];
	char name[IFNAMSIZ];
	int index;

	net_hashed_name("vb-", p->daemon_id, link->name, name);
	if (remove_nameless(nl, link->name, p->daemon_id, facts, err) < 0 ||
	    links_bridge_create(nl, name, link->mac, err) < 0)
		return -1;
	index = netlink_link_index(nl, name, err);
	if (index < 0)
		goto undo;
	if (links_set_alias(nl, index, link->alias, err) == 0 && links_rename(nl, index, link->name, err) == 0)
		return index;
undo:
	if (index < 0)
		index = netlink_link_index(nl, name, NULL);
	if (index >= 0)
		links_delete(nl, index, NULL);
	return -1;
}

/* What an earlier configuration gave to our bridge goes, with what the tables have of its subnet. An address that somebody
 * else has added is in none. */
static int address_forget(struct netlink *nl, const struct net_plan *p, const struct link_addr *a, struct error **err)
{
	cleanup_free char *table = nft_table(p->daemon_id);
	cleanup_free char *script =
		nft_subnet_remove_script(table, (struct ip4_cidr){ntohl(a->addr.s_addr), a->prefix});

	/* The address last: it is what says that the subnet was the bridge's. */
	nft_run(script, NULL);
	return links_address_delete(nl, a->index, a->addr, a->prefix, err);
}

static bool is_former(const struct net_plan *p, int index, const struct link_addr *a)
{
	const struct ip4_cidr *own = &p->addresses[0].addr;

	return a->index == index && (ntohl(a->addr.s_addr) != own->addr || a->prefix != own->prefix);
}

/* VMs of that time keep their gateway as long as they run. */
static int addresses_tidy(struct netlink *nl, const struct net_plan *p, int index, const struct net_facts *facts,
			  struct error **err)
{
	for (size_t i = 0; i < facts->nlinks; i++)
		if (facts->links[i].master == index)
			return 0;
	for (size_t i = 0; i < facts->naddrs; i++)
		if (is_former(p, index, &facts->addrs[i]) && address_forget(nl, p, &facts->addrs[i], err) < 0)
			return -1;
	return 0;
}

/* A set takes no two subnets that overlap, unless they are the same. */
static int rules_apply(const struct net_plan *p, int index, const struct net_facts *facts, struct error **err)
{
	cleanup_error struct error *why = NULL;
	struct ip4_cidr own = p->addresses[0].addr;
	char text[IP4_TEXT_MAX];

	if (nft_run(p->nft, &why) == 0)
		return 0;
	for (size_t i = 0; i < facts->naddrs; i++) {
		const struct link_addr *a = &facts->addrs[i];
		struct ip4_cidr former = {ntohl(a->addr.s_addr), a->prefix};

		if (!is_former(p, index, a) || !ip4_overlaps(former, own))
			continue;
		ip4_format_cidr(former, text);
		return error_set(
			err, ERR_CONFLICT,
			"VMs on %s still run in the subnet of its former gateway %s, which overlaps the new one. "
			"Delete them first, or set network.gateway to an address in another subnet",
			p->links[0].name, text);
	}
	return error_move(err, &why);
}

static int bridge_configure(struct netlink *nl, const struct net_plan *p, int index, const struct net_facts *facts,
			    struct error **err)
{
	struct in_addr addr = {htonl(p->addresses[0].addr.addr)};
	const struct link *before = net_facts_index(facts, index);

	/* The group may have had another name. */
	if (before && !str_eq(before->alias, p->links[0].alias) &&
	    links_set_alias(nl, index, p->links[0].alias, err) < 0)
		return -1;
	/* The rules are there before the address, and no IPv6 address is ever made. */
	if (links_set_mtu(nl, index, p->links[0].mtu, err) < 0 ||
	    links_set_group(nl, index, p->mode == NET_SLOTS ? NET_GROUP_SLOT : NET_GROUP_BRIDGE, err) < 0 ||
	    net_sysctls_apply(p->sysctls, err) < 0 || addresses_tidy(nl, p, index, facts, err) < 0 ||
	    rules_apply(p, index, facts, err) < 0 ||
	    netlink_addr_add(nl, index, addr, p->addresses[0].addr.prefix, err) < 0)
		return -1;
	return netlink_link_set_up(nl, index, true, err);
}

static int admit(const struct net_plan *p, struct error **err)
{
	const char *bridge = p->links[0].name;
	cleanup_free char *from = str_fmt("iifname \"%s\"", bridge), *to = str_fmt("oifname \"%s\"", bridge);

	return net_firewall_admit(p, bridge, from, to, err);
}

/* So that others, who wait for the lock, wait for less than a second. */
enum { TOGETHER = 16 };

/* Bridges that are removed together: nft takes tens of milliseconds to end when it has removed something (RCU). */
struct going {
	char **names;		   /* all */
	const struct link **links; /* those that are there */
	size_t nlinks;
};

static void going_clear(struct going *g)
{
	strv_free(&g->names);
	free(g->links);
}

static void going_add(struct going *g, const char *name, const struct link *link)
{
	strv_append(&g->names, name);
	if (!link)
		return;
	g->links = mem_realloc(g->links, (g->nlinks + 1) * sizeof(struct link *));
	g->links[g->nlinks++] = link;
}

/* The elements of some groups among several: the addresses of their bridges say which. */
static int elements_remove(const struct going *g, const char *table, const struct net_facts *facts, struct error **err)
{
	cleanup_strv char **scripts = NULL;
	cleanup_free char *all = NULL;

	for (size_t k = 0; k < g->nlinks; k++)
		for (size_t i = 0; i < facts->naddrs; i++) {
			const struct link_addr *a = &facts->addrs[i];
			struct ip4_cidr subnet = {ntohl(a->addr.s_addr), a->prefix};

			if (a->index == g->links[k]->index)
				strv_append_take(&scripts, nft_group_remove_script(table, g->links[k]->name, subnet));
		}
	all = scripts ? strv_join(scripts, "") : NULL;
	return all ? nft_run(all, err) : 0;
}

static int tables_remove(const char *table, struct error **err)
{
	cleanup_free char *script = nft_remove_script(table);

	return nft_run(script, err);
}

/* Removes interfaces that are ours, and all that their groups have in tables; with the last one the tables, too, unless they are to
 * stay. The failure of one does not keep the others; the first is told. */
static int groups_remove(struct netlink *nl, const struct going *g, const char *daemon_id,
			 const struct net_facts *facts, bool stay, struct error **err)
{
	cleanup_free char *table = nft_table(daemon_id);
	cleanup_error struct error *first = NULL, *second = NULL, *third = NULL;

	net_firewall_unadmit(daemon_id, g->names, &first);
	for (size_t i = 0; i < g->nlinks; i++)
		links_delete(nl, g->links[i]->index, second ? NULL : &second);
	if (!stay && net_count_ours(facts, daemon_id) == g->nlinks)
		tables_remove(table, &third);
	else
		elements_remove(g, table, facts, &third);
	if (!first && !second && !third)
		return 0;
	return error_move(err, first ? &first : second ? &second : &third);
}

/* A bridge that did not exist before is gone again after a failure. */
static void group_undo(struct netlink *nl, const struct net_plan *p)
{
	__attribute__((cleanup(going_clear))) struct going going = {0};
	cleanup_net_facts struct net_facts facts = {0};

	if (net_facts_read(false, &facts, NULL) < 0)
		return;
	going_add(&going, p->links[0].name, net_facts_link(&facts, p->links[0].name));
	groups_remove(nl, &going, p->daemon_id, &facts, false, NULL);
}

static int group_apply(const struct net_plan *p, const struct net_facts *facts, struct error **err)
{
	const struct link *link = net_facts_link(facts, p->links[0].name);
	cleanup_netlink struct netlink *nl = netlink_open(err);
	int index;

	if (!nl)
		return -1;
	index = link ? link->index : bridge_create(nl, p, facts, err);
	if (index < 0)
		return -1;
	if (bridge_configure(nl, p, index, facts, err) == 0 && admit(p, err) == 0)
		return 0;
	if (!link)
		group_undo(nl, p);
	return -1;
}

int net_bridge_group_up(const struct config_group *g, const char *daemon_id, char ***ret_notes, struct error **err)
{
	cleanup_close int lock = net_lock(err);
	cleanup_net_facts struct net_facts facts = {0};
	cleanup_net_plan struct net_plan plan = {0};

	if (lock < 0 || net_facts_read(true, &facts, err) < 0 || net_plan_group(g, daemon_id, &facts, &plan, err) < 0 ||
	    net_check_rules(g, &facts, err) < 0)
		return -1;
	if (group_apply(&plan, &facts, err) < 0)
		return -1;
	if (ret_notes) {
		cleanup_free char *sign = str_fmt("\"%s\"", plan.links[0].name);

		*ret_notes = net_firewall_unsettled(plan.notes, &facts.firewall, sign);
		net_policy_notes(g, &facts, ret_notes);
	}
	return 0;
}

static int check_unused(const struct net_facts *facts, const struct link *bridge, struct error **err)
{
	const struct link *port = net_bridge_port(facts->links, facts->nlinks, bridge);

	return port ? error_set(err, ERR_CONFLICT, "bridge %s is in use by the VM whose interface is %s (%s)",
				bridge->name, port->name, port->alias)
		    : 0;
}

/* 1: there were some. */
static int remove_all_nameless(struct netlink *nl, char *const *bridges, const char *daemon_id,
			       const struct net_facts *facts, struct error **err)
{
	int found = 0;

	for (; *bridges; bridges++) {
		int r = remove_nameless(nl, *bridges, daemon_id, facts, err);

		if (r < 0)
			return -1;
		found |= r;
	}
	return found;
}

/* One that is in use keeps no other; the first failure is told. */
static int bridges_remove(char *const *bridges, const char *daemon_id, bool stay, struct error **err)
{
	cleanup_close int lock = net_lock(err);
	cleanup_netlink struct netlink *nl = lock < 0 ? NULL : netlink_open(err);
	cleanup_net_facts struct net_facts facts = {0};
	__attribute__((cleanup(going_clear))) struct going going = {0};
	cleanup_error struct error *used = NULL, *why = NULL;
	int nameless;

	if (!nl || net_facts_read(false, &facts, err) < 0)
		return -1;
	nameless = remove_all_nameless(nl, bridges, daemon_id, &facts, err);
	if (nameless > 0) { /* which may have been the daemon's last but this one */
		net_facts_clear(&facts);
		nameless = net_facts_read(false, &facts, err);
	}
	if (nameless < 0)
		return -1;
	for (; *bridges; bridges++) {
		const struct link *link = net_facts_link(&facts, *bridges);

		if (!link || (net_is_ours(link, daemon_id) && check_unused(&facts, link, used ? NULL : &used) == 0))
			going_add(&going, *bridges, link);
	}
	if (going.names)
		groups_remove(nl, &going, daemon_id, &facts, stay, &why);
	if (used)
		return error_move(err, &used);
	return why ? error_move(err, &why) : 0;
}

int net_bridges_down(char *const *bridges, const char *daemon_id, struct error **err)
{
	cleanup_error struct error *first = NULL;

	while (*bridges) {
		char *some[TOGETHER + 1] = {0};

		for (size_t n = 0; n < TOGETHER && *bridges; n++)
			some[n] = *bridges++;
		bridges_remove(some, daemon_id, false, first ? NULL : &first);
	}
	return first ? error_move(err, &first) : 0;
}

int net_bridge_down(const char *bridge, const char *daemon_id, struct error **err)
{
	return bridges_remove((char *const[]){(char *)bridge, NULL}, daemon_id, false, err);
}

int net_bridge_drop(const char *bridge, const char *daemon_id, struct error **err)
{
	return bridges_remove((char *const[]){(char *)bridge, NULL}, daemon_id, true, err);
}

int net_bridge_group_down(const struct config_group *g, const char *daemon_id, struct error **err)
{
	return net_bridge_down(g->network.bridge, daemon_id, err);
}
