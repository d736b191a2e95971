/* SPDX-License-Identifier: MIT */
#include "net/plan_isolated.h"

#include <arpa/inet.h>

#include "base/str.h"
#include "net/egress.h"
#include "net/firewall.h"
#include "net/isolated_pool.h"
#include "net/nft.h"

#define TAP "tap"
#define UPLINK "uplink"

/* With `p`, for its plan; else only what the user is still to do. */
static void isolated_firewall(struct net_plan *p, const struct config_group *g, const struct net_firewall *fw,
			      const char *range, char ***notes)
{
	cleanup_free char *who = str_fmt("VMs of host group %s", g->name), *zone = str_fmt("--add-source=%s", range);
	cleanup_free char *s = str_fmt("-s %s", range), *d = str_fmt("-d %s", range);
	cleanup_free char *from = str_fmt("ip saddr %s", range), *to = str_fmt("ip daddr %s", range);
	const struct net_pass pass = {who, {s, d}, {from, to}, "sources that are in no zone", zone, range};

	if (p)
		net_plan_firewall(p, fw, &pass);
	else
		net_firewall_tell(fw, &pass, notes);
}

void net_firewall_notes_isolated(const struct net_firewall *fw, const struct config_group *g, char ***notes)
{
	struct ip4_cidr range;
	char text[IP4_TEXT_MAX];

	if (net_isolated_range(g, &range, NULL) < 0)
		return;
	ip4_format_cidr(range, text);
	isolated_firewall(NULL, g, fw, text, notes);
}

/* Only allow: what is not named is blocked, and that is easily forgotten of DNS. */
static void note_dns(struct net_plan *p, const struct config_group *g, const struct net_egress *e)
{
	cleanup_strv char **blocked = NULL;
	cleanup_free char *list = NULL;
	uint32_t address;

	if (strv_len(e->allow) == 0 || strv_len(e->drop) > 0)
		return;
	for (char **dns = g->dns_servers; dns && *dns; dns++)
		if (ip4_parse(*dns, &address, NULL) == 0 && !net_egress_allows(e, address, 53))
			strv_append(&blocked, *dns);
	if (!blocked)
		return;
	list = strv_join(blocked, ", ");
	strv_append_fmt(
		&p->notes,
		"VMs of host group %s may reach only what its allow list names, and their DNS servers (%s) are not in it: "
		"names will not resolve there. To allow that, add %s:53",
		g->name, list, blocked[0]);
}

static void note_lists(struct net_plan *p, const struct config_group *g, struct ip4_cidr range,
		       const struct net_facts *facts)
{
	struct net_egress e = {.allow = g->network.allow, .drop = g->network.drop};
	cleanup_free struct ip4_cidr *lan = net_egress_lan(facts, &e.nlan),
				     *never = net_egress_never(facts, range, &e.nnever);

	e.lan = lan;
	e.never = never;
	note_dns(p, g, &e);
}

/* A range of the user's own choice that is a network of the host's would take its machines' place. */
static int check_range(const struct config_group *g, struct ip4_cidr range, const struct net_facts *facts,
		       struct error **err)
{
	for (size_t i = 0; g->network.range && i < facts->naddrs; i++) {
		const struct link_addr *a = &facts->addrs[i];
		const struct link *link = net_facts_index(facts, a->index);
		struct ip4_cidr c = {ntohl(a->addr.s_addr), a->prefix};
		char text[IP4_TEXT_MAX];

		ip4_format_cidr(c, text);
		if (c.prefix <= range.prefix && c.prefix > 16 && ip4_overlaps(c, range))
			return error_set(
				err, ERR_CONFLICT,
				"network.range %s is in the network of %s (%s). Set it to another subnet, such as "
				"169.254.100.0/22, or leave it out",
				g->network.range, link ? link->name : "an interface", text);
	}
	return 0;
}

int net_plan_isolated_group(const struct config_group *g, const char *daemon_id, const struct net_facts *facts,
			    struct net_plan *ret, struct error **err)
{
	cleanup_free char *table = nft_table(daemon_id);
	struct ip4_cidr range;
	char text[IP4_TEXT_MAX];

	*ret = (struct net_plan){.mode = NET_ISOLATED};
	if (net_isolated_range(g, &range, err) < 0 || check_range(g, range, facts, err) < 0)
		return -1;
	ip4_format_cidr(range, text);
	ret->daemon_id = str_dup(daemon_id);
	ret->name = str_dup(g->name);
	net_plan_uplinks(ret, facts);
	ret->nft = nft_isolated_script(table, range);
	isolated_firewall(ret, g, &facts->firewall, text, NULL);
	note_lists(ret, g, range, facts);
	return 0;
}

