/* SPDX-License-Identifier: MIT */
/* Keys of cached things: hex sha256 over files, or over labelled strings. */
#ifndef SLICER_IMAGE_HASH_H
#define SLICER_IMAGE_HASH_H

#include "base/error.h"

/* Hex sha256 of a regular file of at most 4 GiB; the caller's. */
char *hash_file(const char *path, struct error **err);
/* Hex sha256 over the strings, each with its length, up to NULL; the caller's. */
char *hash_strings(const char *const *strings);

#endif
