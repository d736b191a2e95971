/* SPDX-License-Identifier: MIT */
/* The files and directories below a directory that a copy takes along, in a fixed order. */
#ifndef SLICER_CLI_TREE_WALK_H
#define SLICER_CLI_TREE_WALK_H

#include "base/error.h"
#include "base/tar.h"

struct tree_walk;
/* `exclude`: patterns of glob_excludes_any(), borrowed; .slicerignore of the directory is read. */
struct tree_walk *tree_walk_new(const char *root, char *const *exclude, struct error **err);
void tree_walk_free(struct tree_walk **w);
#define cleanup_tree_walk __attribute__((cleanup(tree_walk_free)))
/* 1 with the next entry (strings borrowed until the next call; *ret_path is where the file is), 0 at the end, -1. */
int tree_walk_next(struct tree_walk *w, struct tar_entry *ret, const char **ret_path, struct error **err);
uint64_t tree_walk_skipped(const struct tree_walk *w); /* links, sockets, devices so far */

#endif
