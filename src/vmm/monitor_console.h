/* SPDX-License-Identifier: MIT */
/* The bounded console log. The guest must never wait for it: what cannot be written is dropped. */
#ifndef SLICER_VMM_MONITOR_CONSOLE_H
#define SLICER_VMM_MONITOR_CONSOLE_H

#include "base/error.h"

enum { CONSOLE_TAIL = 2048, CONSOLE_CHUNK = 16 * 1024 };

/* The last bytes of a stream. */
struct tail {
	char bytes[CONSOLE_TAIL];
	size_t n; /* how many are there */
};
void tail_add(struct tail *t, const char *data, size_t n);
char *tail_text(const struct tail *t); /* valid UTF-8 without NUL, the caller's */

struct console {
	int pipe;	  /* non-blocking; owned; -1 after its end */
	const char *path; /* borrowed */
	uint64_t limit;
	int file;      /* -1: not open */
	uint64_t size; /* of the file */
	int64_t retry; /* clock_ms before which the file is not tried again */
	struct tail tail;
};
void console_init(struct console *c, int take_pipe, const char *path, uint64_t limit);
/* Takes one chunk from the pipe. False when there is none (empty, or at its end: pipe is -1 then).
 */
bool console_read(struct console *c);
void console_write(struct console *c, const char *data, size_t n);
void console_clear(struct console *c);

#endif
