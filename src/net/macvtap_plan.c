/* SPDX-License-Identifier: MIT */
#include "net/macvtap.h"

#include "base/fs.h"
#include "base/str.h"
#include "net/mode.h"

enum { MACHINE_ID_DIGITS = 32 };

static bool is_wireless(const char *name)
{
	cleanup_free char *phy = str_fmt("/sys/class/net/%s/phy80211", name);
	cleanup_free char *old = str_fmt("/sys/class/net/%s/wireless", name);

	return fs_exists(phy) || fs_exists(old);
}

static char *read_machine_id(void)
{
	cleanup_free char *text = NULL;
	char *id;

	if (fs_read_file("/etc/machine-id", 128, &text, NULL, NULL) < 0)
		return NULL;
	id = str_trim(text);
	return strspn(id, "0123456789abcdef") == MACHINE_ID_DIGITS && !id[MACHINE_ID_DIGITS] ? str_dup(id) : NULL;
}

void net_macvtap_probe(const struct net_facts *facts, struct net_macvtap_host *ret)
{
	*ret = (struct net_macvtap_host){.machine_id = read_machine_id()};
	for (size_t i = 0; i < facts->nlinks; i++)
		if (is_wireless(facts->links[i].name))
			strv_append(&ret->wireless, facts->links[i].name);
}

void net_macvtap_host_clear(struct net_macvtap_host *h)
{
	free(h->machine_id);
	strv_free(&h->wireless);
	*h = (struct net_macvtap_host){0};
}

/* ---- the parent ---- */

static bool is_possible(const struct net_facts *facts, const struct net_macvtap_host *host, const struct link *link)
{
	return !(link->flags & (IFF_LOOPBACK | IFF_POINTOPOINT)) && link->flags & IFF_UP && !link->master &&
	       !strv_contains(host->wireless, link->name) && !(link->alias && str_starts(link->alias, "slicer:"));
}

/* "eth0, eth1", for who has to choose; the caller's. */
static char *possible_parents(const struct net_facts *facts, const struct net_macvtap_host *host)
{
	cleanup_strv char **names = NULL;

	for (size_t i = 0; i < facts->nlinks; i++)
		if (is_possible(facts, host, &facts->links[i]))
			strv_append(&names, facts->links[i].name);
	return names ? strv_join(names, ", ") : str_dup("none");
}

static const struct link *find_parent(const struct config_group *g, const struct net_facts *facts,
				      const struct net_macvtap_host *host, struct error **err)
{
	const struct link_route *route = net_facts_default(facts);
	cleanup_free char *possible = possible_parents(facts, host);
	const char *name = g->network.parent;
	const struct link *link = name	  ? net_facts_link(facts, name)
				  : route ? net_facts_index(facts, route->index)
					  : NULL;

	if (!link && name)
		error_set(err, ERR_NOT_FOUND, "network.parent: there is no interface %s; possible ones: %s", name,
			  possible);
	else if (!link)
		error_set(
			err, ERR_NOT_FOUND,
			"this host has no default route that would tell the interface to the LAN; set network.parent, possible ones: %s",
			possible);
	return link;
}

/* Why that link cannot be a parent. */
static int check_parent(const struct link *link, const struct net_facts *facts, const struct net_macvtap_host *host,
			struct error **err)
{
	const struct link *master = link->master ? net_facts_index(facts, link->master) : NULL;
	const char *name = link->name;

	if (link->flags & IFF_LOOPBACK)
		return error_set(err, ERR_INVALID, "%s is the loopback interface, which leads to no LAN", name);
	if (link->flags & IFF_POINTOPOINT)
		return error_set(err, ERR_INVALID,
				 "%s is a link between two (a VPN or modem), not an Ethernet; VMs cannot join it",
				 name);
	if (strv_contains(host->wireless, name))
		return error_set(
			err, ERR_INVALID,
			"%s is a Wi-Fi interface: an access point drops frames from MAC addresses other than its own clients'. "
			"Set network.parent to a wired interface, or use mode bridge",
			name);
	if (master)
		return error_set(err, ERR_INVALID,
				 "%s is a port of %s, which takes all of its frames; set network.parent: %s", name,
				 master->name, master->name);
	if (!(link->flags & IFF_UP))
		return error_set(err, ERR_CONFLICT, "%s is down; bring it up (ip link set %s up)", name, name);
	return 0;
}

const struct link *net_macvtap_parent(const struct config_group *g, const struct net_facts *facts,
				      const struct net_macvtap_host *host, struct error **err)
{
	const struct link *link = find_parent(g, facts, host, err);

	if (!link || check_parent(link, facts, host, err) == 0)
		return link;
	error_wrap(err, "parent for macvtap");
	return NULL;
}

/* ---- a VM ---- */

static void plan_guest(const struct net_vm *vm, const unsigned char mac[6], unsigned mtu, struct net_guest *guest)
{
	struct ip4_cidr gateway;

	mac_format(mac, guest->mac);
	guest->mtu = mtu;
	guest->dns = strv_copy(vm->dns);
	if (*vm->address) {
		snprintf(guest->address, sizeof(guest->address), "%s", vm->address);
		if (ip4_parse_cidr(vm->group->network.gateway, &gateway, NULL) == 0)
			ip4_format(gateway.addr, guest->gateway);
	} else {
		guest->dhcp = true;
		guest->net_dns = !vm->dns_given;
	}
}

int net_plan_macvtap_vm(const struct net_vm *vm, const struct net_facts *facts, const struct net_macvtap_host *host,
			struct net_plan *ret, struct error **err)
{
	const struct link *parent = net_macvtap_parent(vm->group, facts, host, err);
	struct net_plan_link *link = &ret->links[0];

	*ret = (struct net_plan){.mode = NET_MACVTAP};
	if (!parent)
		return -1;
	if (!host->machine_id)
		return error_set(
			err, ERR_UNSUPPORTED,
			"this host has no /etc/machine-id, which keeps MAC addresses of two hosts on one LAN apart; make one "
			"with systemd-machine-id-setup");
	ret->daemon_id = str_dup(vm->daemon_id);
	ret->name = str_dup(vm->hostname);
	ret->nlinks = 1;
	link->kind = NET_LINK_MACVTAP;
	net_hashed_name("mv-", vm->daemon_id, vm->hostname, link->name);
	snprintf(link->master, sizeof(link->master), "%s", parent->name);
	link->alias = net_alias(vm->daemon_id, vm->hostname);
	link->altname = net_alias(vm->daemon_id, vm->hostname);
	link->mtu = parent->mtu;
	mac_from_host(vm->hostname, host->machine_id, link->mac);
	link->has_mac = true;
	/* The frames are the guest's: this host takes no address from the LAN's router on it. */
	strv_append_fmt(&ret->sysctls, "-net/ipv6/conf/%s/disable_ipv6=1", link->name);
	plan_guest(vm, link->mac, link->mtu, &ret->guest);
	return 0;
}
