/* SPDX-License-Identifier: MIT */
/* What a group or a VM needs on this host, worked out without touching anything; net/apply.h does
 * it. A VM's plan goes into its record as JSON, so that a later daemon can undo it whatever the
 * configuration says by then. */
#ifndef SLICER_NET_PLAN_H
#define SLICER_NET_PLAN_H

#include "base/nfset.h"
#include "config/config.h"
#include "config/ip4.h"
#include "net/facts.h"
#include "net/rate_limit.h"
#include "net/mac.h"
#include "net/user.h"

enum net_link_kind {
	NET_LINK_BRIDGE,
	NET_LINK_TAP,
	NET_LINK_MACVTAP,
	NET_LINK_VETH, /* its peer is in the plan's network namespace; forwards, with strict reverse path filtering */
	NET_LINK_NETNS_TAP, /* in that namespace */
};
struct net_plan_link {
	enum net_link_kind kind;
	char name[IFNAMSIZ], master[IFNAMSIZ]; /* master: empty for none; of a macvtap its parent */
	char *alias;			       /* "slicer:<daemon id>:<group or hostname>" */
	char *altname;			       /* NULL: none */
	bool has_mac;
	unsigned char mac[6]; /* fixed, so that nobody need relearn */
	unsigned mtu;
	char peer[IFNAMSIZ]; /* VETH */
	unsigned char peer_mac[6];
};
struct net_plan_address {
	char link[IFNAMSIZ];
	struct ip4_cidr addr;
	uint32_t peer; /* the other end of a link between two; 0: none */
};

/* ip-link(8), group: interfaces of slicer's own networks are told apart by it, whichever daemon made them, and rules that
 * name it hold for those that do not exist yet. Numbers that nobody has in /etc/iproute2/group. */
enum net_link_group {
	NET_GROUP_ISOLATED = 0x51ce0001,
	NET_GROUP_BRIDGE = 0x51ce0002,
	NET_GROUP_SLOT = 0x51ce0003,
};

enum { NET_PLAN_LINKS = 2, NET_PLAN_ADDRESSES = 2, NET_PLAN_ELEMENTS = 4 };
struct net_plan {
	enum config_net_mode mode;
	char *daemon_id;
	char *name; /* of the group or the VM */
	struct net_plan_link links[NET_PLAN_LINKS];
	struct net_plan_address addresses[NET_PLAN_ADDRESSES]; /* of the host */
	struct nfset_element elements[NET_PLAN_ELEMENTS];      /* of `table bridge slicer_<id>` */
	size_t nlinks, naddresses, nelements;
	char *network;	   /* mode CNI: name of the plugins' network; this and the next one: not in the record */
	char *asked;	   /* mode CNI: the address to ask the plugins for; NULL: any */
	char *netns;	   /* of the VM: a name below /run/netns; NULL: none */
	char **sysctls;	   /* "net/ipv4/conf/brvm0/forwarding=1", as in sysctl.d(5): those with a "-"
			   in front may be missing in this kernel */
	char *nft;	   /* script for nft(8), of a group or of the VM's namespace; NULL: none. Not in records */
	char *rules;	   /* of a VM's namespace: tells one script from another; empty: not known what is in force */
	char *admit_chain; /* groups: DOCKER-USER or FORWARD of `table ip filter`; NULL: no need */
	char **notes;	   /* groups: what the user should know, sentences */
	struct net_guest { /* VMs: for the guest's config disk and the VM's record */
		char address[IP4_TEXT_MAX], gateway[IP4_TEXT_MAX]; /* "192.168.137.2/24", ".1" */
		char mac[MAC_TEXT_SIZE];
		unsigned mtu;
		bool dhcp; /* then without address and gateway */
		bool net_dns; /* name servers that the network says (a DHCP lease, CNI plugins), if it does, instead of `dns` */
		char **routes; /* besides those that address and gateway are: "10.0.0.0/8 10.1.2.3", or without a gateway */
		char **dns; /* these and the two above: not in the record */
	} guest;
	char **allow, **drop;	   /* mode isolated: what holds for this VM */
	struct ip4_cidr range;	   /* mode isolated: the group's, when the VM was made; prefix 0: not known */
	struct net_limits limits;  /* modes bridge and isolated */
	struct net_user_plan user; /* mode user; not in the record */
};
void net_plan_clear(struct net_plan *p);
#define cleanup_net_plan __attribute__((cleanup(net_plan_clear)))

/* Both: ERR_UNSUPPORTED for another mode than bridge. The group's is refused with ERR_CONFLICT when
 * its bridge, its subnet or a part of it belongs to somebody else; the message says to whom. */
int net_plan_group(const struct config_group *g, const char *daemon_id, const struct net_facts *facts,
		   struct net_plan *ret, struct error **err);
/* The same of a group of mode isolated: rules on the host, and notes about its firewalls and about lists by which no name can be
 * resolved. ERR_CONFLICT when the range that the configuration asks for is somebody else's network. */
int net_plan_isolated_group(const struct config_group *g, const char *daemon_id, const struct net_facts *facts,
			    struct net_plan *ret, struct error **err);
struct net_vm; /* net/mode.h */
/* `address`: from net_pool_take(). */
int net_plan_bridge_vm(const struct net_vm *vm, uint32_t address, const struct net_facts *facts, struct net_plan *ret,
		       struct error **err);

struct json_object *net_plan_to_json(const struct net_plan *p); /* the caller's */
/* What removing and mending need of a VM's plan; strict. Without a mode it is of a version that knew bridges only. */
int net_plan_from_json(struct json_object *obj, struct net_plan *ret, struct error **err);

/* Appends a sentence per firewall that keeps the bridge's VMs, or those of a group of mode isolated, from reaching further than
 * this host and that only the user can mend, with the commands; not of those that let them pass by now. Runs nft. */
void net_firewall_notes(const struct net_firewall *fw, const char *bridge, char ***notes);
void net_firewall_notes_isolated(const struct net_firewall *fw, const struct config_group *g, char ***notes);

/* Inside src/net: all of that but the mode, and what the mode says. */
int net_plan_read(struct json_object *obj, struct net_plan *ret, struct error **err);
/* Inside src/net: a new link of the plan, with our alias. */
struct net_plan_link *net_plan_add_link(struct net_plan *p, enum net_link_kind kind, const char *name);
/* Inside src/net: what makes frames of the VM's first link pass. */
void net_plan_guard(struct net_plan *p, const unsigned char mac[6], uint32_t address);
/* The alias of what is made for a VM or a group, "slicer:<daemon id>:<name>"; the caller's. */
char *net_alias(const char *daemon_id, const char *name);
/* "slicer:<daemon id>:<name>": is it ours, and of which daemon? Both results are the caller's. */
bool net_alias_parse(const char *alias, char **ret_daemon_id, char **ret_name);
/* "vt-" and 10 digits of a hash of both; at most 15 characters. */
void net_hashed_name(const char *prefix, const char *daemon_id, const char *name, char ret[IFNAMSIZ]);
/* A MAC address, locally administered and unicast: always the same for this thing of this daemon. */
void net_derived_mac(const char *what, const char *daemon_id, const char *name, unsigned char ret[6]);
/* Adds the sysctls by which answers of VMs' peers are passed on where they come in. */
void net_plan_uplinks(struct net_plan *p, const struct net_facts *facts);

#endif
