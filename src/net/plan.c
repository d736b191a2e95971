/* SPDX-License-Identifier: MIT */
#include "net/plan.h"

#include <arpa/inet.h>

#include "base/str.h"
#include "net/check.h"
#include "net/mode.h"
#include "net/nft.h"

enum { HASH_DIGITS = 10 };

void net_plan_clear(struct net_plan *p)
{
	for (size_t i = 0; i < p->nlinks; i++) {
		free(p->links[i].alias);
		free(p->links[i].altname);
	}
	free(p->daemon_id);
	free(p->name);
	free(p->nft);
	free(p->admit_chain);
	strv_free(&p->sysctls);
	strv_free(&p->notes);
	strv_free(&p->guest.dns);
	net_user_plan_clear(&p->user);
	*p = (struct net_plan){0};
}

bool net_alias_parse(const char *alias, char **ret_daemon_id, char **ret_name)
{
	static const char prefix[] = "slicer:";
	const char *id, *name;

	if (!alias || !str_starts(alias, prefix))
		return false;
	id = alias + strlen(prefix);
	name = strrchr(id, ':');
	if (!name || name == id || !name[1])
		return false;
	*ret_daemon_id = str_ndup(id, (size_t)(name - id));
	*ret_name = str_dup(name + 1);
	return true;
}

void net_hashed_name(const char *prefix, const char *daemon_id, const char *name,
		     char ret[IFNAMSIZ])
{
	cleanup_free char *text = str_fmt("%s:%s", daemon_id, name);
	cleanup_free char *hash = sha256_hex(text, strlen(text));

	snprintf(ret, IFNAMSIZ, "%.*s%.*s", IFNAMSIZ - 1 - HASH_DIGITS, prefix, HASH_DIGITS, hash);
}

static struct net_plan_link *add_link(struct net_plan *p, enum net_link_kind kind, const char *name)
{
	struct net_plan_link *link = &p->links[p->nlinks++];

	link->kind = kind;
	snprintf(link->name, sizeof(link->name), "%s", name);
	link->alias = str_fmt("slicer:%s:%s", p->daemon_id, p->name);
	return link;
}

/* Locally administered, unicast: the same whenever this daemon makes this bridge. */
static void bridge_mac(const char *daemon_id, const char *bridge, unsigned char ret[6])
{
	cleanup_free char *text = str_fmt("slicer-bridge:%s:%s", daemon_id, bridge);
	unsigned char hash[32];

	sha256(text, strlen(text), hash);
	memcpy(ret, hash, 6);
	ret[0] = (unsigned char)((ret[0] & 0xfc) | 0x02);
}

/* Answers of a VM's peers come in by the interfaces that routes lead out of; they are only passed
 * on when forwarding is on where they come in (ip-sysctl.rst, conf/INTERFACE/forwarding). */
static void forward_from_uplinks(struct net_plan *p, const struct net_facts *facts)
{
	for (size_t i = 0; i < facts->nlinks; i++) {
		const struct link *link = &facts->links[i];
		bool routed = false;

		if (link->flags & IFF_LOOPBACK ||
		    (link->alias && str_starts(link->alias, "slicer:")))
			continue;
		for (size_t j = 0; j < facts->nroutes && !routed; j++)
			routed = facts->routes[j].index == link->index;
		if (routed)
			strv_append_fmt(&p->sysctls, "-net/ipv4/conf/%s/forwarding=1", link->name);
	}
}

