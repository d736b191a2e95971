/* SPDX-License-Identifier: MIT */
/* What an isolated VM may reach, as the rules of its network namespace. Pure. The entry that says most about a packet
 * wins: a port says more than none, then the longer prefix; of two that say as much, the one that drops. What no entry
 * matches passes, unless there are only entries that allow. */
#ifndef SLICER_NET_EGRESS_H
#define SLICER_NET_EGRESS_H

#include "config/ip4.h"
#include "net/facts.h"

enum { EGRESS_MAX_ENTRIES = 65536 }; /* of both lists, LAN counted as what it stands for */

struct net_egress {
	char *const *allow, *const *drop; /* entries as ip4_parse_rule() knows them; NULL or empty: none */
	const struct ip4_cidr *lan;	  /* what LAN stands for */
	size_t nlan;
	const struct ip4_cidr *never; /* not reached whatever the lists say */
	size_t nnever;
};

/* The other ends of the namespace. */
struct net_egress_ends {
	const char *tap, *uplink; /* names of its interfaces */
	const char *mac;	  /* the guest's, "2e:31:2a:ff:7d:45" */
	uint32_t address;
};

/* Before a script that is loaded over an older one: in one transaction, no packet passes in between. */
#define NET_EGRESS_RENEW                                                                                               \
	"table netdev slicer { }\ndelete table netdev slicer\n"                                                        \
	"table ip slicer { }\ndelete table ip slicer\n"

/* The script for nft(8); the caller's. ERR_INVALID for an entry that does not parse, ERR_TOO_LARGE. */
char *net_egress_script(const struct net_egress *e, const struct net_egress_ends *ends, struct error **err);

/* Would a datagram to this port of this address pass? For what `up` says about DNS. */
bool net_egress_allows(const struct net_egress *e, uint32_t address, uint16_t port);

/* Networks that the host is connected to by an interface that is not slicer's or the loopback; the caller's. */
struct ip4_cidr *net_egress_lan(const struct net_facts *facts, size_t *ret_n);
/* What no isolated VM may reach on this host: its own addresses, the networks of slicer's other VMs, its own group's range (of
 * prefix 0: not known), and what is no destination of unicast packets between machines (RFC 6890). The caller's. */
struct ip4_cidr *net_egress_never(const struct net_facts *facts, struct ip4_cidr range, size_t *ret_n);

#endif
