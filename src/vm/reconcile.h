/* SPDX-License-Identifier: MIT */
/* Reconciliation while the daemon runs; at its start it is adopt.c's. Every RECONCILE_MS, and when somebody has removed rules of its
 * tables, a worker looks at what exists (processes, run and state directories, control groups, interfaces, rules) with copies of
 * what the loop knows; what follows is decided on the loop, against the VMs as they are by then, and done by their operations. What
 * does not bear this daemon's id is never touched; what bears it and has a record that nobody can read is left to its owner. */
#ifndef SLICER_VM_RECONCILE_H
#define SLICER_VM_RECONCILE_H

#include "vm/manager_impl.h"
#include "vm/network.h"

enum {
	RECONCILE_MS = 30 * 1000, /* from the end of a look to the next; $SLICER_RECONCILE_MS, for tests; 0: never */
	RECONCILE_HURRY_MS =
		100, /* from the removal of rules to the look: what reloads a firewall does several things */
	RECONCILE_GROUPS =
		10, /* looks from one full check of the groups' networks and rules, which runs nft, to the next */
	RECONCILE_MENDS = 64, /* VMs whose network is checked in one look; all have their turn */
};

/* A VM at rest. */
struct look_vm {
	char *hostname;
	enum vm_state state; /* RUNNING, PAUSED or STOPPED */
	struct vm_processes processes;
	bool mend;			  /* its network is to be checked */
	const struct config_group *group; /* of the configuration; NULL when it is not there any more */
	struct network_job net;
	/* What was found. */
	bool ended; /* it runs, says its state; its processes do not */
	bool no_record;
	bool left_over;	      /* it is stopped, and has something of a running VM */
	struct error *broken; /* its network cannot be put right */
};

struct look {
	struct manager *manager;	       /* for the loop only */
	const struct manager_options *options; /* do not change */
	bool all_groups;
	bool again; /* rules were removed during the look before */
	struct look_vm *vms;
	size_t nvms;
	char **known;	    /* names of all VMs, and those that are left alone */
	char **interfaces;  /* those that the records of all VMs name; with all_groups only */
	char **tried;	    /* groups whose network was made anew because of a VM's */
	char **bridges;	    /* of the configuration, and of one that is about to be taken over */
	char **subnets;	    /* the same, of those */
	char **idle_before; /* bridges that the look before found of use to nobody */
	bool made;	    /* rules of groups, anew: those of before are removed with that */
	/* What was found. */
	char **mended;	      /* those of them of which something had been removed, and is back */
	char **swept;	      /* interfaces that were gone and named by rules, which are gone as well now */
	char **left;	      /* subnets of rules that are no group's and that the last VM has left: they are removed */
	char **strays;	      /* names of VMs that are not known: nothing of theirs is worth keeping */
	char **unknown;	      /* the same with a record or a disk */
	char **idle;	      /* our bridges that are of no group and that no VM is on */
	char **dropped;	      /* those of them that were so before as well, and are gone now */
	struct error *groups; /* why a group's network cannot be put right */
	struct error *ways;   /* which routing rule leads packets of VMs elsewhere */
};

/* "db-12", number 12 of host group db, or the slot of that name in the configuration; false: neither. *ret_group is the
 * caller's. */
bool vm_name_parse(const struct config *cfg, const char *name, char **ret_group, unsigned *ret_number);
/* In a worker. ERR_* when it cannot even look. */
int reconcile_look(struct look *l, struct error **err);
void look_free(struct look **l);
#define cleanup_look __attribute__((cleanup(look_free)))

/* From the start of the daemon to its end. */
void reconcile_start(struct manager *m);
void reconcile_stop(struct manager *m); /* after the worker pool is gone */

#endif
