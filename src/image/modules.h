/* SPDX-License-Identifier: MIT */
/* Which modules must be loaded before the root filesystem is mounted, in which order (modules.dep(5)). */
#ifndef SLICER_IMAGE_MODULES_H
#define SLICER_IMAGE_MODULES_H

#include "base/error.h"

/* Paths relative to /lib/modules/<release>, dependencies first, without what modules.builtin names. `dep` and `builtin`
 * are the texts of the two files. ERR_UNSUPPORTED when the kernel lacks one that no boot can do without. The caller's. */
int modules_boot_order(const char *dep, const char *builtin, char ***ret, struct error **err);
/* The same from the directory /lib/modules/<release> below some root. */
int modules_boot_order_dir(const char *dir, char ***ret, struct error **err);
/* Path as it is in the initramfs: without .xz, .zst, .gz. The caller's. */
char *modules_plain_path(const char *path);

#endif
