/* SPDX-License-Identifier: MIT */
/* VMs and the manager that owns them. Everything here runs on the loop; all strings are the object's own and are only changed
 * by src/vm. Other layers read the fields and call the functions. */
#ifndef SLICER_VM_VM_H
#define SLICER_VM_VM_H

#include "config/config.h"
#include "config/request.h"
#include "io/worker.h"
#include "vm/session.h"
#include "vm/state.h"

struct manager;
struct op;
struct monitor_client;
struct vmm_client;

enum { MANAGER_UIDS = 8192 }; /* users that a manager needs: two for each of its VMs at most */

struct vm_processes {
	pid_t monitor_pid, vmm_pid;
	uint64_t monitor_start, vmm_start; /* field 22 of /proc/PID/stat */
};

struct vm {
	/* Identity and specification: fixed once created. */
	char *hostname, *group; /* "<group>-<number>" */
	unsigned number;
	bool service;	 /* from `count:`; protected */
	bool demoted;	 /* it was one, and is again when `count:` is raised */
	bool persistent; /* kept as Stopped when it ends */
	unsigned vcpus;
	uint64_t ram_bytes;
	unsigned group_vcpus; /* what its host group had when it was made; 0: not recorded */
	uint64_t group_ram_bytes;
	uint64_t disk_bytes;			  /* of the writable disk; 0: none (fake hypervisor) */
	uint64_t disk_bandwidth, disk_operations; /* per second; 0: no limit */
	uint64_t network_bandwidth, network_packets, network_connections;
	char *ip;	/* CIDR; "" while not known */
	char *ip_asked; /* by whoever made it; NULL: any */
	char **tags, **ssh_keys, **dns;
	char *userdata, *image, *image_digest;
	char *machine_id;   /* 32 hex digits, made once */
	int64_t created_at; /* ns since the epoch */
	unsigned uid_slot;  /* whom its VMM and helpers run as: UIDS_PER_VM from uid_base on */
	bool has_override;  /* network lists of this launch instead of the group's */
	char **allow, **drop;
	struct json_object *network;	    /* net_plan_to_json() of what it has on this host; NULL: nothing */
	bool override_allow, override_drop; /* which of the two was given */

	/* Present. */
	enum vm_state state;
	struct vm_processes processes;	 /* all 0 when none runs */
	char *last_error;		 /* why the last launch failed or the VMM ended unasked; may be NULL */
	enum error_code last_error_code; /* of the launch that failed; 0: none */
	unsigned boot_retries;
	unsigned launch_failures; /* in a row: a service is tried again, not before retry_at (clock_ms) */
	int64_t retry_at;
	int64_t lost_told_at; /* clock_ms(): when the log was told that its agent was lost; 0: never */

	/* Connections and the operation under way; NULL when there is none. */
	struct manager *manager;
	struct session *session;
	struct monitor_client *monitor;
	struct vmm_client *vmm;
	struct op *op;
	bool delete_wanted;	   /* what comes after the operation under way */
	bool dirty;		   /* its record is to be written once more */
	bool restart;		   /* a service that was on its way out when the daemon started: it comes up again */
	bool stuck;		   /* it could not be stopped or deleted; until somebody asks again */
	bool vmm_asked;		   /* to pause or resume, and has not answered yet */
	bool stray;		   /* something was found that belongs to no VM: it is one only to be deleted */
	bool vmm_gone;		   /* its VMM ended while an operation was under way */
	bool guest_said_bye;	   /* since the last boot */
	bool end_unknown;	   /* it has ended; its monitor may have left word of how */
	int64_t end_seen;	   /* clock_ms() when its end was, of which its monitor has not told; 0: it was not */
	char *end_why;		   /* how its VMM ended, when that was seen; NULL: it was not */
	off_t console_seen;	   /* size of its log when it was attached, or its agent last ready */
	unsigned silent_resets;	   /* of the guest, unannounced, since its agent was last ready */
	struct timer *boot_timer;  /* a boot without a sign of life */
	struct timer *reset_timer; /* a reset that is to be looked into */
	bool console_asked;	   /* its monitor, whether it has passed on all that was said before that */
	struct timer *vmm_timer;   /* to connect to the VMM's control channel again, or see that it has ended */
	int64_t monitor_asked;	   /* clock_ms() of the request that its monitor has not answered yet; 0: it has */
	char *monitor_error;	   /* what was said of that; NULL: nothing */
	char *network_error;	   /* why its network is not as it should be; NULL: it is */
	struct vm_waiter *waiters;
	char *shown; /* see vm_show */
	struct vm *next;
};

