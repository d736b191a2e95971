/* SPDX-License-Identifier: MIT */
/* slicer-image list, initramfs */
#include "image/commands.h"

#include "base/fs.h"
#include "base/str.h"
#include "disk/store.h"
#include "image/static_elf.h"
#include "image/hash.h"
#include "image/image_json.h"
#include "image/initramfs.h"
#include "image/kernel_file.h"
#include "image/recipe.h"
#include "image/report.h"
#include "image/writer.h"

struct json_object *image_to_json(const struct store_image *image)
{
	struct json_object *object = json_object_new_object();
	struct json_object *kernel = json_object_new_object();

	js_add_string(object, "name", image->name);
	js_add_string(object, "digest", image->digest);
	js_add_string(object, "rootfs", image->rootfs);
	js_add_u64(object, "size", image->size);
	js_add_string(object, "arch", image->arch);
	js_add_string(object, "created_at", image->created_at);
	js_add_string(object, "default_user", image->default_user);
	js_add_string(kernel, "release", image->kernel_release);
	js_add_string(kernel, "path", image->kernel);
	js_add_string(kernel, "modules", image->modules);
	js_add(object, "kernel", kernel);
	return object;
}

char *recipe_id(struct error **err)
{
	cleanup_free char *exe = fs_self_exe();

	return hash_file(exe ? exe : "/proc/self/exe", err);
}

/* A damaged image is listed with its error: it can still be removed or built again. */
static struct json_object *list_entry(const struct store *store, const char *name)
{
	cleanup_error struct error *damage = NULL;
	cleanup_store_image struct store_image *image = store_find_image(store, name, &damage);

	if (image)
		return image_to_json(image);
	struct json_object *object = json_object_new_object();
	js_add_string(object, "name", name);
	js_add_string(object, "error", error_message(damage));
	return object;
}

int command_list(const struct command_args *args, struct error **err)
{
	cleanup_store struct store *store = store_open(args->store, err);
	cleanup_strv char **names = NULL;

	if (!store || store_image_names(store, &names, err) < 0)
		return -1;
	struct json_object *result = json_object_new_object();
	struct json_object *images = json_object_new_array();
	for (size_t i = 0; names && names[i]; i++)
		json_object_array_add(images, list_entry(store, names[i]));
	js_add(result, "images", images);
	report_result(result);
	return 0;
}

static int build_initramfs(const struct command_args *args, const struct store_image *image, const char *path,
			   struct error **err)
{
	cleanup_writer struct writer w = WRITER_NONE;

	if (writer_open(&w, args->store, err) < 0)
		return -1;
	report_progress("initramfs", "packing the initramfs");
	return initramfs_build(&w, image, args->agent, path, err);
}

/* The image with another kernel, for this boot only: its record stays as it is. */
static int use_kernel_file(const struct command_args *args, struct store_image *image, bool *ret_built,
			   struct error **err)
{
	cleanup_writer struct writer w = WRITER_NONE;
	struct kernel kernel = {.release = NULL};
	int r = writer_open(&w, args->store, err);

	if (r == 0)
		r = kernel_file_ensure(&w, image, args->kernel, &kernel, ret_built, err);
	if (r == 0) {
		cleanup_free char *dir = writer_path(&w, kernel.path);
		store_image_set_kernel(image, kernel.release, kernel.key, dir);
	}
	kernel_clear(&kernel);
	return r;
}

int command_initramfs(const struct command_args *args, struct error **err)
{
	cleanup_store struct store *store = store_open(args->store, err);
	cleanup_store_image struct store_image *image = store ? store_find_image(store, args->name, err) : NULL;

	if (!image)
		return -1;
	if (elf_check_static_file(args->agent, err) < 0)
		return error_wrap(err, "the agent");
	bool kernel_built = false;
	if (args->kernel && use_kernel_file(args, image, &kernel_built, err) < 0)
		return -1;
	cleanup_free char *relative = initramfs_path(image, args->agent, err);
	if (!relative)
		return -1;
	cleanup_free char *path = fs_join(store_path(store), relative);
	bool cached = initramfs_touch(path);
	if (!cached && build_initramfs(args, image, relative, err) < 0)
		return error_wrap(err, "initramfs for image %s", args->name);

	struct json_object *result = image_to_json(image);
	js_add_string(result, "initramfs", path);
	js_add_bool(result, "cached", cached && !kernel_built);
	report_result(result);
	return 0;
}
