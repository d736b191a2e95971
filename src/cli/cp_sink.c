/* SPDX-License-Identifier: MIT */
#include "cli/cp_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

struct cp_sink {
	/* One file. */
	int dir; /* that holds it; -1 */
	struct new_file file;
	char *name; /* its last segment */
	mode_t mode;
	int direct; /* what is written to as it is; -1 */
	/* A tree. */
	struct extract *extract;
	char *temporary; /* the new directory until it is complete; NULL: an old one is filled */
	char *final;
};

static struct cp_sink *sink_new(void)
{
	struct cp_sink *s = NEW(struct cp_sink);

	s->dir = s->direct = s->file.fd = -1;
	return s;
}

void cp_sink_free(struct cp_sink **sp)
{
	struct cp_sink *s = *sp;

	if (!s)
		return;
	new_file_discard(&s->file);
	fd_closep(&s->dir);
	fd_closep(&s->direct);
	extract_free(&s->extract);
	if (s->temporary)
		fs_remove_tree(s->temporary, NULL);
	free(s->temporary);
	free(s->final);
	free(s->name);
	free(s);
	*sp = NULL;
}

/* dest, dest/source_name when dest is a directory, or where a symlink to a file leads. */
static char *file_path(const char *dest, const char *source_name, struct error **err)
{
	struct stat st;
	char *real;

	if (stat(dest, &st)) {
		if (str_ends(dest, "/"))
			error_set(err, ERR_NOT_FOUND, "there is no directory %s", dest);
		return str_ends(dest, "/") ? NULL : str_dup(dest);
	}
	if (S_ISDIR(st.st_mode))
		return fs_join(dest, source_name);
	if (!S_ISREG(st.st_mode))
		return str_dup(dest);
	real = realpath(dest, NULL);
	if (!real)
		error_errno(err, errno, "cannot write to %s", dest);
	return real;
}

static int open_file(struct cp_sink *s, const char *path, struct error **err)
{
	cleanup_free char *dir = fs_dirname(path);
	struct stat st;

	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return error_set(err, ERR_CONFLICT, "cannot write to %s: it is a directory", path);
	if (!stat(path, &st) && !S_ISREG(st.st_mode)) {
		s->direct = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		return s->direct < 0 ? error_errno(err, errno, "cannot write to %s", path) : 0;
	}
	s->name = fs_basename(path);
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return error_errno(err, errno, "cannot write to %s", dir);
	if (new_file_open(&s->file, s->dir, err))
		return error_wrap(err, "cannot write to %s", dir);
	return 0;
}

struct cp_sink *cp_sink_file(const char *dest, const char *source_name, mode_t mode, struct error **err)
{
	struct cp_sink *s = sink_new();
	cleanup_free char *path = file_path(dest, source_name, err);

	s->mode = mode;
	if (!path || open_file(s, path, err))
		cp_sink_free(&s);
	return s;
}

static char *without_slashes(const char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	return str_ndup(path, n);
}

/* Makes `path` appear when all is extracted, or fills it when it is there. */
static int open_tree(struct cp_sink *s, const char *path, struct error **err)
{
	struct stat st;
	bool exists = !stat(path, &st);
	int fd;

	if (exists && !S_ISDIR(st.st_mode))
		return error_set(err, ERR_CONFLICT, "cannot copy a directory to %s: it is not a directory", path);
	if (!exists) {
		cleanup_free char *parent = fs_dirname(path);

		if (fs_mkdir_p(parent, 0755, err))
			return -1;
		s->final = str_dup(path);
		s->temporary = str_fmt("%s/.slicer-cp-XXXXXX", parent);
		if (!mkdtemp(s->temporary)) {
			error_errno(err, errno, "cannot create a directory in %s", parent);
			free(TAKE_PTR(s->temporary));
			return -1;
		}
	}
	fd = open(exists ? path : s->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "cannot open %s", path);
	s->extract = extract_new(fd, err);
	return s->extract ? 0 : -1;
}

struct cp_sink *cp_sink_tree(const char *dest, const char *source_name, bool contents, struct error **err)
{
	struct cp_sink *s = sink_new();
	cleanup_free char *path = without_slashes(dest);
	struct stat st;

	if (!contents && !stat(path, &st) && S_ISDIR(st.st_mode)) {
		char *inner = fs_join(path, source_name);

		free(path);
		path = inner;
	}
	if (open_tree(s, path, err))
		cp_sink_free(&s);
	return s;
}

int cp_sink_write(struct cp_sink *s, const void *data, size_t n, struct error **err)
{
	if (s->extract)
		return extract_feed(s->extract, data, n, err);
	return fd_write_all(s->direct >= 0 ? s->direct : s->file.fd, data, n, err);
}

static int commit_tree(struct cp_sink *s, struct error **err)
{
	if (extract_finish(s->extract, err))
		return -1;
	if (!s->temporary)
		return 0;
	if (chmod(s->temporary, 0755) || renameat2(AT_FDCWD, s->temporary, AT_FDCWD, s->final, RENAME_NOREPLACE))
		return error_errno(err, errno, "cannot create %s", s->final);
	free(TAKE_PTR(s->temporary));
	return 0;
}

int cp_sink_commit(struct cp_sink *s, struct error **err)
{
	if (s->extract)
		return commit_tree(s, err);
	if (s->direct >= 0)
		return 0;
	return new_file_commit(&s->file, s->name, s->mode, NULL, err);
}
