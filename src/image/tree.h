/* SPDX-License-Identifier: MIT */
/* Entries of the archives that become a root filesystem or an initramfs: owners, modes and times as given, so that the
 * same input makes the same bytes and no privilege is needed. */
#ifndef SLICER_IMAGE_TREE_H
#define SLICER_IMAGE_TREE_H

#include <archive.h>
#include "base/error.h"

struct tree_entry {
	const char *path; /* relative */
	mode_t mode;	  /* permission bits, with setuid and sticky */
	uid_t uid;
	gid_t gid;
};
int tree_add_dir(struct archive *a, const struct tree_entry *entry, struct error **err);
int tree_add_data(struct archive *a, const struct tree_entry *entry, const void *data, size_t n, struct error **err);
int tree_add_file(struct archive *a, const struct tree_entry *entry, const char *from, struct error **err);
int tree_add_link(struct archive *a, const char *path, const char *target, struct error **err);
int tree_add_chardev(struct archive *a, const char *path, mode_t mode, unsigned major_number, unsigned minor_number,
		     struct error **err);

/* All files of an image have this time: 2025-01-01T00:00:00Z. */
#define TREE_TIME 1735689600

#endif
