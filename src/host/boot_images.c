/* SPDX-License-Identifier: MIT */
#include "host/boot_images.h"

#include "base/fs.h"
#include "base/helper.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "disk/store.h"
#include "host/image_kept.h"
#include "host/image_run.h"

static void images_progress(void *arg, const char *message)
{
	cleanup_free char *shown = str_escape(message, strlen(message));

	log_info("Image %s: %s", (const char *)arg, shown);
}

static int images_build(const char *store, const char *agent, const char *name, struct error **err)
{
	const char *const args[] = {"build", name, "--store", store, "--agent", agent, NULL};
	cleanup_json struct json_object *result = NULL;

	log_info("Building image %s (once; later starts find it)", name);
	result = image_run(args, images_progress, (void *)(uintptr_t)name, err);
	return result ? 0 : error_wrap(err, "build image %s", name);
}

static char *images_initramfs(const char *store, const char *agent, const char *name, struct kept *kept, struct error **err)
{
	const char *const args[] = {"initramfs", "--store", store, "--agent", agent, "--image", name, NULL};
	cleanup_free char *record = str_fmt("%s/images/%s/image.json", store, name);
	cleanup_free char *stamp = image_kept_stamp((const char *const[]){agent, record, NULL});
	cleanup_json struct json_object *result = image_kept_get(kept, args, stamp);
	const char *path = NULL;

	if (!result) {
		result = image_run(args, NULL, NULL, err);
		if (result)
			image_kept_set(kept, args, stamp, result);
	}
	if (!result || js_get_string(result, "initramfs", &path, err))
		return NULL;
	if (!path) {
		error_set(err, ERR_PROTOCOL, "slicer-image named no initramfs");
		return NULL;
	}
	return path[0] == '/' ? str_dup(path) : fs_join(store, path);
}

static bool images_can_build(const char *name)
{
	static const char *const names[] = {"micro", "debian"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(name, names[i]))
			return true;
	return false;
}

static int images_add(struct boot_images *b, const struct store *store, const char *name, struct kept *kept,
		      struct error **err)
{
	cleanup_free char *agent = helper_path("slicer-agent", err);
	cleanup_store_image struct store_image *image = NULL;
	cleanup_error struct error *missing = NULL;
	cleanup_free char *initrd = NULL;

	if (!agent)
		return -1;
	image = store_find_image(store, name, &missing);
	if (!image && missing->code == ERR_NOT_FOUND && images_can_build(name)) {
		if (images_build(store_path(store), agent, name, err))
			return -1;
		error_free(&missing);
		image = store_find_image(store, name, &missing);
	}
	if (!image)
		return error_move(err, &missing);
	initrd = images_initramfs(store_path(store), agent, name, kept, err);
	if (!initrd)
		return error_wrap(err, "initramfs for image %s", name);
	b->images[b->n++] = (struct manager_image){
		.name = str_dup(name),
		.digest = str_dup(image->digest),
		.rootfs = str_dup(image->rootfs),
		.kernel = str_dup(image->kernel),
		.initrd = TAKE_PTR(initrd),
	};
	return 0;
}

static bool images_have(const struct boot_images *b, const char *name)
{
	for (size_t i = 0; i < b->n; i++)
		if (str_eq(b->images[i].name, name))
			return true;
	return false;
}

int boot_images_prepare(const struct config *config, struct kept *kept, struct boot_images *ret, struct error **err)
{
	cleanup_free char *path = store_default_path(err);
	cleanup_store struct store *store = path ? store_open(path, err) : NULL;

	memset(ret, 0, sizeof(*ret));
	if (!store)
		return -1;
	ret->images = mem_alloc_array(config->ngroups + 1, sizeof(*ret->images));
	ret->templates = fs_join(store_path(store), "templates");
	for (size_t i = 0; i < config->ngroups; i++) {
		const char *name = config_group_image(config, &config->groups[i]);

		if (!images_have(ret, name) && images_add(ret, store, name, kept, err)) {
			boot_images_clear(ret);
			return -1;
		}
	}
	return 0;
}

void boot_images_clear(struct boot_images *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free((char *)b->images[i].name);
		free((char *)b->images[i].digest);
		free((char *)b->images[i].rootfs);
		free((char *)b->images[i].kernel);
		free((char *)b->images[i].initrd);
	}
	free(b->images);
	free(b->templates);
	memset(b, 0, sizeof(*b));
}
