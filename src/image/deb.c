/* SPDX-License-Identifier: MIT */
/* A .deb is an ar archive whose member data.tar.* holds the files: one libarchive reader feeds another. Both run in a process that
 * can do nothing else (child.h); it writes a plain tar archive, which this program reads by a parser of its own. */
#include "image/deb.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "base/tar.h"
#include "image/child.h"
#include "image/unpack.h"

#define CHUNK (128 * 1024)
#define ENTRIES_MAX 200000
#define TOTAL_MAX ((uint64_t)2 << 30)
#define FILE_MAX ((uint64_t)256 << 20)

/* ---- in the child ---- */

struct member {
	struct archive *deb;
	char chunk[CHUNK];
};

static la_ssize_t read_member(struct archive *inner, void *arg, const void **ret)
{
	struct member *m = arg;
	la_ssize_t n = archive_read_data(m->deb, m->chunk, sizeof(m->chunk));

	if (n < 0)
		archive_set_error(inner, archive_errno(m->deb), "%s", archive_error_string(m->deb));
	*ret = m->chunk;
	return n;
}

static int open_data_member(struct archive *deb, int fd, struct error **err)
{
	struct archive_entry *entry;

	archive_read_support_format_ar(deb);
	if (archive_read_open_fd(deb, fd, CHUNK) != ARCHIVE_OK)
		return unpack_error(deb, err, "open");
	for (int i = 0; i < 16; i++) {
		int r = archive_read_next_header(deb, &entry);
		if (r == ARCHIVE_EOF)
			break;
		if (r != ARCHIVE_OK)
			return unpack_error(deb, err, "read");
		const char *name = archive_entry_pathname(entry);
		if (name && str_starts(name, "data.tar"))
			return 0;
	}
	return error_set(err, ERR_INVALID, "it is not a Debian package: it has no data.tar");
}

static int write_zeros(int fd, size_t n, struct error **err)
{
	static const char zeros[TAR_END_SIZE];

	return fd_write_all(fd, zeros, n, err);
}

static int write_file(struct archive *tar, struct archive_entry *from, int to, struct error **err)
{
	const char *path = archive_entry_pathname(from);
	uint64_t size = (uint64_t)archive_entry_size(from), written = 0;
	size_t n = 0;

	while (path && str_starts(path, "./"))
		path += 2;
	struct tar_entry e = {.path = path ? path : "", .mode = 0644, .size = size};
	cleanup_free char *header = tar_header(&e, &n, err);
	if (!header || fd_write_all(to, header, n, err) < 0 || unpack_to_fd(tar, to, size, &written, err) < 0)
		return -1;
	if (written != size)
		return error_set(err, ERR_INVALID, "a file ends before its size");
	return write_zeros(to, tar_padding(size), err);
}

static int write_files(struct archive *tar, int to, struct error **err)
{
	struct archive_entry *entry;
	uint64_t total = 0;
	int r;

	for (size_t n = 0; (r = archive_read_next_header(tar, &entry)) == ARCHIVE_OK; n++) {
		la_int64_t size = archive_entry_size(entry);
		if (n >= ENTRIES_MAX || size < 0 || (uint64_t)size > TOTAL_MAX - total)
			return error_set(err, ERR_TOO_LARGE, "it holds more than %d files or %llu bytes", ENTRIES_MAX,
					 (unsigned long long)TOTAL_MAX);
		total += (uint64_t)size;
		if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry))
			continue;
		if (write_file(tar, entry, to, err) < 0)
			return -1;
	}
	return r == ARCHIVE_EOF ? write_zeros(to, TAR_END_SIZE, err) : unpack_error(tar, err, "unpack");
}

int deb_to_tar(int from, int to, struct error **err)
{
	cleanup_archive struct archive *deb = archive_read_new();
	cleanup_archive struct archive *tar = archive_read_new();
	cleanup_free struct member *member = NEW(struct member);

	if (open_data_member(deb, from, err) < 0)
		return -1;
	member->deb = deb;
	unpack_support_filters(tar);
	archive_read_support_format_tar(tar);
	if (archive_read_open(tar, member, NULL, read_member, NULL) != ARCHIVE_OK)
		return unpack_error(tar, err, "read its files");
	return write_files(tar, to, err);
}

struct conversion {
	int deb, tar;
};

