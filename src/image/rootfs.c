/* SPDX-License-Identifier: MIT */
#include "image/rootfs.h"

#include "base/fs.h"
#include "base/str.h"
#include "image/embedded.h"
#include "image/squash.h"
#include "image/work.h"

#define USER_ID 1000
#define SHADOW_GID 42
#define LIST_TIMEOUT_MS 10000
#define APPLET_MAX 32
/* The names become lines for mksquashfs, whose other kinds of lines run programs. */
#define APPLET_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.["

static const struct staged directories[] = {
	{"usr", 0755, 0, 0},
	{"usr/bin", 0755, 0, 0},
	{"usr/sbin", 0755, 0, 0},
	{"usr/lib", 0755, 0, 0},
	{"usr/lib/modules", 0755, 0, 0},
	{"usr/share", 0755, 0, 0},
	{"usr/local", 0755, 0, 0},
	{"usr/local/bin", 0755, 0, 0},
	{"usr/local/sbin", 0755, 0, 0},
	{"usr/local/lib", 0755, 0, 0},
	{"usr/local/share", 0755, 0, 0},
	{"boot", 0755, 0, 0},
	{"dev", 0755, 0, 0},
	{"proc", 0555, 0, 0},
	{"sys", 0555, 0, 0},
	{"run", 0755, 0, 0},
	{"tmp", 01777, 0, 0},
	{"etc", 0755, 0, 0},
	{"etc/profile.d", 0755, 0, 0},
	{"etc/udhcpc", 0755, 0, 0},
	{"home", 0755, 0, 0},
	{"home/ubuntu", 0755, USER_ID, USER_ID},
	{"root", 0700, 0, 0},
	{"media", 0755, 0, 0},
	{"mnt", 0755, 0, 0},
	{"opt", 0755, 0, 0},
	{"srv", 0755, 0, 0},
	{"var", 0755, 0, 0},
	{"var/cache", 0755, 0, 0},
	{"var/lib", 0755, 0, 0},
	{"var/log", 0755, 0, 0},
	{"var/spool", 0755, 0, 0},
	{"var/tmp", 01777, 0, 0},
};

static const struct {
	struct staged entry;
	const char *source; /* name below src/image/micro/ */
} texts[] = {
	{{"etc/passwd", 0644, 0, 0}, "passwd"},
	{{"etc/group", 0644, 0, 0}, "group"},
	{{"etc/shadow", 0640, 0, SHADOW_GID}, "shadow"},
	{{"etc/shells", 0644, 0, 0}, "shells"},
	{{"etc/hosts", 0644, 0, 0}, "hosts"},
	{{"etc/os-release", 0644, 0, 0}, "os-release"},
	{{"etc/profile", 0644, 0, 0}, "profile"},
	{{"etc/bash.bashrc", 0644, 0, 0}, "bashrc"},
	{{"etc/udhcpc/default.script", 0755, 0, 0}, "udhcpc.script"},
	{{"usr/bin/sudo", 0755, 0, 0}, "sudo"},
};

/* sh is bash: busybox's own runs its applets without looking at PATH, so its `su` would lack the
 * setuid bit and its `wget` would be back. */
static const struct {
	const char *path;
	const char *target;
} links[] = {
	{"bin", "usr/bin"},
	{"sbin", "usr/sbin"},
	{"lib", "usr/lib"},
	{"usr/bin/sh", "bash"},
	{"etc/mtab", "/proc/self/mounts"},
	{"var/run", "/run"},
	{"var/lock", "/run/lock"},
};

/* wget of Debian's static busybox crashes on host names; an init would be started instead of the
 * agent's own. */
static const char *const no_links[] = {"busybox", "bash", "sh", "su", "sudo", "init", "linuxrc", "wget"};

static bool wants_link(const char *name)
{
	if (!*name || strlen(name) > APPLET_MAX || name[strspn(name, APPLET_CHARACTERS)])
		return false;
	for (size_t i = 0; i < ARRAY_LEN(no_links); i++)
		if (str_eq(name, no_links[i]))
			return false;
	return true;
}

