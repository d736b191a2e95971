/* SPDX-License-Identifier: MIT */
#include "base/str.h"
#include "config/check.h"
#include "config/fields.h"
#include "config/ip4.h"

/* Keys of the network section and the modes that know them. */
static const struct {
	const char *key;
	unsigned modes; /* bits: 1 << enum config_net_mode */
} usable[] = {
	{"bridge", 1 << NET_BRIDGE},
	{"tap_prefix", 1 << NET_BRIDGE},
	{"gateway", 1 << NET_BRIDGE | 1 << NET_MACVTAP},
	{"range", 1 << NET_BRIDGE | 1 << NET_MACVTAP | 1 << NET_ISOLATED},
	{"addresses", 1 << NET_BRIDGE | 1 << NET_MACVTAP},
	{"allow", 1 << NET_ISOLATED},
	{"drop", 1 << NET_ISOLATED},
	{"parent", 1 << NET_MACVTAP},
	{"forwards", 1 << NET_USER},
};

static int check_keys_of_mode(const struct config *cfg, size_t i, struct error **err)
{
	const struct config_network *net = &cfg->groups[i].network;

	for (size_t k = 0; k < ARRAY_LEN(usable); k++) {
		cleanup_strv char **modes = NULL;

		if (!object_given(&config_network_type, net, usable[k].key) || (usable[k].modes >> net->mode & 1))
			continue;
		for (int m = NET_BRIDGE; m <= NET_USER; m++)
			if (usable[k].modes >> m & 1)
				strv_append(&modes, config_net_mode_name((enum config_net_mode)m));
		cleanup_free char *list = strv_join(modes, " or ");
		cleanup_free char *path = str_fmt("network.%s", usable[k].key);
		return check_fail(cfg, i, path, err, "mode %s does not use %s; it belongs to mode %s",
				  config_net_mode_name(net->mode), usable[k].key, list);
	}
	return 0;
}

static int fail_count(const struct config *cfg, size_t i, uint64_t room, const char *what, struct error **err)
{
	return check_fail(cfg, i, "count", err,
			  "%u VMs need more addresses than %s has (%llu); lower count or give more",
			  cfg->groups[i].count, what, (unsigned long long)room);
}

static bool is_host_address(struct ip4_cidr gw, uint32_t addr)
{
	return ip4_contains(gw, addr) && addr != ip4_network(gw) && addr != ip4_broadcast(gw) && addr != gw.addr;
}

static int check_address(const struct config *cfg, size_t i, struct ip4_cidr gw, size_t k, struct error **err)
{
	const struct config_network *net = &cfg->groups[i].network;
	const char *text = net->addresses[k];
	struct ip4_cidr a, b;

	if (ip4_parse_cidr_or_addr(text, &a, err) < 0)
		return -1;
	if (!is_host_address(gw, a.addr))
		return check_fail(cfg, i, "network.addresses", err,
				  "%s is not a free address in the subnet of gateway %s", text, net->gateway);
	if (strchr(text, '/') && a.prefix != gw.prefix)
		return check_fail(cfg, i, "network.addresses", err, "%s has another prefix length than gateway %s",
				  text, net->gateway);
	for (size_t j = 0; j < k; j++)
		if (ip4_parse_cidr_or_addr(net->addresses[j], &b, NULL) == 0 && a.addr == b.addr)
			return check_fail(cfg, i, "network.addresses", err, "%s is there twice", text);
	return 0;
}

static int check_addresses(const struct config *cfg, size_t i, struct ip4_cidr gw, struct error **err)
{
	const struct config_group *g = &cfg->groups[i];
	size_t n = strv_len(g->network.addresses);

	if (g->network.range)
		return check_fail(cfg, i, "network.addresses", err, "give either range or addresses, not both");
	for (size_t k = 0; k < n; k++)
		if (check_address(cfg, i, gw, k, err) < 0)
			return -1;
	return g->count > n ? fail_count(cfg, i, n, "the list of addresses", err) : 0;
}

static int check_pool_range(const struct config *cfg, size_t i, struct ip4_cidr gw, struct error **err)
{
	const struct config_group *g = &cfg->groups[i];
	cleanup_error struct error *why = NULL;
	struct ip4_range r;

	if (ip4_parse_range(g->network.range, &r, &why) < 0)
		return check_fail(cfg, i, "network.range", err, "%s", error_message(why));
	if (!is_host_address(gw, r.first) || !is_host_address(gw, r.last))
		return check_fail(cfg, i, "network.range", err,
				  "%s is not made of free addresses in the subnet of gateway %s", g->network.range,
				  g->network.gateway);
	uint64_t room = (uint64_t)(r.last - r.first) + 1 - (gw.addr > r.first && gw.addr < r.last);
	return g->count > room ? fail_count(cfg, i, room, "the range", err) : 0;
}

