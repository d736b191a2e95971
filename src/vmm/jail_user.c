/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "vmm/jail.h"

static int write_file(const char *path, const char *text, struct error **err)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return error_errno(err, errno, "%s", path);
	return 0;
}

/* user_namespaces(7): who is not root may map only itself, and its group only once setgroups(2) is given up. */
static int map_self(uid_t uid, gid_t gid, struct error **err)
{
	cleanup_free char *users = str_fmt("%u %u 1", uid, uid), *groups = str_fmt("%u %u 1", gid, gid);

	if (write_file("/proc/self/uid_map", users, err) || write_file("/proc/self/setgroups", "deny", err))
		return -1;
	return write_file("/proc/self/gid_map", groups, err);
}

int jail_user_namespace(struct error **err)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER) < 0)
		return error_set(
			err, ERR_UNSUPPORTED,
			"no jail: this host gives users no user namespaces (%s): set the sysctls user.max_user_namespaces "
			"above 0, kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0 "
			"where they exist, or run as root",
			strerror(errno));
	return map_self(uid, gid, err) ? error_wrap(err, "user namespace") : 0;
}

int jail_namespaces(const struct jail_spec *s)
{
	int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

	if (unshare(s->host_network ? flags : flags | CLONE_NEWNET) < 0)
		return -1;
	return sethostname("jail", 4);
}
