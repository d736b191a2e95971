/* SPDX-License-Identifier: MIT */
#include "host/rights.h"

#include <linux/capability.h>

#include "base/mem.h"
#include "base/rights.h"

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

int rights_drop(struct error **err)
{
	return rights_keep(kept, ARRAY_LEN(kept), err);
}
