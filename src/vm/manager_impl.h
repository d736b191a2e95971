/* SPDX-License-Identifier: MIT */
/* Inside of src/vm: the manager's own state and what its files offer each other. */
#ifndef SLICER_VM_MANAGER_IMPL_H
#define SLICER_VM_MANAGER_IMPL_H

#include "io/control.h"
#include "net/user.h"
#include "vm/op.h"
#include "vm/vm.h"
#include "vmm/monitor_client.h"
#include "vmm/vmm_client.h"

/* Of a VM that is gone, for those who still ask for it. */
struct departed {
	char *hostname, *how;
};

enum {
	UIDS_PER_VM = 2,		      /* its VMM's and its network helper's */
	MAX_VMS = MANAGER_UIDS / UIDS_PER_VM, /* per daemon */
	CONSOLE_LIMIT = 8 * 1024 * 1024,
	/* Bytes of a record; userdata is most of it, six bytes for a control character. */
	RECORD_LIMIT = 16 * 1024 * 1024,
	GRACEFUL_STOP_MS = 60 * 1000, /* for a guest to power off */
	/* To the agent's first word; then the boot counts as hung. Long, also under KVM: in a VM of its own, a host's
	 * guests that boot at once are slow, and to kill a slow one is worse. */
	BOOT_SIGN_MS = 90 * 1000,
	LOST_TOLD_MS = 60 * 1000,
	BOOT_MAX_RETRIES = 1,
	MAX_SILENT_RESETS = 3,
	VMM_RECONNECT_MS = 1000,
	MONITOR_TELLS_MS = 3000,  /* of an end that is seen; all in all, what is shown is true within 5 s */
	MONITOR_ANSWER_MS = 5000, /* then it counts as one that stands still */
	DEPARTED_MAX = 256,	  /* VMs that are remembered when they are gone */
	CONSOLE_SETTLE_MS = 200,  /* from a reset until the monitor is asked for what the guest said before it */
};

struct manager {
	struct loop *loop;
	struct worker_pool *pool;
	const struct manager_options *options;
	struct net_user_host net_host;
	char *boot_id; /* of the host */
	struct vm *vms;
	void *by_name;	    /* the same in a tree: tsearch(3) */
	uint64_t revision;  /* of what others see of the VMs: see vm_touch */
	struct timer *wake; /* waiters are looked at in the next round */
	bool stopping, graceful;
	char **told_of_host;			/* what this host lacks for VMs, as far as it was said in the log */
	char **left_alone;			/* hostnames whose records cannot be read: not ours to use */
	struct departed departed[DEPARTED_MAX]; /* a ring */
	size_t ndeparted;			/* since the daemon began */
	loop_fn *stopped;
	void *stopped_arg;
	struct timer *look_timer; /* to the next reconciliation */
	struct look *look;	  /* the one under way, or NULL */
	int64_t look_ms;
	struct nfset *sets; /* what VMs have in the daemon's tables; for workers */
	int rules_fd;	    /* tells of rules that somebody removes; -1: nobody does */
	struct watch *rules_watch;
	bool hurry;		 /* somebody did: the next look is at once, and at all VMs' networks */
	bool rules_removed;	 /* during the look under way, which may have been past them: there is another one */
	size_t looks, mend_next; /* how many there were; the VM whose network is next */
	char **idle_bridges;	 /* that the last look found of use to nobody */
	char *look_error, *groups_error, *services_error,
		*ways_error; /* what was told last of them; NULL: all was well */
};

/* A name's files. Strings are the caller's. */
char *vm_state_path(const struct vm *vm, const char *file); /* STATE/vms/<host>[/file]; file may be NULL */
char *vm_run_path(const struct vm *vm, const char *file);

