/* SPDX-License-Identifier: MIT */
/* The verbs of slicer-image. Each reports progress and one result; errors are the caller's to report. */
#ifndef SLICER_IMAGE_COMMANDS_H
#define SLICER_IMAGE_COMMANDS_H

#include "base/error.h"

/* NULL where the verb needs none, or the option was not given. */
struct command_args {
	const char *store;
	const char *agent;  /* path of the agent program */
	const char *name;   /* image, recipe, or user */
	const char *source; /* import: path of a tar archive or directory, "-" for stdin */
	const char *as;	    /* build: name of the image where it is not the recipe's */
	const char *kernel; /* initramfs: path of a kernel to boot the image with */
	const char *url;
	char **include; /* build: packages besides the recipe's own */
};

int command_build(const struct command_args *args, struct error **err);
int command_import(const struct command_args *args, struct error **err);
int command_list(const struct command_args *args, struct error **err);
int command_remove(const struct command_args *args, struct error **err);
int command_wipe(const struct command_args *args, struct error **err);
int command_initramfs(const struct command_args *args, struct error **err);
int command_keys(const struct command_args *args, struct error **err);

#endif
