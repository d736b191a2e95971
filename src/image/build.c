/* SPDX-License-Identifier: MIT */
/* slicer-image build: the steps that all recipes have in common. */
#include "image/commands.h"

#include <sys/stat.h>
#include <sys/utsname.h>
#include <errno.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "base/units.h"
#include "disk/store.h"
#include "image/static_elf.h"
#include "image/hash.h"
#include "image/image_json.h"
#include "image/initramfs.h"
#include "image/recipe.h"
#include "image/report.h"
#include "image/source.h"
#include "image/squash.h"
#include "image/writer.h"

static const struct recipe *const recipes[] = {&recipe_micro, &recipe_debian};

struct build {
	const struct recipe *recipe;
	struct source busybox;
	struct kernel_source kernel_source;
	char *inputs; /* hex sha256 over what the root filesystem is made from */
	struct kernel kernel;
	char *rootfs_hex;
	char *rootfs_path;
	char *busybox_path;
	bool built; /* something was made */
};

static void build_clear(struct build *b)
{
	source_clear(&b->busybox);
	kernel_source_clear(&b->kernel_source);
	kernel_clear(&b->kernel);
	free(b->inputs);
	free(b->rootfs_hex);
	free(b->rootfs_path);
	free(b->busybox_path);
}
#define cleanup_build __attribute__((cleanup(build_clear)))

static int find_recipe(const char *name, const struct recipe **ret, struct error **err)
{
	cleanup_strv char **names = NULL;

	for (size_t i = 0; i < ARRAY_LEN(recipes); i++) {
		if (str_eq(name, recipes[i]->name)) {
			*ret = recipes[i];
			return 0;
		}
		strv_append_fmt(&names, "\"%s\"", recipes[i]->name);
	}
	cleanup_free char *known = strv_join(names, " and ");
	return error_set(err, ERR_INVALID, "there is no recipe for image \"%s\": %s can be built",
			 name, known);
}

static int resolve_inputs(struct build *b, struct error **err)
{
	report_progress("resolve", "looking for what image %s is made from", b->recipe->name);
	if (squash_check(err) < 0 || source_resolve(&program_busybox, &b->busybox, err) < 0)
		return -1;
	cleanup_free char *id = b->recipe->identify(err);
	if (!id || kernel_source_resolve(&b->kernel_source, err) < 0)
		return -1;
	cleanup_free char *program = recipe_id(err);
	if (!program)
		return -1;
	const char *kernel = b->recipe->has_modules ? b->kernel_source.key : "";
	const char *const parts[] = {program, b->busybox.id, id, kernel, NULL};
	b->inputs = hash_strings(parts);
	return 0;
}

static int build_rootfs(const struct writer *w, struct build *b, struct error **err)
{
	cleanup_free char *busybox = source_fetch(&program_busybox, &b->busybox, w, err);
	cleanup_free char *squashfs = writer_temp(w, "rootfs.squashfs");
	cleanup_free char *copy = writer_temp(w, "busybox.blob");
	cleanup_free char *hex = NULL;

	if (!busybox)
		return -1;
	struct recipe_input in = {.w = w, .busybox = busybox, .kernel = &b->kernel};
	if (b->recipe->make(&in, squashfs, err) < 0 || fs_copy_file(busybox, copy, 0755, err) < 0)
		return -1;
	if (writer_publish_blob(w, copy, &hex, &b->busybox_path, err) < 0)
		return -1;
	b->built = true;
	return writer_publish_blob(w, squashfs, &b->rootfs_hex, &b->rootfs_path, err);
}

static int rootfs_size(const struct writer *w, const struct build *b, uint64_t *ret,
		       struct error **err)
{
	cleanup_free char *path = writer_path(w, b->rootfs_path);
	struct stat st;

	if (stat(path, &st) < 0)
		return error_errno(err, errno, "%s", path);
	*ret = (uint64_t)st.st_size;
	return 0;
}

static struct json_object *new_record(const struct build *b, uint64_t size)
{
	struct json_object *record = json_object_new_object();
	struct json_object *kernel = json_object_new_object();
	cleanup_free char *digest = str_fmt("sha256:%s", b->rootfs_hex);
	cleanup_free char *now = time_rfc3339(clock_realtime_ns());
	struct utsname host;

