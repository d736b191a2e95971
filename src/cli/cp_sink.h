/* SPDX-License-Identifier: MIT */
/* Where a download goes, by the rules of cp(1). Files appear whole or not at all; a new directory, too. */
#ifndef SLICER_CLI_CP_SINK_H
#define SLICER_CLI_CP_SINK_H

#include <sys/stat.h>
#include "base/error.h"

struct cp_sink;
/* A file: into `dest` when that is a directory (as source_name), else as `dest`, whose directory must exist. What is there
 * and is no regular file (a device, a pipe) is written to as it is. */
struct cp_sink *cp_sink_file(const char *dest, const char *source_name, mode_t mode, struct error **err);
/* A tar stream: as `dest` when there is nothing yet, into it when it is a directory and `contents`, else as
 * dest/source_name. */
struct cp_sink *cp_sink_tree(const char *dest, const char *source_name, bool contents, struct error **err);
int cp_sink_write(struct cp_sink *s, const void *data, size_t n, struct error **err);
int cp_sink_commit(struct cp_sink *s, struct error **err);
void cp_sink_free(struct cp_sink **s); /* without commit: removes what is not complete. NULL-safe */
#define cleanup_cp_sink __attribute__((cleanup(cp_sink_free)))

/* For the two kinds of sinks: a file that appears under its name only when it is complete. */
struct new_file {
	int dir, fd;   /* dir is borrowed; -1: none */
	char name[32]; /* of the temporary file in it */
};
int new_file_open(struct new_file *f, int dir, struct error **err);
int new_file_commit(struct new_file *f, const char *name, mode_t mode, const int64_t *mtime, struct error **err);
void new_file_discard(struct new_file *f);

/* Extraction below a directory; symlinks in it are never followed. */
struct extract;
struct extract *extract_new(int take_root, struct error **err);
int extract_feed(struct extract *x, const void *data, size_t n, struct error **err);
int extract_finish(struct extract *x, struct error **err);
void extract_free(struct extract **x); /* NULL-safe */

#endif
