/* SPDX-License-Identifier: MIT */
/* Files below a directory, by relative paths that come from outside: no symlink is followed on the way. */
#ifndef SLICER_AGENT_BENEATH_H
#define SLICER_AGENT_BENEATH_H

#include <sys/stat.h>
#include "base/error.h"

/* Opens the directory that holds the last segment of `path` (relative and clean, as struct tar_entry's), making missing ones
 * with 0755. *ret_name points to the last segment within `path`. Returns an fd, the caller's. ERR_INVALID when a segment on
 * the way is a symlink or not a directory. */
int beneath_parent(int root, const char *path, const char **ret_name, struct error **err);
/* The directory itself, made when missing. */
int beneath_mkdir(int root, const char *path, struct error **err);

/* A file that appears under its name only when it is complete. */
struct temp_file {
	int dir, fd;   /* dir is borrowed */
	char name[32]; /* of the temporary file; empty: none */
};
int temp_file_open(struct temp_file *t, int dir, struct error **err);
/* Gives it the mode and mtime (seconds; INT64_MIN: now), closes and renames it. Removes it on failure. */
int temp_file_commit(struct temp_file *t, const char *name, mode_t mode, int64_t mtime, struct error **err);
void temp_file_discard(struct temp_file *t);

#endif
