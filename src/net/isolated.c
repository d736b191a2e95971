/* SPDX-License-Identifier: MIT */
/* Mode `isolated`: a network namespace per VM (netns.h), a pair of interfaces to it, and the host's end of that. What the VM
 * may reach is decided in its namespace; that it is nobody's of this host, on the host as well (nft.h). */
#include <arpa/inet.h>
#include <unistd.h>

#include "base/str.h"
#include "base/units.h"
#include "net/apply_impl.h"
#include "net/check.h"
#include "net/firewall.h"
#include "net/isolated_pool.h"
#include "net/netns.h"
#include "net/nft.h"
#include "net/plan_isolated.h"
#include "net/policy.h"

#include <linux/netfilter.h> /* after netinet/in.h, or both define the same */

/* For the kernel to remove what goes with a namespace. */
enum { RETIRED_MS = 1000, RETIRED_POLL_US = 20000 };

/* A configuration is checked for the VMs that it asks for; numbers go on from there. */
static int check_name(const struct net_vm *vm, struct error **err)
{
	size_t length = strlen(vm->hostname);

	if (length <= ISOLATED_NAME_MAX)
		return 0;
	return error_set(
		err, ERR_CONFLICT,
		"host group \"%s\": %s has %zu characters, and a VM's name on an isolated network may have at most %d "
		"(it is also that of its namespace). Give the group a shorter name",
		vm->group->name, vm->hostname, length, ISOLATED_NAME_MAX);
}

static const struct net_facts *networks(const struct net_vm *vm, struct net_facts *own, struct error **err)
{
	struct net_facts *facts = vm->networks ? vm->networks : own;

	return facts->nlinks > 0 || net_facts_read_networks(facts, err) == 0 ? facts : NULL;
}

/* *ret: the interface that a part of the block leads to by the host's routing rules, whatever tables they name; the caller's, NULL:
 * none. */
static int routed_elsewhere(struct netlink *nl, uint32_t guest, int own, char **ret, struct error **err)
{
	*ret = NULL;
	for (uint32_t i = 0; i < ISOLATED_BLOCK && !*ret; i++) {
		const struct in_addr address = {htonl(guest - guest % ISOLATED_BLOCK + i)};
		struct link_route route;
		int found = links_route_match(nl, address, &route, err);
		char name[IFNAMSIZ];

		if (found < 0)
			return -1;
		if (found && (!own || route.index != own) && route.prefix >= ISOLATED_NARROW)
			*ret = str_dup(if_indextoname((unsigned)route.index, name) ? name : "an interface");
	}
	return 0;
}

/* What is in other tables than the main one, no list has. */
static int ask_routes(const struct net_isolated_ask *ask, uint32_t address, char **ret, struct error **err)
{
	cleanup_free char *name = NULL;

	if (routed_elsewhere(ask->rival_arg, address, (int)ask->own_link, &name, err) < 0)
		return -1;
	*ret = name ? str_fmt("a route of %s", name) : NULL;
	return 0;
}

static int isolated_reserve(const struct net_vm *vm, const char *wanted, const uint32_t *used, size_t nused, char **ret,
			    struct error **err)
{
	cleanup_net_facts struct net_facts own_facts = {0};
	cleanup_netlink struct netlink *nl = netlink_open(err);
	struct ip4_cidr got = {.prefix = ISOLATED_BLOCK_PREFIX};
	struct net_isolated_ask ask = {.group = vm->group,
				       .number = vm->number,
				       .wanted = !wanted && *vm->address ? vm->address : wanted,
				       .used = used,
				       .nused = nused,
				       .rival = ask_routes,
				       .rival_arg = nl,
				       .facts = nl ? networks(vm, &own_facts, err) : NULL};
	char text[IP4_TEXT_MAX], own[IFNAMSIZ];

	if (!ask.facts || check_name(vm, err) < 0)
		return -1;
	net_hashed_name("ve-", vm->daemon_id, vm->hostname, own);
	ask.own_link = if_nametoindex(own);
	if (wanted || !*vm->address || net_isolated_take(&ask, &got.addr, NULL) < 0) {
		ask.wanted = wanted;
		if (net_isolated_take(&ask, &got.addr, err) < 0)
			return -1;
	}
	ip4_format_cidr(got, text);
	*ret = str_dup(text);
	return 0;
}

