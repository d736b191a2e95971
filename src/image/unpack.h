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
/* What a reader of ours decompresses: gzip, bzip2, xz, lzma, zstd, lz4. */
void unpack_support_filters(struct archive *a);
/* Data compressed by one of those, or not at all; decompressed by a process that can do nothing else (child.h). */
int unpack_data(const void *data, size_t n, int fd, uint64_t limit, uint64_t *ret_size, struct error **err);
int unpack_compressed_file(const char *from, const char *to, uint64_t limit, uint64_t *ret_size, struct error **err);

#endif
