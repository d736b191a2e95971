/* SPDX-License-Identifier: MIT */
/* The interface to hypervisors: one constant table of operations each (vmm_ops), and what is the
 * same for all of them: probing the host, and launching a VM under its monitor. Talking to a
 * running VMM is vmm_client.h, to its monitor monitor_client.h.
 *
 * Launching: vmm_probe() once per daemon → vmm_launch() → vmm_client_new() + monitor_client_new()
 * (also after a restart of the daemon: both only need RUN/<vm>) → … → the monitor's exit event →
 * vmm_destroy(). */
#ifndef SLICER_VMM_VMM_H
#define SLICER_VMM_VMM_H

#include "base/deadline.h"
#include <sys/types.h>
#include "base/error.h"
#include "vmm/jail_spec.h"

struct accel_clock;
struct kept;
struct loop;
struct vmm_client;
enum vmm_accel { VMM_ACCEL_AUTO, VMM_ACCEL_KVM, VMM_ACCEL_TCG };
const char *vmm_accel_name(enum vmm_accel accel); /* auto, kvm, tcg */
int vmm_accel_parse(const char *s, enum vmm_accel *ret, struct error **err);

/* What a hypervisor can do; an operation that is NULL is refused with ERR_UNSUPPORTED naming the
 * hypervisor. */
enum vmm_capability {
	VMM_CAN_PAUSE = 1 << 0,
	VMM_CAN_REBOOT = 1 << 1,     /* the guest can reset itself in place */
	VMM_CAN_USER_NET = 1 << 2,   /* `user` network without a helper (slirp) */
	VMM_CAN_SAVE_STATE = 1 << 3, /* suspend; nobody offers it yet */
	VMM_CAN_FORK = 1 << 4,	     /* hot fork; nobody offers it yet */
};

/* What the host offers for one hypervisor. */
struct vmm_probe {
	char *binary;		   /* absolute path of the VMM */
	char *binary_full;	   /* QEMU: the one with user network and emulation */
	char *version;		   /* "7.2.22" */
	enum vmm_accel accel;	   /* KVM or TCG, never AUTO */
	char *reason;		   /* why that accel, one sentence for `up` and `doctor` */
	struct accel_clock *clock; /* emulation: measures the next; NULL: not needed */
	uint64_t tsc_khz;	   /* of the host, set by vmm_launch(); 0 where there is none or it is of no use */
};
void vmm_probe_clear(struct vmm_probe *p);

enum vmm_net_kind {
	VMM_NET_NONE,
	VMM_NET_SLIRP,	/* QEMU's own, restricted: the guest reaches nothing */
	VMM_NET_HELPER, /* a helper process (passt) speaks for the guest over a socket pair */
	VMM_NET_TAP,	/* an open tap fd */
};
struct vmm_net {
	enum vmm_net_kind kind;
	unsigned char mac[6];
	char *const *helper_argv; /* HELPER: "@FD@" becomes the number of its socket */
	uid_t helper_uid;	  /* and whom it runs as; ignored when not root */
	gid_t helper_gid;
	int tap_fd; /* TAP: stays the caller's */
};

/* What to run. Everything is borrowed until vmm_launch() returns. Files are opened with the
 * caller's rights and handed over as fds; only kernel and initrd must be readable for all (QEMU
 * opens them a second time). */
struct vmm_spec {
	const char *name; /* the VM's hostname */
	const struct vmm_probe *probe;
	const char *machine; /* NULL: microvm on x86-64, virt on arm64 */
	unsigned vcpus;
	uint64_t ram_bytes; /* a multiple of 1 MiB */
	const char *kernel; /* uncompressed ELF with PVH entry on x86-64, Image on arm64 */
	const char *initrd;
	const char *cmdline;	   /* appended to the hypervisor's own kernel line; may be NULL */
	const char *root_image;	   /* squashfs, serial slicer-root, read-only; NULL: none */
	const char *modules_image; /* squashfs, serial slicer-modules, read-only; NULL: none */
	const char *data_disk;	   /* qcow2, serial slicer-data; NULL: none */
	const char *config_disk;   /* raw, serial slicer-config, read-only */
	struct vmm_net net;
	uid_t uid; /* whom the VMM runs as; ignored when not root: then it is the caller */
	gid_t gid;
	const char *cgroup;  /* "<daemon id>/<hostname>" (cgroup.h); NULL: it stays in the caller's */
	const char *run_dir; /* RUN/<vm>, exists; gets {qmp,agent,control,monitor}.sock */
	const char *console_path;
	uint64_t disk_bandwidth;  /* bytes per second of all its disks, read and written; 0: no limit */
	uint64_t disk_operations; /* per second */
	uint64_t disk_bytes;	  /* the guest's size of data_disk: the file is not to grow much beyond it */
	uint64_t console_limit;	  /* bytes until it is rotated */
	const char *exit_record;  /* path */
	bool unjailed;		  /* for measuring what the jail costs */
	const char *monitor_exe;  /* NULL: $SLICER_MONITOR, else slicer-monitor in libexecdir */
};

