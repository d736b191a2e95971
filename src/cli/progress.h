/* SPDX-License-Identifier: MIT */
/* One line on stderr that says how far a copy is; only when that is a terminal. */
#ifndef SLICER_CLI_PROGRESS_H
#define SLICER_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
	const char *what; /* borrowed */
	uint64_t total;	  /* 0: not known */
	uint64_t done;
	int64_t began_ms, shown_ms;
	bool on;
};
void progress_begin(struct progress *p, const char *what, uint64_t total);
void progress_add(struct progress *p, uint64_t n);
void progress_end(struct progress *p);			     /* removes the line */
void progress_bar(FILE *out, uint64_t done, uint64_t total); /* " [==>  ]  42%"; total is not 0 */

#endif
