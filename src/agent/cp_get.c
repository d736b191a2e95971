/* SPDX-License-Identifier: MIT */
/* The worker of a download. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/glob.h"
#include "base/str.h"
#include "base/tar.h"
#include "agent/cp.h"

enum { PIECE = 64 * 1024 };

/* Copies to fd 1: `size` bytes, or to the end when it is -1. */
static int send_file(int fd, int64_t size, const char *path, struct error **err)
{
	static const size_t piece = PIECE;
	cleanup_free char *buf = mem_alloc(piece);
	int64_t left = size;

	while (left != 0) {
		size_t want = left < 0 || (uint64_t)left > piece ? piece : (size_t)left;
		ssize_t n = read(fd, buf, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read %s", path);
		if (n == 0 && left < 0)
			return 0;
		if (n == 0)
			return error_set(err, ERR_CONFLICT, "%s became shorter while it was read", path);
		if (fd_write_all(STDOUT_FILENO, buf, (size_t)n, err) < 0)
			return -1;
		if (left > 0)
			left -= n;
	}
	return 0;
}

/* The last segment as the user named it; "" when the path means contents ("x/.", "/"). */
static void base_name(const char *path, char *ret, size_t size)
{
	size_t n = strlen(path), start;

	ret[0] = '\0';
	while (n > 0 && path[n - 1] == '/')
		n--;
	for (start = n; start > 0 && path[start - 1] != '/'; start--)
		;
	if (n - start == 0 || (n - start == 1 && path[start] == '.') || n - start >= size)
		return;
	memcpy(ret, path + start, n - start);
	ret[n - start] = '\0';
}

static int check_kind(const struct cp_request *r, const struct stat *st, struct error **err)
{
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
		return error_set(err, ERR_INVALID, "%s is neither a regular file nor a directory", r->path);
	if (r->mode == CP_BINARY && S_ISDIR(st->st_mode))
		return error_set(err, ERR_INVALID, "%s: must specify a file not a directory", r->path);
	if (r->mode == CP_TAR && !S_ISDIR(st->st_mode))
		return error_set(err, ERR_INVALID, "%s: must specify a directory not a file", r->path);
	return 0;
}

int cp_get(const struct cp_request *r, struct error **err)
{
	/* Not blocking on a FIFO, no controlling terminal. */
	cleanup_close int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct cp_reply reply = {.size = -1};
	struct stat st;

	if (fd < 0 && errno == ENOTDIR)
		return error_set(err, ERR_NOT_FOUND, "%s: no such file or directory", r->path);
	if (fd < 0)
		return error_errno(err, errno, "%s", r->path);
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "%s", r->path);
	if (check_kind(r, &st, err) < 0)
		return -1;
	reply.directory = S_ISDIR(st.st_mode);
	reply.mode = st.st_mode & 0777;
	/* Files of /proc and /sys say 0 and have content. */
	if (!reply.directory && st.st_size > 0 && st.st_blocks > 0)
		reply.size = st.st_size;
	base_name(r->path, reply.name, sizeof(reply.name));
	cp_send_reply(&reply);
	if (reply.directory)
		return cp_get_tree(fd, r->exclude, err);
	return send_file(fd, reply.size, r->path, err);
}

/* ---- directories ---- */

struct walk {
	char *const *exclude;
	char path[TAR_MAX_PATH + 1]; /* of the present entry, relative */
	size_t len;
};

static int walk_directory(struct walk *w, int take_fd, struct error **err);

static int send_header(const struct walk *w, const struct stat *st, struct error **err)
{
	struct tar_entry e = {
		.path = w->path,
		.directory = S_ISDIR(st->st_mode),
		.mode = tar_copy_mode(st->st_mode),
		.mtime = st->st_mtime,
		.size = S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size,
	};
	size_t n;
	cleanup_free char *header = tar_header(&e, &n, err);

	return !header ? -1 : fd_write_all(STDOUT_FILENO, header, n, err);
}

static int send_entry(struct walk *w, int dir, const char *name, struct error **err)
{
	static const char zeros[TAR_BLOCK];
	cleanup_close int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENXIO))
		return 0; /* went away meanwhile, or a link or socket after all */
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, errno, "%s", w->path);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	if (send_header(w, &st, err) < 0)
		return -1;
	if (S_ISDIR(st.st_mode))
		return walk_directory(w, TAKE_FD(fd), err);
	if (send_file(fd, st.st_size, w->path, err) < 0)
		return -1;
	return fd_write_all(STDOUT_FILENO, zeros, tar_padding((uint64_t)st.st_size), err);
}

static bool is_wanted(const struct walk *w, int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return false;
	return !glob_excludes_any(w->exclude, w->path);
}

static int walk_one(struct walk *w, int dir, const char *name, struct error **err)
{
	size_t before = w->len, n = strlen(name);
	int rc = 0;

	if (before + n + 1 > TAR_MAX_PATH)
		return error_set(err, ERR_INVALID, "%s/%s: the path is over %d bytes", w->path, name, TAR_MAX_PATH);
	w->len += (size_t)snprintf(w->path + before, sizeof(w->path) - before, "%s%s", before > 0 ? "/" : "", name);
	if (is_wanted(w, dir, name))
		rc = send_entry(w, dir, name, err);
	w->len = before;
	w->path[before] = '\0';
	return rc;
}

/* Recursion is bounded by the length of a path. */
static int walk_directory(struct walk *w, int take_fd, struct error **err)
{
	DIR *dir = fdopendir(take_fd);
	struct dirent *e;
	int rc = 0;

	if (!dir) {
		close(take_fd);
		return error_errno(err, errno, "cannot read the directory %s", w->path);
	}
	while (rc == 0 && (e = readdir(dir))) {
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			rc = walk_one(w, dirfd(dir), e->d_name, err);
	}
	closedir(dir);
	return rc;
}

int cp_get_tree(int dir, char *const *exclude, struct error **err)
{
	static const char end[TAR_END_SIZE];
	struct walk w = {.exclude = exclude};
	int fd = fcntl(dir, F_DUPFD_CLOEXEC, 4);

	if (fd < 0)
		return error_errno(err, errno, "cannot read the directory");
	if (walk_directory(&w, fd, err) < 0)
		return -1;
	return fd_write_all(STDOUT_FILENO, end, sizeof(end), err);
}
