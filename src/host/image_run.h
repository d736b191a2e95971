/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_IMAGE_RUN_H
#define SLICER_HOST_IMAGE_RUN_H

#include "base/json.h"

struct image_update {
	const char *message; /* unfiltered */
	bool has_percent;
	unsigned percent; /* 0-100 of the whole work */
};
typedef void image_progress_fn(void *arg, const struct image_update *update);

struct image_run {
	const char *const *args;     /* of slicer-image, NULL-terminated */
	image_progress_fn *progress; /* gets each message as it comes; may be NULL */
	void *arg;
	/* SIGINT, SIGTERM and SIGHUP of this process end it in order, and image_run() with ERR_CANCELLED. Only while this process has
	 * one thread and no handlers of its own for them. */
	bool interruptible;
	bool gives_stdin; /* it reads this process's stdin */
};
/* Runs the program slicer-image to its end; it dies with the caller. Returns the result, the caller's, or its error. */
struct json_object *image_run(const struct image_run *run, struct error **err);

#endif
