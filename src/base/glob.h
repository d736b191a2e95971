/* SPDX-License-Identifier: MIT */
/* Shell globs over paths, for the `exclude` of cp (both ends of it) and .slicerignore. No locale, no I/O. */
#ifndef SLICER_BASE_GLOB_H
#define SLICER_BASE_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/* One path segment: * ? [a-z] [!a-z] \x. Time is bounded by the product of the lengths. */
bool glob_match(const char *pattern, const char *name);
/* A whole relative path, segment by segment; a segment "**" stands for any number of them, none included. */
bool glob_match_path(const char *pattern, const char *path);
/* The exclude rule of cp: one leading "./" or "/" and one trailing "/" of the pattern do not count; it is compared with the
 * whole path, and with the last segment when it has no slash; "d/..." with "**" in the end excludes d itself as well. */
bool glob_excludes(const char *pattern, const char *path);
bool glob_excludes_any(char *const *patterns, const char *path); /* NULL: none */

#endif
