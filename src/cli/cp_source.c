/* SPDX-License-Identifier: MIT */
#include "cli/cp_source.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/str.h"
#include "base/tar.h"
#include "cli/tree_walk.h"

struct cp_source {
	struct stat st;
	uint64_t size;
	int fd;			/* the file that is being read; -1 */
	struct tree_walk *walk; /* NULL: one file */
	char *path;		/* of the file that is being read, for messages */
	uint64_t remaining;	/* of its content */
	char *block;		/* header or padding to be sent before anything else; NULL */
	size_t block_n, block_at;
	size_t padding; /* behind the content */
	bool ended;
};

struct cp_source *cp_source_file(const char *path, struct error **err)
{
	struct cp_source *s = NEW(struct cp_source);

	s->path = str_dup(path);
	s->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0 || fstat(s->fd, &s->st)) {
		error_errno(err, errno, "cannot read %s", path);
		cp_source_free(&s);
		return NULL;
	}
	s->size = S_ISREG(s->st.st_mode) ? (uint64_t)s->st.st_size : 0;
	return s;
}

/* The sum of the sizes, by a walk of its own. */
static int measure(const char *path, char *const *exclude, uint64_t *ret, struct error **err)
{
	cleanup_tree_walk struct tree_walk *w = tree_walk_new(path, exclude, err);
	struct tar_entry e;
	const char *file;
	int rc;

	if (!w)
		return -1;
	while ((rc = tree_walk_next(w, &e, &file, err)) > 0)
		*ret += e.size;
	return rc;
}

struct cp_source *cp_source_tree(const char *path, char *const *exclude, struct error **err)
{
	struct cp_source *s = NEW(struct cp_source);

	s->fd = -1;
	if (lstat(path, &s->st))
		error_errno(err, errno, "cannot read %s", path);
	else if (!measure(path, exclude, &s->size, err))
		s->walk = tree_walk_new(path, exclude, err);
	if (!s->walk)
		cp_source_free(&s);
	return s;
}

void cp_source_free(struct cp_source **s)
{
	if (!*s)
		return;
	fd_closep(&(*s)->fd);
	tree_walk_free(&(*s)->walk);
	free((*s)->path);
	free((*s)->block);
	free(*s);
	*s = NULL;
}

uint64_t cp_source_size(const struct cp_source *s)
{
	return s->size;
}

const struct stat *cp_source_stat(const struct cp_source *s)
{
	return &s->st;
}

uint64_t cp_source_skipped(const struct cp_source *s)
{
	return s->walk ? tree_walk_skipped(s->walk) : 0;
}

static ssize_t read_fd(struct cp_source *s, void *buffer, size_t n, struct error **err)
{
	ssize_t got;

	do
		got = read(s->fd, buffer, n);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		error_errno(err, errno, "cannot read %s", s->path);
	return got;
}

static void set_block(struct cp_source *s, char *take, size_t n)
{
	free(s->block);
	s->block = take;
	s->block_n = n;
	s->block_at = 0;
}

static size_t take_block(struct cp_source *s, void *buffer, size_t n)
{
	size_t left = s->block_n - s->block_at;

	n = n < left ? n : left;
	memcpy(buffer, s->block + s->block_at, n);
	s->block_at += n;
	if (s->block_at == s->block_n)
		set_block(s, NULL, 0);
	return n;
}

static int open_file(struct cp_source *s, const struct tar_entry *e, const char *path, struct error **err)
{
	free(s->path);
	s->path = str_dup(path);
	s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (s->fd < 0)
		return error_errno(err, errno, "cannot read %s", path);
	s->remaining = e->size;
	s->padding = tar_padding(e->size);
	return 0;
}

static int next_entry(struct cp_source *s, struct error **err)
{
	struct tar_entry e;
	const char *path;
	size_t n = 0;
	char *header;
	int rc = tree_walk_next(s->walk, &e, &path, err);

	if (rc < 0)
		return -1;
	if (rc == 0) {
		s->ended = true;
		set_block(s, mem_alloc(TAR_END_SIZE), TAR_END_SIZE);
		return 0;
	}
	if (!e.directory && e.size > 0 && open_file(s, &e, path, err))
		return -1;
	header = tar_header(&e, &n, err);
	if (!header)
		return -1;
	set_block(s, header, n);
	return 0;
}

static ssize_t read_content(struct cp_source *s, void *buffer, size_t n, struct error **err)
{
	ssize_t got = read_fd(s, buffer, n < s->remaining ? n : (size_t)s->remaining, err);

	if (got < 0)
		return -1;
	if (got == 0)
		return error_set(err, ERR_CONFLICT, "%s became shorter while it was copied", s->path);
	s->remaining -= (uint64_t)got;
	if (s->remaining == 0) {
		fd_closep(&s->fd);
		if (s->padding)
			set_block(s, mem_alloc(s->padding), s->padding);
	}
	return got;
}

ssize_t cp_source_read(struct cp_source *s, void *buffer, size_t n, struct error **err)
{
	if (!s->walk)
		return read_fd(s, buffer, n, err);
	for (;;) {
		if (s->block)
			return (ssize_t)take_block(s, buffer, n);
		if (s->fd >= 0)
			return read_content(s, buffer, n, err);
		if (s->ended)
			return 0;
		if (next_entry(s, err))
			return -1;
	}
}
