/* SPDX-License-Identifier: MIT */
#ifndef SLICER_IMAGE_KERNEL_BUILD_H
#define SLICER_IMAGE_KERNEL_BUILD_H

#include "image/kernel.h"
#include "image/work.h"

/* Unpacks a kernel and publishes its directory; fills *ret. */
int kernel_build(const struct writer *w, const struct kernel_source *source, struct kernel *ret, struct error **err);

#define KERNEL_PACKAGE_PREFIX "linux-image-"

#define KERNEL_SOURCE_FILE "file:"
/* What a directory kernels/RELEASE-KEY is made from. */
struct kernel_parts {
	const char *release, *key;
	const char *source;	 /* for its record; begins with KERNEL_SOURCE_FILE for a kernel_file */
	const char *vmlinuz;	 /* path of the kernel, compressed or not */
	const struct work *work; /* where its modules lie; NULL: they are this host's, or there are none */
	const char
		*modules; /* directory /lib/modules/RELEASE, a path in `work` if that is given; NULL: it needs none */
};
/* Packs and publishes it; fills *ret. ERR_UNSUPPORTED when a module that a boot needs is missing. */
int kernel_pack(const struct writer *w, const struct kernel_parts *parts, struct kernel *ret, struct error **err);
/* Whether a kernel directory of the store has modules, and is not itself of a file that has taken them from elsewhere. */
bool kernel_offers_modules(const char *dir);

#endif
