/* SPDX-License-Identifier: MIT */
/* slicer-image import: an image from a root filesystem that was made elsewhere. It boots with the store's kernel. */
#include "image/commands.h"

#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"
#include "disk/store.h"
#include "image/import.h"
#include "image/parts.h"
#include "image/recipe.h"
#include "image/report.h"
#include "image/source.h"
#include "image/squash.h"
#include "image/static_elf.h"

enum { PERCENT_READ = 50 };

struct import_image {
	struct source busybox;
	struct kernel_source kernel;
	struct import_facts facts;
	struct image_parts parts;
};

static void import_image_clear(struct import_image *i)
{
	source_clear(&i->busybox);
	kernel_source_clear(&i->kernel);
	import_facts_clear(&i->facts);
	image_parts_clear(&i->parts);
}
#define cleanup_import __attribute__((cleanup(import_image_clear)))

static int make_rootfs(const struct writer *w, const char *source, struct import_image *i, struct error **err)
{
	cleanup_free char *tar = writer_temp(w, "import.tar");
	cleanup_free char *squashfs = writer_temp(w, "rootfs.squashfs");
	cleanup_free char *busybox = source_fetch(&program_busybox, &i->busybox, w, err);

	if (!busybox || import_copy(source, tar, &i->facts, err) < 0)
		return -1;
	report_percent("rootfs", PERCENT_READ, "packing the root filesystem");
	if (squash_tar(w, tar, squashfs, err) < 0 || fs_unlink(tar, err) < 0)
		return -1;
	return image_parts_publish(w, squashfs, busybox, &i->parts, err);
}

static int import_all(const struct writer *w, const struct command_args *args, struct import_image *i,
		      struct error **err)
{
	struct image_parts *parts = &i->parts;
	int64_t start = clock_ms();
	bool kernel_built = false;

	if (make_rootfs(w, args->source, i, err) < 0 ||
	    kernel_ensure(w, &i->kernel, &parts->kernel, &kernel_built, err) < 0)
		return -1;
	parts->name = str_dup(args->name);
	parts->recipe = str_dup("");
	parts->default_user = str_dup(i->facts.default_user);
	parts->own_modules = strv_copy(i->facts.own_modules);
	parts->inputs = str_dup(parts->rootfs_hex);
	if (image_parts_record(w, parts, err) < 0)
		return -1;
	return image_parts_finish(w, parts, args->agent, start, err);
}

int command_import(const struct command_args *args, struct error **err)
{
	cleanup_import struct import_image import = {.busybox = {0}};
	cleanup_writer struct writer w = WRITER_NONE;

	if (store_check_image_name(args->name, err) < 0)
		return -1;
	if (recipe_find(args->name))
		return error_set(err, ERR_INVALID, "\"%s\" is the name of a recipe: choose another name", args->name);
	if (elf_check_static_file(args->agent, err) < 0)
		return error_wrap(err, "the agent");
	if (squash_check(err) < 0 || source_resolve(&program_busybox, &import.busybox, err) < 0 ||
	    kernel_source_resolve(&import.kernel, err) < 0 || writer_open(&w, args->store, err) < 0 ||
	    import_all(&w, args, &import, err) < 0)
		return error_wrap(err, "import image %s", args->name);
	return 0;
}
