/* SPDX-License-Identifier: MIT */
#include "host/boot_images.h"

#include "base/fs.h"
#include "base/helper.h"
#include "base/json.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "disk/store.h"

enum { BUILD_LIMIT_MS = 15 * 60 * 1000, OUTPUT_LIMIT = 4 * 1024 * 1024 };

/* The last line is the result, or an error that says more than the exit status. */
static struct json_object *images_last_line(const char *out, size_t n, struct error **err)
{
	struct json_object *obj;
	const char *line, *type = NULL, *message = NULL;

	while (n > 0 && out[n - 1] == '\n')
		n--;
	line = memrchr(out, '\n', n);
	line = line ? line + 1 : out;
	obj = js_parse(line, n - (size_t)(line - out), err);
	if (!obj || js_get_string(obj, "type", &type, err) || js_get_string(obj, "message", &message, err)) {
		js_put(&obj);
		return NULL;
	}
	if (str_eq(type, "error")) {
		error_set(err, ERR_IO, "%s", message ? message : "slicer-image failed");
		js_put(&obj);
		return NULL;
	}
	return obj;
}

static struct json_object *images_run(const char *const *args, struct error **err)
{
	cleanup_free char *exe = helper_path("slicer-image", err);
	cleanup_error struct error *failure = NULL;
	struct proc_result result = {0};
	struct json_object *obj = NULL;
	cleanup_strv char **argv = NULL;
	int r;

	if (!exe)
		return NULL;
	strv_append(&argv, exe);
	for (; *args; args++)
		strv_append(&argv, *args);
	r = proc_run(argv, NULL, OUTPUT_LIMIT, BUILD_LIMIT_MS, &result, &failure);
	if (result.out && result.out_len > 0)
		obj = images_last_line(result.out, result.out_len, err);
	else if (r)
		error_move(err, &failure);
	else
		error_set(err, ERR_PROTOCOL, "slicer-image gave no result");
	proc_result_clear(&result);
	return obj;
}

static int images_build(const char *store, const char *agent, const char *name, struct error **err)
{
	const char *const args[] = {"build", name, "--store", store, "--agent", agent, NULL};
	cleanup_json struct json_object *result = NULL;

	log_info("Building image %s (once; later starts find it)", name);
	result = images_run(args, err);
	return result ? 0 : error_wrap(err, "build image %s", name);
}

static char *images_initramfs(const char *store, const char *agent, const char *name, struct error **err)
{
	const char *const args[] = {"initramfs", "--store", store, "--agent", agent, "--image", name, NULL};
	cleanup_json struct json_object *result = images_run(args, err);
	const char *path = NULL;

	if (!result || js_get_string(result, "initramfs", &path, err))
		return NULL;
	if (!path) {
		error_set(err, ERR_PROTOCOL, "slicer-image named no initramfs");
		return NULL;
	}
	return path[0] == '/' ? str_dup(path) : fs_join(store, path);
}

static int images_add(struct boot_images *b, const struct store *store, const char *name, struct error **err)
{
	cleanup_free char *agent = helper_path("slicer-agent", err);
	cleanup_store_image struct store_image *image = NULL;
	cleanup_error struct error *missing = NULL;
	cleanup_free char *initrd = NULL;

	if (!agent)
		return -1;
	image = store_find_image(store, name, &missing);
	if (!image && missing->code == ERR_NOT_FOUND && str_eq(name, CONFIG_DEFAULT_IMAGE)) {
		if (images_build(store_path(store), agent, name, err))
			return -1;
		error_free(&missing);
		image = store_find_image(store, name, &missing);
	}
	if (!image)
		return error_move(err, &missing);
	initrd = images_initramfs(store_path(store), agent, name, err);
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

int boot_images_prepare(const struct config *config, struct boot_images *ret, struct error **err)
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

		if (!images_have(ret, name) && images_add(ret, store, name, err)) {
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
