/* SPDX-License-Identifier: MIT */
/* What a daemon finds at its start that was made for an earlier configuration, by one that was killed. */
#include <arpa/inet.h>

#include "base/json.h"
#include "base/str.h"
#include "net/apply_impl.h"
#include "net/check.h"
#include "net/firewall.h"
#include "net/isolated_pool.h"
#include "net/nft.h"
#include "net/slots.h"

static int table_remove_all(const char *table, const char *daemon_id, struct error **err)
{
	cleanup_free char *script = nft_remove_script(table);
	char all[] = "";

	return net_firewall_unadmit(daemon_id, (char *[]){all, NULL}, err) < 0 ? -1 : nft_run(script, err);
}

static void strv_append_subnet(char ***list, struct ip4_cidr c)
{
	char text[IP4_TEXT_MAX];

	ip4_format_cidr((struct ip4_cidr){ip4_network(c), c.prefix}, text);
	strv_append(list, text);
}

void net_subnet_names(const struct config *cfg, const char *daemon_id, char ***ret)
{
	struct ip4_cidr c;

	for (size_t i = 0; i < cfg->ngroups; i++) {
		const struct config_group *g = &cfg->groups[i];

		if (g->network.mode == NET_ISOLATED && net_isolated_range(g, &c, NULL) == 0)
			strv_append_subnet(ret, c);
		for (size_t k = 0; k < net_bridged_count(g); k++) {
			struct net_bridged one;

			net_bridged_get(g, daemon_id, k, &one);
			if (ip4_parse_cidr(one.group.network.gateway, &c, NULL) == 0)
				strv_append_subnet(ret, c);
		}
	}
}

/* A configuration with another address for it, and the address that it has is now another group's: two that have exchanged theirs are
 * in each other's way. `subnets`: all of the configuration; `own`: the bridge's by it. */
static bool is_in_the_way(const struct link *link, const struct net_facts *facts, char *const *subnets,
			  const struct ip4_cidr *own)
{
	for (size_t i = 0; i < facts->naddrs; i++) {
		const struct link_addr *a = &facts->addrs[i];
		struct ip4_cidr has = {ntohl(a->addr.s_addr), a->prefix}, c;

		if (a->index != link->index || (has.addr == own->addr && has.prefix == own->prefix))
			continue;
		for (char *const *text = subnets; text && *text; text++)
			if (ip4_parse_cidr(*text, &c, NULL) == 0 && ip4_overlaps(c, has) && !ip4_overlaps(c, *own))
				return true;
	}
	return false;
}

/* The gateway that the configuration has for a bridge of that name; false: none. */
static bool gateway_configured(const struct config *cfg, const char *daemon_id, const char *bridge,
			       struct ip4_cidr *ret)
{
	for (size_t i = 0; i < cfg->ngroups; i++)
		for (size_t k = 0; k < net_bridged_count(&cfg->groups[i]); k++) {
			struct net_bridged one;

			net_bridged_get(&cfg->groups[i], daemon_id, k, &one);
			if (str_eq(one.group.network.bridge, bridge))
				return ip4_parse_cidr(one.group.network.gateway, ret, NULL) == 0;
		}
	return false;
}

/* Bridges that no VM is on, of groups and slots that are in the configuration no more, or by another name, and those that are in
 * another group's way; a list of the caller. */
static char **bridges_former(const struct config *cfg, const char *daemon_id, const struct net_facts *facts)
{
	cleanup_strv char **subnets = NULL;
	char **list = NULL;

	net_subnet_names(cfg, daemon_id, &subnets);
	for (size_t i = 0; i < facts->nlinks; i++) {
		const struct link *link = &facts->links[i];
		struct ip4_cidr own;

		if (net_is_ours(link, daemon_id) && str_eq(link->kind, "bridge") &&
		    !net_bridge_port(facts->links, facts->nlinks, link) &&
		    (!gateway_configured(cfg, daemon_id, link->name, &own) ||
		     is_in_the_way(link, facts, subnets, &own)))
			strv_append(&list, link->name);
	}
	return list;
}

/* By its bridge, or by a VM of it that runs. */
static bool subnet_in_use(const char *subnet, const struct net_facts *facts, const char *daemon_id)
{
	struct ip4_cidr c;

	return ip4_parse_cidr_or_addr(subnet, &c, NULL) < 0 || net_subnet_in_use(facts, c, daemon_id);
}

/* The elements last: they are what says that there is something to remove. */
static int subnet_forget(char *subnet, const char *table, const char *daemon_id, struct error **err)
{
	cleanup_free char *script = NULL;
	struct ip4_cidr c;

	if (net_firewall_unadmit(daemon_id, (char *[]){subnet, NULL}, err) < 0 ||
	    ip4_parse_cidr_or_addr(subnet, &c, err) < 0)
		return -1;
	script = nft_subnet_remove_script(table, c);
	return nft_run(script, err);
}

static int tables_renew(const struct config *cfg, const char *daemon_id, const struct net_facts *facts,
			struct error **err)
{
	cleanup_free char *table = nft_table(daemon_id);
	cleanup_strv char **there = NULL, **configured = NULL;

	if (!nft_table_exists(table))
		return 0;
	if (net_count_ours(facts, daemon_id) == 0)
		return table_remove_all(table, daemon_id, err);
	there = nft_subnets(table);
	net_subnet_names(cfg, daemon_id, &configured);
	for (char **subnet = there; subnet && *subnet; subnet++)
		if (!strv_contains(configured, *subnet) && !subnet_in_use(*subnet, facts, daemon_id) &&
		    subnet_forget(*subnet, table, daemon_id, err) < 0)
			return -1;
	return 0;
}

int net_renew(const struct config *cfg, const char *daemon_id, struct error **err)
{
	cleanup_net_facts struct net_facts facts = {0};
	cleanup_strv char **former = NULL;
	cleanup_close int lock = net_lock(err);

	if (lock < 0 || net_facts_read(false, &facts, err) < 0)
		return -1;
	former = bridges_former(cfg, daemon_id, &facts);
	if (former) { /* which takes the lock by itself */
		fd_closep(&lock);
		net_facts_clear(&facts);
		if (net_bridges_down(former, daemon_id, err) < 0)
			return -1;
		lock = net_lock(err);
		if (lock < 0 || net_facts_read(false, &facts, err) < 0)
			return -1;
	}
	return tables_renew(cfg, daemon_id, &facts, err);
}

/* The lock, and a look at the host, for one only that is not to be kept. */
int net_subnets_sweep(const char *daemon_id, char *const *keep, char ***ret, struct error **err)
{
	cleanup_free char *table = nft_table(daemon_id);
	cleanup_strv char **there = nft_table_exists(table) ? nft_subnets(table) : NULL;
	cleanup_net_facts struct net_facts facts = {0};
	cleanup_close int lock = -1;

	for (char **subnet = there; subnet && *subnet; subnet++) {
		if (strv_contains(keep, *subnet))
			continue;
		if (lock < 0) {
			lock = net_lock(err);
			if (lock < 0 || net_facts_read(false, &facts, err) < 0)
				return -1;
		}
		if (subnet_in_use(*subnet, &facts, daemon_id))
			continue;
		if (subnet_forget(*subnet, table, daemon_id, err) < 0)
			return -1;
		strv_append(ret, *subnet);
	}
	return 0;
}
