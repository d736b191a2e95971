/* SPDX-License-Identifier: MIT */
/* Makes and removes what plans describe. Blocking, a few milliseconds, for worker threads of a
 * process that may change the network. Each function may be called again, also after a crash in the
 * middle of it, and leaves nothing half-made when it fails. Only what bears our alias is changed or
 * removed. A lock on the network namespace keeps several daemons apart for that long. */
#ifndef SLICER_NET_APPLY_H
#define SLICER_NET_APPLY_H

#include "net/mode.h"

/* What the mode of a group needs for all of its VMs (of a bridge: itself, its address, forwarding
 * and rules): at start, and again whenever something else may have changed them (a new uplink, a
 * firewall's reload). *ret_notes (may be NULL): sentences for the user; the caller's. ERR_CONFLICT
 * when it would take what is somebody else's. */
int net_group_up(const struct config_group *g, const char *daemon_id, char ***ret_notes, struct error **err);
/* Of a bridge's group, and a question that its plan does not ask: do the host's routing rules lead a part of its subnet elsewhere, by
 * whichever table they name (net/policy.h)? ERR_CONFLICT. */
int net_check_rules(const struct config_group *g, const struct net_facts *facts, struct error **err);
/* Forwarding on the interfaces that routes lead out of by now, when a group needs it. Runs no program: for a look that is often. */
int net_uplinks_up(const struct config *cfg, struct error **err);
/* Do the host's routing rules lead packets of VMs elsewhere (net/policy.h)? ERR_CONFLICT says the first thing, and its remedy. Runs no
 * program. */
int net_ways_check(const struct config *cfg, const char *daemon_id, struct error **err);
/* Before the first of them at a start: what a killed daemon has left of a configuration that has changed since, unless VMs are in it.
 * Bridges of groups that are no more, or whose former address is another's now; in the daemon's tables, and of its rules in others', subnets that are no group's, and all
 * when no interface of its is left. Runs nft then, and nothing when there is nothing. */
int net_renew(const struct config *cfg, const char *daemon_id, struct error **err);
/* Removes it, and the daemon's tables with its last one. ERR_CONFLICT while VMs are attached.
 * Forwarding stays on for the host's other interfaces: others may rely on it by now. */
int net_group_down(const struct config_group *g, const char *daemon_id, struct error **err);
/* The same for a group that is in no configuration any more: see net_list(). */
int net_bridge_down(const char *bridge, const char *daemon_id, struct error **err);
/* The same while the daemon runs on: its tables stay, for groups that have no interface yet. */
int net_bridge_drop(const char *bridge, const char *daemon_id, struct error **err);

/* `sets`: the caller's, one for all VMs; used by modes whose rules are elements of the daemon's sets.
 * What the plan's mode makes for the VM; `ret` may hold an fd, which is the caller's. Its rules are in force before it can
 * send. An interface of that name that is this VM's is replaced: the caller knows that its VMM is gone. What the group needs
 * must be up: ERR_GONE when the bridge or rules are not there, and nothing is made. */
int net_vm_up(struct net_plan *p, struct nfset *sets, struct net_port *ret, struct error **err);
/* For a VM that runs: puts back what something else has removed, and follows what has changed on the host. p->rules then
 * says what is in force: for the record. ERR_NOT_FOUND when that cannot be. */
int net_vm_mend(struct net_plan *p, struct nfset *sets, struct error **err);
int net_vm_down(const struct net_plan *p, struct nfset *sets, struct error **err);
/* The same when no plan is left: interfaces that bear the alias of that VM, and what the daemon's sets
 * have of them. Success when there is nothing. */
int net_stray_down(const char *daemon_id, const char *vm, struct error **err);

/* What plugins of mode CNI were asked to add for that VM: DEL, by the list that ADD had. Success when there is nothing. Runs the
 * plugins. Where the VM's namespace is gone it makes one for them, which the caller removes (netns_down). */
int net_cni_forget(const char *daemon_id, const char *vm, struct error **err);
/* Of which VMs of the daemon, besides those `known`, there is something to forget: added to the caller's list. */
int net_cni_attached(const char *daemon_id, char *const *known, char ***ret_vms, struct error **err);
/* Where that is kept; the caller's. */
char *net_cni_cache_file(const char *daemon_id, const char *vm);

/* Elements of the daemon's sets that name a VM's interface which is not there, nor in `keep`: removes them, which nobody else
 * does once their VM is not known. *ret: those names; the caller's, NULL when there were none. Runs nft. */
int net_elements_sweep(const char *daemon_id, char *const *keep, char ***ret, struct error **err);

/* Subnets and ranges in the daemon's sets that are not in `keep` (texts as net_subnet_names() has them) and that no interface of the
 * daemon's has an address of: removes them, and what other firewalls' tables have of them. They are added to the caller's list.
 * Runs nft. */
int net_subnets_sweep(const char *daemon_id, char *const *keep, char ***ret, struct error **err);
/* Those of a configuration's groups and slots are added to the caller's list. */
void net_subnet_names(const struct config *cfg, const char *daemon_id, char ***ret);

/* What bears the alias of a daemon. */
struct net_item {
	char name[IFNAMSIZ];
	bool bridge;		 /* else a VM's tap */
	bool used;		 /* bridges: an interface of a VM, of whichever daemon, is on it */
	char *daemon_id, *owner; /* name of the group or the VM */
};
/* `daemon_id`: NULL for those of all. Waits up to a second for the interfaces that the kernel is about to remove. */
int net_list(const char *daemon_id, struct net_item **ret, size_t *n, struct error **err);
void net_items_free(struct net_item *items, size_t n);

#endif
