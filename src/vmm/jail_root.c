/* SPDX-License-Identifier: MIT */
/* The root directory of a jail: a tmpfs that becomes read-only, and in it mounts of what the specification names. By the mount
 * calls that work on fds (Linux 5.12): nothing is ever mounted at a place that others see, and no path is resolved twice. The
 * new root is put over the old "/", where no path leads, and becomes "/" by pivot_root(2); the old one is then let go. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "vmm/jail.h"

enum { READ_ONLY = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };

/* Of the devices that every Linux has; others (kvm) are as the host's node says. */
static const struct {
	const char *name;
	unsigned major, minor;
} devices[] = {{"null", 1, 3}, {"zero", 1, 5}, {"random", 1, 8}, {"urandom", 1, 9}};

/* A filesystem of its own, mounted nowhere yet. `options`: pairs of key and value, NULL at the end. */
static int new_filesystem(const char *type, const char *const *options, unsigned attributes)
{
	cleanup_close int fs = fsopen(type, FSOPEN_CLOEXEC);

	if (fs < 0)
		return -1;
	for (const char *const *o = options; *o; o += 2)
		if (fsconfig(fs, FSCONFIG_SET_STRING, o[0], o[1], 0) < 0)
			return -1;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(fs, FSMOUNT_CLOEXEC, attributes);
}

/* Below the new root, whatever symlinks and ".." say. */
static int open_below(int root, const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)flags | O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* The directory of `path` (absolute) in the new root, made with all above it. */
static int make_parent(int root, const char *path)
{
	cleanup_close int dir = fcntl(root, F_DUPFD_CLOEXEC, 3);
	const char *at = path + 1, *slash;

	while (dir >= 0 && (slash = strchr(at, '/'))) {
		cleanup_free char *sofar = str_ndup(path, (size_t)(slash - path)),
				  *name = str_ndup(at, (size_t)(slash - at));
		int next = open_below(root, sofar, O_DIRECTORY);

		if (next < 0 && errno == ENOENT && mkdirat(dir, name, 0755) == 0)
			next = open_below(root, sofar, O_DIRECTORY);
		close(dir);
		dir = next;
		at = slash + 1;
	}
	return TAKE_FD(dir);
}

