/* SPDX-License-Identifier: MIT */
/* A file that is open for reading only can be opened anew for writing by /proc/self/fd, where its user may write to it. Without
 * root the jailed program is that user. So such files are opened again through a mount of their own that is read-only: who follows
 * the link from there gets EROFS. By the mount calls that work on fds (Linux 5.12). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "vmm/jail.h"

static bool is_same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The mount that an fd of another mount namespace came by cannot be copied: its path is looked up in this one. */
static int open_read_only(const char *path)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	cleanup_close int tree =
		(int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	cleanup_free char *link = str_fmt("/proc/self/fd/%d", tree);

	if (tree < 0 || syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -1;
	return open(link, O_RDONLY | O_CLOEXEC);
}

static int shut_file(int fd)
{
	cleanup_free char *link = str_fmt("/proc/self/fd/%d", fd);
	cleanup_close int again = -1;
	char path[PATH_MAX];
	ssize_t n = readlink(link, path, sizeof(path) - 1);

	if (n < 0)
		return -1;
	path[n] = '\0';
	again = open_read_only(path);
	if (again < 0)
		return -1;
	if (!is_same_file(fd, again)) {
		errno = ESTALE;
		return -1;
	}
	return dup2(again, fd) < 0 ? -1 : 0;
}

int jail_shut_files(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int flags = fcntl(fds[i], F_GETFL);
		struct stat st;

		/* A memory file has no name and no path; it is sealed. */
		if (flags >= 0 && (flags & O_ACCMODE) == O_RDONLY && fstat(fds[i], &st) == 0 && S_ISREG(st.st_mode) &&
		    st.st_nlink > 0 && shut_file(fds[i]) < 0)
			return -1;
	}
	return 0;
}
