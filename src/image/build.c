/* SPDX-License-Identifier: MIT */
/* slicer-image build: the steps that all recipes have in common. */
#include "image/commands.h"

#include "base/str.h"
#include "base/units.h"
#include "disk/store.h"
#include "image/hash.h"
#include "image/parts.h"
#include "image/recipe.h"
#include "image/report.h"
#include "image/source.h"
#include "image/squash.h"
#include "image/static_elf.h"
#include "image/writer.h"

enum { INCLUDE_MAX = 256, PACKAGE_NAME_MAX = 128 };

static const struct recipe *const recipes[] = {&recipe_micro, &recipe_debian};

struct build {
	const struct recipe *recipe;
	struct source busybox;
	struct kernel_source kernel_source;
	struct image_parts parts;
};

static void build_clear(struct build *b)
{
	source_clear(&b->busybox);
	kernel_source_clear(&b->kernel_source);
	image_parts_clear(&b->parts);
}
#define cleanup_build __attribute__((cleanup(build_clear)))

/* The image in the store; NULL when it is not there or damaged, which a build repairs. */
static struct store_image *present_image(const struct store *store, const char *name)
{
	cleanup_error struct error *ignored = NULL;

	return store_find_image(store, name, &ignored);
}

/* The analyzer takes addresses of other files' objects for possibly NULL. */
/* NOLINTBEGIN(clang-analyzer-core.NullDereference) */
const struct recipe *recipe_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(recipes); i++)
		if (str_eq(name, recipes[i]->name))
			return recipes[i];
	return NULL;
}

static int no_recipe(const char *name, struct error **err)
{
	cleanup_strv char **names = NULL;

	for (size_t i = 0; i < ARRAY_LEN(recipes); i++)
		strv_append_fmt(&names, "\"%s\"", recipes[i]->name);
	cleanup_free char *known = strv_join(names, " and ");
	return error_set(err, ERR_INVALID, "there is no recipe for image \"%s\": %s can be built", name, known);
}

/* NOLINTEND(clang-analyzer-core.NullDereference) */

/* Debian Policy, 5.6.1; and nothing that apt takes for an option or a pattern. */
static int check_packages(char *const *include, struct error **err)
{
	for (size_t i = 0; include && include[i]; i++) {
		const char *s = include[i];
		cleanup_free char *shown = str_escape(s, strnlen(s, PACKAGE_NAME_MAX));
		if (i == INCLUDE_MAX)
			return error_set(err, ERR_INVALID, "--include: more than %d packages", INCLUDE_MAX);
		if (strlen(s) < 2 || strlen(s) > PACKAGE_NAME_MAX || strchr("+-.", s[0]) || str_ends(s, "-") ||
		    s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789+-.")])
			return error_set(err, ERR_INVALID, "--include: \"%s\" is not the name of a package", shown);
	}
	return 0;
}

/* An image that was built under a name of its own, or with packages of its own, is built again as it was. */
static int choose(const struct command_args *args, struct build *b, struct error **err)
{
	cleanup_store struct store *store = store_open(args->store, err);
	const char *name = args->as ? args->as : args->name;

	if (!store || store_check_image_name(name, err) < 0 || check_packages(args->include, err) < 0)
		return -1;
	cleanup_store_image struct store_image *image = present_image(store, name);
	b->recipe = recipe_find(args->name);
	if (!b->recipe && image && !args->as)
		b->recipe = recipe_find(image->recipe);
	if (!b->recipe)
		return no_recipe(args->name, err);
	if (recipe_find(name) && recipe_find(name) != b->recipe)
		return error_set(err, ERR_INVALID, "--name: \"%s\" is the name of a recipe", name);
	bool as_it_was = !args->include && image && str_eq(image->recipe, b->recipe->name);
	b->parts.name = str_dup(name);
	b->parts.recipe = str_dup(b->recipe->name);
	b->parts.default_user = str_dup(b->recipe->default_user);
	b->parts.include = strv_copy(as_it_was ? image->include : args->include);
	return 0;
}

static int resolve_inputs(struct build *b, struct error **err)
{
	report_progress("resolve", "looking for what image %s is made from", b->parts.name);
	if (squash_check(err) < 0 || source_resolve(&program_busybox, &b->busybox, err) < 0)
		return -1;
	cleanup_free char *id = b->recipe->identify(b->parts.include, err);
	if (!id || kernel_source_resolve(&b->kernel_source, err) < 0)
		return -1;
	cleanup_free char *program = recipe_id(err);
	if (!program)
		return -1;
	const char *kernel = b->recipe->has_modules ? b->kernel_source.key : "";
	const char *const parts[] = {program, b->busybox.id, id, kernel, NULL};
	b->parts.inputs = hash_strings(parts);
	return 0;
}

static int build_rootfs(const struct writer *w, struct build *b, struct error **err)
{
	cleanup_free char *busybox = source_fetch(&program_busybox, &b->busybox, w, err);
	cleanup_free char *squashfs = writer_temp(w, "rootfs.squashfs");

	if (!busybox)
		return -1;
	struct recipe_input in = {.w = w, .busybox = busybox, .kernel = &b->parts.kernel, .include = b->parts.include};
	if (b->recipe->make(&in, squashfs, err) < 0)
		return -1;
	return image_parts_publish(w, squashfs, busybox, &b->parts, err);
}

static int build_parts(const struct writer *w, const struct store *store, struct build *b, struct error **err)
{
	cleanup_store_image struct store_image *image = present_image(store, b->parts.name);
	struct image_parts *parts = &b->parts;
	bool kernel_built = false;

	if (kernel_ensure(w, &b->kernel_source, &parts->kernel, &kernel_built, err) < 0)
		return -1;
	parts->built |= kernel_built;
	if (b->recipe->has_modules)
		strv_append(&parts->own_modules, parts->kernel.release);
	if (image && str_eq(image->inputs, parts->inputs)) {
		if (str_eq(image->kernel_key, parts->kernel.key))
			return 0;
		parts->rootfs_hex = str_dup(image->digest + strlen("sha256:"));
		parts->rootfs_path = str_dup(image->rootfs + strlen(store_path(store)) + 1);
		parts->busybox_path = str_dup(image->busybox + strlen(store_path(store)) + 1);
		parts->built = true;
	} else if (build_rootfs(w, b, err) < 0) {
		return -1;
	}
	return image_parts_record(w, parts, err);
}

static int build_all(const struct writer *w, const struct command_args *args, struct build *b, struct error **err)
{
	int64_t start = clock_ms();
	cleanup_store struct store *store = store_open(args->store, err);

	if (!store || build_parts(w, store, b, err) < 0)
		return -1;
	return image_parts_finish(w, &b->parts, args->agent, start, err);
}

int command_build(const struct command_args *args, struct error **err)
{
	cleanup_build struct build build = {.recipe = NULL};
	cleanup_writer struct writer w = WRITER_NONE;

	if (choose(args, &build, err) < 0)
		return -1;
	if (elf_check_static_file(args->agent, err) < 0)
		return error_wrap(err, "the agent");
	if (resolve_inputs(&build, err) < 0 || writer_open(&w, args->store, err) < 0 ||
	    build_all(&w, args, &build, err) < 0)
		return error_wrap(err, "build image %s", build.parts.name);
	return 0;
}
