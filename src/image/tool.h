/* SPDX-License-Identifier: MIT */
/* Runs the programs that images are made with. They die with this one, and speak English (LC_ALL=C). */
#ifndef SLICER_IMAGE_TOOL_H
#define SLICER_IMAGE_TOOL_H

#include "base/error.h"

struct tool {
	const char *const *argv; /* NULL-terminated */
	const char *name;	 /* for errors; NULL: argv[0] */
	const char *exe;	 /* path; NULL: argv[0] in PATH, /usr/sbin and /sbin */
	const char *package;	 /* Debian package that has it, for the error when it is missing */
	const char *cwd;	 /* NULL: the present one */
	const char *const *env;	 /* NAME=VALUE on top of this program's environment, NULL-terminated; may be NULL */
	void (*on_line)(void *arg,
			const char *line); /* gets what it says on stderr, line by line as it runs; may be NULL */
	void *arg;
	int input;  /* fd for stdin, read from its present offset; -1: /dev/null */
	int output; /* fd for stdout; 0: it is kept, see tool_run() */
	int64_t timeout_ms;
};

/* Runs it to the end. *ret_out (may be NULL) is what it wrote to stdout without `output`, at most 1 MiB, NUL-terminated, the
 * caller's. ERR_UNSUPPORTED when it is not installed, with the remedy; ERR_NO_SPACE when it says so; ERR_TIMEOUT; ERR_CANCELLED
 * (interrupt.h); else ERR_IO with what its stderr says: the first line that begins with "E: " as apt's do, else the last line. */
int tool_run(const struct tool *tool, char **ret_out, struct error **err);
/* The ERR_UNSUPPORTED for a program that is not installed. Returns -1. */
int tool_missing(const char *program, const char *package, struct error **err);

#endif
