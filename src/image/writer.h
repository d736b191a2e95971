/* SPDX-License-Identifier: MIT */
/* The one writer of an image store (layout: disk/store.h). Things are made in its temporary directory, on the same
 * filesystem, and appear by rename. */
#ifndef SLICER_IMAGE_WRITER_H
#define SLICER_IMAGE_WRITER_H

#include "base/error.h"

struct confinement { /* work.h */
	bool asked, possible;
};

struct writer {
	char *store; /* absolute */
	char *tmp; /* empty at first; everything in it goes with writer_close, or with the next writer after a crash */
	int lock;
	struct confinement *confinement;
};

/* Makes the store, waits up to 30 minutes for another writer (says so once), removes what a killed one left. */
int writer_open(struct writer *w, const char *store, struct error **err);
void writer_close(struct writer *w);
#define cleanup_writer __attribute__((cleanup(writer_close)))
#define WRITER_NONE ((struct writer){.lock = -1})

char *writer_temp(const struct writer *w, const char *name); /* path below tmp */
char *writer_path(const struct writer *w, const char *path); /* path below the store */
/* Syncs the file or tree `from` and renames it to `to`, below the store. A tree that is there already is replaced only
 * after it was moved aside. */
int writer_publish(const struct writer *w, const char *from, const char *to, struct error **err);
/* Publishes a file as blobs/sha256/HEX. *ret_hex and *ret_path (relative to the store) are the caller's. */
int writer_publish_blob(const struct writer *w, const char *from, char **ret_hex, char **ret_path, struct error **err);
/* Removes blobs, kernels and initramfs that no image of the store names and no VM or daemon uses. *ret_freed: bytes. */
int writer_collect(const struct writer *w, uint64_t *ret_freed, struct error **err);

#endif
