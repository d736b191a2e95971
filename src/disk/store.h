/* SPDX-License-Identifier: MIT */
/* Reader of the image store, which slicer-image writes. Every file below appears by rename, complete or not at all:
 *
 *   STORE/lock                          held (flock) by the one writer
 *   STORE/tmp/                          of that writer; what a killed one left goes with the next
 *   STORE/images/NAME/image.json        the record; an image exists when this file does
 *   STORE/blobs/sha256/HEX              root filesystems (squashfs) and the image's busybox, named by content
 *   STORE/kernels/RELEASE-KEY/          kernel.json, vmlinux (ELF with a PVH note, or arm64 Image), modules.squashfs
 *                                       (the content of /lib/modules/RELEASE), modules/ (those the initramfs takes);
 *                                       KEY: 16 hex digits of sha256 over what it was made from
 *   STORE/initramfs/KEY-HEX.cpio        KEY of the kernel, HEX over agent, busybox and layout
 *
 * image.json: {"version":1, "name", "digest":"sha256:HEX", "rootfs", "size", "busybox", "arch", "inputs",
 * "created_at", "default_user", "recipe", "include":[PACKAGE...], "modules":[RELEASE...],
 * "kernel":{"release","key","path"}}; paths are relative to STORE. */
#ifndef SLICER_DISK_STORE_H
#define SLICER_DISK_STORE_H

#include "base/error.h"

#define STORE_RECORD_LIMIT (64 * 1024) /* bytes of image.json and kernel.json */

/* All strings belong to the object; paths are absolute. */
struct store_image {
	char *name;
	char *digest;	  /* "sha256:HEX" of the root filesystem */
	char *rootfs;	  /* squashfs */
	char *busybox;	  /* static, for the initramfs */
	char *arch;	  /* as uname -m says: "x86_64", "aarch64" */
	char *inputs;	  /* hex sha256 over what the root filesystem was made from */
	char *created_at; /* RFC 3339, UTC */
	char *default_user;
	char *recipe;	      /* what it was built by; "" for an imported one */
	char **include;	      /* packages besides the recipe's own; NULL: none */
	char **own_modules;   /* releases of kernels whose /lib/modules/<release> it has; NULL: none */
	uint64_t size;	      /* of rootfs, bytes */
	char *kernel_release; /* as uname -r says in the guest */
	char *kernel_key;
	char *kernel;  /* vmlinux */
	char *modules; /* squashfs to mount at /lib/modules/<release> unless that is among own_modules */
	char *kernel_dir;
};

/* $SLICER_STORE, else /var/lib/slicer/store for root, else $XDG_DATA_HOME/slicer/store, else
 * ~/.local/share/slicer/store. The caller's; ERR_INVALID when a user has no HOME. */
char *store_default_path(struct error **err);
/* 1–64 of a–z A–Z 0–9 . _ -, beginning with a letter or digit; else ERR_INVALID. */
int store_check_image_name(const char *name, struct error **err);

struct store;
/* `path` need not exist yet: such a store is empty. The caller's, store_close(). */
struct store *store_open(const char *path, struct error **err);
void store_close(struct store **store);
#define cleanup_store __attribute__((cleanup(store_close)))

const char *store_path(const struct store *store); /* absolute; borrowed */
/* The caller's, store_image_free(). ERR_NOT_FOUND names the command that builds it; also checks that the files exist. */
struct store_image *store_find_image(const struct store *store, const char *name, struct error **err);
/* Names in alphabetical order: a strv of the caller; NULL when there are none. */
int store_image_names(const struct store *store, char ***ret, struct error **err);
/* Boots it with another kernel of the store; the record stays as it is. `dir`: absolute. */
void store_image_set_kernel(struct store_image *image, const char *release, const char *key, const char *dir);
void store_image_free(struct store_image **image);
#define cleanup_store_image __attribute__((cleanup(store_image_free)))

#endif
