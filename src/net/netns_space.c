/* SPDX-License-Identifier: MIT */
/* In slicer-netns: making, naming, entering and removing network namespaces, so that ip-netns(8) knows them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/links.h"
#include "base/str.h"
#include "net/netns_protocol.h"

static char *space_path(const char *name)
{
	return str_fmt(NETNS_DIR "/%s", name);
}

int netns_enter_new(const char *alias, struct error **err)
{
	cleanup_netlink struct netlink *nl = NULL;
	int index;

	if (unshare(CLONE_NEWNET) < 0)
		return error_errno(err, errno, "cannot make a network namespace");
	nl = netlink_open(err);
	index = nl ? netlink_link_index(nl, "lo", err) : -1;
	return index < 0 ? -1 : links_set_alias(nl, index, alias, err);
}

/* The alias of the loopback interface here; the caller's. */
static char *space_alias(struct error **err)
{
	cleanup_netlink struct netlink *nl = netlink_open(err);
	struct link lo = {0};

	if (!nl || links_get(nl, "lo", &lo, err) < 0)
		return NULL;
	return lo.alias ? lo.alias : str_dup("");
}

/* Opens what ip-netns(8) would take for one; -1 without an error: there is nothing, or only the file to mount one on. */
static int space_open(const char *name, struct error **err)
{
	cleanup_free char *path = space_path(name);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct statfs fs;

	if (fd < 0)
		return errno == ENOENT ? -1 : error_errno(err, errno, "cannot open %s", path);
	if (fstatfs(fd, &fs) < 0)
		return error_errno(err, errno, "cannot look at %s", path);
	return fs.f_type == NSFS_MAGIC ? TAKE_FD(fd) : -1;
}

int netns_enter(const char *name, const char *alias, struct error **err)
{
	cleanup_error struct error *why = NULL;
	cleanup_close int fd = space_open(name, &why);
	cleanup_free char *found = NULL;

	if (fd < 0)
		return why ? error_move(err, &why) : 1;
	if (setns(fd, CLONE_NEWNET) < 0)
		return error_errno(err, errno, "cannot enter the network namespace %s", name);
	found = space_alias(err);
	if (!found)
		return -1;
	if (str_eq(found, alias))
		return 0;
	if (*found) /* another VM's network, perhaps */
		return error_set(
			err, ERR_CONFLICT,
			"there is a network namespace " NETNS_DIR
			"/%s already, and it is not this VM's: it belongs to %s. Give the host group another name",
			name, found);
	return error_set(
		err, ERR_CONFLICT,
		"there is a network namespace " NETNS_DIR
		"/%s already, and it is not this VM's. Give the host group another name, or remove it (ip netns delete %s)",
		name, name);
}

/* As ip-netns(8) does: shared, so that whoever has mounts of his own sees them come and go. */
static int space_directory(struct error **err)
{
	if (fs_mkdir_p_public(NETNS_DIR, err) < 0)
		return -1;
	if (mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) == 0)
		return 0;
	if (errno != EINVAL || mount(NETNS_DIR, NETNS_DIR, "none", MS_BIND | MS_REC, NULL) < 0 ||
	    mount("", NETNS_DIR, "none", MS_SHARED | MS_REC, NULL) < 0)
		return error_errno(err, errno, "cannot share the mounts of " NETNS_DIR);
	return 0;
}

int netns_mount(const char *name, struct error **err)
{
	cleanup_free char *path = space_path(name);
	cleanup_close int fd = -1;

	if (space_directory(err) < 0)
		return -1;
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (fd >= 0 && mount("/proc/self/ns/net", path, "none", MS_BIND, NULL) == 0)
		return 0;
	error_errno(err, errno, "cannot make %s", path);
	if (fd >= 0)
		unlink(path);
	return -1;
}

int netns_unmount(const char *name, struct error **err)
{
	cleanup_free char *path = space_path(name);

	if (umount2(path, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		return error_errno(err, errno, "cannot unmount %s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_errno(err, errno, "cannot remove %s", path);
	return 0;
}

static bool is_wanted(const char *name, const char *daemon_id)
{
	cleanup_close int fd = space_open(name, NULL);
	cleanup_free char *alias = NULL, *id = NULL, *vm = NULL;

	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		return false;
	alias = space_alias(NULL);
	return net_alias_parse(alias, &id, &vm) && str_eq(vm, name) && (!daemon_id || str_eq(daemon_id, id));
}

int netns_print(const char *daemon_id, struct error **err)
{
	DIR *dir = opendir(NETNS_DIR);

	if (!dir)
		return errno == ENOENT ? 0 : error_errno(err, errno, "cannot list " NETNS_DIR);
	for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
		if (e->d_name[0] != '.' && is_wanted(e->d_name, daemon_id))
			puts(e->d_name);
	closedir(dir);
	return 0;
}
