/* SPDX-License-Identifier: MIT */
/* Inside src/net: what groups and VMs have in common. */
#ifndef SLICER_NET_APPLY_IMPL_H
#define SLICER_NET_APPLY_IMPL_H

#include "net/apply.h"

/* What an interface that is lost means: a VMM that runs can be given no other. */
#define NET_STARTED_ANEW "the VM has no network until it is started anew (shutdown and relaunch)"

/* Waits for the lock of this network namespace; closing the fd unlocks. */
int net_lock(struct error **err);
int net_lock_shared(
	struct error **err); /* with others that hold it so: what one VM needs does not wait for another's */
int net_sysctls_apply(char *const *sysctls, struct error **err); /* see struct net_plan */

/* The index of the link that is the plan's first; 0 when there is none of that name, ERR_CONFLICT when it is somebody
 * else's. */
int net_find_own_link(struct netlink *nl, const struct net_plan *p, struct error **err);

/* group.c: the rows of mode bridge. */
int net_bridge_group_up(const struct config_group *g, const char *daemon_id, char ***ret_notes, struct error **err);
int net_bridge_group_down(const struct config_group *g, const char *daemon_id, struct error **err);
/* net_bridge_down() of each, with few runs of nft. One that is in use keeps no other; the first failure is told. */
int net_bridges_down(char *const *bridges, const char *daemon_id, struct error **err);

#endif