/* From the lists that the plan has. */
int net_plan_isolated_rules(struct net_plan *p, const struct net_facts *facts, struct error **err)
{
	struct net_egress e = {.allow = p->allow, .drop = p->drop};
	cleanup_free struct ip4_cidr *lan = net_egress_lan(facts, &e.nlan),
				     *never = net_egress_never(facts, p->range, &e.nnever);
	cleanup_free char *egress = NULL, *limits = NULL;
	struct net_egress_ends ends = {
		.tap = TAP, .uplink = UPLINK, .mac = p->guest.mac, .address = p->addresses[0].peer};

	e.lan = lan;
	e.never = never;
	mem_freep(&p->nft);
	mem_freep(&p->rules);
	egress = net_egress_script(&e, &ends, err);
	if (!egress)
		return error_wrap(err, "allow and drop");
	limits = net_limits_script(TAP, &p->limits);
	p->nft = str_fmt("%s%s", egress, limits);
	p->rules = sha256_hex(p->nft, strlen(p->nft));
	return 0;
}

int net_plan_isolated_guard(struct net_plan *p, struct error **err)
{
	const char *veth = p->links[0].name;

	if (!p->netns || p->nlinks != 2 || p->links[0].kind != NET_LINK_VETH ||
	    p->links[1].kind != NET_LINK_NETNS_TAP || p->naddresses != 1 || !p->addresses[0].peer)
		return error_set(err, ERR_INVALID, "it is not that of an isolated VM");
	p->nelements = 2;
	p->elements[0] = (struct nfset_element){.set = "isolated"};
	nfset_key_ifname(&p->elements[0], veth);
	p->elements[1] = (struct nfset_element){.set = "addresses"};
	nfset_key_ifname(&p->elements[1], veth);
	nfset_key_ip4(&p->elements[1], (struct in_addr){htonl(p->addresses[0].peer)});
	return 0;
}

static void plan_links(struct net_plan *p, const struct net_vm *vm, unsigned mtu)
{
	struct net_plan_link *veth, *tap;
	char name[IFNAMSIZ];

	net_hashed_name("ve-", vm->daemon_id, vm->hostname, name);
	veth = net_plan_add_link(p, NET_LINK_VETH, name);
	veth->altname = str_fmt("slicer-%s-%s", vm->daemon_id, vm->hostname);
	snprintf(veth->peer, sizeof(veth->peer), UPLINK);
	tap = net_plan_add_link(p, NET_LINK_NETNS_TAP, TAP);
	veth->has_mac = tap->has_mac = true;
	veth->mtu = tap->mtu = mtu;
	net_derived_mac("slicer-host", vm->daemon_id, vm->hostname, veth->mac);
	net_derived_mac("slicer-uplink", vm->daemon_id, vm->hostname, veth->peer_mac);
	net_derived_mac("slicer-tap", vm->daemon_id, vm->hostname, tap->mac);
	strv_append_fmt(&p->sysctls, "-net/ipv6/conf/%s/disable_ipv6=1", name);
}

static void plan_guest(struct net_plan *p, const struct net_vm *vm, uint32_t address)
{
	unsigned char mac[6];

	snprintf(p->addresses[0].link, IFNAMSIZ, "%s", p->links[0].name);
	p->addresses[0].addr = (struct ip4_cidr){address - 1, 32};
	p->addresses[0].peer = address;
	p->naddresses = 1;
	ip4_format_cidr((struct ip4_cidr){address, ISOLATED_BLOCK_PREFIX}, p->guest.address);
	ip4_format(address - 1, p->guest.gateway);
	mac_from_hostname(vm->hostname, mac);
	mac_format(mac, p->guest.mac);
	p->guest.mtu = p->links[0].mtu;
	p->guest.dns = strv_copy(vm->dns);
}

int net_plan_isolated_vm(const struct net_vm *vm, uint32_t address, const struct net_facts *facts, struct net_plan *ret,
			 struct error **err)
{
	*ret = (struct net_plan){.mode = NET_ISOLATED,
				 .daemon_id = str_dup(vm->daemon_id),
				 .name = str_dup(vm->hostname),
				 .netns = str_dup(vm->hostname),
				 .allow = strv_copy(vm->allow),
				 .drop = strv_copy(vm->drop),
				 .limits = vm->limits};
	if (net_isolated_range(vm->group, &ret->range, err) < 0)
		return -1;
	plan_links(ret, vm, net_facts_mtu(facts));
	plan_guest(ret, vm, address);
	if (net_plan_isolated_guard(ret, err) < 0)
		return -1;
	return net_plan_isolated_rules(ret, facts, err);
}
