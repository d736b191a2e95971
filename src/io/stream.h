/* SPDX-License-Identifier: MIT */
/* A byte stream with backpressure: the one interface behind fds, HTTP bodies (1.1 and 2) and WebSockets.
 *
 * Reading: bytes arrive in stream_input(); the owner drains what it can use and calls stream_resume(), which lets the
 * stream read on (fds), or returns credit to the peer (HTTP/2). What is not drained is bounded by STREAM_WINDOW; the peer is
 * stopped meanwhile, so a slow reader costs no memory.
 * Writing: stream_write() always takes all; the writer stops when stream_full() and goes on at on_writable.
 *
 *   open ──peer ends──▶ eof (still writable) ──stream_end()──▶ both ended, all flushed ──▶ on_closed(NULL)
 *     └──stream_end()─▶ still readable ──peer ends──▶ the same      any state ──failure──▶ on_closed(error)
 *
 * on_closed comes at most once and is the last callback; the owner then frees the stream. The input may still hold bytes. */
#ifndef SLICER_IO_STREAM_H
#define SLICER_IO_STREAM_H

#include <event2/buffer.h>
#include "io/loop.h"

enum { STREAM_WINDOW = 64 * 1024 }; /* bytes per direction held at most (plus one read) */

struct stream;
struct stream_events {
	void (*on_readable)(void *arg);				 /* input grew, or the peer ended (stream_eof) */
	void (*on_writable)(void *arg);				 /* was full, has room again */
	void (*on_closed)(void *arg, const struct error *error); /* NULL: both directions ended well; else borrowed */
};

/* `events` must outlive the stream; NULL members are allowed. Pending input is reported in the next round of the loop. */
void stream_set_events(struct stream *s, const struct stream_events *events, void *arg);
struct evbuffer *stream_input(struct stream *s); /* borrowed; drain only */
void stream_resume(struct stream *s);		 /* after draining; idempotent */
bool stream_eof(const struct stream *s);	 /* the peer ended: nothing will be added to the input */
void stream_write(struct stream *s, const void *data, size_t n);
void stream_write_buffer(struct stream *s, struct evbuffer *from, size_t n); /* as buffer_move() */
/* Moves up to n bytes. Without copying but for few, which are put together: each of them may have a block of several KiB to
 * itself, so that a peer who sends byte by byte would take a thousand times what a limit in bytes says, and whoever searches
 * them long. */
void buffer_move(struct evbuffer *to, struct evbuffer *from, size_t n);
bool stream_full(const struct stream *s);      /* STREAM_WINDOW or more not yet sent, or it has failed */
size_t stream_pending(const struct stream *s); /* bytes not yet sent */
void stream_end(struct stream *s);	       /* no more writes; the peer sees the end after the last byte */
/* Ends both directions now; unsent bytes are lost and the peer sees a failure (RST_STREAM, reset, close). */
void stream_free(struct stream **s); /* the same if still open; no callback; NULL-safe */

/* A stream on an fd (socket, pipe, tty, virtio port, file); owns `take_fd`. With fd_write ≥ 0 that is the writing side (two
 * pipes); take_fd may be -1 then. Make it non-blocking where its file description is yours alone; on a blocking one (a
 * terminal shared with the shell) reads and writes are preceded by poll(2). stream_end on a socket is shutdown(SHUT_WR); on
 * another single fd it only flushes. EIO of a terminal is its end. When writing fails, what the peer has sent is still
 * read; the failure is reported after that. */
struct stream *stream_fd_new(struct loop *loop, int take_fd, int take_fd_write);
int stream_fd(const struct stream *s); /* the reading fd, borrowed; -1 if it is not a stream on an fd */

/* Joins two streams: what a reads goes to b and back, ends and backpressure included. Owns both. done(arg, error) when both
 * directions ended or one failed; both streams are freed by then, the splice is still the owner's to free (also in done).
 * splice_free before that cancels, without callback. */
struct splice;
typedef void splice_done_fn(void *arg, const struct error *error);
struct splice *splice_new(struct loop *loop, struct stream *take_a, struct stream *take_b, splice_done_fn *done,
			  void *arg);
void splice_free(struct splice **sp);
/* For protocols without half-close: the first end, of either side, ends both. What came before it is still written, what
 * comes from the other side afterwards is dropped. A side that takes nothing for SPLICE_LINGER_MS then is cut off. */
void splice_end_together(struct splice *sp);
/* When b fails, a is not ended: done() takes it, to say why on it. */
void splice_keep_first(struct splice *sp);
struct stream *splice_take_first(
	struct splice *sp); /* within done(); NULL: there is nothing to be said on it. The caller's. */
enum { SPLICE_LINGER_MS = 10 * 1000 };
uint64_t splice_bytes(const struct splice *sp); /* moved so far, both ways */

#endif
