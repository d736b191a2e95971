/* SPDX-License-Identifier: MIT */
/* A tar stream from a guest into a directory of the host: hostile input. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "base/tar.h"
#include "cli/cp_sink.h"

enum { DIRECTORIES_MAX = 100 * 1000 }; /* whose modes and times are set in the end */

int new_file_open(struct new_file *f, int dir, struct error **err)
{
	unsigned char random[6];
	cleanup_free char *hex = NULL;

	if (random_bytes(random, sizeof(random), err))
		return -1;
	hex = hex_encode(random, sizeof(random));
	snprintf(f->name, sizeof(f->name), ".slicer-cp-%s", hex);
	f->dir = dir;
	f->fd = openat(dir, f->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return f->fd < 0 ? error_errno(err, errno, "cannot create a file") : 0;
}

void new_file_discard(struct new_file *f)
{
	if (f->fd < 0)
		return;
	fd_closep(&f->fd);
	unlinkat(f->dir, f->name, 0);
}

int new_file_commit(struct new_file *f, const char *name, mode_t mode, const int64_t *mtime, struct error **err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = mtime ? *mtime : 0}};

	if (fchmod(f->fd, mode & 0777) || (mtime && futimens(f->fd, times)) || close(TAKE_FD(f->fd)) ||
	    renameat(f->dir, f->name, f->dir, name)) {
		int errnum = errno;

		fd_closep(&f->fd);
		unlinkat(f->dir, f->name, 0);
		return error_errno(err, errnum, "cannot create %s", name);
	}
	return 0;
}

struct directory {
	char *path;
	mode_t mode;
	int64_t mtime;
};

struct extract {
	struct tar_reader *reader;
	int root;
	int parent; /* of the current file; -1 */
	struct new_file file;
	struct tar_entry entry; /* the current one; its path is owned */
	char *path;
	struct directory *directories;
	size_t ndirectories;
};

/* Opens the directory `name` in `dir`, making it when it is missing. */
static int enter_directory(int dir, const char *name, const char *path, struct error **err)
{
	int fd;

	if (mkdirat(dir, name, 0755) && errno != EEXIST)
		return error_errno(err, errno, "cannot create the directory %s", path);
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return error_set(err, ERR_CONFLICT, "cannot extract %s: on its way is what is not a directory", path);
	return fd < 0 ? error_errno(err, errno, "cannot open the directory of %s", path) : fd;
}

/* The directory that holds the last segment of a clean relative path; *ret_name points to that segment. */
static int open_parent(int root, const char *path, const char **ret_name, struct error **err)
{
	cleanup_close int dir = fcntl(root, F_DUPFD_CLOEXEC, 3);

	if (dir < 0)
		return error_errno(err, errno, "cannot duplicate a file descriptor");
	for (;;) {
		const char *slash = strchr(path, '/');
		cleanup_free char *name = NULL;
		int next;

		*ret_name = path;
		if (!slash)
			return TAKE_FD(dir);
		name = str_ndup(path, (size_t)(slash - path));
		next = enter_directory(dir, name, path, err);
		if (next < 0)
			return -1;
		fd_closep(&dir);
		dir = next;
		path = slash + 1;
	}
}

static int begin_directory(struct extract *x, const struct tar_entry *e, struct error **err)
{
	const char *name;
	cleanup_close int parent = open_parent(x->root, e->path, &name, err);
	cleanup_close int dir = parent < 0 ? -1 : enter_directory(parent, name, e->path, err);

	if (dir < 0)
		return -1;
	if (x->ndirectories == DIRECTORIES_MAX)
		return 0;
	x->directories = mem_realloc(x->directories, (x->ndirectories + 1) * sizeof(*x->directories));
	x->directories[x->ndirectories++] = (struct directory){str_dup(e->path), e->mode, e->mtime};
	return 0;
}

static int on_entry(void *arg, const struct tar_entry *e, struct error **err)
{
	struct extract *x = arg;
	const char *name;

	x->entry = *e;
	free(x->path);
	x->path = str_dup(e->path);
	if (e->directory)
		return begin_directory(x, e, err);
	fd_closep(&x->parent);
	x->parent = open_parent(x->root, x->path, &name, err);
	if (x->parent < 0)
		return -1;
	if (new_file_open(&x->file, x->parent, err))
		return error_wrap(err, "cannot extract %s", x->path);
	return 0;
}

static int on_data(void *arg, const void *data, size_t n, struct error **err)
{
	struct extract *x = arg;

	if (fd_write_all(x->file.fd, data, n, err))
		return error_wrap(err, "cannot extract %s", x->path);
	return 0;
}

static int on_entry_end(void *arg, struct error **err)
{
	struct extract *x = arg;
	const char *slash = strrchr(x->path, '/');

	if (x->entry.directory)
		return 0;
	return new_file_commit(&x->file, slash ? slash + 1 : x->path, tar_copy_mode(x->entry.mode), &x->entry.mtime,
			       err);
}

static const struct tar_events events = {on_entry, on_data, on_entry_end};

struct extract *extract_new(int take_root, struct error **err)
{
	struct extract *x = NEW(struct extract);

	x->root = take_root;
	x->parent = x->file.fd = -1;
	x->reader = tar_reader_new(&events, NULL, x);
	return x;
}

/* What is wrong with the archive is the guest's fault, not the user's. */
static int blame_guest(struct error **err, struct error **take)
{
	if (*take && (*take)->code == ERR_INVALID)
		(*take)->code = ERR_PROTOCOL;
	return error_move(err, take);
}

int extract_feed(struct extract *x, const void *data, size_t n, struct error **err)
{
	struct error *why = NULL;

	return tar_reader_feed(x->reader, data, n, &why) ? blame_guest(err, &why) : 0;
}

/* Modes and times of directories come last: a read-only one could not be filled, and filling one changes its time. */
static void finish_directory(struct extract *x, const struct directory *d)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = d->mtime}};
	const char *name;
	cleanup_close int parent = open_parent(x->root, d->path, &name, NULL);
	cleanup_close int dir = parent < 0 ? -1 : enter_directory(parent, name, d->path, NULL);

	if (dir < 0)
		return;
	(void)!fchmod(dir, d->mode & 0777);
	futimens(dir, times);
}

int extract_finish(struct extract *x, struct error **err)
{
	struct error *why = NULL;

	if (tar_reader_finish(x->reader, &why))
		return blame_guest(err, &why);
	for (size_t i = x->ndirectories; i-- > 0;)
		finish_directory(x, &x->directories[i]);
	return 0;
}

void extract_free(struct extract **xp)
{
	struct extract *x = *xp;

	if (!x)
		return;
	new_file_discard(&x->file);
	fd_closep(&x->parent);
	fd_closep(&x->root);
	tar_reader_free(&x->reader);
	for (size_t i = 0; i < x->ndirectories; i++)
		free(x->directories[i].path);
	free(x->directories);
	free(x->path);
	free(x);
	*xp = NULL;
}
