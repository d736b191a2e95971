/* SPDX-License-Identifier: MIT */
/* The images of a configuration, made ready to boot: built when missing and ours to build, with an initramfs for their kernel
 * and the present agent. */
#ifndef SLICER_HOST_BOOT_IMAGES_H
#define SLICER_HOST_BOOT_IMAGES_H

#include "config/config.h"
#include "host/paths.h"
#include "vm/vm.h"

struct kept;
struct boot_images {
	struct manager_image *images; /* their strings are owned here */
	size_t n;
	char *templates; /* directory of empty disks, in the store */
	int *locks;	 /* on images and kernels: nobody removes them under this daemon */
	size_t nlocks;
};

/* Blocking; says on stderr what takes long, and ends in order when a signal asks for it (image_run.h). `kept` (base/kept.h): what
 * the last start found out. The store learns where the daemon's records are. ERR_NOT_FOUND names an image that is not in the store
 * and how to get it; ERR_INVALID and ERR_UNSUPPORTED what is wrong with the configuration's kernel_file. */
int boot_images_prepare(const struct config *config, const struct daemon_paths *paths, struct kept *kept,
			struct boot_images *ret, struct error **err);
void boot_images_clear(struct boot_images *b);

#endif
