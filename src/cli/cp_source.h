/* SPDX-License-Identifier: MIT */
/* What an upload sends: one file, or a directory as tar. */
#ifndef SLICER_CLI_CP_SOURCE_H
#define SLICER_CLI_CP_SOURCE_H

#include <sys/stat.h>
#include "base/error.h"

struct cp_source;
struct cp_source *cp_source_file(const char *path, struct error **err); /* follows a symlink */
struct cp_source *cp_source_tree(const char *path, char *const *exclude, struct error **err);
void cp_source_free(struct cp_source **s);
#define cleanup_cp_source __attribute__((cleanup(cp_source_free)))

/* The next bytes, at most n; 0 at the end. ERR_CONFLICT when a file shrinks meanwhile. */
ssize_t cp_source_read(struct cp_source *s, void *buffer, size_t n, struct error **err);
uint64_t cp_source_size(const struct cp_source *s);	      /* bytes of content; of a pipe 0 */
const struct stat *cp_source_stat(const struct cp_source *s); /* of the file or directory */
uint64_t cp_source_skipped(const struct cp_source *s);	      /* links, sockets, devices not sent */

#endif
