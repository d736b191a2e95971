/* SPDX-License-Identifier: MIT */
#include "host/image_kept.h"

#include <errno.h>
#include <fcntl.h>

#include "base/fs.h"
#include "base/helper.h"
#include "base/json.h"
#include "base/str.h"

static char *kept_name(const char *const *args)
{
	cleanup_strv char **words = NULL;

	strv_append(&words, "slicer-image");
	for (; *args; args++)
		strv_append(&words, *args);
	return strv_join(words, " ");
}

char *image_kept_stamp(const char *const *files)
{
	cleanup_strv char **all = NULL;
	cleanup_free char *exe = helper_path("slicer-image", NULL);

	if (!exe)
		return NULL;
	strv_append(&all, exe);
	for (; *files; files++)
		strv_append(&all, *files);
	return kept_stamp((const char *const *)all);
}

/* The oldest are removed when there are many (image/initramfs_store.c). */
static bool touch(const char *path)
{
	return utimensat(AT_FDCWD, path, NULL, 0) == 0 || (errno != ENOENT && fs_exists(path));
}

struct json_object *image_kept_get(const struct kept *kept, const char *const *args, const char *stamp)
{
	cleanup_free char *name = kept_name(args);
	const char *text = kept_get(kept, name, stamp), *path = NULL;
	cleanup_json struct json_object *result = text ? js_parse(text, strlen(text), NULL) : NULL;

	if (!result || js_get_string(result, "initramfs", &path, NULL) || !path || !touch(path))
		return NULL;
	return TAKE_PTR(result);
}

void image_kept_set(struct kept *kept, const char *const *args, const char *stamp, struct json_object *result)
{
	cleanup_free char *name = kept_name(args), *text = js_to_string(result);

	kept_set(kept, name, stamp, text);
}