char **rootfs_applet_links(const char *list)
{
	cleanup_strv char **lines = strv_split(list, '\n');
	char **paths = NULL;

	for (size_t i = 0; lines[i]; i++) {
		char *slash = strrchr(lines[i], '/');
		if (!slash || !wants_link(slash + 1))
			continue;
		*slash = '\0';
		cleanup_free char *path = str_fmt("usr/%s/%s", str_ends(lines[i], "sbin") ? "sbin" : "bin", slash + 1);
		if (!strv_contains(paths, path))
			strv_append(&paths, path);
	}
	return paths;
}

/* The program may have come from elsewhere: such a one cannot be reached where it lies. This host's own is run in its place, since
 * a store may be mounted noexec. */
static int list_applets(const struct writer *w, const char *busybox, char **ret, struct error **err)
{
	const char *const argv[] = {"busybox", "--list-full", NULL};
	struct tool tool = {.argv = argv, .exe = busybox, .input = -1, .timeout_ms = LIST_TIMEOUT_MS};
	cleanup_work struct work work = WORK_NONE;

	if (work_open(&work, w, "busybox", err) < 0)
		return -1;
	cleanup_free char *copy = fs_join(work.dir, "busybox");
	if (str_starts(busybox, w->tmp)) {
		if (fs_copy_file(busybox, copy, 0755, err) < 0)
			return -1;
		tool.exe = "./busybox";
	}
	if (work_run(&work, &tool, ret, err) < 0)
		return -1;
	return work_close(&work, err);
}

static int add_applets(const struct writer *w, struct stage *stage, const char *busybox, struct error **err)
{
	cleanup_free char *list = NULL;

	if (list_applets(w, busybox, &list, err) < 0)
		return -1;
	cleanup_strv char **paths = rootfs_applet_links(list);
	if (!paths)
		return error_set(err, ERR_UNSUPPORTED, "%s --list-full names no applets", busybox);
	for (size_t i = 0; paths[i]; i++)
		stage_link(stage, paths[i], str_starts(paths[i], "usr/sbin/") ? "../bin/busybox" : "busybox");
	return 0;
}

static int add_fixed(struct stage *stage, struct error **err)
{
	for (size_t i = 0; i < ARRAY_LEN(directories); i++)
		if (stage_dir(stage, &directories[i], err) < 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(links); i++)
		stage_link(stage, links[i].path, links[i].target);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const struct embedded_file *file = embedded_find(texts[i].source);
		if (!file)
			return error_set(err, ERR_INTERNAL, "micro/%s is not in this program", texts[i].source);
		if (stage_data(stage, &texts[i].entry, file->data, file->size, err) < 0)
			return -1;
	}
	return 0;
}

/* su is a copy of busybox because the setuid bit must not be on all applets. */
static int add_programs(const struct writer *w, struct stage *stage, const struct rootfs_programs *programs,
			struct error **err)
{
	const struct {
		struct staged entry;
		const char *from;
	} files[] = {
		{{"usr/bin/busybox", 0755, 0, 0}, programs->busybox},
		{{"usr/bin/su", 04755, 0, 0}, programs->busybox},
		{{"usr/bin/bash", 0755, 0, 0}, programs->bash},
	};

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (stage_file(stage, &files[i].entry, files[i].from, err) < 0)
			return -1;
	return add_applets(w, stage, programs->busybox, err);
}

int rootfs_build(const struct writer *w, const struct rootfs_programs *programs, const char *to, struct error **err)
{
	cleanup_free char *scratch = writer_temp(w, "rootfs");
	struct stage stage = {.dir = scratch};
	int r = fs_mkdir_p(scratch, 0755, err);

	if (r == 0)
		r = add_fixed(&stage, err);
	if (r == 0)
		r = add_programs(w, &stage, programs, err);
	if (r == 0)
		r = squash_stage(&stage, to, err);
	stage_clear(&stage);
	return r < 0 ? error_wrap(err, "root filesystem") : 0;
}
