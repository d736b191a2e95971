/* SPDX-License-Identifier: MIT */
/* How far slicer-image is, on stderr: one line with a bar that is replaced where stderr is a terminal, and plain lines elsewhere. */
#ifndef SLICER_HOST_IMAGE_PROGRESS_H
#define SLICER_HOST_IMAGE_PROGRESS_H

#include "host/image_run.h"

struct image_progress {
	const char *name; /* of the image, borrowed; NULL: not shown */
	bool quiet;	  /* shows nothing */
	/* Its own: */
	bool drawn; /* there is a line to be replaced */
	char *said; /* the last message of the plain lines */
	int64_t said_ms, began_ms;
	unsigned percent; /* of the last message that had one */
};
image_progress_fn image_progress_show; /* arg: struct image_progress, zeroed but for the members above */
void image_progress_end(struct image_progress *p);

#endif
