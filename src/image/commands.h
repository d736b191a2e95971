/* SPDX-License-Identifier: MIT */
/* The verbs of slicer-image. Each reports progress and one result; errors are the caller's to report. */
#ifndef SLICER_IMAGE_COMMANDS_H
#define SLICER_IMAGE_COMMANDS_H

#include "base/error.h"

struct command_args {
	const char *store;
	const char *agent; /* path of the agent program; NULL where the verb needs none */
	const char *name;  /* image, or user; NULL where the verb needs none */
	const char *url;   /* NULL where the verb needs none */
};

int command_build(const struct command_args *args, struct error **err);
int command_list(const struct command_args *args, struct error **err);
int command_remove(const struct command_args *args, struct error **err);
int command_initramfs(const struct command_args *args, struct error **err);
int command_keys(const struct command_args *args, struct error **err);

#endif
