/* SPDX-License-Identifier: MIT */
/* Carries a request's body into a process's pipe, with backpressure and without copying. */
#ifndef SLICER_AGENT_FEED_H
#define SLICER_AGENT_FEED_H

#include "io/stream.h"

struct feed;
/* Owns the non-blocking fd; -1: what comes is discarded. The stream is borrowed and must outlive the feed.
 * done (may be NULL) is called once when all of the body was written; it may free the feed. */
struct feed *feed_new(struct loop *loop, struct stream *from, int take_fd, loop_fn *done, void *arg);
void feed_free(struct feed **f); /* closes the fd */
/* To be called at each on_readable of the stream. The fd is closed once the body has ended and is written; when the process
 * reads no more, the rest is discarded. */
void feed_run(struct feed *f);
bool feed_complete(const struct feed *f); /* all of the body was written */

#endif
