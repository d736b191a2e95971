/* SPDX-License-Identifier: MIT */
#include "image/squash.h"

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
				     "-no-xattrs",
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

int squash_check(struct error **err)
{
	cleanup_free char *path = proc_find_program(PROGRAM);

	return path ? 0 : tool_missing(PROGRAM, PACKAGE, err);
}

static int squash(const char *source, const char *to, char *const *more, struct error **err)
{
	cleanup_strv char **argv = NULL;

	strv_append(&argv, PROGRAM);
	strv_append(&argv, source);
	strv_append(&argv, to);
	for (size_t i = 0; i < ARRAY_LEN(common); i++)
		strv_append(&argv, common[i]);
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		strv_append(&argv, times[i]);
		strv_append_fmt(&argv, "%d", TREE_TIME);
	}
	for (size_t i = 0; more[i]; i++)
		strv_append(&argv, more[i]);

	struct tool tool = {.argv = (const char *const *)argv,
			    .package = PACKAGE,
			    .input = -1,
			    .timeout_ms = TIMEOUT_MS};
	if (fs_unlink(to, err) < 0)
		return -1;
	return tool_run(&tool, NULL, err);
}

int squash_dir(const char *from, const char *to, struct error **err)
{
	char all_root[] = "-all-root";

	return squash(from, to, (char *[]){all_root, NULL}, err);
}

void stage_clear(struct stage *stage)
{
	strv_free(&stage->pseudo);
}

static void set_owner(struct stage *stage, const struct staged *entry)
{
	strv_append_fmt(&stage->pseudo, "%s m %o %u %u", entry->path, (unsigned)entry->mode,
			(unsigned)entry->uid, (unsigned)entry->gid);
}

int stage_dir(struct stage *stage, const struct staged *entry, struct error **err)
{
	cleanup_free char *path = fs_join(stage->dir, entry->path);

	set_owner(stage, entry);
	return fs_mkdir_p(path, 0755, err);
}

int stage_data(struct stage *stage, const struct staged *entry, const void *data, size_t n,
	       struct error **err)
{
	cleanup_free char *path = fs_join(stage->dir, entry->path);

	set_owner(stage, entry);
	return fs_write_atomic(path, data, n, 0644, err);
}

int stage_file(struct stage *stage, const struct staged *entry, const char *from,
	       struct error **err)
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
	char option[] = "-pf";

	if (fs_write_atomic(pseudo, text, strlen(text), 0600, err) < 0)
		return -1;
	return squash(stage->dir, to, (char *[]){option, pseudo, NULL}, err);
}
