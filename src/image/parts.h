/* SPDX-License-Identifier: MIT */
/* What the ways to make an image (build, import) have in common once its root filesystem is there: blobs, record, initramfs. */
#ifndef SLICER_IMAGE_PARTS_H
#define SLICER_IMAGE_PARTS_H

#include "image/kernel.h"

/* All strings are the object's. */
struct image_parts {
	char *name;   /* of the image */
	char *recipe; /* "": it was imported */
	char *default_user;
	char **include;	    /* packages besides the recipe's own; NULL: none */
	char **own_modules; /* releases of kernels whose modules it has; NULL: none */
	char *inputs;	    /* hex sha256 over what the root filesystem is made from */
	struct kernel kernel;
	char *rootfs_hex, *rootfs_path;
	char *busybox_path;
	bool built; /* something was made */
};
void image_parts_clear(struct image_parts *parts);
#define cleanup_parts __attribute__((cleanup(image_parts_clear)))

/* Publishes `squashfs`, a scratch file, as the root filesystem, and a copy of `busybox` beside it. */
int image_parts_publish(const struct writer *w, const char *squashfs, const char *busybox, struct image_parts *parts,
			struct error **err);
/* Writes the record: from here on the image exists, or is the new one. */
int image_parts_record(const struct writer *w, const struct image_parts *parts, struct error **err);
/* Packs the initramfs that image and agent lack, and reports the result. start_ms: clock_ms() when the work began. */
int image_parts_finish(const struct writer *w, struct image_parts *parts, const char *agent, int64_t start_ms,
		       struct error **err);

#endif