/* manager.c */
/* "<group>-<number>", or the slot's name; the caller's */
char *manager_hostname(const struct manager *m, const char *group, unsigned number);
struct vm *vm_new(struct manager *m, const char *group, unsigned number);
void vm_insert(struct vm *vm); /* into the manager's list */
void vm_forget(struct vm *vm); /* out of the list, and frees it */
void vm_set_state(struct vm *vm, enum vm_state state);
/* Whoever changes what is shown of a VM (anything that src/api/views.c reads) says so: what was kept of it goes. */
void vm_touch(struct vm *vm);
void vm_changed(struct vm *vm);	      /* the same, and waiters are told in the next round */
bool vm_runs(const struct vm *vm);    /* its processes are there */
bool vm_is_kept(const struct vm *vm); /* when it ends: as Stopped, not removed */
void vm_note_error(struct vm *vm, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const struct manager_image *manager_image(const struct manager *m, const char *name); /* NULL if unknown */
void manager_check_stopped(struct manager *m);

/* record.c: what is written durably of a VM, and back. */
char *record_format(const struct vm *vm, const char *op, const char *step);
struct record_op {
	char *op, *step;
}; /* what was under way; NULL members when nothing was */
struct vm *record_parse(struct manager *m, const char *text, size_t n, struct record_op *ret, struct error **err);
int record_save(const char *dir, const char *text, struct error **err); /* blocking */

/* guestconfig.c: the JSON of the config disk. */
struct network_job;
/* Without the network, which is known once it is up. `modules`: whether the VM has a disk with them. The caller's. */
struct json_object *guest_config(const struct vm *vm, bool modules);

/* create.c: ERR_CONFLICT unless the state and what is under way allow this */
int vm_check_request(const struct vm *vm, enum vm_request request, struct error **err);

/* attach.c: connections to a running VM */
/* ERR_UNAVAILABLE when its monitor is not there: nobody would tell of its end. Not attached then. */
int vm_attach(struct vm *vm, struct error **err);
void vm_detach(struct vm *vm);
void vm_ended(struct vm *vm, const char *why, bool expected); /* its VMM is gone; decides what follows */
/* Of one whose end was seen before anybody could say how: this is how. What follows is under way. */
void vm_end_known(struct vm *vm, const struct vmm_exit *ended);

/* monitor_watch.c: asks a VM's monitor for a sign of life, and says so when the last answer is overdue or has come after all. */
void vm_watch_monitor(struct vm *vm);

/* launch.c, stop.c: begin the operation; none may be under way. */
void vm_launch_start(struct vm *vm, bool fresh);
void vm_stop_start(struct vm *vm, bool ask, bool already_dead);
void vm_delete_start(struct vm *vm);
void vm_settle_start(struct vm *vm, enum vm_state state); /* only writes the record */
void vm_op_ended(struct vm *vm); /* after done(): acts on delete_wanted and a stopping manager */

/* console.c: the last line of a console log's end that holds `text`, from there on and escaped; NULL if there is none. What is
 * before `from`, a size that the log had, does not count; when it was rotated since, the end of the log before counts as well. */
char *console_find_last(const char *path, const char *text, off_t from);
off_t console_size(const char *path); /* in bytes; 0 when there is none */

/* elsewhere.c: ERR_CONFLICT when another daemon of this host has a running VM of that name, or, with `stopped`, any: the console's
 * log and MAC addresses go by it. `run_dir` is the VM's. For workers. */
int vm_name_check(const char *run_dir, bool stopped, struct error **err);
/* Makes `run_dir`, by which the name is taken, if none has it: daemons do so one after the other. ERR_CONFLICT and *ret_taken as
 * above, ERR_TIMEOUT when another one takes 10 s for it. */
int vm_name_claim(const char *run_dir, bool stopped, bool *ret_taken, struct error **err);

/* departed.c */
/* "has ended: its VMM was killed by SIGKILL", "was deleted"; NULL: it is not on its way out. The caller's. */
char *vm_say_end(const struct vm *vm);
void departed_add(const struct vm *vm); /* before it is freed */
void departed_clear(struct manager *m);

/* wait.c */
void waiters_check(struct vm *vm);
void waiters_gone(struct vm *vm, const char *why);

/* changed.c: says where the configuration differs from what the VMs taken over were made with */
void manager_tell_changes(struct manager *m);

/* services.c */
int manager_start_services(struct manager *m, struct error **err);
void service_replace(struct vm *vm); /* forgets a service that was deleted, and starts it anew */
int services_start_missing(struct manager *m, struct error **err);

/* create.c */
bool create_is_left_alone(const struct manager *m, const char *group, unsigned number);
/* With all that it needs reserved, but not in the manager's list yet. `ip`: that is wanted; NULL: any. */
struct vm *create_vm(struct manager *m, const struct config_group *g, unsigned number, const char *ip,
		     struct error **err);
/* What its guest runs at first: as asked for (NULL: nothing was), or the group's. */
int create_userdata(struct vm *vm, const struct config_group *g, const char *requested, struct error **err);
void create_log_launch(const char *hostname, uint64_t ram_bytes, unsigned vcpus);
int tags_check(struct manager *m, const char *group, char *const *tags, struct error **err);

#endif
