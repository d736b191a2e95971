/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/str.h"
#include "net/apply_impl.h"

enum { SYSCTL_VALUE_MAX = 64 };

#define SYSCTL_NET "net/"

/* Writes only what differs: /proc may be read-only and right. */
static int sysctl_set(int dir, const char *name, const char *value)
{
	char now[SYSCTL_VALUE_MAX];
	cleanup_close int fd = openat(dir, name, O_RDWR | O_CLOEXEC);
	int refused = fd < 0 ? errno : 0;
	ssize_t n;

	if (refused == EROFS || refused == EACCES)
		fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, now, sizeof(now) - 1);
	if (n < 0)
		return -1;
	now[n] = '\0';
	if (str_eq(str_trim(now), value))
		return 0;
	if (!refused)
		return pwrite(fd, value, strlen(value), 0) < 0 ? -1 : 0;
	errno = refused;
	return -1;
}

static int sysctl_apply(int dir, const char *entry, struct error **err)
{
	bool optional = *entry == '-';
	const char *key = entry + optional, *value = strchr(key, '=');
	cleanup_free char *name = NULL;

	if (!value || !str_starts(key, SYSCTL_NET))
		return error_set(err, ERR_INTERNAL, "\"%s\" is no sysctl of networks", entry);
	key += strlen(SYSCTL_NET);
	name = str_ndup(key, (size_t)(value - key));
	value++;
	if (sysctl_set(dir, name, value) == 0)
		return 0;
	if (optional && errno == ENOENT)
		return 0; /* not in this kernel, or its interface has just gone */
	return error_errno(err, errno,
			   "cannot write %s to /proc/sys/net/%s, which the VMs' network needs (in a container, "
			   "/proc/sys must be writable)",
			   value, name);
}

/* From their directory: each way through it from above looks at those of all network namespaces, one after the other, since to the
 * kernel they are entries of one name. */
int net_sysctls_apply(char *const *sysctls, struct error **err)
{
	cleanup_close int dir = -1;

	if (!sysctls || !*sysctls)
		return 0;
	dir = open("/proc/sys/net", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_errno(err, errno, "cannot open /proc/sys/net");
	for (; *sysctls; sysctls++)
		if (sysctl_apply(dir, *sysctls, err) < 0)
			return -1;
	return 0;
}
