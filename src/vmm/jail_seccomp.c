/* SPDX-License-Identifier: MIT */
/* System call filters by libseccomp. QEMU and passt install filters of their own besides; those see what these leave. */
#include <errno.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "base/mem.h"
#include "vmm/jail.h"

/* What no VMM and no helper needs, and what defects of kernels were reached by. */
static const int denied[] = {
	SCMP_SYS(acct),
	SCMP_SYS(add_key),
	SCMP_SYS(adjtimex),
	SCMP_SYS(bpf),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(clock_settime),
	SCMP_SYS(delete_module),
	SCMP_SYS(fanotify_init),
	SCMP_SYS(finit_module),
	SCMP_SYS(init_module),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	SCMP_SYS(ioperm),
	SCMP_SYS(iopl),
	SCMP_SYS(kcmp),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(kexec_load),
	SCMP_SYS(keyctl),
	SCMP_SYS(lookup_dcookie),
	SCMP_SYS(mbind),
	SCMP_SYS(migrate_pages),
	SCMP_SYS(mknod),
	SCMP_SYS(mknodat),
	SCMP_SYS(move_pages),
	SCMP_SYS(name_to_handle_at),
	SCMP_SYS(nfsservctl),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(ptrace),
	SCMP_SYS(quotactl),
	SCMP_SYS(reboot),
	SCMP_SYS(request_key),
	SCMP_SYS(set_mempolicy),
	SCMP_SYS(setdomainname),
	SCMP_SYS(sethostname),
	SCMP_SYS(settimeofday),
	SCMP_SYS(swapoff),
	SCMP_SYS(swapon),
	SCMP_SYS(syslog),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(vhangup),
};

/* What a program needs that makes a sandbox for itself; to others it is a way to capabilities over a part of the kernel. */
static const int sandboxing[] = {
	SCMP_SYS(chroot), SCMP_SYS(fsconfig),	   SCMP_SYS(fsmount),	 SCMP_SYS(fsopen),    SCMP_SYS(fspick),
	SCMP_SYS(mount),  SCMP_SYS(mount_setattr), SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(pivot_root),
	SCMP_SYS(setns),  SCMP_SYS(umount),	   SCMP_SYS(umount2),	 SCMP_SYS(unshare),
};

static const scmp_datum_t namespaces[] = {CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,   CLONE_NEWNET,
					  CLONE_NEWIPC,	 CLONE_NEWUTS, CLONE_NEWCGROUP};

/* Network namespaces do not bound the first; the others are large and hardly used parts of the kernel. */
static const scmp_datum_t families[] = {AF_VSOCK, AF_ALG, AF_XDP,   AF_RDS,   AF_TIPC, AF_KEY, AF_BLUETOOTH,
					AF_CAN,	  AF_NFC, AF_PPPOX, AF_RXRPC, AF_IUCV, AF_SMC, AF_QIPCRTR};

/* Of a tap, which whoever holds it may set without any right: that it stays when it is closed, whom it belongs to, what kind it
 * is, and what code looks at its frames. QEMU sets offloads, the size of a header and queues. (tun_chr_ioctl() of the kernel) */
static const scmp_datum_t tap_settings[] = {TUNSETPERSIST,   TUNSETOWNER,      TUNSETGROUP,
					    TUNSETLINK,	     TUNSETDEBUG,      TUNATTACHFILTER,
					    TUNDETACHFILTER, TUNSETFILTEREBPF, TUNSETTXFILTER};
/* What sockets and taps answer about interfaces, and set: a tap's MAC address; and the sockets that a VMM was given are of the
 * host's network namespace. (linux/sockios.h: 0x8900 to 0x89ff) */
static const uint32_t interface_requests = 0x8900, request_group = 0xffffff00;

static const int byte_movers[] = {
	SCMP_SYS(brk),	    SCMP_SYS(close),	       SCMP_SYS(exit),	       SCMP_SYS(exit_group), SCMP_SYS(futex),
	SCMP_SYS(mmap),	    SCMP_SYS(munmap),	       SCMP_SYS(poll),	       SCMP_SYS(ppoll),	     SCMP_SYS(read),
	SCMP_SYS(recvfrom), SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigreturn), SCMP_SYS(sendto),     SCMP_SYS(write),
};

/* These return 0 or a negative errno, as libseccomp does. Calls that this architecture does not have it leaves out. */
static int add_calls(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t n)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = seccomp_rule_add(filter, action, calls[i], 0);
	return rc;
}

static int deny_families(scmp_filter_ctx filter)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(families); i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
				      SCMP_A0(SCMP_CMP_EQ, families[i]));
	return rc;
}

/* The kernel looks at 32 bits of a request only. */
static int deny_request(scmp_filter_ctx filter, uint32_t mask, scmp_datum_t request)
{
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
				SCMP_A1(SCMP_CMP_MASKED_EQ, mask, request & mask));
}

static int deny_tap_settings(scmp_filter_ctx filter)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(tap_settings); i++)
		rc = deny_request(filter, UINT32_MAX, tap_settings[i]);
	return rc;
}

/* A filter cannot read what clone3 is given; without it the C library makes its threads by clone. */
static int deny_namespaces(scmp_filter_ctx filter)
{
	int rc = add_calls(filter, SCMP_ACT_ERRNO(EPERM), sandboxing, ARRAY_LEN(sandboxing));

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(namespaces); i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				      SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
	return rc ? rc : seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

static int load_and_release(scmp_filter_ctx filter, int rc)
{
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	errno = -rc;
	return rc < 0 ? -1 : 0;
}

int jail_deny_syscalls(const struct jail_spec *s)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int rc = filter ? add_calls(filter, SCMP_ACT_ERRNO(EPERM), denied, ARRAY_LEN(denied)) : -ENOMEM;

	if (rc == 0)
		rc = deny_families(filter);
	if (rc == 0)
		rc = deny_tap_settings(filter);
	if (rc == 0 && !s->host_network)
		rc = deny_request(filter, request_group, interface_requests);
	if (rc == 0 && !s->own_sandbox)
		rc = deny_namespaces(filter);
	return load_and_release(filter, rc);
}

int jail_only_move_bytes(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc = filter ? add_calls(filter, SCMP_ACT_ALLOW, byte_movers, ARRAY_LEN(byte_movers)) : -ENOMEM;

	return load_and_release(filter, rc);
}
