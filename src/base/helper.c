/* SPDX-License-Identifier: MIT */
#include "base/helper.h"

#include "base/fs.h"
#include "base/str.h"

#include <errno.h>
#include <unistd.h>

/* The folder of each program in a build tree, so that one that is not installed finds its own. */
static const struct {
	const char *name, *build_dir;
} helpers[] = {
	{"slicer-agent", "agent"},
	{"slicer-image", "image"},
	{"slicer-monitor", "vmm"},
	{"slicer-netns", "net"},
};

static char *helper_in_build_tree(const char *name)
{
	cleanup_free char *exe = fs_self_exe();
	cleanup_free char *dir = exe ? fs_dirname(exe) : NULL;

	for (size_t i = 0; dir && i < ARRAY_LEN(helpers); i++) {
		cleanup_free char *path = str_fmt("%s/%s/%s", dir, helpers[i].build_dir, name);

		if (str_eq(helpers[i].name, name) && access(path, X_OK) == 0)
			return TAKE_PTR(path);
	}
	return NULL;
}

char *helper_path(const char *name, struct error **err)
{
	const char *dir = getenv("SLICER_LIBEXECDIR");
	char *path = dir ? NULL : helper_in_build_tree(name);

	if (!path)
		path = fs_join(dir ? dir : SLICER_LIBEXECDIR, name);
	if (access(path, X_OK) == 0)
		return path;
	error_errno(err, errno, "the program %s is missing (install slicer completely, or set SLICER_LIBEXECDIR)",
		    path);
	free(path);
	return NULL;
}
