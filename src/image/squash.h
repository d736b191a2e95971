/* SPDX-License-Identifier: MIT */
/* squashfs by mksquashfs(1), 4.5 or newer; the same input makes the same bytes, whoever makes them. */
#ifndef SLICER_IMAGE_SQUASH_H
#define SLICER_IMAGE_SQUASH_H

#include "image/work.h"

/* Whether it is installed: asked before long work. ERR_UNSUPPORTED with the remedy. */
int squash_check(struct error **err);
/* From a directory; everything belongs to root. `work`: `from` is a path in it; NULL: this host's own. */
int squash_dir(const struct work *work, const char *from, const char *to, struct error **err);
/* From a tar archive, with its owners, modes, devices and extended attributes. */
int squash_tar(const struct writer *w, const char *tar, const char *to, struct error **err);

/* Unpacks it into the new directory `to` of `work`, where there are only directories and regular files then. `paths` (NULL: all):
 * what of it, NULL-terminated; those that it has not are left out. */
int squash_unpack(const struct work *work, const char *squashfs, const char *to, const char *const *paths,
		  struct error **err);

/* A tree with owners and modes of its own. Its files lie in a directory; what only root could give them, and links, are
 * lines of a pseudo file. (From a tar, mksquashfs 4.5 takes no pseudo file, and gives "/" to the user who runs it.) */
struct stage {
	const char *dir; /* exists */
	char **pseudo;
};
struct staged {
	const char *path; /* relative, without spaces, quotes and backslashes */
	mode_t mode;	  /* permission bits, with setuid and sticky */
	uid_t uid;
	gid_t gid;
};
void stage_clear(struct stage *stage);
/* A directory must come before what is in it. */
int stage_dir(struct stage *stage, const struct staged *entry, struct error **err);
int stage_data(struct stage *stage, const struct staged *entry, const void *data, size_t n, struct error **err);
int stage_file(struct stage *stage, const struct staged *entry, const char *from, struct error **err);
void stage_link(struct stage *stage, const char *path, const char *target);
int squash_stage(const struct stage *stage, const char *to, struct error **err);

#endif
