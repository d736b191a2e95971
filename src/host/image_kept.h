/* SPDX-License-Identifier: MIT */
/* Runs of slicer-image whose result the last start of a daemon has kept. */
#ifndef SLICER_HOST_IMAGE_KEPT_H
#define SLICER_HOST_IMAGE_KEPT_H

#include <json-c/json.h>
#include "base/kept.h"

/* kept_stamp() of slicer-image and of `files` (NULL-terminated), to be taken before the run. */
char *image_kept_stamp(const char *const *files);
/* The kept result of a run with these arguments: the caller's. NULL when there is none, or when the file that its member
 * "initramfs" names is gone; otherwise that counts as used now. */
struct json_object *image_kept_get(const struct kept *kept, const char *const *args, const char *stamp);
void image_kept_set(struct kept *kept, const char *const *args, const char *stamp, struct json_object *result);

#endif
