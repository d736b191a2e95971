/* SPDX-License-Identifier: MIT */
/* Network modes: one row of operations each. Whoever launches, stops or adopts a VM goes by the row of its plan and knows
 * no mode by name. A mode that is not in the table is one that this version does not have. */
#ifndef SLICER_NET_MODE_H
#define SLICER_NET_MODE_H

#include "net/facts.h"
#include "net/plan.h"

/* A VM as its network sees it; everything is borrowed. */
struct net_vm {
	const struct config_group *group;
	const char *daemon_id, *hostname;
	unsigned number;		  /* 0: not numbered */
	const char *address;		  /* "A/L" as reserved; "" while not known */
	const char *asked;		  /* the address that whoever made it asked for; NULL: any */
	char *const *dns;		  /* configured servers */
	bool dns_given;			  /* by the configuration; else they are the default */
	char *const *allow, *const *drop; /* what holds for it: its own lists, or its group's */
	struct net_limits limits;
	const struct net_user_host *user_host;
	/* The host's networks, which the first of reserve and plan that needs them reads, for both; NULL: each reads its own. */
	struct net_facts *networks;
};

/* What the VMM gets. */
enum net_port_kind {
	NET_PORT_TAP,
	NET_PORT_HELPER,  /* a program that speaks for the guest over a socket pair */
	NET_PORT_NOWHERE, /* an interface that leads nowhere */
};
struct net_port {
	enum net_port_kind kind;
	int tap_fd;		  /* the caller's; -1: none */
	char *const *helper_argv; /* borrowed from the plan */
};

struct net_mode {
	enum config_net_mode mode;
	bool needs_root;
	bool needs_group; /* reserve and plan do: net_vm.group is not NULL */
	bool forwards;	  /* this host passes on what its VMs send and get */
	bool ipv6;	  /* guests have what the network's routers say (SLAAC); else it is off in them */
	/* Of a whole group, see net/apply.h; NULL: nothing to do. */
	int (*group_up)(const struct config_group *g, const char *daemon_id, char ***ret_notes, struct error **err);
	int (*group_down)(const struct config_group *g, const char *daemon_id, struct error **err);
	/* Changes nothing. The VM's address, "A/L", from the group's pool: `wanted` (NULL: any) as in net_pool_take(); vm->address is
	 * kept when it still fits and nothing else is wanted. `used`: those of the group's other VMs. The caller's. */
	int (*reserve)(const struct net_vm *vm, const char *wanted, const uint32_t *used, size_t nused, char **ret,
		       struct error **err);
	/* Reads the host's facts; changes nothing. */
	int (*plan)(const struct net_vm *vm, struct net_plan *ret, struct error **err);
	/* What a record has, the mode still unknown to it: is it all that the mode needs? NULL: nothing more. */
	int (*from_record)(struct net_plan *p, struct error **err);
	/* Blocking, in a worker: see net/apply.h. NULL: nothing to do. `up` may find out more about p->guest. */
	int (*up)(struct net_plan *p, struct nfset *sets, struct net_port *ret, struct error **err);
	int (*mend)(struct net_plan *p, struct nfset *sets, struct error **err); /* may change p->rules */
	int (*down)(const struct net_plan *p, struct nfset *sets, struct error **err);
};

const struct net_mode *net_mode(enum config_net_mode mode); /* NULL: not in this version */

extern const struct net_mode net_mode_bridge, net_mode_cni, net_mode_isolated, net_mode_macvtap, net_mode_slots,
	net_mode_user;

#endif