/* What the manager needs from outside; all paths absolute, borrowed for its life. */
struct manager_image {
	const char *name, *digest, *rootfs, *kernel, *initrd;
	const char *modules; /* squashfs for /lib/modules/<release>; NULL: the image has its own */
};
struct manager_options {
	const struct config *config;
	const struct config *coming; /* what replaces it when the networks of its new slots are made; NULL: none */
	const char *daemon_id;	     /* "<config base name>-<6 hex>" */
	const char *state_dir;	     /* WORKDIR/.slicer/<id> */
	const char *run_dir;	     /* /run/slicer/<id> */
	const char *log_dir;	     /* /var/log/slicer */
	const char *templates_dir;   /* of empty disks, in the store */
	const struct manager_image *images; /* of all groups */
	size_t nimages;
	const struct vmm_ops *ops;
	const struct vmm_probe *probe;
	const char *monitor_exe; /* slicer-monitor */
	uid_t uid_base;		 /* first of MANAGER_UIDS that are its own; of no meaning without root */
};

struct manager *manager_new(struct loop *loop, struct worker_pool *pool, const struct manager_options *options,
			    struct error **err);
/* Reads the records, re-adopts what runs, finishes or undoes what was interrupted, starts the services. */
int manager_start(struct manager *m, struct error **err);
/* After the options' configuration has been replaced: starts the slots that the one before did not have. */
int manager_start_slots(struct manager *m, const struct config *before, struct error **err);
/* Stops VMs as they are configured: graceful ones are asked first. done when none runs. A second call forces. */
void manager_stop(struct manager *m, bool graceful, loop_fn *done, void *arg);
void manager_free(struct manager **m); /* lets VMs run */

const struct config *manager_config(const struct manager *m);
/* Grows with everything that changes what is shown of any VM, and with those that come and go. */
uint64_t manager_revision(const struct manager *m);
/* Text that its owner made from the fields of a VM, to be found again while none of them has changed. */
void vm_show(struct vm *vm, char *take);
const char *vm_shown(const struct vm *vm);	 /* borrowed; NULL: it has changed, or never was */
struct vm *manager_vms(const struct manager *m); /* first of a list in order of creation (vm.next) */
struct vm *manager_find(const struct manager *m, const char *hostname); /* NULL if unknown */
/* What became of one that is gone ("has ended: …", "was deleted"); borrowed; NULL: not known, or too long ago. */
const char *manager_departed(const struct manager *m, const char *hostname);
unsigned manager_count(const struct manager *m, const char *group); /* VMs of that group */

/* Begins to launch a VM of a group; the VM is STARTING and listed at once. ERR_NOT_FOUND (group), ERR_INVALID (limits, tags),
 * ERR_CONFLICT (name taken), ERR_UNAVAILABLE (stopping). */
struct vm *manager_create(struct manager *m, const char *group, const struct node_request *request, struct error **err);
/* An operation is under way of which only the record is left to be written: its state is what it will be, and a request for
 * another is better begun at VM_WAIT_SETTLED than refused as coming too early. */
bool vm_is_settling(const struct vm *vm);
/* These begin what they say; ERR_CONFLICT when the state forbids it. Wait for the end with vm_wait. */
int vm_shutdown(struct vm *vm, struct error **err);
int vm_relaunch(struct vm *vm, struct error **err);
int vm_delete(struct vm *vm, struct error **err);
typedef void vm_done_fn(void *arg, const struct error *error);
void vm_pause(struct vm *vm, vm_done_fn *done, void *arg); /* done may come from within the call */
void vm_resume(struct vm *vm, vm_done_fn *done, void *arg);
void vm_set_tags(struct vm *vm, char **take_tags); /* in its record once VM_WAIT_SETTLED */
/* Whether its guest has the addresses that the network's routers say (SLAAC); else IPv6 is off in it. */
bool vm_has_ipv6(const struct vm *vm);
const char *vm_mac(const struct vm *vm); /* of its interface; borrowed; NULL before its first launch */
char *vm_log_path(const struct vm *vm);	 /* of its console; the caller's */
struct loop *vm_loop(const struct vm *vm);

enum vm_wait_for {
	VM_WAIT_SCHEDULED, /* its VMM runs */
	VM_WAIT_AGENT,	   /* its agent answers */
	VM_WAIT_USERDATA,  /* and userdata has ended */
	VM_WAIT_STOPPED,   /* Stopped, or gone */
	VM_WAIT_GONE,
	VM_WAIT_SETTLED, /* no operation is under way: its record is what is */
	/* For whoever lost the connection to its agent: that is there again. The error says what became of the VM instead. */
	VM_WAIT_BACK,
};
/* fn is called once: with NULL when it is so (also if it was already; never from within the call), ERR_TIMEOUT, or what made it
 * impossible (the launch failed, the VM is being deleted). `vm` may be gone by then: do not keep it. */
struct vm_waiter;
struct vm_waiter *vm_wait(struct vm *vm, enum vm_wait_for what, int64_t timeout_ms, vm_done_fn *fn, void *arg);
void vm_waiter_free(struct vm_waiter **w); /* cancels, unless it was called */

#endif