	uname(&host);
	js_add_u64(record, "version", 1);
	js_add_string(record, "name", b->recipe->name);
	js_add_string(record, "digest", digest);
	js_add_string(record, "rootfs", b->rootfs_path);
	js_add_u64(record, "size", size);
	js_add_string(record, "busybox", b->busybox_path);
	js_add_string(record, "arch", host.machine);
	js_add_string(record, "inputs", b->inputs);
	js_add_string(record, "created_at", now);
	js_add_string(record, "default_user", b->recipe->default_user);
	js_add_string(kernel, "release", b->kernel.release);
	js_add_string(kernel, "key", b->kernel.key);
	js_add_string(kernel, "path", b->kernel.path);
	js_add(record, "kernel", kernel);
	return record;
}

static int write_record(const struct writer *w, const struct build *b, struct error **err)
{
	cleanup_free char *scratch = writer_temp(w, "image.json");
	cleanup_free char *path = str_fmt("images/%s/image.json", b->recipe->name);
	uint64_t size = 0;

	if (rootfs_size(w, b, &size, err) < 0)
		return -1;
	cleanup_json struct json_object *record = new_record(b, size);
	cleanup_free char *text = js_to_string_pretty(record);
	if (fs_write_atomic(scratch, text, strlen(text), 0644, err) < 0)
		return -1;
	return writer_publish(w, scratch, path, err);
}

/* The image in the store; NULL when it is not there or damaged, which a build repairs. */
static struct store_image *present_image(const struct store *store, const char *name)
{
	cleanup_error struct error *ignored = NULL;

	return store_find_image(store, name, &ignored);
}

static int build_parts(const struct writer *w, const struct store *store, struct build *b,
		       struct error **err)
{
	cleanup_store_image struct store_image *image = present_image(store, b->recipe->name);
	bool kernel_built = false;

	if (kernel_ensure(w, &b->kernel_source, &b->kernel, &kernel_built, err) < 0)
		return -1;
	b->built |= kernel_built;
	if (image && str_eq(image->inputs, b->inputs)) {
		if (str_eq(image->kernel_key, b->kernel.key))
			return 0;
		b->rootfs_hex = str_dup(image->digest + strlen("sha256:"));
		b->rootfs_path = str_dup(image->rootfs + strlen(store_path(store)) + 1);
		b->busybox_path = str_dup(image->busybox + strlen(store_path(store)) + 1);
		b->built = true;
	} else if (build_rootfs(w, b, err) < 0) {
		return -1;
	}
	return write_record(w, b, err);
}

static int ensure_initramfs(const struct writer *w, const struct store_image *image,
			    const char *agent, struct build *b, char **ret_path, struct error **err)
{
	cleanup_free char *relative = initramfs_path(image, agent, err);

	if (!relative)
		return -1;
	*ret_path = writer_path(w, relative);
	if (initramfs_touch(*ret_path))
		return 0;
	report_progress("initramfs", "packing the initramfs");
	b->built = true;
	return initramfs_build(w, image, agent, relative, err);
}

static int build_all(const struct writer *w, const struct command_args *args, struct build *b,
		     struct error **err)
{
	int64_t start = clock_ms();
	cleanup_store struct store *store = store_open(args->store, err);

	if (!store || build_parts(w, store, b, err) < 0)
		return -1;
	cleanup_store_image struct store_image *image =
	    store_find_image(store, b->recipe->name, err);
	cleanup_free char *initramfs = NULL;
	if (!image || ensure_initramfs(w, image, args->agent, b, &initramfs, err) < 0)
		return -1;

	struct json_object *result = image_to_json(image);
	js_add_string(result, "initramfs", initramfs);
	js_add_bool(result, "cached", !b->built);
	js_add_i64(result, "duration_ms", clock_ms() - start);
	report_result(result);
	return 0;
}

int command_build(const struct command_args *args, struct error **err)
{
	cleanup_build struct build build = {.recipe = NULL};
	cleanup_writer struct writer w = WRITER_NONE;

	if (find_recipe(args->name, &build.recipe, err) < 0)
		return -1;
	if (elf_check_static_file(args->agent, err) < 0)
		return error_wrap(err, "the agent");
	if (resolve_inputs(&build, err) < 0 || writer_open(&w, args->store, err) < 0 ||
	    build_all(&w, args, &build, err) < 0)
		return error_wrap(err, "build image %s", args->name);
	return 0;
}
