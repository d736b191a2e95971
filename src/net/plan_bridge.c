/* SPDX-License-Identifier: MIT */
/* Plans of mode `bridge`. */
#include <arpa/inet.h>

#include "base/str.h"
#include "net/check.h"
#include "net/firewall.h"
#include "net/mode.h"
#include "net/nft.h"

/* With `p`, for its plan; else only what the user is still to do. */
static void bridge_firewall(struct net_plan *p, const struct net_firewall *fw, const char *bridge, char ***notes)
{
	cleanup_free char *who = str_fmt("VMs on %s", bridge), *in = str_fmt("-i %s", bridge),
			  *out = str_fmt("-o %s", bridge);
	cleanup_free char *from = str_fmt("iifname %s", bridge), *to = str_fmt("oifname %s", bridge);
	cleanup_free char *zone = str_fmt("--add-interface=%s", bridge), *sign = str_fmt("\"%s\"", bridge);
	const struct net_pass pass = {who, {in, out}, {from, to}, "interfaces that are in no zone", zone, sign};

	if (p)
		net_plan_firewall(p, fw, &pass);
	else
		net_firewall_tell(fw, &pass, notes);
}

void net_firewall_notes(const struct net_firewall *fw, const char *bridge, char ***notes)
{
	bridge_firewall(NULL, fw, bridge, notes);
}

static int check_mode(const struct config_group *g, struct error **err)
{
	if (g->network.mode != NET_BRIDGE && g->network.mode != NET_SLOTS)
		return error_set(err, ERR_UNSUPPORTED, "host group \"%s\": no bridge in mode %s", g->name,
				 config_net_mode_name(g->network.mode));
	return 0;
}

int net_plan_group(const struct config_group *g, const char *daemon_id, const struct net_facts *facts,
		   struct net_plan *ret, struct error **err)
{
	const char *bridge = g->network.bridge;
	cleanup_free char *table = nft_table(daemon_id);
	struct ip4_cidr gateway;
	struct net_plan_link *link;

	*ret = (struct net_plan){.mode = g->network.mode};
	if (check_mode(g, err) < 0 || ip4_parse_cidr(g->network.gateway, &gateway, err) < 0 ||
	    net_check_group(g, daemon_id, gateway, facts, err) < 0)
		return -1;
	ret->daemon_id = str_dup(daemon_id);
	ret->name = str_dup(g->name);
	link = net_plan_add_link(ret, NET_LINK_BRIDGE, bridge);
	net_derived_mac("slicer-bridge", daemon_id, bridge, link->mac);
	link->has_mac = true;
	link->mtu = net_facts_mtu(facts);
	snprintf(ret->addresses[0].link, IFNAMSIZ, "%s", bridge);
	ret->addresses[0].addr = gateway;
	ret->naddresses = 1;
	strv_append_fmt(&ret->sysctls, "-net/ipv6/conf/%s/disable_ipv6=1", bridge);
	strv_append_fmt(&ret->sysctls, "net/ipv4/conf/%s/rp_filter=1", bridge);
	strv_append_fmt(&ret->sysctls, "net/ipv4/conf/%s/forwarding=1", bridge);
	net_plan_uplinks(ret, facts);
	ret->nft = nft_group_script(table, bridge, gateway);
	bridge_firewall(ret, &facts->firewall, bridge, NULL);
	return 0;
}

static void tap_name(const struct config_group *g, const char *daemon_id, const char *hostname, unsigned number,
		     char ret[IFNAMSIZ])
{
	int n = snprintf(ret, IFNAMSIZ, "%s%u", g->network.tap_prefix, number);

	if (number == 0 || n < 0 || n >= IFNAMSIZ)
		net_hashed_name("vt-", daemon_id, hostname, ret);
}

static struct nfset_element *add_element(struct net_plan *p, const char *set)
{
	struct nfset_element *e = &p->elements[p->nelements++];

	e->set = set;
	nfset_key_ifname(e, p->links[0].name);
	return e;
}

void net_plan_guard(struct net_plan *p, const unsigned char mac[6], uint32_t address)
{
	nfset_key_mac(add_element(p, "macs"), mac);
	nfset_key_ip4(add_element(p, "addresses"), (struct in_addr){htonl(address)});
	add_element(p, "ports");
}

int net_plan_bridge_vm(const struct net_vm *vm, uint32_t address, const struct net_facts *facts, struct net_plan *ret,
		       struct error **err)
{
	const struct config_group *g = vm->group;
	const struct link *bridge = net_facts_link(facts, g->network.bridge);
	struct net_plan_link *link;
	struct ip4_cidr gateway;
	char name[IFNAMSIZ];
	unsigned char mac[6];

	*ret = (struct net_plan){.mode = g->network.mode};
	if (check_mode(g, err) < 0 || ip4_parse_cidr(g->network.gateway, &gateway, err) < 0)
		return -1;
	ret->daemon_id = str_dup(vm->daemon_id);
	ret->name = str_dup(vm->hostname);
	ret->limits = vm->limits;
	tap_name(g, vm->daemon_id, vm->hostname, vm->number, name);
	link = net_plan_add_link(ret, NET_LINK_TAP, name);
	snprintf(link->master, sizeof(link->master), "%s", g->network.bridge);
	link->altname = str_fmt("slicer-%s-%s", vm->daemon_id, vm->hostname);
	link->mtu = bridge ? bridge->mtu : net_facts_mtu(facts);
	strv_append_fmt(&ret->sysctls, "-net/ipv6/conf/%s/disable_ipv6=1", name);
	mac_from_hostname(vm->hostname, mac);
	net_plan_guard(ret, mac, address);
	ip4_format_cidr((struct ip4_cidr){address, gateway.prefix}, ret->guest.address);
	ip4_format(gateway.addr, ret->guest.gateway);
	mac_format(mac, ret->guest.mac);
	ret->guest.mtu = link->mtu;
	ret->guest.dns = strv_copy(vm->dns);
	return 0;
}
