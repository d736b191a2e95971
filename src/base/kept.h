/* SPDX-License-Identifier: MIT */
/* Answers that take long to find out and change only with certain files (which version a program is): kept in one JSON file,
 * {"NAME":{"stamp":"…","value":"…"}}. A stamp is of the files that the answer comes from; another stamp is no answer. The file
 * is to be trusted like these: keep it where only their user writes. */
#ifndef SLICER_BASE_KEPT_H
#define SLICER_BASE_KEPT_H

#include "base/error.h"

enum { KEPT_LIMIT = 256 * 1024 }; /* bytes of the file */

struct kept;
struct kept *kept_load(const char *path); /* never NULL: without such a file, or with a damaged one, nothing is kept */
void kept_free(struct kept **k);	  /* without saving; NULL-safe */
#define cleanup_kept __attribute__((cleanup(kept_free)))
/* Path, device, inode, size and times of each of the files (NULL-terminated, symlinks followed): the caller's. NULL when one
 * cannot be looked at. */
char *kept_stamp(const char *const *paths);
/* Borrowed until the next kept_set; NULL: not known. `k` and `stamp` may be NULL here and below: nothing is known or kept. */
const char *kept_get(const struct kept *k, const char *name, const char *stamp);
void kept_set(struct kept *k, const char *name, const char *stamp, const char *value);
int kept_save(struct kept *k, struct error **err); /* writes the file (0600) if anything was set since */

#endif
