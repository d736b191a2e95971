/* SPDX-License-Identifier: MIT */
/* The initramfs of a kernel and an agent: newc cpio, uncompressed (the kernel unpacks that fastest), holding
 *   /init                      the agent
 *   /bin/busybox, /bin/sh      static; rescue shell and udhcpc with /etc/udhcpc/default.script
 *   /etc/slicer/modules        absolute paths of modules, one per line, in the order in which to load them
 *   /lib/modules/RELEASE/...   those modules
 *   /dev/console               c 5 1; empty directories dev etc lib newroot proc run sys tmp */
#ifndef SLICER_IMAGE_INITRAMFS_H
#define SLICER_IMAGE_INITRAMFS_H

#include "base/error.h"
#include "disk/store.h"
#include "image/writer.h"

/* Where the initramfs of that image and agent is, or will be: relative to the store; the caller's. */
char *initramfs_path(const struct store_image *image, const char *agent, struct error **err);
/* Makes it, and drops the least recently used beyond 16. */
int initramfs_build(const struct writer *w, const struct store_image *image, const char *agent, const char *path,
		    struct error **err);
/* Marks it as used now, so that it outlives others. True when it is there. */
bool initramfs_touch(const char *absolute_path);

/* The archive itself; `modules` are plain paths below /lib/modules/<release>, read from `modules_dir`. */
struct initramfs {
	const char *agent;
	const char *busybox;
	const char *release;
	const char *modules_dir;
	char *const *modules;
};
int initramfs_write(int fd, const struct initramfs *initramfs, struct error **err);

#endif