static int check_lan_pool(const struct config *cfg, size_t i, struct ip4_cidr gw, struct error **err)
{
	const struct config_group *g = &cfg->groups[i];
	uint32_t last = ip4_broadcast(gw) - 1;
	uint64_t room = CONFIG_LAN_POOL - (gw.addr <= last && gw.addr > last - CONFIG_LAN_POOL);

	if (gw.prefix > CONFIG_LAN_POOL_PREFIX_MAX)
		return check_fail(
			cfg, i, "network.gateway", err,
			"%s is a subnet of fewer than 64 addresses, of which none can be taken unasked; say which ones the "
			"VMs may have with range: FIRST-LAST, or addresses",
			g->network.gateway);
	return g->count > room ? fail_count(cfg, i, room, "the end of the subnet", err) : 0;
}

/* Bridge, and macvtap with fixed addresses. */
static int check_pool(const struct config *cfg, size_t i, struct error **err)
{
	const struct config_group *g = &cfg->groups[i];
	struct ip4_cidr gw;

	if (ip4_parse_cidr(g->network.gateway, &gw, err) < 0)
		return -1;
	if (g->network.addresses)
		return check_addresses(cfg, i, gw, err);
	if (g->network.range)
		return check_pool_range(cfg, i, gw, err);
	if (g->network.mode == NET_MACVTAP)
		return check_lan_pool(cfg, i, gw, err);
	uint64_t room = (uint64_t)(ip4_broadcast(gw) - ip4_network(gw)) - 2;
	return g->count > room ? fail_count(cfg, i, room, "the subnet", err) : 0;
}

static int check_macvtap(const struct config *cfg, size_t i, struct error **err)
{
	const struct config_network *net = &cfg->groups[i].network;

	if (net->gateway)
		return check_pool(cfg, i, err);
	if (net->range || net->addresses)
		return check_fail(cfg, i, net->range ? "network.range" : "network.addresses", err,
				  "without a gateway, addresses come from the LAN's DHCP server; "
				  "add gateway: ADDRESS/LENGTH");
	return 0;
}

static int check_isolated(const struct config *cfg, size_t i, struct error **err)
{
	const struct config_group *g = &cfg->groups[i];
	const char *range = g->network.range;
	struct ip4_cidr c = {.prefix = 22}; /* what is derived from the name */
	const struct ip4_cidr *reserved;

	if (range && (ip4_parse_cidr(range, &c, NULL) < 0 || c.prefix < 8 || c.prefix > 30 || c.addr != ip4_network(c)))
		return check_fail(
			cfg, i, "network.range", err,
			"\"%s\" must be a subnet with a prefix length from 8 to 30 that begins at its network "
			"address, such as 169.254.100.0/22",
			range);
	reserved = range ? ip4_reserved(c) : NULL;
	if (reserved) {
		char text[IP4_TEXT_MAX];

		ip4_format_cidr(*reserved, text);
		return check_fail(cfg, i, "network.range", err,
				  "%s contains %s, which is reserved for link-local "
				  "services such as cloud metadata; "
				  "take another, such as 169.254.100.0/22",
				  range, text);
	}
	uint64_t room = UINT64_C(1) << (30 - c.prefix);
	return g->count > room ? fail_count(cfg, i, room, "the range, at one /30 per VM,", err) : 0;
}

static bool same_port(const char *a, const char *b)
{
	struct ip4_forward fa, fb;

	return ip4_parse_forward(a, &fa, NULL) == 0 && ip4_parse_forward(b, &fb, NULL) == 0 &&
	       fa.host_port == fb.host_port && (fa.host_addr == fb.host_addr || !fa.host_addr || !fb.host_addr);
}

static bool is_api_port(const struct config *cfg, const struct ip4_forward *f)
{
	uint32_t addr = 0;

	if (!cfg->api.enabled || config_api_socket(cfg) || cfg->api.port != f->host_port)
		return false;
	return ip4_parse(cfg->api.bind_address, &addr, NULL) < 0 || !addr || !f->host_addr || addr == f->host_addr;
}

static int check_user(const struct config *cfg, size_t i, struct error **err)
{
	const struct config_group *g = &cfg->groups[i];
	char **list = g->network.forwards;
	struct ip4_forward a;

	if (list && g->count != 1)
		return check_fail(
			cfg, i, "network.forwards", err,
			"a port of the host leads to one VM, the first of its group, and count is %u; set count: 1, or use "
			"`slicer vm forward`",
			g->count);
	for (size_t k = 0; list && list[k]; k++) {
		if (ip4_parse_forward(list[k], &a, err) < 0)
			return -1;
		for (size_t j = 0; j < k; j++)
			if (same_port(list[j], list[k]))
				return check_fail(cfg, i, "network.forwards", err, "host port %u is there twice",
						  a.host_port);
		if (is_api_port(cfg, &a))
			return check_fail(
				cfg, i, "network.forwards", err,
				"host port %u is where the API listens; forward another, or set api.port, or a socket as "
				"api.bind_address",
				a.host_port);
	}
	return 0;
}

