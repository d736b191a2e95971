/* SPDX-License-Identifier: MIT */
/* A root filesystem from outside, hostile until looked at: nothing of it is unpacked on this host. What it holds goes through
 * here into an archive of our own making, which becomes the squashfs. */
#ifndef SLICER_IMAGE_IMPORT_H
#define SLICER_IMAGE_IMPORT_H

#include "base/error.h"

enum {
	IMPORT_ENTRIES_MAX = 4000000,
	IMPORT_PATH_MAX = 4095,
	IMPORT_PASSWD_MAX = 4 * 1024 * 1024,
	IMPORT_KERNELS_MAX = 64, /* releases below /lib/modules */
};
#define IMPORT_BYTES_MAX ((uint64_t)64 << 30)

/* What was seen on the way. */
struct import_facts {
	char **own_modules; /* releases whose modules it has; NULL: none */
	char *default_user; /* the first uid from 1000 to 60000 of /etc/passwd, else "root" */
};
void import_facts_clear(struct import_facts *facts);

/* Copies `source` into the new tar archive `to`. source: a tar archive, plain or compressed by gzip, bzip2, xz, lzma, zstd or lz4; a
 * directory, whose other file systems are left out; or "-", an archive on stdin. Kept: files, directories, links, devices,
 * FIFOs, owners, modes, times, and the extended attributes security.capability and user.*. ERR_INVALID says what no root
 * filesystem has, ERR_TOO_LARGE which of the limits above it is over. */
int import_copy(const char *source, const char *to, struct import_facts *ret, struct error **err);

/* What import_copy does in a process of its own, on open files (for tests): *ret, which has to be empty, is what was seen. */
int import_archive(int from, int to, struct import_facts *ret, struct error **err);

/* "./a//b/" becomes "a/b"; "" is the root itself. The caller's; NULL with ERR_INVALID for what leads out or is too long. */
char *import_path(const char *given, struct error **err);
/* The user for import_facts, from the text of passwd(5); the caller's. */
char *import_default_user(const char *passwd);

#endif
