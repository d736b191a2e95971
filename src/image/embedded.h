/* SPDX-License-Identifier: MIT */
/* The files of src/image/micro/ and src/image/debian/, as the build puts them into the program (embed.py). */
#ifndef SLICER_IMAGE_EMBEDDED_H
#define SLICER_IMAGE_EMBEDDED_H

#include <stddef.h>

struct embedded_file {
	const char *name;
	const unsigned char *data;
	size_t size;
};
extern const struct embedded_file image_files[];	     /* ends with a NULL name */
const struct embedded_file *embedded_find(const char *name); /* NULL if absent */

#endif
