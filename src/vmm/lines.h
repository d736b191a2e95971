/* SPDX-License-Identifier: MIT */
/* Lines of a bounded length out of a stream: what monitors and VMMs speak. */
#ifndef SLICER_VMM_LINES_H
#define SLICER_VMM_LINES_H

#include "io/stream.h"

struct lines {
	struct evbuffer *partial; /* the line that has begun; NULL at first */
	size_t max;		  /* bytes of a line without its LF */
};
/* Takes from `in`: 1 and a line (the caller's; NUL behind it, CR and LF removed), 0 when there is
 * none yet, -1 with ERR_PROTOCOL when one is too long. */
int lines_next(struct lines *l, struct evbuffer *in, char **ret, size_t *ret_len, struct error **err);
void lines_clear(struct lines *l);

#endif
