/* SPDX-License-Identifier: MIT */
/* What the host's routing rules (ip-rule(8)) do to packets of VMs: a rule that is asked before the table main, a VPN's perhaps, may
 * have a table with a route for all the world, and a network's own route is in main. Followed as the kernel does (fib_rules_lookup,
 * fib_table_lookup), from what rules and tables say: so it is known before the network is made. Rules that ask for a port, a user
 * or the like are taken as not holding, as is a mark of packets. Pure. */
#ifndef SLICER_NET_POLICY_H
#define SLICER_NET_POLICY_H

#include "config/config.h"
#include "config/ip4.h"
#include "net/facts.h"

struct net_flow {
	uint32_t src, dst;   /* src 0: not chosen yet */
	const char *iif;     /* where packets come in; "lo": this host sends them */
	struct ip4_cidr own; /* of the network that is to be: main has a route to it. Prefix 0: none */
};
/* Whether a rule has a say before main; both NULL: none. */
struct net_led {
	const struct link_rule *rule;
	const struct link_route *route; /* of its table; NULL: the rule itself refuses */
};
struct net_led net_policy_follow(const struct net_facts *f, const struct net_flow *flow);

/* A route that is as narrow as the subnet or narrower, by which the rules lead packets to a part of it out of another interface than
 * `own` (its index; -1: none). NULL: none. */
const struct link_route *net_policy_rival(const struct net_facts *f, struct ip4_cidr subnet, int own);

/* What wider routes and rules do: a sentence for the user for each thing, and the remedy at the same place of the other list. Of
 * modes bridge, isolated, and of one slot; nothing of others. */
void net_policy_tell(const struct config_group *g, const struct net_facts *f, char ***sentences, char ***remedies);
/* The same of all groups and slots. */
void net_policy_tell_all(const struct config *cfg, const char *daemon_id, const struct net_facts *f, char ***sentences,
			 char ***remedies);
/* The same of one, as notes of a start. */
void net_policy_notes(const struct config_group *g, const struct net_facts *f, char ***notes);

#endif
