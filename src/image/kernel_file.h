/* SPDX-License-Identifier: MIT */
/* A kernel of the user's own (`kernel_file`), made ready to boot an image: kept in the store beside Debian's, with the modules
 * that belong to it. */
#ifndef SLICER_IMAGE_KERNEL_FILE_H
#define SLICER_IMAGE_KERNEL_FILE_H

#include "disk/store.h"
#include "image/kernel.h"

/* `path`: an ELF kernel with a PVH entry, or an arm64 Image; a bzImage is unpacked. Its modules are those of its release in the
 * image, else in the store, else on this host; a kernel that has built in what a boot needs wants none. ERR_INVALID when the file
 * is no such kernel, ERR_UNSUPPORTED when neither modules nor built-in drivers can boot. *ret_built as in kernel_ensure(). */
int kernel_file_ensure(const struct writer *w, const struct store_image *image, const char *path, struct kernel *ret,
		       bool *ret_built, struct error **err);

/* The release in the banner that every kernel holds ("Linux version R ..."), or in the header of a bzImage (boot.rst,
 * kernel_version); the caller's. */
char *kernel_file_release(const void *data, size_t n, struct error **err);
/* Whether QEMU can start it: an ELF-64 executable of this machine with Xen's note PHYS32_ENTRY (xen/include/public/elfnote.h), or
 * an arm64 Image. */
int kernel_file_check(const void *data, size_t n, struct error **err);
/* Whether the drivers that a boot needs are built in, told from their names: each is in the kernel as a string then, and else
 * only in the module. */
int kernel_file_check_builtin(const void *data, size_t n, struct error **err);

#endif
