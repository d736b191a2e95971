/* SPDX-License-Identifier: MIT */
#include "image/tree.h"

#include <sys/sysmacros.h>

#include "base/fs.h"
#include "image/unpack.h"

#define FILE_LIMIT ((size_t)256 << 20)

static void entry_freep(struct archive_entry **entry)
{
	archive_entry_free(*entry);
}
#define cleanup_entry __attribute__((cleanup(entry_freep)))

static struct archive_entry *new_entry(const struct tree_entry *e, mode_t type)
{
	struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, e->path);
	archive_entry_set_filetype(entry, type);
	archive_entry_set_perm(entry, e->mode);
	archive_entry_set_uid(entry, e->uid);
	archive_entry_set_gid(entry, e->gid);
	archive_entry_set_mtime(entry, TREE_TIME, 0);
	archive_entry_set_size(entry, 0);
	archive_entry_set_nlink(entry, type == AE_IFDIR ? 2 : 1);
	return entry;
}

static int write_header(struct archive *a, struct archive_entry *entry, struct error **err)
{
	if (archive_write_header(a, entry) == ARCHIVE_OK)
		return 0;
	return unpack_error(a, err, "archive %s", archive_entry_pathname(entry));
}

int tree_add_dir(struct archive *a, const struct tree_entry *e, struct error **err)
{
	cleanup_entry struct archive_entry *entry = new_entry(e, AE_IFDIR);

	return write_header(a, entry, err);
}

int tree_add_data(struct archive *a, const struct tree_entry *e, const void *data, size_t n, struct error **err)
{
	cleanup_entry struct archive_entry *entry = new_entry(e, AE_IFREG);

	archive_entry_set_size(entry, (la_int64_t)n);
	if (write_header(a, entry, err) < 0)
		return -1;
	if (n > 0 && archive_write_data(a, data, n) != (la_ssize_t)n)
		return unpack_error(a, err, "archive %s", e->path);
	return 0;
}

int tree_add_file(struct archive *a, const struct tree_entry *e, const char *from, struct error **err)
{
	cleanup_free char *data = NULL;
	size_t n = 0;

	if (fs_read_file(from, FILE_LIMIT, &data, &n, err) < 0)
		return -1;
	return tree_add_data(a, e, data, n, err);
}

int tree_add_link(struct archive *a, const char *path, const char *target, struct error **err)
{
	struct tree_entry e = {.path = path, .mode = 0777};
	cleanup_entry struct archive_entry *entry = new_entry(&e, AE_IFLNK);

	archive_entry_set_symlink(entry, target);
	return write_header(a, entry, err);
}

int tree_add_chardev(struct archive *a, const char *path, mode_t mode, unsigned major_number, unsigned minor_number,
		     struct error **err)
{
	struct tree_entry e = {.path = path, .mode = mode};
	cleanup_entry struct archive_entry *entry = new_entry(&e, AE_IFCHR);

	archive_entry_set_rdev(entry, makedev(major_number, minor_number));
	return write_header(a, entry, err);
}