void net_firewall_notes(const struct net_firewall *fw, const char *bridge, char ***notes)
{
	if (fw->legacy_drop)
		strv_append_fmt(
		    notes,
		    "iptables-legacy drops packets between interfaces, so that VMs on %1$s reach "
		    "no further than this host. Allow them: iptables-legacy -I FORWARD -i %1$s -j "
		    "ACCEPT; iptables-legacy -I FORWARD -o %1$s -j ACCEPT",
		    bridge);
	if (fw->firewalld)
		strv_append_fmt(
		    notes,
		    "firewalld rejects packets of interfaces that are in no zone. Let the VMs on "
		    "%1$s pass: firewall-cmd --permanent --zone=trusted --add-interface=%1$s; "
		    "firewall-cmd --reload",
		    bridge);
	for (char **chain = fw->others; chain && *chain; chain++)
		strv_append_fmt(
		    notes,
		    "The nftables chain %1$s drops packets between interfaces, so that VMs on %2$s "
		    "may reach no further than this host. Allow them: nft insert rule %1$s iifname "
		    "%2$s accept; nft insert rule %1$s oifname %2$s accept; and add these rules to "
		    "where the chain comes from, such as /etc/nftables.conf",
		    *chain, bridge);
}

static void note_firewall(struct net_plan *p, const struct net_firewall *fw, const char *bridge)
{
	if (fw->iptables_drop)
		p->admit_chain = str_dup(fw->docker_user ? "DOCKER-USER" : "FORWARD");
	net_firewall_notes(fw, bridge, &p->notes);
}

static int check_mode(const struct config_group *g, struct error **err)
{
	if (g->network.mode != NET_BRIDGE)
		return error_set(err, ERR_UNSUPPORTED, "host group \"%s\": no bridge in mode %s",
				 g->name, config_net_mode_name(g->network.mode));
	return 0;
}

int net_plan_group(const struct config_group *g, const char *daemon_id,
		   const struct net_facts *facts, struct net_plan *ret, struct error **err)
{
	const char *bridge = g->network.bridge;
	cleanup_free char *table = nft_table(daemon_id);
	struct ip4_cidr gateway;
	struct net_plan_link *link;

	*ret = (struct net_plan){.mode = NET_BRIDGE};
	if (check_mode(g, err) < 0 || ip4_parse_cidr(g->network.gateway, &gateway, err) < 0 ||
	    net_check_group(g, daemon_id, gateway, facts, err) < 0)
		return -1;
	ret->daemon_id = str_dup(daemon_id);
	ret->name = str_dup(g->name);
	link = add_link(ret, NET_LINK_BRIDGE, bridge);
	bridge_mac(daemon_id, bridge, link->mac);
	link->mtu = net_facts_mtu(facts);
	snprintf(ret->addresses[0].link, IFNAMSIZ, "%s", bridge);
	ret->addresses[0].addr = gateway;
	ret->naddresses = 1;
	strv_append_fmt(&ret->sysctls, "-net/ipv6/conf/%s/disable_ipv6=1", bridge);
	strv_append_fmt(&ret->sysctls, "net/ipv4/conf/%s/rp_filter=1", bridge);
	strv_append_fmt(&ret->sysctls, "net/ipv4/conf/%s/forwarding=1", bridge);
	forward_from_uplinks(ret, facts);
	ret->nft = nft_group_script(table, bridge, gateway);
	note_firewall(ret, &facts->firewall, bridge);
	return 0;
}

static void tap_name(const struct config_group *g, const char *daemon_id, const char *hostname,
		     unsigned number, char ret[IFNAMSIZ])
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

int net_plan_bridge_vm(const struct net_vm *vm, uint32_t address, const struct net_facts *facts,
		       struct net_plan *ret, struct error **err)
{
	const struct config_group *g = vm->group;
	const struct link *bridge = net_facts_link(facts, g->network.bridge);
	struct net_plan_link *link;
	struct ip4_cidr gateway;
	char name[IFNAMSIZ];
	unsigned char mac[6];

	*ret = (struct net_plan){.mode = NET_BRIDGE};
	if (check_mode(g, err) < 0 || ip4_parse_cidr(g->network.gateway, &gateway, err) < 0)
		return -1;
	ret->daemon_id = str_dup(vm->daemon_id);
	ret->name = str_dup(vm->hostname);
	tap_name(g, vm->daemon_id, vm->hostname, vm->number, name);
	link = add_link(ret, NET_LINK_TAP, name);
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