/* Only there are the host's rules between the VM and its network. */
static int check_limits(const struct config *cfg, size_t i, struct error **err)
{
	const struct config_group *g = &cfg->groups[i];
	const char *key = g->limits.network_bandwidth ? "limits.network_bandwidth" : "limits.network_packets";

	if ((!g->limits.network_bandwidth && !g->limits.network_packets) || g->network.mode == NET_BRIDGE ||
	    g->network.mode == NET_SLOTS || g->network.mode == NET_ISOLATED)
		return 0;
	return check_fail(
		cfg, i, key, err,
		"it would have no effect in network mode %s: limits of the network hold in modes bridge, isolated and slots. Take "
		"one of those, or leave it out",
		config_net_mode_name(g->network.mode));
}

static int check_connections(const struct config *cfg, size_t i, struct error **err)
{
	const struct config_group *g = &cfg->groups[i];

	if (!g->limits.network_connections || g->network.mode == NET_ISOLATED)
		return 0;
	return check_fail(
		cfg, i, "limits.network_connections", err,
		"it would have no effect in network mode %s: connections are limited in mode isolated. Take that "
		"one, or leave it out",
		config_net_mode_name(g->network.mode));
}

int check_network(const struct config *cfg, size_t i, struct error **err)
{
	if (check_keys_of_mode(cfg, i, err) < 0 || check_limits(cfg, i, err) < 0 || check_connections(cfg, i, err) < 0)
		return -1;
	switch (cfg->groups[i].network.mode) {
	case NET_BRIDGE:
		return check_pool(cfg, i, err);
	case NET_MACVTAP:
		return check_macvtap(cfg, i, err);
	case NET_ISOLATED:
		return check_isolated(cfg, i, err);
	case NET_USER:
		return check_user(cfg, i, err);
	case NET_CNI:
	case NET_SLOTS:
		return 0;
	}
	return 0;
}

/* The subnet that a group takes for itself on the host, as far as the file says it. */
static bool own_subnet(const struct config_group *g, struct ip4_cidr *ret)
{
	if (g->network.mode == NET_BRIDGE)
		return ip4_parse_cidr(g->network.gateway, ret, NULL) == 0;
	if (g->network.mode == NET_ISOLATED && g->network.range)
		return ip4_parse_cidr(g->network.range, ret, NULL) == 0;
	return false;
}

static int check_forwards_of_pair(const struct config *cfg, size_t i, size_t j, struct error **err)
{
	for (char **a = cfg->groups[i].network.forwards; a && *a; a++)
		for (char **b = cfg->groups[j].network.forwards; b && *b; b++)
			if (same_port(*a, *b))
				return check_fail(cfg, i, "network.forwards", err,
						  "host_groups[%zu] forwards the port of \"%s\" too", j, *a);
	return 0;
}

static int check_pair(const struct config *cfg, size_t i, size_t j, struct error **err)
{
	const struct config_group *a = &cfg->groups[i], *b = &cfg->groups[j];
	bool bridges = a->network.mode == NET_BRIDGE && b->network.mode == NET_BRIDGE;
	struct ip4_cidr ca, cb;

	if (bridges && str_eq(a->network.bridge, b->network.bridge))
		return check_fail(cfg, i, "network.bridge", err,
				  "host_groups[%zu] has the bridge %s too; each group needs "
				  "its own",
				  j, a->network.bridge);
	if (bridges && str_eq(a->network.tap_prefix, b->network.tap_prefix))
		return check_fail(cfg, i, "network.tap_prefix", err,
				  "host_groups[%zu] has the tap_prefix %s too; interface "
				  "names would collide",
				  j, a->network.tap_prefix);
	if (own_subnet(a, &ca) && own_subnet(b, &cb) && ip4_overlaps(ca, cb))
		return check_fail(cfg, i, a->network.mode == NET_BRIDGE ? "network.gateway" : "network.range", err,
				  "the subnet overlaps that of host_groups[%zu] (%s); give each group its own", j,
				  b->name);
	return 0;
}

/* Slots take 10.N.0.0/24. */
static int check_slot_subnets(const struct config *cfg, size_t i, size_t j, struct error **err)
{
	const struct config_group *g = &cfg->groups[i];
	struct ip4_cidr other;

	if (!own_subnet(&cfg->groups[j], &other))
		return 0;
	for (size_t k = 0; k < g->nslots; k++) {
		const struct config_slot *slot = &g->slots[k];
		struct ip4_cidr own = {10U << 24 | slot->index << 16, 24};
		cleanup_free char *path = str_fmt("slots.%s", slot->name);

		if (ip4_overlaps(own, other))
			return check_fail(cfg, i, path, err,
					  "its subnet 10.%u.0.0/24 overlaps that of host_groups[%zu] (%s)", slot->index,
					  j, cfg->groups[j].name);
	}
	return 0;
}

int check_networks(const struct config *cfg, struct error **err)
{
	for (size_t i = 0; i < cfg->ngroups; i++)
		for (size_t j = 0; j < cfg->ngroups; j++)
			if ((j < i && (check_pair(cfg, i, j, err) < 0 || check_forwards_of_pair(cfg, i, j, err) < 0)) ||
			    check_slot_subnets(cfg, i, j, err) < 0)
				return -1;
	return 0;
}
