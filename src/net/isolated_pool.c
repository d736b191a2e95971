/* SPDX-License-Identifier: MIT */
#include "net/isolated_pool.h"

#include <arpa/inet.h>

#include "base/str.h"

enum { RANGE_PREFIX = 22, RANGES = 64 };
#define LINK_LOCAL 0xa9fe0000U /* 169.254.0.0 */

/* http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint32_t fnv1a(const char *s)
{
	uint32_t hash = 2166136261U;

	for (; *s; s++)
		hash = (hash ^ (unsigned char)*s) * 16777619U;
	return hash;
}

int net_isolated_range(const struct config_group *g, struct ip4_cidr *ret, struct error **err)
{
	uint32_t place = fnv1a(g->name) % RANGES;

	if (g->network.range)
		return ip4_parse_cidr(g->network.range, ret, err);
	do {
		*ret = (struct ip4_cidr){LINK_LOCAL | place << (32 - RANGE_PREFIX), RANGE_PREFIX};
		place = (place + 1) % RANGES;
	} while (ip4_reserved(*ret));
	return 0;
}

static char *rival(const struct net_facts *facts, const char *what, struct ip4_cidr c, int index)
{
	const struct link *link = net_facts_index(facts, index);
	char text[IP4_TEXT_MAX];

	ip4_format_cidr(c, text);
	return str_fmt("the %s %s of %s", what, text, link ? link->name : "an interface");
}

/* Who on this host has a part of the block, as far as the facts tell; the caller's, NULL: nobody. */
static char *listed_rival(uint32_t address, const struct net_facts *facts, unsigned own_link)
{
	struct ip4_cidr block = {address, ISOLATED_BLOCK_PREFIX};

	for (size_t i = 0; i < facts->naddrs; i++) {
		const struct link_addr *a = &facts->addrs[i];
		struct ip4_cidr c = {ntohl(a->addr.s_addr), a->prefix};

		if (own_link && a->index == (int)own_link)
			continue;
		if (ip4_contains(block, c.addr) || (c.prefix >= ISOLATED_NARROW && ip4_overlaps(block, c)))
			return rival(facts, "address", c, a->index);
	}
	for (size_t i = 0; i < facts->nroutes; i++) {
		const struct link_route *r = &facts->routes[i];
		struct ip4_cidr c = {ntohl(r->dst.s_addr), r->prefix};

		if (own_link && r->index == (int)own_link)
			continue;
		if (c.prefix >= ISOLATED_NARROW && ip4_overlaps(block, c))
			return rival(facts, "route", c, r->index);
	}
	return NULL;
}

static bool is_used(const struct net_isolated_ask *ask, uint32_t address)
{
	struct ip4_cidr block = {address, ISOLATED_BLOCK_PREFIX};

	for (size_t i = 0; i < ask->nused; i++)
		if (ip4_contains(block, ask->used[i]))
			return true;
	return false;
}

/* *ret: who has a part of the block; the caller's, NULL: nobody. */
static int find_rival(const struct net_isolated_ask *ask, uint32_t address, char **ret, struct error **err)
{
	*ret = listed_rival(address, ask->facts, ask->own_link);
	return *ret || !ask->rival ? 0 : ask->rival(ask, address, ret, err);
}

static int take_wanted(const struct net_isolated_ask *ask, struct ip4_cidr range, uint32_t *ret, struct error **err)
{
	cleanup_free char *who = NULL;
	struct ip4_cidr c;
	char text[IP4_TEXT_MAX];

	if (ip4_parse_cidr_or_addr(ask->wanted, &c, err) < 0)
		return -1;
	ip4_format_cidr(range, text);
	if (!ip4_contains(range, c.addr) || c.addr % ISOLATED_BLOCK != 2)
		return error_set(
			err, ERR_INVALID,
			"%s is not an address of host group \"%s\": isolated VMs have the third of each four in %s",
			ask->wanted, ask->group->name, text);
	/* What is known as a VM's has an address on this host as well. */
	if (is_used(ask, c.addr))
		who = str_dup("a VM");
	else if (find_rival(ask, c.addr, &who, err) < 0)
		return -1;
	if (who)
		return error_set(err, ERR_CONFLICT, "address %s of host group \"%s\" is in use by %s", ask->wanted,
				 ask->group->name, who);
	*ret = c.addr;
	return 0;
}

int net_isolated_take(const struct net_isolated_ask *ask, uint32_t *ret, struct error **err)
{
	cleanup_free char *who = NULL;
	struct ip4_cidr range;
	uint32_t blocks, start;
	char text[IP4_TEXT_MAX];

	if (net_isolated_range(ask->group, &range, err) < 0)
		return -1;
	if (ask->wanted)
		return take_wanted(ask, range, ret, err);
	blocks = 1U << (ISOLATED_BLOCK_PREFIX - range.prefix);
	start = (ask->number ? ask->number - 1 : 0) % blocks;
	for (uint32_t i = 0; i < blocks; i++) {
		uint32_t address = ip4_network(range) + (start + i) % blocks * ISOLATED_BLOCK + 2;

		if (is_used(ask, address))
			continue;
		mem_freep(&who);
		if (find_rival(ask, address, &who, err) < 0)
			return -1;
		if (!who) {
			*ret = address;
			return 0;
		}
	}
	ip4_format_cidr(range, text);
	return error_set(
		err, ERR_UNAVAILABLE,
		"all %u blocks of four addresses in %s of host group \"%s\" are in use%s%s: delete a VM, or give the "
		"group another network.range",
		blocks, text, ask->group->name, who ? ", some of them by " : "", who ? who : "");
}
