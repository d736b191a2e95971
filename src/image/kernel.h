/* SPDX-License-Identifier: MIT */
/* Debian's cloud kernel in the store: from /boot when the host has one with its modules, otherwise by apt. */
#ifndef SLICER_IMAGE_KERNEL_H
#define SLICER_IMAGE_KERNEL_H

#include "base/error.h"
#include "image/writer.h"

struct kernel_source {
	char *id;      /* changes when the kernel does */
	char *key;     /* 16 hex digits over id and the way it is unpacked */
	char *release; /* of a kernel of this host; NULL: it comes from `package` */
	char *package;
};
void kernel_source_clear(struct kernel_source *source);
int kernel_source_resolve(struct kernel_source *ret, struct error **err);

struct kernel {
	char *release;
	char *key;
	char *path; /* of its directory, relative to the store */
};
void kernel_clear(struct kernel *kernel);
#define KERNEL_KEY_LEN 16
/* The whole kernel of the store with that key: *ret stays empty when there is none. */
int kernel_find(const struct writer *w, const char *key, struct kernel *ret, struct error **err);
/* Makes sure that it is in the store. *ret_built tells whether there was something to do. */
int kernel_ensure(const struct writer *w, const struct kernel_source *source, struct kernel *ret, bool *ret_built,
		  struct error **err);

#endif
