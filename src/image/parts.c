/* SPDX-License-Identifier: MIT */
#include "image/parts.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "base/units.h"
#include "disk/store.h"
#include "image/image_json.h"
#include "image/initramfs.h"
#include "image/report.h"

void image_parts_clear(struct image_parts *parts)
{
	free(parts->name);
	free(parts->recipe);
	free(parts->default_user);
	strv_free(&parts->include);
	strv_free(&parts->own_modules);
	free(parts->inputs);
	kernel_clear(&parts->kernel);
	free(parts->rootfs_hex);
	free(parts->rootfs_path);
	free(parts->busybox_path);
	*parts = (struct image_parts){0};
}

int image_parts_publish(const struct writer *w, const char *squashfs, const char *busybox, struct image_parts *parts,
			struct error **err)
{
	cleanup_free char *copy = writer_temp(w, "busybox.blob");
	cleanup_free char *hex = NULL;

	if (fs_copy_file(busybox, copy, 0755, err) < 0 ||
	    writer_publish_blob(w, copy, &hex, &parts->busybox_path, err) < 0)
		return -1;
	parts->built = true;
	return writer_publish_blob(w, squashfs, &parts->rootfs_hex, &parts->rootfs_path, err);
}

static int rootfs_size(const struct writer *w, const struct image_parts *parts, uint64_t *ret, struct error **err)
{
	cleanup_free char *path = writer_path(w, parts->rootfs_path);
	struct stat st;

	if (stat(path, &st) < 0)
		return error_errno(err, errno, "%s", path);
	*ret = (uint64_t)st.st_size;
	return 0;
}

static struct json_object *new_record(const struct image_parts *parts, uint64_t size)
{
	struct json_object *record = json_object_new_object();
	struct json_object *kernel = json_object_new_object();
	cleanup_free char *digest = str_fmt("sha256:%s", parts->rootfs_hex);
	cleanup_free char *now = time_rfc3339(clock_realtime_ns());
	struct utsname host;

	uname(&host);
	js_add_u64(record, "version", 1);
	js_add_string(record, "name", parts->name);
	js_add_string(record, "digest", digest);
	js_add_string(record, "rootfs", parts->rootfs_path);
	js_add_u64(record, "size", size);
	js_add_string(record, "busybox", parts->busybox_path);
	js_add_string(record, "arch", host.machine);
	js_add_string(record, "inputs", parts->inputs);
	js_add_string(record, "created_at", now);
	js_add_string(record, "default_user", parts->default_user);
	js_add_string(record, "recipe", parts->recipe);
	js_add_strv(record, "include", parts->include);
	js_add_strv(record, "modules", parts->own_modules);
	js_add_string(kernel, "release", parts->kernel.release);
	js_add_string(kernel, "key", parts->kernel.key);
	js_add_string(kernel, "path", parts->kernel.path);
	js_add(record, "kernel", kernel);
	return record;
}

int image_parts_record(const struct writer *w, const struct image_parts *parts, struct error **err)
{
	cleanup_free char *scratch = writer_temp(w, "image.json");
	cleanup_free char *path = str_fmt("images/%s/image.json", parts->name);
	uint64_t size = 0;

	if (rootfs_size(w, parts, &size, err) < 0)
		return -1;
	cleanup_json struct json_object *record = new_record(parts, size);
	cleanup_free char *text = js_to_string_pretty(record);
	if (fs_write_atomic(scratch, text, strlen(text), 0644, err) < 0)
		return -1;
	return writer_publish(w, scratch, path, err);
}

static int ensure_initramfs(const struct writer *w, const struct store_image *image, const char *agent,
			    struct image_parts *parts, char **ret_path, struct error **err)
{
	cleanup_free char *relative = initramfs_path(image, agent, err);

	if (!relative)
		return -1;
	*ret_path = writer_path(w, relative);
	if (initramfs_touch(*ret_path))
		return 0;
	report_progress("initramfs", "packing the initramfs");
	parts->built = true;
	return initramfs_build(w, image, agent, relative, err);
}

int image_parts_finish(const struct writer *w, struct image_parts *parts, const char *agent, int64_t start_ms,
		       struct error **err)
{
	cleanup_store struct store *store = store_open(w->store, err);
	cleanup_store_image struct store_image *image = store ? store_find_image(store, parts->name, err) : NULL;
	cleanup_free char *initramfs = NULL;

	if (!image || ensure_initramfs(w, image, agent, parts, &initramfs, err) < 0)
		return -1;
	struct json_object *result = image_to_json(image);
	js_add_string(result, "initramfs", initramfs);
	js_add_bool(result, "cached", !parts->built);
	js_add_i64(result, "duration_ms", clock_ms() - start_ms);
	report_result(result);
	return 0;
}
