/* SPDX-License-Identifier: MIT */
/* Links of the host by rtnetlink(7), beyond what base/netlink.h has: bridges, taps, names, and
 * lists of what there is. Blocking; each call has a deadline of 10 s, lists start again when
 * something changes while they are read. Names are at most 15 bytes. */
#ifndef SLICER_BASE_LINKS_H
#define SLICER_BASE_LINKS_H

#include <net/if.h>
#include "base/netlink.h"

struct link {
	int index, master; /* master 0: none */
	char name[IFNAMSIZ];
	char kind[16];	     /* "bridge", "tun", "veth"; empty for hardware and the loopback */
	char *alias;	     /* NULL: none */
	unsigned mtu, flags; /* IFF_UP, IFF_LOOPBACK */
	unsigned group;	     /* ip-link(8), group; 0: the default one */
};
struct link_addr {
	int index;
	struct in_addr addr;
	unsigned prefix;
};
enum link_route_kind {
	LINK_ROUTE_OUT,	   /* unicast */
	LINK_ROUTE_REFUSE, /* unreachable, prohibit, blackhole */
	LINK_ROUTE_THROW,  /* as if the table had none */
};
struct link_route {
	int index;			     /* of the interface that it leads out of; of several next hops the first */
	struct in_addr dst, gateway, source; /* 0.0.0.0: none */
	unsigned prefix, metric, table;
	enum link_route_kind kind;
};

/* A rule of ip-rule(8), of IPv4, and for which packets it holds. */
enum link_rule_action { LINK_RULE_TABLE, LINK_RULE_GOTO, LINK_RULE_REFUSE, LINK_RULE_NOTHING };
struct link_rule {
	unsigned priority;
	enum link_rule_action action;
	unsigned table;	 /* of TABLE */
	unsigned target; /* of GOTO: a priority */
	struct in_addr src, dst;
	unsigned src_prefix, dst_prefix;
	char iif[IFNAMSIZ]; /* empty: any; "lo": what this host sends */
	uint32_t mark, mask;
	int suppressed; /* routes of the table with a prefix of up to that are passed over; -1: none */
	bool inverted;	/* it holds for the others */
	bool narrow;	/* besides those above it asks for something that is not told here: a port, a user */
};

/* The lists are the caller's: links_free(), free(). */
int links_list(struct netlink *nl, struct link **ret, size_t *n, struct error **err);
void links_free(struct link *list, size_t n);
/* One of them; ret->alias is the caller's. ERR_NOT_FOUND. */
int links_get(struct netlink *nl, const char *name, struct link *ret, struct error **err);
int links_get_index(struct netlink *nl, int ifindex, struct link *ret, struct error **err);
int links_addresses(struct netlink *nl, struct link_addr **ret, size_t *n, struct error **err);
int links_routes(struct netlink *nl, struct link_route **ret, size_t *n, struct error **err); /* main's, unicast */
/* Of one table, of all kinds; none where there is no such table. */
int links_routes_of_table(struct netlink *nl, unsigned table, struct link_route **ret, size_t *n, struct error **err);
/* In the order in which they are asked; none where the kernel has none. */
int links_rules(struct netlink *nl, struct link_rule **ret, size_t *n, struct error **err);
bool links_rule_is_usual(const struct link_rule *rule); /* it names a table that every host has */
/* The narrowest route to the address, addresses of this host and broadcasts among them, by whichever table the host's rules choose.
 * 1; 0: there is none, or one that refuses. */
int links_route_match(struct netlink *nl, struct in_addr to, struct link_route *ret, struct error **err);

/* A bridge that is down, without STP, forward delay and multicast snooping: a frame passes at once.
 * ERR_CONFLICT when the name is taken. */
int links_bridge_create(struct netlink *nl, const char *name, const unsigned char mac[6], struct error **err);
/* A pair of virtual interfaces, both down: one here, its peer in the network namespace `netns_fd`. ERR_CONFLICT when a name
 * is taken. */
struct links_veth {
	const char *name, *peer;
	unsigned char mac[6], peer_mac[6];
	unsigned mtu;
	unsigned group; /* of the one here */
	int netns_fd;
};
int links_veth_create(struct netlink *nl, const struct links_veth *veth, struct error **err);
int links_delete(struct netlink *nl, int ifindex, struct error **err); /* success when gone */
int links_set_master(struct netlink *nl, int ifindex, int master, struct error **err);
int links_set_alias(struct netlink *nl, int ifindex, const char *alias, struct error **err);
int links_set_mtu(struct netlink *nl, int ifindex, unsigned mtu, struct error **err);
int links_set_group(struct netlink *nl, int ifindex, unsigned group, struct error **err);
int links_rename(struct netlink *nl, int ifindex, const char *name, struct error **err);
/* A second name of up to 127 bytes (ip-link(8), altname). Success when the kernel knows no such
 * names, or this one is there already. */
int links_add_altname(struct netlink *nl, int ifindex, const char *name, struct error **err);
int links_address_delete(struct netlink *nl, int ifindex, struct in_addr addr, unsigned prefix,
			 struct error **err); /* success when gone */

/* An address of a link between two machines, and the route to the other end. Success when it is there already. */
int links_address_add_peer(struct netlink *nl, int ifindex, struct in_addr addr, struct in_addr peer,
			   struct error **err);
/* Who has an address is settled: nobody is asked, and nobody else is believed. */
int links_neighbour_set(struct netlink *nl, int ifindex, struct in_addr addr, const unsigned char mac[6],
			struct error **err);
/* Whoever asks for the address on this link gets this machine's answer (proxy ARP for one address). */
int links_neighbour_proxy(struct netlink *nl, int ifindex, struct in_addr addr, struct error **err);

/* How long an answer for another machine is held back at most, at random; the kernel's is 0.8 s. */
int links_proxy_delay_set(struct netlink *nl, int ifindex, uint64_t ms, struct error **err);

/* ip-sysctl.rst, conf/INTERFACE, of a virtual interface (a real one would have to be told to receive without LRO). */
enum { LINKS_IPV4_FORWARD = 1 << 0, LINKS_IPV4_STRICT = 1 << 1 }; /* forwarding=1, rp_filter=1 */
int links_ipv4_set(struct netlink *nl, int ifindex, unsigned settings, struct error **err);

/* A new tap, down, which goes when its last fd is closed: frames with a virtio header of 12 bytes
 * (virtio 1.2 §5.1.6) and no other. `owner`: who may open it besides root, (uid_t)-1 for nobody.
 * Returns the fd. ERR_CONFLICT when the name is taken. */
int links_tap_create(const char *name, uid_t owner, struct error **err);

/* A macvtap on the interface with the index `parent`, in bridge mode, down. ERR_CONFLICT when the name is taken or the parent
 * cannot have one now, ERR_UNSUPPORTED without the kernel's module. */
int links_macvtap_create(struct netlink *nl, const char *name, int parent, const unsigned char mac[6], unsigned mtu,
			 struct error **err);
/* With all multicast: which groups the guest has joined (those of IPv6, say) the host does not know. ERR_CONFLICT when another
 * interface of the parent's has its MAC address. */
int links_macvtap_set_up(struct netlink *nl, int ifindex, struct error **err);
/* Its device, set up as links_tap_create() does a tap. Returns the fd; the link stays when it is closed. */
int links_macvtap_open(const char *name, int ifindex, struct error **err);

#endif
