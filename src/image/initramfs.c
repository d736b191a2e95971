/* SPDX-License-Identifier: MIT */
#include "image/initramfs.h"

#include <archive.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/embedded.h"
#include "image/tree.h"
#include "image/unpack.h"

static const char *const directories[] = {"bin",	 "dev",	    "etc",  "etc/slicer", "etc/udhcpc", "lib",
					  "lib/modules", "newroot", "proc", "run",	  "sys",	"tmp"};

static int add_dir(struct archive *a, const char *path, struct error **err)
{
	return tree_add_dir(a, &(struct tree_entry){.path = path, .mode = 0755}, err);
}

/* cpio has no implied directories: each level of "lib/modules/R/kernel/..." comes once, before what
 * is in it. */
static int add_parents(struct archive *a, const char *path, char ***made, struct error **err)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		cleanup_free char *dir = str_ndup(path, (size_t)(slash - path));
		if (strv_contains(*made, dir))
			continue;
		if (add_dir(a, dir, err) < 0)
			return -1;
		strv_append_take(made, TAKE_PTR(dir));
	}
	return 0;
}

static int add_fixed(struct archive *a, const struct initramfs *i, char ***made, struct error **err)
{
	const struct embedded_file *script = embedded_find("udhcpc.script");

	for (size_t n = 0; n < ARRAY_LEN(directories); n++) {
		if (add_dir(a, directories[n], err) < 0)
			return -1;
		strv_append(made, directories[n]);
	}
	if (!script)
		return error_set(err, ERR_INTERNAL, "micro/udhcpc.script is not in this program");
	if (tree_add_chardev(a, "dev/console", 0600, 5, 1, err) < 0 ||
	    tree_add_file(a, &(struct tree_entry){.path = "init", .mode = 0755}, i->agent, err) < 0 ||
	    tree_add_file(a, &(struct tree_entry){.path = "bin/busybox", .mode = 0755}, i->busybox, err) < 0 ||
	    tree_add_link(a, "bin/sh", "busybox", err) < 0)
		return -1;
	return tree_add_data(a, &(struct tree_entry){.path = "etc/udhcpc/default.script", .mode = 0755}, script->data,
			     script->size, err);
}

static int add_modules(struct archive *a, const struct initramfs *i, char ***made, struct error **err)
{
	cleanup_strv char **lines = NULL;

	for (size_t n = 0; i->modules && i->modules[n]; n++) {
		cleanup_free char *from = fs_join(i->modules_dir, i->modules[n]);
		cleanup_free char *path = str_fmt("lib/modules/%s/%s", i->release, i->modules[n]);
		if (add_parents(a, path, made, err) < 0 ||
		    tree_add_file(a, &(struct tree_entry){.path = path, .mode = 0644}, from, err) < 0)
			return -1;
		strv_append_fmt(&lines, "/%s\n", path);
	}
	cleanup_free char *list = lines ? strv_join(lines, "") : str_dup("");
	return tree_add_data(a, &(struct tree_entry){.path = "etc/slicer/modules", .mode = 0644}, list, strlen(list),
			     err);
}

int initramfs_write(int fd, const struct initramfs *initramfs, struct error **err)
{
	cleanup_archive struct archive *a = archive_write_new();
	cleanup_strv char **made = NULL;

	archive_write_set_format_cpio_newc(a);
	archive_write_add_filter_none(a);
	if (archive_write_open_fd(a, fd) != ARCHIVE_OK)
		return unpack_error(a, err, "write initramfs");
	if (add_fixed(a, initramfs, &made, err) < 0 || add_modules(a, initramfs, &made, err) < 0)
		return error_wrap(err, "initramfs");
	if (archive_write_close(a) != ARCHIVE_OK)
		return unpack_error(a, err, "write initramfs");
	return 0;
}
