/* SPDX-License-Identifier: MIT */
/* A new file beside its future place: written in full, then renamed there, or removed. */
#ifndef SLICER_BASE_FS_TEMP_H
#define SLICER_BASE_FS_TEMP_H

#include <sys/stat.h>
#include "base/error.h"

struct fs_temp {
	int fd;	    /* close-on-exec, read and write */
	char *path; /* NULL when there is no file to remove */
};

#define FS_TEMP_EMPTY                                                                                                  \
	{                                                                                                              \
		.fd = -1, .path = NULL                                                                                 \
	}
#define cleanup_fs_temp __attribute__((cleanup(fs_temp_clear)))

/* In the directory of `path`, with exactly `mode`. Clear *t afterwards, also on failure. */
int fs_temp_open(struct fs_temp *t, const char *path, mode_t mode, struct error **err);
int fs_temp_commit(struct fs_temp *t, const char *path, struct error **err); /* renames; fd stays open */
void fs_temp_clear(struct fs_temp *t);

#endif