static int isolated_plan(const struct net_vm *vm, struct net_plan *ret, struct error **err)
{
	cleanup_net_facts struct net_facts own = {0};
	const struct net_facts *facts = networks(vm, &own, err);
	struct ip4_cidr address;

	if (!facts || ip4_parse_cidr(vm->address, &address, err) < 0)
		return -1;
	return net_plan_isolated_vm(vm, address.addr, facts, ret, err);
}

/* The index of the host's end, 0 when there is none. One without an alias is ours too, from a launch that was killed before
 * it had one: nobody else makes names of that kind. */
static int find_veth(struct netlink *nl, const struct net_plan *p, struct error **err)
{
	cleanup_error struct error *why = NULL;
	struct link link = {0};
	int index;

	if (links_get(nl, p->links[0].name, &link, &why) < 0)
		return why->code == ERR_NOT_FOUND ? 0 : error_move(err, &why);
	index = link.index;
	if (!str_eq(link.kind, "veth") || (link.alias && !str_eq(link.alias, p->links[0].alias)))
		index = error_set(err, ERR_CONFLICT, "there is an interface %s already, and it is not VM \"%s\"'s",
				  p->links[0].name, p->name);
	free(link.alias);
	return index;
}

static int change_elements(const struct net_plan *p, struct nfset *sets, bool add, struct error **err)
{
	cleanup_free char *table = nft_table(p->daemon_id);

	if (add && nft_rules_check(sets, table, true, err) < 0)
		return -1;
	return (add ? nfset_add : nfset_delete)(sets, NFPROTO_IPV4, table, p->elements, p->nelements, err);
}

/* Two daemons may have chosen the same block at once. All that there was before, the choice has looked at; now a few questions take
 * the place of lists that are as long as there are VMs. */
static int check_rivals(struct netlink *nl, const struct net_plan *p, int own, struct error **err)
{
	cleanup_free char *who = NULL;

	if (routed_elsewhere(nl, p->addresses[0].peer, own, &who, err) < 0)
		return -1;
	return who ? error_set(err, ERR_CONFLICT, "%s has become that of %s; launch the VM again", p->guest.address,
			       who)
		   : 0;
}

/* Rules, then the address, then up. */
static int configure_host(struct netlink *nl, const struct net_plan *p, struct nfset *sets, int index,
			  struct error **err)
{
	struct in_addr gateway = {htonl(p->addresses[0].addr.addr)}, guest = {htonl(p->addresses[0].peer)};

	if (links_set_group(nl, index, NET_GROUP_ISOLATED, err) < 0 || change_elements(p, sets, true, err) < 0 ||
	    net_sysctls_apply(p->sysctls, err) < 0 ||
	    links_ipv4_set(nl, index, LINKS_IPV4_FORWARD | LINKS_IPV4_STRICT, err) < 0 ||
	    netlink_link_set_up(nl, index, true, err) < 0 || links_address_add_peer(nl, index, gateway, guest, err) < 0)
		return -1;
	return links_neighbour_set(nl, index, guest, p->links[0].peer_mac, err);
}

static int configure(struct netlink *nl, const struct net_plan *p, struct nfset *sets, struct error **err)
{
	int index = netlink_link_index(nl, p->links[0].name, err);
	cleanup_close int lock = -1;

	if (index < 0 || links_set_alias(nl, index, p->links[0].alias, err) < 0 ||
	    links_add_altname(nl, index, p->links[0].altname, err) < 0)
		return -1;
	lock = net_lock(err);
	if (lock < 0 || check_rivals(nl, p, index, err) < 0)
		return -1;
	return configure_host(nl, p, sets, index, err);
}

/* Without address and route, and down: so it goes with the namespace that its other end is in, which the kernel takes apart in the
 * background. The removal of an interface would wait for that, tens of milliseconds (RCU). */
static int retire_veth(struct netlink *nl, const struct net_plan *p, int index, struct error **err)
{
	struct in_addr gateway = {htonl(p->addresses[0].addr.addr)};

	if (links_address_delete(nl, index, gateway, p->addresses[0].addr.prefix, err) < 0)
		return -1;
	return netlink_link_set_up(nl, index, false, NULL) < 0 ? links_delete(nl, index, err) : 0;
}

