/* SPDX-License-Identifier: MIT */
/* A streaming tar codec for `cp`: ustar with pax extended headers (POSIX.1-2017, pax), regular files and directories. Pure:
 * bytes in, events out. Reads what GNU tar, bsdtar, Go and Python write; links and devices are skipped. */
#ifndef SLICER_BASE_TAR_H
#define SLICER_BASE_TAR_H

#include "base/error.h"

enum {
	TAR_BLOCK = 512,
	TAR_MAX_PATH = 4095,	      /* bytes */
	TAR_MAX_PAX = 256 * 1024,     /* bytes of one extended header */
	TAR_END_SIZE = 2 * TAR_BLOCK, /* zero bytes that end an archive */
};

struct tar_entry {
	const char *path; /* relative; no ".", ".." or empty segments, no slash at its end */
	bool directory;
	mode_t mode;   /* permission bits only */
	uint64_t size; /* of the content; 0 for directories */
	int64_t mtime; /* seconds since 1970 */
};

/* The header blocks of an entry (*ret_n bytes, a multiple of 512), to be followed by its content and tar_padding() zeros.
 * The result is the caller's. ERR_INVALID for a path that tar_path_ok() refuses. */
char *tar_header(const struct tar_entry *e, size_t *ret_n, struct error **err);
size_t tar_padding(uint64_t size);
bool tar_path_ok(const char *path); /* see tar_entry.path; segments of at most 255 bytes */
/* What a file's mode becomes on a copy: permission bits; executable for all when it is for anybody. */
mode_t tar_copy_mode(mode_t mode);

struct tar_limits { /* 0: no limit; beyond them ERR_TOO_LARGE */
	uint64_t max_entries;
	uint64_t max_total; /* bytes of content */
};

/* For each entry: on_entry, on_data as often as needed, on_entry_end. Any may return -1 with *err set: feeding then fails
 * with it. `e` and `data` are borrowed. */
struct tar_events {
	int (*on_entry)(void *arg, const struct tar_entry *e, struct error **err);
	int (*on_data)(void *arg, const void *data, size_t n, struct error **err);
	int (*on_entry_end)(void *arg, struct error **err);
};

struct tar_reader;
struct tar_reader *tar_reader_new(const struct tar_events *events, const struct tar_limits *limits, void *arg);
void tar_reader_free(struct tar_reader **r);
#define cleanup_tar_reader __attribute__((cleanup(tar_reader_free)))
/* Any number of bytes, split anywhere. ERR_INVALID for what is not such an archive; after a failure only free is legal. */
int tar_reader_feed(struct tar_reader *r, const void *data, size_t n, struct error **err);
int tar_reader_finish(struct tar_reader *r, struct error **err); /* ERR_INVALID when the archive is cut short */

#endif
