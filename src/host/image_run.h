/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_IMAGE_RUN_H
#define SLICER_HOST_IMAGE_RUN_H

#include "base/json.h"

/* Runs the program slicer-image with `args` (NULL-terminated) to its end; it dies with the caller. `progress` (may be NULL)
 * gets each message as it comes, unfiltered. Returns the result, the caller's, or its error. */
typedef void (*image_progress_fn)(void *arg, const char *message);
struct json_object *image_run(const char *const *args, image_progress_fn progress, void *arg, struct error **err);

#endif
