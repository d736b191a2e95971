/* SPDX-License-Identifier: MIT */
/* One output pipe of a process: to frames on a stream with backpressure, or collected. */
#ifndef SLICER_AGENT_EXEC_OUTPUT_H
#define SLICER_AGENT_EXEC_OUTPUT_H

#include "base/json.h"
#include "io/stream.h"

struct output;
/* fn(arg, o) after each piece and at the end of the pipe; it may free the output. */
typedef void output_fn(void *arg, struct output *o);
/* Owns the non-blocking fd. `to` NULL: collects. `name` ("stdout", "stderr") is a constant. */
struct output *output_new(struct loop *loop, int take_fd, const char *name, struct stream *to, bool base64);
void output_start(struct output *o, output_fn *fn, void *arg);
void output_free(struct output **o);  /* NULL-safe */
void output_resume(struct output *o); /* the stream has room again */
void output_flush(struct output *o);  /* a character cut at the end goes out as it is */
bool output_paused(const struct output *o);
bool output_ended(const struct output *o);
size_t output_size(const struct output *o);			   /* bytes collected */
bool output_is_text(const struct output *o);			   /* all collected is UTF-8 */
struct json_object *output_to_json(struct output *o, bool base64); /* a string; the caller's */
/* Remembers what is in the pipe now (at the child's exit); marked_done: that has been read. */
void output_mark(struct output *o);
bool output_marked_done(const struct output *o);

#endif