static int convert(void *arg, struct json_object *ret, struct error **err)
{
	const struct conversion *c = arg;

	(void)ret; /* all of the answer is the archive */
	return deb_to_tar(c->deb, c->tar, err);
}

/* ---- in this program ---- */

struct unpacking {
	deb_place_fn *place;
	void *arg;
	char *to; /* where the present file goes; NULL: nowhere */
	int fd;
};

static int on_entry(void *arg, const struct tar_entry *e, struct error **err)
{
	struct unpacking *u = arg;

	u->to = e->directory ? NULL : u->place(u->arg, e->path);
	if (!u->to)
		return 0;
	if (e->size > FILE_MAX)
		return error_set(err, ERR_TOO_LARGE, "%s is larger than %llu bytes", e->path,
				 (unsigned long long)FILE_MAX);
	cleanup_free char *dir = fs_dirname(u->to);
	if (fs_mkdir_p(dir, 0755, err) < 0)
		return -1;
	u->fd = open(u->to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	return u->fd < 0 ? error_errno(err, errno, "create %s", u->to) : 0;
}

static int on_data(void *arg, const void *data, size_t n, struct error **err)
{
	const struct unpacking *u = arg;

	return u->to && fd_write_all(u->fd, data, n, err) < 0 ? error_wrap(err, "%s", u->to) : 0;
}

static int on_entry_end(void *arg, struct error **err)
{
	struct unpacking *u = arg;

	(void)err;
	fd_closep(&u->fd);
	mem_freep(&u->to);
	return 0;
}

static int read_tar(int fd, struct tar_reader *reader, struct error **err)
{
	cleanup_free char *chunk = mem_alloc(CHUNK);
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, chunk, CHUNK, at)) > 0) {
		if (tar_reader_feed(reader, chunk, (size_t)n, err) < 0)
			return -1;
		/* It is not needed twice, and its room is for the files. Not every file system can. */
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, n);
		at += n;
	}
	return n < 0 ? error_errno(err, errno, "read") : tar_reader_finish(reader, err);
}

static int take_files(int tar, deb_place_fn *place, void *arg, struct error **err)
{
	static const struct tar_events events = {on_entry, on_data, on_entry_end};
	const struct tar_limits limits = {.max_entries = ENTRIES_MAX, .max_total = TOTAL_MAX};
	struct unpacking u = {.place = place, .arg = arg, .fd = -1};
	struct tar_reader *reader = tar_reader_new(&events, &limits, &u);
	int r = read_tar(tar, reader, err);

	tar_reader_free(&reader);
	on_entry_end(&u, NULL);
	return r;
}

static int open_scratch(const char *path, struct error **err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_errno(err, errno, "create %s", path);
	unlink(path);
	return fd;
}

int deb_unpack(const char *path, deb_place_fn *place, void *arg, struct error **err)
{
	cleanup_close int deb = open(path, O_RDONLY | O_CLOEXEC);
	cleanup_free char *scratch = str_fmt("%s.tar", path);
	cleanup_json struct json_object *said = NULL;

	if (deb < 0)
		return error_errno(err, errno, "open %s", path);
	cleanup_close int tar = open_scratch(scratch, err);
	struct conversion c = {.deb = deb, .tar = tar};
	const int fds[] = {tar, deb};
	if (tar < 0)
		return -1;
	if (child_run(convert, &c, fds, ARRAY_LEN(fds), &said, err) < 0 || take_files(tar, place, arg, err) < 0)
		return error_wrap(err, "%s", path);
	return 0;
}

struct wanted_file {
	const char *const *paths;
	const char *to;
	bool found;
};

static char *place_wanted(void *arg, const char *path)
{
	struct wanted_file *w = arg;

	for (size_t i = 0; !w->found && w->paths[i]; i++) {
		if (!str_eq(path, w->paths[i]))
			continue;
		w->found = true;
		return str_dup(w->to);
	}
	return NULL;
}

int deb_extract_file(const char *deb, const char *const *paths, const char *to, struct error **err)
{
	struct wanted_file w = {.paths = paths, .to = to};

	if (deb_unpack(deb, place_wanted, &w, err) < 0)
		return -1;
	return w.found ? 0 : error_set(err, ERR_NOT_FOUND, "%s does not hold %s", deb, paths[0]);
}
