/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "agent/beneath.h"

static int step_into(int dir, const char *name, const char *path, struct error **err)
{
	int fd;

	if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		return error_errno(err, errno, "cannot create the directory of %s", path);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return error_set(err, ERR_INVALID, "%s: '%s' is there already and not a directory", path, name);
	if (fd < 0)
		return error_errno(err, errno, "cannot open the directory of %s", path);
	return fd;
}

int beneath_parent(int root, const char *path, const char **ret_name, struct error **err)
{
	cleanup_close int dir = fcntl(root, F_DUPFD_CLOEXEC, 3);
	const char *p = path;

	if (dir < 0)
		return error_errno(err, errno, "cannot open the directory of %s", path);
	for (const char *slash; (slash = strchr(p, '/')); p = slash + 1) {
		cleanup_free char *name = str_ndup(p, (size_t)(slash - p));
		int next;

		if (str_eq(name, "") || str_eq(name, ".") || str_eq(name, ".."))
			return error_set(err, ERR_INVALID, "%s: not a clean relative path", path);
		next = step_into(dir, name, path, err);
		if (next < 0)
			return -1;
		close(dir);
		dir = next;
	}
	if (str_eq(p, "") || str_eq(p, ".") || str_eq(p, ".."))
		return error_set(err, ERR_INVALID, "%s: not a clean relative path", path);
	*ret_name = p;
	return TAKE_FD(dir);
}

int beneath_mkdir(int root, const char *path, struct error **err)
{
	const char *name;
	cleanup_close int parent = beneath_parent(root, path, &name, err);

	return parent < 0 ? -1 : step_into(parent, name, path, err);
}

int temp_file_open(struct temp_file *t, int dir, struct error **err)
{
	unsigned char random[8];
	cleanup_free char *hex = NULL;

	t->dir = dir;
	t->fd = -1;
	t->name[0] = '\0';
	if (random_bytes(random, sizeof(random), err) < 0)
		return -1;
	hex = hex_encode(random, sizeof(random));
	snprintf(t->name, sizeof(t->name), ".slicer-%s", hex);
	t->fd = openat(dir, t->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (t->fd < 0) {
		t->name[0] = '\0';
		return error_errno(err, errno, "cannot create a file");
	}
	return 0;
}

void temp_file_discard(struct temp_file *t)
{
	fd_closep(&t->fd);
	if (t->name[0])
		unlinkat(t->dir, t->name, 0);
	t->name[0] = '\0';
}

int temp_file_commit(struct temp_file *t, const char *name, mode_t mode, int64_t mtime, struct error **err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = mtime}};
	int rc = fchmod(t->fd, mode);

	if (rc == 0 && mtime != INT64_MIN)
		rc = futimens(t->fd, times);
	if (rc == 0)
		rc = renameat(t->dir, t->name, t->dir, name);
	if (rc < 0) {
		int number = errno;

		temp_file_discard(t);
		return error_errno(err, number, "cannot write %s", name);
	}
	t->name[0] = '\0';
	fd_closep(&t->fd);
	return 0;
}
