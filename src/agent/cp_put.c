/* SPDX-License-Identifier: MIT */
/* The worker of an upload. */
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "agent/beneath.h"
#include "agent/cp.h"

enum { PIECE = 64 * 1024, NEW_FILE_MODE = 0644 };

static int aborted(struct error **err)
{
	return error_set(err, ERR_CANCELLED, "the upload was given up");
}

static int receive(int fd, struct error **err)
{
	cleanup_free char *buf = mem_alloc(PIECE);

	for (;;) {
		ssize_t n = read(STDIN_FILENO, buf, PIECE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read the upload");
		if (n == 0)
			return 0;
		if (fd_write_all(fd, buf, (size_t)n, err) < 0)
			return -1;
	}
}

static int check_space(int dir, uint64_t need, struct error **err)
{
	struct statvfs st;
	uint64_t have;

	if (need == 0 || fstatvfs(dir, &st) < 0)
		return 0;
	have = (uint64_t)st.f_bavail * st.f_frsize;
	if (have >= need)
		return 0;
	cleanup_free char *want = size_format(need), *room = size_format(have);
	return error_set(err, ERR_NO_SPACE, "the upload needs %s and the disk has %s left", want, room);
}

/* Where a single file goes: the rules of cp(1) with v1, else the path as it is. The caller's. */
static char *file_target(const struct cp_request *r, struct error **err)
{
	struct stat st;
	bool there = stat(r->path, &st) == 0;

	if (there && S_ISDIR(st.st_mode)) {
		if (r->v1 && r->source_name)
			return fs_join(r->path, r->source_name);
		error_set(err, ERR_INVALID, "%s: must specify a file not a directory", r->path);
		return NULL;
	}
	if (there && !S_ISREG(st.st_mode)) {
		error_set(err, ERR_INVALID, "%s is not a regular file", r->path);
		return NULL;
	}
	if (str_ends(r->path, "/") || (r->v1 && str_ends(r->path, "\\"))) {
		error_set(err, ERR_INVALID, "%s: no such directory", r->path);
		return NULL;
	}
	return str_dup(r->path);
}

/* A new file is readable by all; one that is replaced keeps its mode, unless the request says otherwise. */
static mode_t file_mode(const struct cp_request *r, int dir, const char *name)
{
	struct stat st;

	if (r->has_permissions)
		return r->permissions;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
		return st.st_mode & 0777;
	return NEW_FILE_MODE;
}

static int open_directory(const char *path, struct error **err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? error_errno(err, errno, "%s", path) : fd;
}

/* A file in the way is the request's mistake. */
static int make_directory(const char *path, struct error **err)
{
	cleanup_error struct error *error = NULL;

	if (fs_mkdir_p(path, 0755, &error) == 0)
		return 0;
	if (error->sys_errno == ENOTDIR || error->sys_errno == EEXIST)
		error->code = ERR_INVALID;
	return error_move(err, &error);
}

static int put_file(const struct cp_request *r, struct error **err)
{
	cleanup_free char *target = file_target(r, err), *parent = NULL, *name = NULL;
	cleanup_close int dir = -1;
	struct temp_file temp;

	if (!target)
		return -1;
	parent = fs_dirname(target);
	name = fs_basename(target);
	if (make_directory(parent, err) < 0)
		return -1;
	dir = open_directory(parent, err);
	if (dir < 0 || check_space(dir, r->unpacked_size, err) < 0)
		return -1;
	if (temp_file_open(&temp, dir, err) < 0)
		return error_wrap(err, "%s", target);
	if (receive(temp.fd, err) < 0) {
		temp_file_discard(&temp);
		return error_wrap(err, "%s", target);
	}
	if (!cp_committed()) {
		temp_file_discard(&temp);
		return aborted(err);
	}
	return temp_file_commit(&temp, name, file_mode(r, dir, name), INT64_MIN, err);
}

/* Where a directory goes: made, and returned open. */
static int directory_target(const struct cp_request *r, struct error **err)
{
	cleanup_free char *path = str_dup(r->path);
	struct stat st;
	bool there = stat(path, &st) == 0;

	if (there && !S_ISDIR(st.st_mode))
		return error_set(err, ERR_INVALID, "%s is there already and not a directory", path);
	if (there && r->v1 && !r->contents && r->source_name) {
		free(path);
		path = fs_join(r->path, r->source_name);
	}
	if (make_directory(path, err) < 0)
		return -1;
	return open_directory(path, err);
}

int cp_put(const struct cp_request *r, struct error **err)
{
	cleanup_close int dir = -1;

	if (r->mode == CP_BINARY)
		return put_file(r, err);
	dir = directory_target(r, err);
	if (dir < 0 || check_space(dir, r->unpacked_size, err) < 0)
		return -1;
	if (cp_put_tree(dir, r->exclude, err) < 0)
		return -1;
	return cp_committed() ? 0 : aborted(err);
}
