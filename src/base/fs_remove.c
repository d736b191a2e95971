/* SPDX-License-Identifier: MIT */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"

/* Each level holds one fd. Trees may come from images and guests, so deeper ones are not descended
 * into but moved up to the top of the tree, where a later pass finds them. */
#define MAX_DEPTH 64

struct removal {
	int top_fd;
	dev_t dev;
	unsigned moved; /* names given to directories moved up */
	bool again;	/* the top got a new entry behind the back of its readdir() */
};

static int remove_children(struct removal *r, int fd, unsigned depth, struct error **err);

/* Opens a directory of the tree; refuses mount points, bind mounts of the same file system
 * included. */
static int open_directory(const struct removal *r, int parent, const char *name, struct error **err)
{
	cleanup_close int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statx sx;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "%s", name);
	if (r->top_fd >= 0 && st.st_dev != r->dev)
		return error_set(err, ERR_CONFLICT, "%s is a mount point: unmount it first", name);
	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &sx) == 0 &&
	    (sx.stx_attributes_mask & sx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return error_set(err, ERR_CONFLICT, "%s is a mount point: unmount it first", name);
	return TAKE_FD(fd);
}

static int move_up(struct removal *r, int parent, const char *name, struct error **err)
{
	for (;;) {
		cleanup_free char *unique = str_fmt(".removing-%u", r->moved++);

		if (renameat2(parent, name, r->top_fd, unique, RENAME_NOREPLACE) == 0) {
			r->again = true;
			return 0;
		}
		if (errno != EEXIST)
			return error_errno(err, errno, "%s", name);
	}
}

static int remove_directory(struct removal *r, int parent, const char *name, unsigned depth, struct error **err)
{
	cleanup_close int fd = -1;

	if (depth >= MAX_DEPTH)
		return move_up(r, parent, name, err);
	fd = open_directory(r, parent, name, err);
	if (fd < 0)
		return -1;
	if (remove_children(r, fd, depth, err) < 0)
		return error_wrap(err, "%s", name);
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return error_errno(err, errno, "%s", name);
	return 0;
}

static int remove_entry(struct removal *r, int parent, const char *name, unsigned depth, struct error **err)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	/* Linux says EISDIR, POSIX EPERM. */
	if (errno != EISDIR && errno != EPERM)
		return error_errno(err, errno, "%s", name);
	return remove_directory(r, parent, name, depth + 1, err);
}

/* Leaves fd open. */
static int remove_children(struct removal *r, int fd, unsigned depth, struct error **err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3), result = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);

	if (!dir) {
		fd_closep(&copy);
		return error_errno(err, errno, "cannot list");
	}
	rewinddir(dir); /* the copy shares its position with fd */
	while (result == 0) {
		struct dirent *e;

		errno = 0;
		e = readdir(dir);
		if (!e) {
			if (errno)
				result = error_errno(err, errno, "cannot list");
			break;
		}
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			result = remove_entry(r, fd, e->d_name, depth, err);
	}
	closedir(dir);
	return result;
}

static int remove_top(struct removal *r, const char *path, struct error **err)
{
	struct stat st;

	r->top_fd = open_directory(r, AT_FDCWD, path, err);
	if (r->top_fd < 0)
		return -1;
	if (fstat(r->top_fd, &st) < 0)
		return error_errno(err, errno, "%s", path);
	r->dev = st.st_dev;
	do {
		r->again = false;
		if (remove_children(r, r->top_fd, 0, err) < 0)
			return error_wrap(err, "%s", path);
	} while (r->again);
	if (rmdir(path) < 0 && errno != ENOENT)
		return error_errno(err, errno, "%s", path);
	return 0;
}

int fs_remove_tree(const char *path, struct error **err)
{
	struct removal r = {.top_fd = -1};
	int result;

	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return error_errno(err, errno, "cannot remove %s", path);
	result = remove_top(&r, path, err);
	fd_closep(&r.top_fd);
	if (result < 0)
		return error_wrap(err, "cannot remove");
	return 0;
}
