/* SPDX-License-Identifier: MIT */
#include "image/debian_overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "image/embedded.h"
#include "image/squash.h"
#include "image/tree.h"
#include "image/unpack.h"

#define MODULES "usr/lib/modules"

static const struct tree_entry directories[] = {
	{"etc/ssh/sshd_config.d", 0755, 0, 0},
	{"etc/systemd/journald.conf.d", 0755, 0, 0},
	{"etc/systemd/system/ssh.service.wants", 0755, 0, 0},
	{"usr/local/libexec", 0755, 0, 0},
	{MODULES, 0755, 0, 0},
};

static const struct {
	struct tree_entry entry;
	const char *source; /* name below src/image/debian/ */
} texts[] = {
	{{"etc/default/locale", 0644, 0, 0}, "locale"},
	{{"etc/locale.conf", 0644, 0, 0}, "locale"},
	{{"etc/ssh/sshd_config.d/slicer.conf", 0644, 0, 0}, "sshd.conf"},
	{{"etc/sudoers.d/slicer", 0440, 0, 0}, "sudoers"},
	{{"etc/systemd/journald.conf.d/slicer.conf", 0644, 0, 0}, "journald.conf"},
	{{"etc/systemd/system/ssh-hostkeys.service", 0644, 0, 0}, "ssh-hostkeys.service"},
	{{"usr/local/libexec/ssh-hostkeys", 0755, 0, 0}, "ssh-hostkeys"},
};

static const struct {
	const char *path;
	const char *target;
} links[] = {
	{"etc/systemd/system/ssh.service.wants/ssh-hostkeys.service", "../ssh-hostkeys.service"},
};

static int add_fixed(struct archive *a, struct error **err)
{
	for (size_t i = 0; i < ARRAY_LEN(directories); i++)
		if (tree_add_dir(a, &directories[i], err) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const struct embedded_file *file = embedded_find(texts[i].source);
		if (!file)
			return error_set(err, ERR_INTERNAL, "debian/%s is not in this program", texts[i].source);
		if (tree_add_data(a, &texts[i].entry, file->data, file->size, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		if (tree_add_link(a, links[i].path, links[i].target, err) < 0)
			return -1;
	return 0;
}

/* The public names, whatever mirror of this host the image is made from. */
static int add_sources(struct archive *a, const char *codename, struct error **err)
{
	const struct tree_entry entry = {"etc/apt/sources.list", 0644, 0, 0};
	cleanup_free char *text = str_fmt("deb http://deb.debian.org/debian %s main\n"
					  "deb http://deb.debian.org/debian %s-updates main\n"
					  "deb http://deb.debian.org/debian-security %s-security main\n",
					  codename, codename, codename);

	return tree_add_data(a, &entry, text, strlen(text), err);
}

static int add_module_entry(struct archive *a, const FTSENT *e, const char *path, struct error **err)
{
	if (e->fts_info == FTS_D)
		return tree_add_dir(a, &(struct tree_entry){.path = path, .mode = 0755}, err);
	if (e->fts_info == FTS_F)
		return tree_add_file(a, &(struct tree_entry){.path = path, .mode = 0644}, e->fts_path, err);
	if (e->fts_info == FTS_ERR || e->fts_info == FTS_DNR || e->fts_info == FTS_NS)
		return error_errno(err, e->fts_errno, "read %s", e->fts_path);
	return 0; /* links `build` and `source` lead out of the image */
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int add_module_tree(struct archive *a, const char *dir, const char *release, struct error **err)
{
	char *const roots[] = {(char *)(uintptr_t)dir, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	int r = 0;

	if (!fts)
		return error_errno(err, errno, "read %s", dir);
	for (FTSENT *e; r == 0 && (e = fts_read(fts));) {
		cleanup_free char *path = str_fmt(MODULES "/%s%s", release, e->fts_path + strlen(dir));
		r = add_module_entry(a, e, path, err);
	}
	fts_close(fts);
	return r;
}

static int add_modules(struct archive *a, const struct recipe_input *in, struct error **err)
{
	cleanup_free char *kernel = writer_path(in->w, in->kernel->path);
	cleanup_free char *squashfs = fs_join(kernel, "modules.squashfs");
	cleanup_work struct work work = WORK_NONE;

	if (work_open(&work, in->w, "modules", err) < 0)
		return -1;
	cleanup_free char *dir = fs_join(work.dir, "root");
	if (squash_unpack(&work, squashfs, "root", NULL, err) < 0 ||
	    add_module_tree(a, dir, in->kernel->release, err) < 0)
		return error_wrap(err, "modules of kernel %s", in->kernel->release);
	return work_close(&work, err);
}

int debian_overlay(const struct recipe_input *in, const char *codename, const char *tar, struct error **err)
{
	cleanup_archive struct archive *a = archive_write_new();
	cleanup_close int fd = open(tar, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return error_errno(err, errno, "create %s", tar);
	archive_write_set_format_pax_restricted(a);
	archive_write_add_filter_none(a);
	if (archive_write_open_fd(a, fd) != ARCHIVE_OK)
		return unpack_error(a, err, "write %s", tar);
	if (add_fixed(a, err) < 0 || add_sources(a, codename, err) < 0 || add_modules(a, in, err) < 0)
		return -1;
	if (archive_write_close(a) != ARCHIVE_OK)
		return unpack_error(a, err, "write %s", tar);
	return 0;
}
