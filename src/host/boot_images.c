/* SPDX-License-Identifier: MIT */
#include "host/boot_images.h"

#include "base/fs.h"
#include "base/helper.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "disk/store_users.h"
#include "host/image_kept.h"
#include "host/image_progress.h"

/* A run of slicer-image that says how far it is, and may be interrupted. */
static struct json_object *images_run(const char *const *args, const char *name, struct error **err)
{
	struct image_progress progress = {.name = name};
	struct json_object *result = image_run(
		&(struct image_run){
			.args = args, .progress = image_progress_show, .arg = &progress, .interruptible = true},
		err);

	image_progress_end(&progress);
	return result;
}

static int images_build(const char *store, const char *agent, const char *name, struct error **err)
{
	const char *const args[] = {"build", name, "--store", store, "--agent", agent, NULL};
	cleanup_json struct json_object *result = NULL;

	log_info("Building image %s (once; later starts find it)", name);
	result = images_run(args, name, err); /* an error says which image it is of */
	return result ? 0 : -1;
}

/* Makes it ready for the present agent and, where one is given, a kernel of the user's own; then *image boots that. */
static char *images_initramfs(const char *agent, const char *kernel_file, struct store_image *image, const char *store,
			      struct kept *kept, struct error **err)
{
	const char *const args[] = {"initramfs", "--store", store,	 "--agent",
				    agent,	 "--image", image->name, kernel_file ? "--kernel" : NULL,
				    kernel_file, NULL};
	cleanup_free char *record = str_fmt("%s/images/%s/image.json", store, image->name);
	cleanup_free char *stamp = image_kept_stamp((const char *const[]){agent, record, kernel_file, NULL});
	cleanup_json struct json_object *result = image_kept_get(kept, args, stamp);
	const char *path = NULL, *release = NULL, *vmlinux = NULL;
	struct json_object *kernel = NULL;

	if (!result) {
		result = images_run(args, image->name, err);
		if (result)
			image_kept_set(kept, args, stamp, result);
	}
	if (!result || js_get_string(result, "initramfs", &path, err) ||
	    js_get_object(result, "kernel", &kernel, err) || js_get_string(kernel, "release", &release, err) ||
	    js_get_string(kernel, "path", &vmlinux, err))
		return NULL;
	if (!path || !release || !vmlinux) {
		error_set(err, ERR_PROTOCOL, "slicer-image named no initramfs or kernel");
		return NULL;
	}
	if (!str_eq(vmlinux, image->kernel)) {
		cleanup_free char *dir = fs_dirname(vmlinux);

		store_image_set_kernel(image, release, "", dir);
		log_info("Kernel: %s boots image %s (%s)", kernel_file ? kernel_file : vmlinux, image->name, release);
	}
	return str_dup(path);
}

static bool images_can_build(const char *name)
{
	static const char *const names[] = {"micro", "debian"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(name, names[i]))
			return true;
	return false;
}

static struct store_image *images_find(const struct store *store, const char *agent, const char *name,
				       struct error **err)
{
	cleanup_error struct error *missing = NULL;
	struct store_image *image = store_find_image(store, name, &missing);

	if (image)
		return image;
	if (missing->code != ERR_NOT_FOUND || !images_can_build(name)) {
		error_move(err, &missing);
		return NULL;
	}
	return images_build(store_path(store), agent, name, err) ? NULL : store_find_image(store, name, err);
}

static void images_take_lock(struct boot_images *b, int fd)
{
	b->locks = mem_realloc(b->locks, (b->nlocks + 1) * sizeof(*b->locks));
	b->locks[b->nlocks++] = fd;
}

static int images_lock(struct boot_images *b, const char *path, struct error **err)
{
	int fd = store_lock_shared(path, err);

	if (fd < 0)
		return -1;
	images_take_lock(b, fd);
	return 0;
}

/* What is found is what is locked: it may have been removed, or built anew, in between. */
static struct store_image *images_hold(struct boot_images *b, const struct store *store, const char *agent,
				       const char *name, struct error **err)
{
	cleanup_free char *directory = str_fmt("%s/images/%s", store_path(store), name);

	for (;;) {
		cleanup_error struct error *why = NULL;
		cleanup_close int fd = store_lock_shared(directory, &why);
		cleanup_store_image struct store_image *image = NULL;

		if (fd < 0 && why->code != ERR_NOT_FOUND) {
			error_move(err, &why);
			return NULL;
		}
		image = images_find(store, agent, name, err);
		if (!image)
			return NULL;
		if (fd < 0 || !store_lock_holds(fd, directory))
			continue;
		images_take_lock(b, TAKE_FD(fd));
		return images_lock(b, image->rootfs, err) ? NULL : TAKE_PTR(image);
	}
}

/* An archive, or a kernel of the user's own, may be collected before it is locked: once it has to be made again then. *ret: the
 * caller's. */
static int images_boot(struct boot_images *b, const char *agent, const char *kernel_file, struct store_image *image,
		       const char *store, struct kept *kept, char **ret, struct error **err)
{
	for (bool again = false;; again = true) {
		cleanup_free char *initrd = images_initramfs(agent, kernel_file, image, store, kept, err);
		cleanup_error struct error *why = NULL;

		if (!initrd)
			return error_wrap(err, "image %s", image->name);
		if (!images_lock(b, image->kernel_dir, &why) && !images_lock(b, initrd, &why)) {
			*ret = TAKE_PTR(initrd);
			return 0;
		}
		if (again || why->code != ERR_NOT_FOUND)
			return error_move(err, &why);
	}
}

static int images_add(struct boot_images *b, const struct store *store, const char *name, const char *kernel_file,
		      struct kept *kept, struct error **err)
{
	cleanup_free char *agent = helper_path("slicer-agent", err);
	cleanup_store_image struct store_image *image = agent ? images_hold(b, store, agent, name, err) : NULL;
	cleanup_free char *initrd = NULL;

	if (!image || images_boot(b, agent, kernel_file, image, store_path(store), kept, &initrd, err))
		return -1;
	b->images[b->n++] = (struct manager_image){
		.name = str_dup(name),
		.digest = str_dup(image->digest),
		.rootfs = str_dup(image->rootfs),
		.kernel = str_dup(image->kernel),
		.initrd = TAKE_PTR(initrd),
		.modules = strv_contains(image->own_modules, image->kernel_release) ? NULL : str_dup(image->modules),
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

int boot_images_prepare(const struct config *config, const struct daemon_paths *paths, struct kept *kept,
			struct boot_images *ret, struct error **err)
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

		if (images_have(ret, name))
			continue;
		if (images_add(ret, store, name, config->kernel_file, kept, err)) {
			boot_images_clear(ret);
			return -1;
		}
	}
	if (store_add_user(store, paths->id, paths->state, err)) {
		boot_images_clear(ret);
		return -1;
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
		free((char *)b->images[i].modules);
	}
	for (size_t i = 0; i < b->nlocks; i++)
		fd_closep(&b->locks[i]);
	free(b->locks);
	free(b->images);
	free(b->templates);
	memset(b, 0, sizeof(*b));
}
