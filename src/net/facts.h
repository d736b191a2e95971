/* SPDX-License-Identifier: MIT */
/* What a plan depends on: the interfaces, addresses, routes and firewalls of this host. */
#ifndef SLICER_NET_FACTS_H
#define SLICER_NET_FACTS_H

#include "base/links.h"

/* Who drops packets between interfaces unless told otherwise. */
struct net_firewall {
	bool iptables_drop; /* policy of FORWARD in `table ip filter`: Docker, ufw, iptables-nft */
	bool docker_user;   /* its chain DOCKER-USER is there, which Docker leaves to the user */
	bool legacy_drop;   /* the same by iptables-legacy, which nft does not show */
	char *legacy_rules; /* then those of its FORWARD, as `iptables-legacy -S` prints them; NULL: not known */
	bool firewalld;
	char **others; /* "inet filter forward": chains whose policy is drop */
};

struct net_facts {
	struct link *links;
	size_t nlinks;
	struct link_addr *addrs;
	size_t naddrs;
	struct link_route *routes;
	size_t nroutes;
	/* ip-rule(8), and where one of them names a table of its own, what such tables have (net/policy.h); empty unless asked for */
	struct link_rule *rules;
	size_t nrules;
	struct link_route *others;
	size_t nothers;
	struct net_firewall firewall; /* empty unless asked for */
};

/* `firewall`: look at that too, which runs nft. Fails without nft then, and says how to get it. */
int net_facts_read(bool firewall, struct net_facts *ret, struct error **err);
/* The same with those interfaces only that have a network or a default route, and without the rules: what it costs does
 * not grow with the VMs that have an interface each. */
int net_facts_read_networks(struct net_facts *ret, struct error **err);
/* Adds the rules, the routes that they choose, and the interfaces of those. */
int net_facts_read_rules(struct net_facts *f, struct error **err);
void net_facts_clear(struct net_facts *f);
#define cleanup_net_facts __attribute__((cleanup(net_facts_clear)))

/* For the tests; `json` is what `nft -j list chains` prints. */
int net_firewall_parse(const char *json, struct net_firewall *ret, struct error **err);

const struct link *net_facts_link(const struct net_facts *f, const char *name); /* NULL: none */
const struct link *net_facts_index(const struct net_facts *f, int index);
/* The default route with the lowest metric; NULL: none. */
const struct link_route *net_facts_default(const struct net_facts *f);
unsigned net_facts_mtu(const struct net_facts *f); /* of the default route's interface, else 1500 */
/* The address by which other machines reach this host; 0.0.0.0 when there is none. */
struct in_addr net_facts_lan_address(const struct net_facts *f);

#endif
