/* SPDX-License-Identifier: MIT */
/* What of slicer's networks exists on this host, and whose it is. Everything is recognised by the
 * mark that it bears, whatever network mode made it: interfaces by their alias "slicer:<daemon
 * id>:<name>" (net/plan.h), network namespaces in /run/netns by such an alias on an interface in
 * them, tables of nftables by their name slicer_<daemon id>, rules in other tables by a comment
 * that begins so. Reads only; root sees all. */
#ifndef SLICER_HOST_NET_SCAN_H
#define SLICER_HOST_NET_SCAN_H

#include <stdio.h>
#include "base/json.h"

enum net_life {
	NET_LIFE_UNKNOWN, /* its state directory is not known, or cannot be looked at */
	NET_LIFE_UP,	  /* a process holds its lock */
	NET_LIFE_DOWN,
};
struct net_daemon {
	char *id;
	char *config, *state; /* NULL: not known */
	enum net_life life;
	int pid;      /* UP */
	bool has_vms; /* DOWN: some of its VMs run on */
};

enum net_kind {
	NET_KIND_LINK, /* in the order in which they are removed */
	NET_KIND_NETNS,
	NET_KIND_RULE,
	NET_KIND_ELEMENT,
	NET_KIND_TABLE,
	NET_KIND_CNI, /* what is kept of the attachment of a VM to a CNI network, for its plugins' DEL */
	NET_KIND_CGROUP,
	NET_KIND_RUN, /* a VM's run directory */
};
enum net_use {
	NET_USE_UNKNOWN, /* so is its daemon's state */
	NET_USED,
	NET_USE_WAITS, /* its VM runs without its daemon, which takes it over when it comes back */
	NET_USE_STRAY, /* its daemon runs, and has no such VM: it removes it by itself */
	NET_USE_STALE, /* its daemon is gone and no VM uses it */
};
struct net_thing {
	enum net_kind kind;
	char *type; /* "bridge", "tun", "veth" of links; family of tables; "netns", ... */
	char *name; /* of the link, the namespace, the table; of elements "TABLE SET TEXT"; a path */
	char *daemon_id;
	char *owner;	/* name of the group or the VM; NULL: all of the daemon's */
	bool group;	/* it is a group's */
	char *netns;	/* the namespace that a link is in; NULL: this one */
	char *alias;	/* links */
	int index;	/* links */
	bool open;	/* taps: some process has it open */
	unsigned rules; /* of a table */
	char *remove;	/* nftables: the command that does it; NULL: goes with something else */
	enum net_use use;
};
struct net_scan {
	struct net_thing *things;
	size_t nthings;
	struct net_daemon *daemons;
	size_t ndaemons;
	char **unseen; /* what could not be looked at, sentences */
	char *run_base;
};

/* Blocking, some 50 ms. ERR_IO when not even the interfaces can be listed. */
int net_scan_read(struct net_scan *ret, struct error **err);
void net_scan_clear(struct net_scan *s);
#define cleanup_net_scan __attribute__((cleanup(net_scan_clear)))

const struct net_daemon *net_scan_daemon(const struct net_scan *s, const char *id); /* NULL: none */
const char *net_kind_name(enum net_kind kind);
const char *net_use_name(enum net_use use);
/* Does this VM of the daemon run? By its record's processes, its monitor's socket, or its control
 * group. */
bool net_vm_runs(const struct net_scan *s, const struct net_daemon *d, const char *vm);

/* Removes what is stale, saying each on `out`; `id`: only that daemon's, NULL: all. Holds the
 * daemon's lock meanwhile, and looks again before it removes: what a daemon has come back for
 * stays. Returns how many there were, or -1 with the first failure. */
int net_scan_remove(struct net_scan *s, const char *id, FILE *out, struct error **err);

/* Inside of it. */
struct net_thing *net_scan_add(struct net_scan *s, enum net_kind kind, const char *type, const char *name,
			       const char *daemon_id);
bool net_name_is_sane(const char *name); /* of daemons and VMs, as they may become parts of paths */
int net_scan_ruleset(struct net_scan *s, const char *json, struct error **err); /* of `nft -j -a list ruleset` */
void net_scan_nft(struct net_scan *s);						/* adds what nftables has */
void net_scan_daemons(struct net_scan *s); /* finds the daemons of all things, and those that run */

#endif
