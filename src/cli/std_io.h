/* SPDX-License-Identifier: MIT */
/* Standard input and output of verbs that stream. These fds are shared with other programs (the user's shell), so they are
 * never made non-blocking: readiness is asked first, and writes to pipes are small enough not to block. Regular files and
 * the like, which cannot be waited for, are read in turns of the loop and written at once. */
#ifndef SLICER_CLI_STD_IO_H
#define SLICER_CLI_STD_IO_H

#include "io/loop.h"

enum { OUTPUT_WINDOW = 64 * 1024 };

struct input;
/* n bytes came; n 0: the end, or an error, see input_failed(). The last call. */
typedef void input_fn(void *arg, const void *data, size_t n);
struct input *input_new(struct loop *loop, int fd, input_fn *fn, void *arg); /* stopped at first */
void input_run(struct input *in, bool run);
int input_failed(const struct input *in); /* errno of the error that was the end; 0: there was none */
void input_free(struct input **in);	  /* NULL-safe; the fd stays open */

struct output;
/* fn(arg): all was written, or writing failed. */
struct output *output_new(struct loop *loop, int fd, loop_fn *fn, void *arg);
void output_write(struct output *out, const void *data, size_t n); /* takes all */
bool output_full(const struct output *out);			   /* OUTPUT_WINDOW or more is not yet written */
bool output_empty(const struct output *out);
int output_failed(const struct output *out); /* errno of the failure, 0; what is written after it is dropped */
void output_free(struct output **out);

#endif
