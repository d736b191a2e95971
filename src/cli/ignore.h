/* SPDX-License-Identifier: MIT */
/* .slicerignore: patterns as in gitignore(5). */
#ifndef SLICER_CLI_IGNORE_H
#define SLICER_CLI_IGNORE_H

#include <stdbool.h>
#include "base/error.h"

enum { IGNORE_FILE_MAX = 1024 * 1024 };

struct ignore;
struct ignore *ignore_parse(const char *text);
/* DIR/.slicerignore; an empty set when there is none. NULL with *err set when it cannot be read. */
struct ignore *ignore_load(const char *dir, struct error **err);
void ignore_free(struct ignore **ig); /* NULL-safe */
/* Whether the rules exclude this relative path; the last one that matches decides. Whoever walks a tree leaves out all
 * below an excluded directory. */
bool ignore_matches(const struct ignore *ig, const char *path, bool directory);

#endif
