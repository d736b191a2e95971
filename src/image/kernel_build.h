/* SPDX-License-Identifier: MIT */
#ifndef SLICER_IMAGE_KERNEL_BUILD_H
#define SLICER_IMAGE_KERNEL_BUILD_H

#include "image/kernel.h"

/* Unpacks a kernel and publishes its directory; fills *ret. */
int kernel_build(const struct writer *w, const struct kernel_source *source, struct kernel *ret,
		 struct error **err);

#endif
