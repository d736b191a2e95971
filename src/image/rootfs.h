/* SPDX-License-Identifier: MIT */
/* The root filesystem of image micro: busybox, bash, users, sudo; no init, because the agent is PID 1. */
#ifndef SLICER_IMAGE_ROOTFS_H
#define SLICER_IMAGE_ROOTFS_H

#include "image/writer.h"

struct rootfs_programs {
	const char *busybox; /* paths of static programs on the host */
	const char *bash;
};

/* Writes the squashfs to `to`. */
int rootfs_build(const struct writer *w, const struct rootfs_programs *programs, const char *to, struct error **err);

/* Links for the applets, from the text of `busybox --list-full`: NULL-terminated paths below "usr/", without those that
 * the image has no use for or has another program for, and without names of other characters than applets have. The caller's. */
char **rootfs_applet_links(const char *list);

#endif
