/* SPDX-License-Identifier: MIT */
/* Reading of archives and compressed data by libarchive, with limits. */
#ifndef SLICER_IMAGE_UNPACK_H
#define SLICER_IMAGE_UNPACK_H

#include <archive.h>
#include <archive_entry.h>
#include "base/error.h"

/* An error with libarchive's reason; a full disk stays ERR_NO_SPACE. Returns -1. */
int unpack_error(struct archive *a, struct error **err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void unpack_closep(struct archive **a); /* readers and writers */
#define cleanup_archive __attribute__((cleanup(unpack_closep)))

/* The rest of the present entry into fd; ERR_TOO_LARGE beyond `limit` bytes. *ret_size may be NULL. */
int unpack_to_fd(struct archive *a, int fd, uint64_t limit, uint64_t *ret_size, struct error **err);
/* The same into a new file of mode 0644; its directory is made. */
int unpack_to_file(struct archive *a, const char *path, uint64_t limit, struct error **err);
/* Data compressed by gzip, xz, zstd, lz4 (legacy too), bzip2 or lzma, or not at all. */
int unpack_data(const void *data, size_t n, int fd, uint64_t limit, uint64_t *ret_size, struct error **err);
int unpack_compressed_file(const char *from, const char *to, uint64_t limit, struct error **err);

/* Called for each regular file of a .deb (deb(5)); `path` is relative, without "./" and "..". */
typedef int (*deb_file_fn)(struct archive *a, const char *path, void *arg, struct error **err);
int deb_each_file(const char *deb, deb_file_fn fn, void *arg, struct error **err);
/* Takes one file out of a .deb: the first of `paths` (NULL-terminated) that is there. */
int deb_extract_file(const char *deb, const char *const *paths, const char *to, struct error **err);

#endif
