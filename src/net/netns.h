/* SPDX-License-Identifier: MIT */
/* Network namespaces of VMs, as `ip netns` shows them: /run/netns/<VM>. Whose one is says the alias of its loopback
 * interface, "slicer:<daemon id>:<VM>"; others are never touched. The daemon has threads, so it never enters one: the
 * program slicer-netns does, one command each time (netns_protocol.h). Blocking, with a deadline, for worker threads. */
#ifndef SLICER_NET_NETNS_H
#define SLICER_NET_NETNS_H

#include "net/plan.h"

#define NETNS_DIR "/run/netns"

enum { NETNS_DEADLINE_MS = 20000, NETNS_REQUEST_MAX = 16 * 1024 * 1024, NETNS_ANSWER_MAX = 1024 * 1024 };

/* Makes the namespace of an isolated VM with its tap, its rules, and its end of the pair of interfaces to the host, whose
 * other end stays down. One of that name that is this VM's is replaced. ERR_CONFLICT when it is somebody else's. What it
 * made is gone again when it fails. *ret_tap is the caller's. */
int netns_up(const struct net_plan *p, int *ret_tap, struct error **err);
/* Of a VM that runs: loads its rules (p->nft) anew and puts back routes. ERR_NOT_FOUND when namespace or tap are gone. */
int netns_mend(const struct net_plan *p, struct error **err);
/* For interfaces that others put into it (CNI): an empty one, its IPv6 off. */
int netns_create(const char *name, const char *alias, struct error **err);
/* One of that name in which an interface has these addresses ("10.1.2.3/24,…"), for those who look for them to delete. One that is
 * there with such an interface stays as it is. */
int netns_stand_in(const char *name, const char *alias, const char *ifname, const char *addresses, struct error **err);
struct netns_attached {
	int tap_fd;	/* the caller's */
	unsigned mtu;	/* of the interface */
	bool connected; /* it had a route to its subnet */
};
/* The VM takes the place of the interface in its namespace. */
int netns_attach(const struct net_plan *p, const char *ifname, struct netns_attached *ret, struct error **err);
bool net_space_exists(const char *name);
bool netns_is_mounted(const char *name); /* else there may be the file still that it was mounted on */
/* Success when there is none. ERR_CONFLICT when it is somebody else's. */
int netns_down(const char *name, const char *alias, struct error **err);
/* Names of a daemon's namespaces that are not `known` as VMs'; the list is the caller's, NULL when it is empty. */
int netns_strays(const char *daemon_id, char *const *known, char ***ret, struct error **err);

#endif
