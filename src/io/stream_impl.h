/* SPDX-License-Identifier: MIT */
/* For those who implement a stream: the base object, embedded as first member. */
#ifndef SLICER_IO_STREAM_IMPL_H
#define SLICER_IO_STREAM_IMPL_H

#include "io/stream.h"

struct stream_ops {
	void (*resume)(struct stream *s);  /* input was drained, or a reader was set: somebody reads */
	void (*flush)(struct stream *s);   /* output grew, or end_requested was set */
	void (*destroy)(struct stream *s); /* frees the implementation's part and the object */
};

struct stream {
	const struct stream_ops *ops;
	const struct stream_events *events;
	void *arg;
	struct loop *loop;
	struct evbuffer *in, *out;
	struct timer *defer; /* reports what happened before events were set, and from within calls of the owner */
	struct error *failure;
	bool eof;				     /* the peer ended */
	bool end_requested;			     /* stream_end was called */
	bool end_sent;				     /* and all was flushed */
	bool was_full;				     /* on_writable is owed */
	bool closed;				     /* on_closed is owed or was called */
	bool owe_readable, owe_writable, owe_closed; /* to be reported by `defer` */
	bool report_end;			     /* on_writable is called also when our end was delivered */
	unsigned busy; /* calls of the owner under way: reports wait for `defer` meanwhile */
};

void stream_init(struct stream *s, struct loop *loop, const struct stream_ops *ops);
void stream_clear(struct stream *s); /* for destroy */
/* What implementations report. Each may call the owner, who may free the stream: touch nothing afterwards. */
void stream_did_read(struct stream *s); /* bytes were added to s->in */
void stream_did_eof(struct stream *s);
void stream_did_write(struct stream *s); /* s->out shrank */
void stream_did_end(struct stream *s);	 /* our end was delivered */
void stream_did_fail(struct stream *s, struct error *take);

/* Streams on fds only. On hang-up (the peer closed both directions; Unix sockets tell) fail at once instead of giving the
 * reader what came before: for servers, whose answer nobody can receive any more. */
void stream_fd_fail_on_hangup(struct stream *s, bool on);
uint64_t stream_fd_sent(const struct stream *s); /* bytes that the kernel took, to see progress */

#endif
