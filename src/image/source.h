/* SPDX-License-Identifier: MIT */
/* Where the parts of image micro come from: this host when it has them, otherwise Debian packages. */
#ifndef SLICER_IMAGE_SOURCE_H
#define SLICER_IMAGE_SOURCE_H

#include "base/error.h"
#include "image/apt.h"

/* A static program and the package that holds it. */
struct program {
	const char *name;
	const char *package;
	const char *const *paths; /* on the host, below "/", and in the package; NULL-terminated */
};
extern const struct program program_busybox;
extern const struct program program_bash;
extern const struct program program_depmod; /* not static; only ever run on this host */

struct source {
	char *id;	 /* changes when the content does */
	char *host_path; /* NULL: the package is to be fetched */
	struct apt_package package;
};
void source_clear(struct source *source);

/* Finds a static program on the host, else asks apt. Cheap: nothing is downloaded. */
int source_resolve(const struct program *program, struct source *ret, struct error **err);
/* Path of the program, downloaded into the writer's temporary directory if need be; executable; the caller's. */
char *source_fetch(const struct program *program, const struct source *source, const struct writer *w,
		   struct error **err);

#endif
