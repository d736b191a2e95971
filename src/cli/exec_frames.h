/* SPDX-License-Identifier: MIT */
/* The answer of a streaming exec: NDJSON frames from the guest, that is hostile input. Pure. */
#ifndef SLICER_CLI_EXEC_FRAMES_H
#define SLICER_CLI_EXEC_FRAMES_H

#include "base/error.h"

enum { EXEC_FRAME_MAX = 4 * 1024 * 1024 }; /* bytes of one line */

struct exec_events {
	void (*on_output)(void *arg, int fd, const void *data, size_t n); /* fd: 1 or 2 */
	/* The last event. error: why it could not run, NULL; borrowed. */
	void (*on_exit)(void *arg, int exit_code, const char *error);
};

struct exec_reader;
struct exec_reader *exec_reader_new(const struct exec_events *events, void *arg);
void exec_reader_free(struct exec_reader **r);
/* Any number of bytes, cut anywhere; what follows the exit is ignored. ERR_PROTOCOL for what are no such frames. */
int exec_reader_feed(struct exec_reader *r, const void *data, size_t n, struct error **err);
/* The answer has ended: fails unless there was an exit. Agents that do not type their frames may end without one. */
int exec_reader_finish(struct exec_reader *r, struct error **err);

#endif
