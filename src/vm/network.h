/* SPDX-License-Identifier: MIT */
/* A VM's network as its lifecycle needs it, whatever the mode: reserve an address, tell the guest, make, remove. */
#ifndef SLICER_VM_NETWORK_H
#define SLICER_VM_NETWORK_H

#include "net/mode.h"
#include "vm/vm.h"
#include "vmm/vmm.h"

/* On the loop. Gives vm->ip, from the group's pool where it has one; `wanted` may be NULL. ERR_CONFLICT, ERR_INVALID and
 * ERR_UNAVAILABLE as net_pool_take(). A VM that has an address keeps it while it fits the configuration. */
int vm_network_reserve(struct vm *vm, const char *wanted, struct error **err);

/* A copy for one operation's worker steps. */
struct network_job {
	bool planned; /* else there is nothing to do */
	struct net_plan plan;
	struct nfset *sets;   /* the manager's */
	struct net_port port; /* once it is up; the job's */
	uid_t helper_uid;
	const struct config_group *group; /* of the configuration; NULL: not in it */
};
/* To make it: from the present configuration, kept in vm->network for the record. */
int network_job_plan(struct network_job *job, struct vm *vm, struct error **err);
/* To remove it: from what the record has. An empty job when there is nothing. */
int network_job_recorded(struct network_job *job, const struct vm *vm, struct error **err);
void network_job_clear(struct network_job *job); /* closes the tap */

void network_job_guest(const struct network_job *job, struct json_object *config); /* network and dns */
/* In a worker. `ret` borrows from the job. */
int network_job_up(struct network_job *job, struct vmm_net *ret, struct error **err);
/* On the loop, after it is up: what came out of that. */
void network_job_finish(const struct network_job *job, struct vm *vm);
int network_job_down(struct network_job *job, struct error **err);

/* Puts back what a running VM needs and something else may have removed (a firewall's reload). Blocking, milliseconds. */
int vm_network_mend(struct vm *vm, struct error **err);
/* On the loop, after net_vm_mend() of a job's plan in a worker: keeps what it has changed. The record is written with the next
 * operation. */
void network_job_mended(const struct network_job *job, struct vm *vm);

#endif
