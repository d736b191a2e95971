/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "net/apply_impl.h"

/* Writes only what differs: /proc may be read-only and right. */
static int sysctl_apply(const char *entry, struct error **err)
{
	bool optional = *entry == '-';
	const char *key = entry + optional, *value = strchr(key, '=');
	cleanup_free char *path = NULL, *now = NULL;
	cleanup_close int fd = -1;

	if (!value)
		return error_set(err, ERR_INTERNAL, "\"%s\" is no sysctl", entry);
	path = str_fmt("/proc/sys/%.*s", (int)(value - key), key);
	value++;
	if (optional && !fs_exists(path))
		return 0;
	if (fs_read_file(path, 64, &now, NULL, NULL) == 0 && str_eq(str_trim(now), value))
		return 0;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, value, strlen(value)) >= 0)
		return 0;
	if (optional && errno == ENOENT)
		return 0; /* its interface has just gone */
	return error_errno(err, errno,
			   "cannot write %s to %s, which the VMs' network needs (in a container, "
			   "/proc/sys must be writable)",
			   value, path);
}

int net_sysctls_apply(char *const *sysctls, struct error **err)
{
	for (; sysctls && *sysctls; sysctls++)
		if (sysctl_apply(*sysctls, err) < 0)
			return -1;
	return 0;
}
