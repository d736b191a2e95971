/* SPDX-License-Identifier: MIT */
/* Files of Debian packages (deb(5)). */
#ifndef SLICER_IMAGE_DEB_H
#define SLICER_IMAGE_DEB_H

#include "base/error.h"

/* Where a regular file of the package goes (mode 0644, its directory is made); NULL: nowhere. `path` is relative, without "." and
 * "..". The result is taken over. */
typedef char *deb_place_fn(void *arg, const char *path);
/* Needs as much room beside `deb` as its files take. ERR_TOO_LARGE for more than 200,000 files or 2 GiB, or a file to be placed of
 * more than 256 MiB; ERR_INVALID for a path that leads out of the package. */
int deb_unpack(const char *deb, deb_place_fn *place, void *arg, struct error **err);
/* What deb_unpack does in a process of its own, on open files (for tests): the package's regular files as a plain tar archive. */
int deb_to_tar(int from, int to, struct error **err);
/* Takes one file out of it: the first of `paths` (NULL-terminated) that is there. */
int deb_extract_file(const char *deb, const char *const *paths, const char *to, struct error **err);

#endif