/* Numbers that the fds of a VM have in the VMM; -1: not there. */
struct vmm_fds {
	int memory, qmp, agent, control, console, kernel, initrd, root, data, config, net, modules;
};
/* How to start a VMM. */
struct vmm_command {
	char **argv;
	char **env;		 /* complete */
	bool kvm;		 /* needs /dev/kvm */
	bool privileged;	 /* keeps root's rights: for the fake hypervisor of the tests, whose agent
			    changes users */
	uint64_t overhead_bytes; /* of memory, besides the guest's, that it may need at most */
	struct jail_spec jail;	 /* what it may see; of no meaning when privileged */
};
void vmm_command_clear(struct vmm_command *c);

typedef void vmm_done_fn(void *arg, const struct error *error); /* error: NULL, or borrowed */

/* One per hypervisor. A new one: fill in such a table and add it to vmm.c. */
struct vmm_ops {
	const char *name;      /* as in the configuration's `hypervisor:` */
	unsigned capabilities; /* of enum vmm_capability */
	/* Is it installed, what can it use here? Blocking. Errors say how to install it. */
	int (*probe)(enum vmm_accel wanted, struct kept *kept, struct vmm_probe *ret, struct error **err);
	/* Pure: the command line for a spec whose fds have these numbers. */
	int (*prepare)(const struct vmm_spec *spec, const struct vmm_fds *fds, struct vmm_command *ret,
		       struct error **err);
	/* Is its control channel RUN/<vm>/qmp.sock up? Blocking, until the deadline (clock_ms).
	 * ERR_TIMEOUT, ERR_IO. */
	int (*await_up)(const char *run_dir, struct deadline *deadline, struct error **err);
	/* On the loop. attach connects to a running VMM; the rest is commands with a deadline each:
	 * see vmm_client.h. */
	struct vmm_client *(*attach)(struct loop *loop, const char *run_dir, struct error **err);
	void (*boot)(struct vmm_client *c, vmm_done_fn *done, void *arg); /* NULL: it runs once launched */
	void (*pause)(struct vmm_client *c, vmm_done_fn *done, void *arg);
	void (*resume)(struct vmm_client *c, vmm_done_fn *done, void *arg);
	void (*stop)(struct vmm_client *c, vmm_done_fn *done, void *arg); /* asks the guest (ACPI); it may ignore it */
	void (*kill)(struct vmm_client *c, vmm_done_fn *done, void *arg); /* asks the VMM to end now */
	void (*save)(struct vmm_client *c, vmm_done_fn *done, void *arg); /* with VMM_CAN_SAVE_STATE */
	void (*load)(struct vmm_client *c, vmm_done_fn *done, void *arg);
};

extern const struct vmm_ops vmm_qemu, vmm_fake;
const struct vmm_ops *vmm_by_name(
	const char *name, struct error **err); /* ERR_INVALID lists what there is; fake needs $SLICER_FAKE_VMM */

/* Blocking: a program says its version, unless `kept` (base/kept.h; may be NULL) has it. The
 * environment's SLICER_ACCEL=kvm|tcg overrides AUTO. */
int vmm_probe(const struct vmm_ops *ops, enum vmm_accel wanted, struct kept *kept, struct vmm_probe *ret,
	      struct error **err);

struct vmm_process {
	pid_t monitor_pid, vmm_pid;
	uint64_t monitor_start, vmm_start; /* proc_start_time() */
	char note[1024]; /* of a launch: what this host does not give to any VM of its group and jail; else empty */
};
/* Blocking, for worker threads: returns when the VMM's control channel is up (the guest runs),
 * within 50 s. On failure nothing is left: no process, no socket. ERR_NOT_FOUND names a missing
 * file, ERR_IO has the VMM's last words. */
int vmm_launch(const struct vmm_ops *ops, const struct vmm_spec *spec, struct vmm_process *ret, struct error **err);
/* Kills what is left of VMM and monitor, removes their control group and the sockets; idempotent. Blocking, for
 * a minute at most: a VMM of many GiB takes seconds to be gone. `process` may be NULL: who listens in the run directory is found
 * out. ERR_TIMEOUT when something does not end, or does not answer and is no monitor: then it is not touched, nor its sockets
 * removed. */
int vmm_destroy(const char *run_dir, const struct vmm_process *process, struct error **err);

#endif
