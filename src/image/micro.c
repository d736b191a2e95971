/* SPDX-License-Identifier: MIT */
/* Image micro: busybox and bash, from this host or from Debian's packages. */
#include "image/recipe.h"

#include "base/str.h"
#include "image/report.h"
#include "image/rootfs.h"
#include "image/source.h"

static char *micro_identify(char *const *include, struct error **err)
{
	struct source bash = {.id = NULL};
	char *id = NULL;

	if (include && *include) {
		error_set(err, ERR_INVALID, "image micro has no package manager: --include is for debian");
		return NULL;
	}
	if (source_resolve(&program_bash, &bash, err) == 0)
		id = TAKE_PTR(bash.id);
	source_clear(&bash);
	return id;
}

static int make_with(const struct source *bash, const struct recipe_input *in, const char *squashfs, struct error **err)
{
	cleanup_free char *program = source_fetch(&program_bash, bash, in->w, err);

	if (!program)
		return -1;
	report_progress("rootfs", "packing the root filesystem");
	struct rootfs_programs programs = {.busybox = in->busybox, .bash = program};
	return rootfs_build(in->w, &programs, squashfs, err);
}

static int micro_make(const struct recipe_input *in, const char *squashfs, struct error **err)
{
	struct source bash = {.id = NULL};
	int r = source_resolve(&program_bash, &bash, err);

	if (r == 0)
		r = make_with(&bash, in, squashfs, err);
	source_clear(&bash);
	return r;
}

const struct recipe recipe_micro = {
	.name = "micro",
	.default_user = "ubuntu",
	.identify = micro_identify,
	.make = micro_make,
};
