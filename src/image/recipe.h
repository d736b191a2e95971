/* SPDX-License-Identifier: MIT */
/* What is known about each image that can be built; the common steps are build.c's. */
#ifndef SLICER_IMAGE_RECIPE_H
#define SLICER_IMAGE_RECIPE_H

#include "image/kernel.h"

struct recipe_input {
	const struct writer *w;
	const char *busybox;	     /* path of a static one */
	const struct kernel *kernel; /* in the store */
	char *const *include;	     /* packages that the user wants besides; NULL: none */
};

struct recipe {
	const char *name;
	const char *default_user;
	bool has_modules; /* those of its kernel are in the root filesystem, which changes with them */
	/* What the root filesystem is made from, busybox and kernel left aside: a string that changes when that does; the
	 * caller's. `include` as above; ERR_INVALID where a recipe knows no packages. Downloads nothing; a program that `make` needs and the host lacks is an error here. */
	char *(*identify)(char *const *include, struct error **err);
	/* Writes the root filesystem to the file `squashfs`; scratch files go below writer_temp(). */
	int (*make)(const struct recipe_input *in, const char *squashfs, struct error **err);
};
extern const struct recipe recipe_micro;
extern const struct recipe recipe_debian;
const struct recipe *recipe_find(const char *name); /* NULL: there is none */

/* Hex sha256 of this program: its tables and embedded files are part of every recipe, so no version number can be
 * forgotten. What is made keeps its digest when the bytes are the same. The caller's. */
char *recipe_id(struct error **err);

#endif
