/* SPDX-License-Identifier: MIT */
/* A .deb is an ar archive whose member data.tar.* holds the files: one libarchive reader feeds
 * another. */
#include "image/unpack.h"

#include "base/fs.h"
#include "base/str.h"

#define CHUNK (128 * 1024)
#define ENTRIES_MAX 200000
#define TOTAL_MAX ((uint64_t)2 << 30)
#define FILE_MAX ((uint64_t)256 << 20)

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

static int open_data_member(struct archive *deb, const char *path, struct error **err)
{
	struct archive_entry *entry;

	archive_read_support_format_ar(deb);
	if (archive_read_open_filename(deb, path, CHUNK) != ARCHIVE_OK)
		return unpack_error(deb, err, "open %s", path);
	for (int i = 0; i < 16; i++) {
		int r = archive_read_next_header(deb, &entry);
		if (r == ARCHIVE_EOF)
			break;
		if (r != ARCHIVE_OK)
			return unpack_error(deb, err, "read %s", path);
		const char *name = archive_entry_pathname(entry);
		if (name && str_starts(name, "data.tar"))
			return 0;
	}
	return error_set(err, ERR_INVALID, "%s is not a Debian package: it has no data.tar", path);
}

/* NULL for a path that could leave the directory it is unpacked to. */
static const char *safe_path(const char *path)
{
	if (!path)
		return NULL;
	while (str_starts(path, "./"))
		path += 2;
	cleanup_strv char **parts = strv_split(path, '/');
	return *path == '/' || strv_contains(parts, "..") ? NULL : path;
}

static int each_entry(struct archive *tar, deb_file_fn fn, void *arg, struct error **err)
{
	struct archive_entry *entry;
	uint64_t total = 0;
	int r;

	for (size_t n = 0; (r = archive_read_next_header(tar, &entry)) == ARCHIVE_OK; n++) {
		total += (uint64_t)archive_entry_size(entry);
		if (n >= ENTRIES_MAX || total > TOTAL_MAX)
			return error_set(err, ERR_TOO_LARGE, "it holds more than %d files or %llu bytes", ENTRIES_MAX,
					 (unsigned long long)TOTAL_MAX);
		if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry))
			continue;
		const char *path = safe_path(archive_entry_pathname(entry));
		if (!path)
			return error_set(err, ERR_INVALID, "it holds a file outside its tree");
		if (fn(tar, path, arg, err) < 0)
			return -1;
	}
	return r == ARCHIVE_EOF ? 0 : unpack_error(tar, err, "unpack");
}

int deb_each_file(const char *path, deb_file_fn fn, void *arg, struct error **err)
{
	cleanup_archive struct archive *deb = archive_read_new();
	cleanup_archive struct archive *tar = archive_read_new();
	cleanup_free struct member *member = NEW(struct member);

	if (open_data_member(deb, path, err) < 0)
		return -1;
	member->deb = deb;
	archive_read_support_filter_all(tar);
	archive_read_support_format_tar(tar);
	if (archive_read_open(tar, member, NULL, read_member, NULL) != ARCHIVE_OK)
		return unpack_error(tar, err, "read the files of %s", path);
	if (each_entry(tar, fn, arg, err) < 0)
		return error_wrap(err, "%s", path);
	return 0;
}

struct wanted_file {
	const char *const *paths;
	const char *to;
	bool found;
};

static int take_wanted(struct archive *a, const char *path, void *arg, struct error **err)
{
	struct wanted_file *w = arg;

	for (size_t i = 0; !w->found && w->paths[i]; i++) {
		if (!str_eq(path, w->paths[i]))
			continue;
		if (unpack_to_file(a, w->to, FILE_MAX, err) < 0)
			return -1;
		w->found = true;
	}
	return 0;
}

int deb_extract_file(const char *deb, const char *const *paths, const char *to, struct error **err)
{
	struct wanted_file w = {.paths = paths, .to = to};

	if (deb_each_file(deb, take_wanted, &w, err) < 0)
		return -1;
	return w.found ? 0 : error_set(err, ERR_NOT_FOUND, "%s does not hold %s", deb, paths[0]);
}
