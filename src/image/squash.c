/* SPDX-License-Identifier: MIT */
#include "image/squash.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"
#include "image/tool.h"
#include "image/tree.h"

#define TIMEOUT_MS (10 * 60 * 1000)

/* zstd at level 3 is a third smaller than lz4 and takes half a second for a kernel's modules. */
static const char *const common[] = {"-noappend",
				     "-quiet",
				     "-no-progress",
				     "-exit-on-error",
				     "-no-recovery",
				     "-comp",
				     "zstd",
				     "-Xcompression-level",
				     "3",
				     "-root-mode",
				     "0755",
				     "-root-uid",
				     "0",
				     "-root-gid",
				     "0"};

static const char *const times[] = {"-all-time", "-mkfs-time", "-root-time"};

#define PROGRAM "mksquashfs"
#define PACKAGE "squashfs-tools"
#define IN_WORK "made.squashfs"
#define SIZE_MAX_OF_ONE ((uint64_t)128 << 30)

int squash_check(struct error **err)
{
	cleanup_free char *path = proc_find_program(PROGRAM);

	return path ? 0 : tool_missing(PROGRAM, PACKAGE, err);
}

struct squash_input {
	const char *source;	 /* as mksquashfs takes it: "-" for stdin */
	int fd;			 /* stdin; -1: none */
	const struct work *work; /* where it runs; NULL: it needs no confinement */
	bool as_root;		 /* under the id 0 of a namespace where the real one is another */
};

static int run(const struct squash_input *in, const struct tool *tool, const char *to, struct error **err)
{
	if (!in->work)
		return tool_run(tool, NULL, err);
	return work_run(in->work, tool, NULL, err) < 0 ? -1 : work_take(in->work, IN_WORK, to, SIZE_MAX_OF_ONE, err);
}

static int squash(const struct squash_input *in, const char *to, char *const *more, struct error **err)
{
	cleanup_strv char **argv = NULL;

	if (in->as_root && geteuid() != 0) {
		strv_append(&argv, "unshare");
		strv_append(&argv, "--map-root-user");
	}
	strv_append(&argv, PROGRAM);
	strv_append(&argv, in->source);
	strv_append(&argv, in->work ? IN_WORK : to);
	for (size_t i = 0; i < ARRAY_LEN(common); i++)
		strv_append(&argv, common[i]);
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		strv_append(&argv, times[i]);
		strv_append_fmt(&argv, "%d", TREE_TIME);
	}
	for (size_t i = 0; more[i]; i++)
		strv_append(&argv, more[i]);

	struct tool tool = {
		.argv = (const char *const *)argv, .package = PACKAGE, .input = in->fd, .timeout_ms = TIMEOUT_MS};
	if (fs_unlink(to, err) < 0)
		return -1;
	return run(in, &tool, to, err);
}

int squash_dir(const struct work *work, const char *from, const char *to, struct error **err)
{
	char no_xattrs[] = "-no-xattrs", all_root[] = "-all-root";
	struct squash_input in = {.source = from, .fd = -1, .work = work};

	return squash(&in, to, (char *[]){no_xattrs, all_root, NULL}, err);
}

int squash_tar(const struct writer *w, const char *tar, const char *to, struct error **err)
{
	cleanup_work struct work work = WORK_NONE;
	cleanup_close int fd = open(tar, O_RDONLY | O_CLOEXEC);
	struct squash_input in = {.source = "-", .fd = fd, .as_root = true, .work = &work};
	char option[] = "-tar", exports[] = "-exports"; /* overlayfs needs it for index=on */

	if (fd < 0)
		return error_errno(err, errno, "open %s", tar);
	if (work_open(&work, w, "pack", err) < 0)
		return -1;
	return squash(&in, to, (char *[]){option, exports, NULL}, err);
}

/* By its fd, because who runs it cannot reach its path. */
int squash_unpack(const struct work *work, const char *squashfs, const char *to, const char *const *paths,
		  struct error **err)
{
	static const char *const fixed[] = {"unsquashfs", "-quiet", "-no-progress", "-no-xattrs", "-d", NULL};
	cleanup_close int fd = open(squashfs, O_RDONLY | O_CLOEXEC);
	cleanup_strv char **argv = strv_copy((char *const *)(uintptr_t)fixed);

	if (fd < 0)
		return error_errno(err, errno, "open %s", squashfs);
	strv_append(&argv, to);
	strv_append(&argv, "/proc/self/fd/0");
	for (; paths && *paths; paths++)
		strv_append(&argv, *paths);
	struct tool tool = {
		.argv = (const char *const *)argv, .package = PACKAGE, .input = fd, .timeout_ms = TIMEOUT_MS};
	return work_run(work, &tool, NULL, err) < 0 ? -1 : work_keep_plain_files(work, err);
}

void stage_clear(struct stage *stage)
{
	strv_free(&stage->pseudo);
}

static void set_owner(struct stage *stage, const struct staged *entry)
{
	strv_append_fmt(&stage->pseudo, "%s m %o %u %u", entry->path, (unsigned)entry->mode, (unsigned)entry->uid,
			(unsigned)entry->gid);
}

int stage_dir(struct stage *stage, const struct staged *entry, struct error **err)
{
	cleanup_free char *path = fs_join(stage->dir, entry->path);

	set_owner(stage, entry);
	return fs_mkdir_p(path, 0755, err);
}

int stage_data(struct stage *stage, const struct staged *entry, const void *data, size_t n, struct error **err)
{
	cleanup_free char *path = fs_join(stage->dir, entry->path);

	set_owner(stage, entry);
	return fs_write_atomic(path, data, n, 0644, err);
}

int stage_file(struct stage *stage, const struct staged *entry, const char *from, struct error **err)
{
	cleanup_free char *path = fs_join(stage->dir, entry->path);

	set_owner(stage, entry);
	return fs_copy_file(from, path, 0644, err);
}

void stage_link(struct stage *stage, const char *path, const char *target)
{
	strv_append_fmt(&stage->pseudo, "%s s 777 0 0 %s", path, target);
}

int squash_stage(const struct stage *stage, const char *to, struct error **err)
{
	cleanup_free char *lines = strv_join(stage->pseudo, "\n");
	cleanup_free char *text = str_fmt("%s\n", lines);
	cleanup_free char *pseudo = str_fmt("%s.pseudo", stage->dir);
	char no_xattrs[] = "-no-xattrs", option[] = "-pf";
	struct squash_input in = {.source = stage->dir, .fd = -1};

	if (fs_write_atomic(pseudo, text, strlen(text), 0600, err) < 0)
		return -1;
	return squash(&in, to, (char *[]){no_xattrs, option, pseudo, NULL}, err);
}
