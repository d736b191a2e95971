/* SPDX-License-Identifier: MIT */
/* The worker of a tar upload: entries become files below one directory. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/glob.h"
#include "base/str.h"
#include "base/tar.h"
#include "agent/beneath.h"
#include "agent/cp.h"

enum { PIECE = 64 * 1024, MAX_DIRECTORIES = 1000000 };

/* Directories get their mode and mtime at the end: what is put into them needs the one and changes the other. */
struct late {
	char *path;
	mode_t mode;
	int64_t mtime;
};

struct extract {
	int root;
	char *const *exclude;
	int dir; /* of the present file */
	struct temp_file temp;
	char *name;
	mode_t mode;
	int64_t mtime;
	struct late *late;
	size_t nlate, room;
};

/* The path or a directory above it is excluded. */
static bool is_excluded(char *const *patterns, const char *path)
{
	cleanup_free char *copy = patterns ? str_dup(path) : NULL;

	while (copy) {
		char *slash;

		if (glob_excludes_any(patterns, copy))
			return true;
		slash = strrchr(copy, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return false;
}

static void remember(struct extract *x, const struct tar_entry *e)
{
	if (x->nlate == x->room) {
		x->room = x->room ? x->room * 2 : 64;
		x->late = mem_realloc(x->late, x->room * sizeof(*x->late));
	}
	x->late[x->nlate++] = (struct late){str_dup(e->path), e->mode, e->mtime};
}

static int begin_directory(struct extract *x, const struct tar_entry *e, struct error **err)
{
	cleanup_close int fd = -1;

	if (x->nlate >= MAX_DIRECTORIES)
		return error_set(err, ERR_TOO_LARGE, "more than %d directories", MAX_DIRECTORIES);
	fd = beneath_mkdir(x->root, e->path, err);
	if (fd < 0)
		return -1;
	remember(x, e);
	return 0;
}

static int on_begin(void *arg, const struct tar_entry *e, struct error **err)
{
	struct extract *x = arg;
	const char *name;

	x->temp.fd = -1;
	if (is_excluded(x->exclude, e->path))
		return 0;
	if (e->directory)
		return begin_directory(x, e, err);
	x->dir = beneath_parent(x->root, e->path, &name, err);
	if (x->dir < 0)
		return -1;
	if (temp_file_open(&x->temp, x->dir, err) < 0)
		return error_wrap(err, "%s", e->path);
	x->name = str_dup(name);
	x->mode = tar_copy_mode(e->mode);
	x->mtime = e->mtime;
	return 0;
}

static int on_data(void *arg, const void *data, size_t n, struct error **err)
{
	struct extract *x = arg;

	if (x->temp.fd < 0)
		return 0;
	if (fd_write_all(x->temp.fd, data, n, err) < 0)
		return error_wrap(err, "%s", x->name);
	return 0;
}

static int on_end(void *arg, struct error **err)
{
	struct extract *x = arg;
	int rc = 0;

	if (x->temp.fd >= 0)
		rc = temp_file_commit(&x->temp, x->name, x->mode, x->mtime, err);
	fd_closep(&x->dir);
	mem_freep(&x->name);
	return rc;
}

static const struct tar_events extract_events = {
	.on_entry = on_begin,
	.on_data = on_data,
	.on_entry_end = on_end,
};

static int read_all(struct tar_reader *reader, struct error **err)
{
	cleanup_free char *buf = mem_alloc(PIECE);

	for (;;) {
		ssize_t n = read(STDIN_FILENO, buf, PIECE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read the upload");
		if (n == 0)
			return tar_reader_finish(reader, err);
		if (tar_reader_feed(reader, buf, (size_t)n, err) < 0)
			return -1;
	}
}

/* Backwards: a directory's own times after those of what is in it. What cannot be set (not ours) stays as it is. */
static void apply_late(struct extract *x)
{
	while (x->nlate > 0) {
		struct late *l = &x->late[--x->nlate];
		struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = l->mtime}};
		cleanup_close int fd = beneath_mkdir(x->root, l->path, NULL);

		if (fd >= 0 && fchmod(fd, l->mode) == 0)
			futimens(fd, times);
		free(l->path);
	}
	free(x->late);
}

int cp_put_tree(int dir, char *const *exclude, struct error **err)
{
	struct extract x = {.root = dir, .exclude = exclude, .dir = -1, .temp = {.fd = -1}};
	cleanup_tar_reader struct tar_reader *reader = tar_reader_new(&extract_events, NULL, &x);
	int rc = read_all(reader, err);

	if (x.temp.fd >= 0)
		temp_file_discard(&x.temp);
	fd_closep(&x.dir);
	free(x.name);
	apply_late(&x);
	return rc;
}