static int attach(int mount, int target)
{
	return move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* Something empty to mount over. */
static int make_target(int root, const char *path, bool directory)
{
	cleanup_close int parent = make_parent(root, path);
	const char *name = strrchr(path, '/') + 1;

	if (parent < 0)
		return -1;
	if (directory ? mkdirat(parent, name, 0755) : mknodat(parent, name, S_IFREG | 0444, 0))
		return -1;
	return openat(parent, name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
}

static int show_mount(int root, const char *path, bool directory, unsigned attributes)
{
	struct mount_attr attr = {.attr_set = attributes};
	cleanup_close int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	cleanup_close int target = -1;

	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return -1;
	target = make_target(root, path, directory);
	return target < 0 ? -1 : attach(tree, target);
}

static int show_link(int root, const char *path)
{
	cleanup_close int parent = make_parent(root, path);
	char to[JAIL_PATH_MAX];
	ssize_t n = readlink(path, to, sizeof(to) - 1);

	if (parent < 0 || n < 0)
		return -1;
	to[n] = '\0';
	return symlinkat(to, parent, strrchr(path, '/') + 1);
}

static int show(int root, const char *path)
{
	cleanup_close int there = open_below(root, path, 0); /* as a part of what is shown already */
	struct stat link, st;

	if (there >= 0 || lstat(path, &link) < 0 || stat(path, &st) < 0)
		return there >= 0 || errno == ENOENT || errno == ENOTDIR ? 0 : -1;
	if (S_ISLNK(link.st_mode) && S_ISDIR(st.st_mode))
		return show_link(root, path);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	return show_mount(root, path, S_ISDIR(st.st_mode), READ_ONLY);
}

static int device_number(const char *name, const char *path, dev_t *ret)
{
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
		if (str_eq(name, devices[i].name)) {
			*ret = makedev(devices[i].major, devices[i].minor);
			return 0;
		}
	}
	if (stat(path, &st) < 0)
		return -1;
	*ret = st.st_rdev;
	errno = ENODEV;
	return S_ISCHR(st.st_mode) ? 0 : -1;
}

/* Nodes of its own, or the host's where none may be made: in a user namespace, or in a container. */
static int show_device(int root, int dev, const char *name, uid_t uid, bool own)
{
	cleanup_free char *path = str_fmt("/dev/%s", name);
	struct stat st;
	dev_t number;

	if (device_number(name, path, &number) < 0 || stat(path, &st) < 0)
		return -1;
	if (mknodat(dev, name, S_IFCHR | 0600, number) < 0)
		return errno == EPERM && !own ? show_mount(root, path, false, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)
					      : -1;
	if (fchownat(dev, name, own ? uid : st.st_uid, own ? 0 : st.st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	return fchmodat(dev, name, own ? 0600 : st.st_mode & 0666, 0);
}

static int mount_new(int root, const char *path, const char *type, const char *const *options, unsigned attributes)
{
	cleanup_close int mount = new_filesystem(type, options, attributes), target = -1;

	if (mount < 0)
		return -1;
	target = make_target(root, path, true);
	return target < 0 || attach(mount, target) < 0 ? -1 : TAKE_FD(mount);
}

static int make_read_only(int mount)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	return mount_setattr(mount, "", AT_EMPTY_PATH, &attr, sizeof(attr));
}

static int show_devices(int root, const struct jail_spec *s, uid_t uid, bool own_kvm)
{
	static const char *const options[] = {"size", "64k", "nr_inodes", "64", "mode", "0755", NULL};
	cleanup_close int dev = mount_new(root, "/dev", "tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);

	if (dev < 0)
		return -1;
	for (char **d = s->devices; d && *d; d++)
		if (show_device(root, dev, *d, uid, own_kvm && str_eq(*d, "kvm")) < 0)
			return -1;
	return make_read_only(dev);
}

/* Of the pid namespace that the caller is in. QEMU opens its memory as /proc/self/fd/N, and needs no more of it. */
static int show_processes(int root, const struct jail_spec *s)
{
	static const char *const own[] = {"hidepid", "invisible", "subset", "pid", NULL}, *const whole[] = {"hidepid",
													    "invisible",
													    NULL};
	unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	cleanup_close int proc = mount_new(root, "/proc", "proc", s->own_sandbox ? whole : own,
					   s->own_sandbox ? attributes : attributes | MOUNT_ATTR_RDONLY);

	return proc < 0 ? -1 : 0;
}

static int fill(int root, const struct jail_spec *s, const char *program, uid_t uid, bool own_kvm)
{
	cleanup_close int tmp = -1;

	for (char **p = s->paths; p && *p; p++)
		if (show(root, *p) < 0)
			return -1;
	/* What is not a file of the host is the monitor itself, by /proc/self/exe. */
	if (!str_starts(program, "/proc/") && show(root, program) < 0)
		return -1;
	if (show_devices(root, s, uid, own_kvm) < 0 || show_processes(root, s) < 0)
		return -1;
	if (s->own_sandbox) {
		tmp = make_target(root, "/tmp", true);
		if (tmp < 0 && errno != EEXIST) /* it is there when something below it is shown */
			return -1;
	}
	return make_read_only(root);
}

int jail_root(const struct jail_spec *s, const char *program, uid_t uid, bool own_kvm)
{
	static const char *const options[] = {"size", "256k", "nr_inodes", "512", "mode", "0755", NULL};
	cleanup_close int root = -1;
	mode_t mask = umask(0);
	int rc;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	root = new_filesystem("tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (root < 0 || move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return -1;
	rc = fill(root, s, program, uid, own_kvm);
	umask(mask);
	if (rc < 0 || fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
		return -1;
	return chdir("/");
}