/* False: there is none, or it is somebody else's. */
static int remove_namespace(const struct net_plan *p, bool *ret_removed, struct error **err)
{
	cleanup_error struct error *why = NULL;

	*ret_removed = net_space_exists(p->netns);
	if (netns_down(p->netns, p->links[0].alias, &why) == 0)
		return 0;
	*ret_removed = false;
	return why->code == ERR_CONFLICT ? 0 : error_move(err, &why);
}

static int isolated_down(const struct net_plan *p, struct nfset *sets, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	cleanup_error struct error *why = NULL;
	int index = nl ? find_veth(nl, p, &why) : -1;
	bool removed;

	/* Somebody else's interface of that name stays. */
	if (index < 0 && (!why || why->code != ERR_CONFLICT))
		return error_move(err, &why);
	if ((index > 0 && retire_veth(nl, p, index, err) < 0) || remove_namespace(p, &removed, err) < 0 ||
	    (index > 0 && !removed && links_delete(nl, index, err) < 0))
		return -1;
	return change_elements(p, sets, false, err);
}

static int isolated_up(struct net_plan *p, struct nfset *sets, struct net_port *ret, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	cleanup_close int tap = -1;
	int old = nl ? find_veth(nl, p, err) : -1;

	if (old < 0 || (old > 0 && links_delete(nl, old, err) < 0))
		return -1;
	if (netns_up(p, &tap, err) < 0 || configure(nl, p, sets, err) < 0) {
		fd_closep(&tap);
		isolated_down(p, sets, NULL);
		return -1;
	}
	*ret = (struct net_port){.kind = NET_PORT_TAP, .tap_fd = TAKE_FD(tap)};
	return 0;
}

/* Runs programs only when the rules are not those that are in force. */
static int mend_namespace(struct net_plan *p, struct error **err)
{
	cleanup_net_facts struct net_facts facts = {0};
	cleanup_free char *before = TAKE_PTR(p->rules);
	int r = net_facts_read_networks(&facts, err) < 0 ? -1 : net_plan_isolated_rules(p, &facts, err);

	if (r == 0 && !str_eq(before, p->rules))
		r = netns_mend(p, err);
	if (r < 0)
		mem_freep(&p->rules);
	return r;
}

/* Whether the kernel is about to remove it: see retire_veth(). */
static bool is_retired(struct netlink *nl, const struct net_plan *p)
{
	struct link link = {0};
	bool retired = links_get(nl, p->links[0].name, &link, NULL) == 0 && net_is_ending(&link);

	free(link.alias);
	return retired;
}

/* A VM that is looked at may end meanwhile: its elements, which came after they had been removed, would be left. The interface tells
 * it from one whose namespace has lost its name. While the lock is held none of that name is about to come, see configure(). */
static void take_back(struct netlink *nl, const struct net_plan *p, struct nfset *sets)
{
	int64_t deadline = clock_ms() + RETIRED_MS;
	cleanup_close int lock = -1;

	while (find_veth(nl, p, NULL) > 0 && clock_ms() < deadline)
		usleep(RETIRED_POLL_US);
	lock = net_lock(NULL);
	if (lock >= 0 && find_veth(nl, p, NULL) == 0)
		change_elements(p, sets, false, NULL);
}

static int isolated_mend(struct net_plan *p, struct nfset *sets, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	int index = nl ? find_veth(nl, p, err) : -1, r;
	bool named = net_space_exists(p->netns);

	if (index == 0 || (index > 0 && !named && is_retired(nl, p)))
		return error_set(err, ERR_NOT_FOUND, "its interface %s is gone: " NET_STARTED_ANEW, p->links[0].name);
	if (index < 0 || mend_namespace(p, err) < 0)
		return -1;
	r = configure_host(nl, p, sets, index, err);
	if (named && !net_space_exists(p->netns))
		take_back(nl, p, sets);
	return r;
}

static int isolated_from_record(struct net_plan *p, struct error **err)
{
	return net_plan_isolated_guard(p, err);
}

/* A set takes no two subnets that overlap, unless they are the same. A former one that is there still is in use (renew.c). */
static int rules_apply(const struct net_plan *p, struct ip4_cidr range, const struct net_facts *facts,
		       struct error **err)
{
	cleanup_free char *table = nft_table(p->daemon_id);
	cleanup_strv char **there = NULL;
	cleanup_error struct error *why = NULL;
	struct ip4_cidr c;

