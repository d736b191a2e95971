/* SPDX-License-Identifier: MIT */
#include "host/rights.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

/* capabilities(7). */
static const int kept[] = {
	CAP_AUDIT_WRITE,      /* programs that make users in images */
	CAP_CHOWN,	      /* disks belong to the users of their VMs */
	CAP_DAC_OVERRIDE,     /* and are opened by the daemon */
	CAP_FOWNER,	      /* state below directories of other users */
	CAP_FSETID,	      /* modes of files in images */
	CAP_KILL,	      /* VMMs have users of their own */
	CAP_MKNOD,	      /* devices in a jail and in images */
	CAP_NET_ADMIN,	      /* bridges, taps, rules */
	CAP_NET_BIND_SERVICE, /* an API port below 1024 */
	CAP_NET_RAW,	      /* rules of nft that look at packets; CNI plugins */
	CAP_SETFCAP,	      /* capabilities of programs in images */
	CAP_SETGID,	      /* the monitor changes to a VM's group */
	CAP_SETPCAP,	      /* and gives up the bounding set */
	CAP_SETUID,	      /* and changes to a VM's user */
	CAP_SYS_ADMIN,	      /* namespaces, mounts and control groups of jails */
	CAP_SYS_CHROOT,	      /* building images */
	CAP_SYS_PTRACE,	      /* namespaces and open files of VMMs */
	CAP_SYS_RESOURCE,     /* limits of jails, and the OOM score of monitors */
};

static bool is_kept(int cap)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (kept[i] == cap)
			return true;
	return false;
}

int rights_drop(struct error **err)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (geteuid() != 0)
		return 0;
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!is_kept(cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 &&
		    errno != EPERM) /* it has no say then */
			return error_errno(err, errno, "giving up capability %d", cap);
	if (syscall(SYS_capget, &head, sets) < 0)
		return error_errno(err, errno, "capget");
	for (int cap = 0; cap < 32 * _LINUX_CAPABILITY_U32S_3; cap++) {
		uint32_t bit = 1U << (cap % 32);

		if (is_kept(cap))
			continue;
		sets[cap / 32].effective &= ~bit;
		sets[cap / 32].permitted &= ~bit;
		sets[cap / 32].inheritable &= ~bit;
	}
	if (syscall(SYS_capset, &head, sets) < 0)
		return error_errno(err, errno, "capset");
	return 0;
}
