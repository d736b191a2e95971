/* SPDX-License-Identifier: MIT */
/* The signals that ask a streaming verb to end: INT, TERM, HUP and QUIT, in the loop. */
#ifndef SLICER_CLI_SIGNALS_H
#define SLICER_CLI_SIGNALS_H

#include "io/loop.h"

struct signals;
typedef void signals_fn(void *arg, int signo);
struct signals *signals_new(struct loop *loop, signals_fn *fn, void *arg);
void signals_free(struct signals **s); /* NULL-safe */

#endif