	if (nft_run(p->nft, &why) == 0)
		return 0;
	there = nft_subnets(table);
	for (char **subnet = there; subnet && *subnet; subnet++)
		if (ip4_parse_cidr(*subnet, &c, NULL) == 0 && ip4_overlaps(c, range) &&
		    net_subnet_in_use(facts, c, p->daemon_id))
			return error_set(
				err, ERR_CONFLICT,
				"VMs still run in the range %s of before, which overlaps the new one. Delete them first, "
				"or set network.range to another subnet",
				*subnet);
	return error_move(err, &why);
}

static int group_apply(const struct net_plan *p, struct ip4_cidr range, const struct net_facts *facts,
		       struct error **err)
{
	cleanup_free char *from = NULL, *to = NULL;
	char text[IP4_TEXT_MAX];

	ip4_format_cidr(range, text);
	from = str_fmt("ip saddr %s", text);
	to = str_fmt("ip daddr %s", text);
	if (net_sysctls_apply(p->sysctls, err) < 0 || rules_apply(p, range, facts, err) < 0)
		return -1;
	return net_firewall_admit(p, text, from, to, err);
}

static int isolated_group_up(const struct config_group *g, const char *daemon_id, char ***ret_notes, struct error **err)
{
	cleanup_close int lock = net_lock(err);
	cleanup_net_facts struct net_facts facts = {0};
	cleanup_net_plan struct net_plan plan = {0};
	struct ip4_cidr range;
	char text[IP4_TEXT_MAX];

	if (lock < 0 || net_facts_read(true, &facts, err) < 0 ||
	    net_plan_isolated_group(g, daemon_id, &facts, &plan, err) < 0 || net_isolated_range(g, &range, err) < 0)
		return -1;
	if (group_apply(&plan, range, &facts, err) < 0)
		return -1;
	ip4_format_cidr(range, text);
	if (ret_notes) {
		*ret_notes = net_firewall_unsettled(plan.notes, &facts.firewall, text);
		net_policy_notes(g, &facts, ret_notes);
	}
	return 0;
}

/* What the kernel is about to remove keeps no table. */
static int delete_ending(const char *daemon_id, struct net_facts *facts, struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);

	if (!nl)
		return -1;
	for (size_t i = 0; i < facts->nlinks; i++) {
		struct link *link = &facts->links[i];

		if (!net_is_ours(link, daemon_id) || !net_is_ending(link))
			continue;
		if (links_delete(nl, link->index, err) < 0)
			return -1;
		mem_freep(&link->alias); /* nobody's from now on */
	}
	return 0;
}

static int isolated_group_down(const struct config_group *g, const char *daemon_id, struct error **err)
{
	cleanup_close int lock = net_lock(err);
	cleanup_net_facts struct net_facts facts = {0};
	cleanup_free char *table = nft_table(daemon_id), *script = NULL;
	struct ip4_cidr range;
	char text[IP4_TEXT_MAX];

	if (lock < 0 || net_facts_read(false, &facts, err) < 0 || net_isolated_range(g, &range, err) < 0)
		return -1;
	ip4_format_cidr(range, text);
	if (net_subnet_in_use(&facts, range, daemon_id))
		return error_set(err, ERR_CONFLICT, "addresses of %s are in use by VMs", text);
	if (delete_ending(daemon_id, &facts, err) < 0)
		return -1;
	script = net_count_ours(&facts, daemon_id) == 0 ? nft_remove_script(table)
							: nft_isolated_remove_script(table, range);
	return net_firewall_unadmit(daemon_id, (char *[]){text, NULL}, err) < 0 ? -1 : nft_run(script, err);
}

const struct net_mode net_mode_isolated = {
	.mode = NET_ISOLATED,
	.needs_root = true,
	.needs_group = true,
	.forwards = true,
	.group_up = isolated_group_up,
	.group_down = isolated_group_down,
	.reserve = isolated_reserve,
	.plan = isolated_plan,
	.from_record = isolated_from_record,
	.up = isolated_up,
	.mend = isolated_mend,
	.down = isolated_down,
};
