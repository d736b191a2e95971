/* SPDX-License-Identifier: MIT */
#include "base/rights.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_kept(const int *kept, size_t n, int cap)
{
	for (size_t i = 0; i < n; i++)
		if (kept[i] == cap)
			return true;
	return false;
}

int rights_keep(const int *kept, size_t n, struct error **err)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0}};

	if (geteuid() != 0)
		return 0;
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!is_kept(kept, n, cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 &&
		    errno != EPERM) /* it has no say then */
			return error_errno(err, errno, "giving up capability %d", cap);
	if (syscall(SYS_capget, &head, sets) < 0)
		return error_errno(err, errno, "capget");
	for (int cap = 0; cap < 32 * _LINUX_CAPABILITY_U32S_3; cap++) {
		uint32_t bit = 1U << (cap % 32);

		if (is_kept(kept, n, cap))
			continue;
		sets[cap / 32].effective &= ~bit;
		sets[cap / 32].permitted &= ~bit;
		sets[cap / 32].inheritable &= ~bit;
	}
	if (syscall(SYS_capset, &head, sets) < 0)
		return error_errno(err, errno, "capset");
	return 0;
}
