/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "vmm/monitor_kvm.h"

#define KVM_DEVICE "/dev/kvm"
/* Hidden by a tmpfs for the moment that the node is made; any directory that every system has would
 * do. */
#define SCRATCH_DIR "/run"

static int kvm_own_node(uid_t uid, dev_t device)
{
	static const char node[] = SCRATCH_DIR "/kvm";

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	if (mount("tmpfs", SCRATCH_DIR, "tmpfs", MS_NOSUID | MS_NOEXEC, "size=64k,mode=0755") < 0)
		return -1;
	if (mknod(node, S_IFCHR | 0600, device) < 0 || chown(node, uid, (gid_t)-1) < 0)
		return -1;
	if (mount(node, KVM_DEVICE, NULL, MS_BIND, NULL) < 0)
		return -1;
	return umount2(SCRATCH_DIR, MNT_DETACH);
}

int monitor_kvm_allow(uid_t uid, gid_t *groups, size_t *ngroups, bool *ret_own)
{
	const mode_t group_rw = S_IRGRP | S_IWGRP, all_rw = S_IROTH | S_IWOTH;
	struct stat st;

	if (stat(KVM_DEVICE, &st) < 0)
		return -1;
	if (!S_ISCHR(st.st_mode)) {
		errno = ENODEV;
		return -1;
	}
	if (uid == 0 || (st.st_mode & all_rw) == all_rw)
		return 0;
	/* Group 0 is more than KVM. */
	if ((st.st_mode & group_rw) == group_rw && st.st_gid != 0) {
		groups[(*ngroups)++] = st.st_gid;
		return 0;
	}
	if (!ret_own)
		return kvm_own_node(uid, st.st_rdev);
	*ret_own = true;
	return 0;
}
