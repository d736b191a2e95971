/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "io/stream_impl.h"

static void on_defer(void *arg);

static void defer(struct stream *s)
{
	if (!s->events)
		return; /* stream_set_events does it */
	if (!s->defer)
		s->defer = timer_new(s->loop, on_defer, s);
	if (!timer_pending(s->defer))
		timer_set(s->defer, 0);
}

/* Within a call of the owner nothing is reported at once: the owner is not prepared to be called,
 * or freed, there. */
static bool must_defer(const struct stream *s)
{
	return !s->events || s->busy > 0;
}

static void report_readable(struct stream *s)
{
	if (must_defer(s)) {
		s->owe_readable = true;
		defer(s);
		return;
	}
	s->owe_readable = false;
	if (s->events->on_readable)
		s->events->on_readable(s->arg);
}

static void report_writable(struct stream *s)
{
	if (must_defer(s)) {
		s->owe_writable = true;
		defer(s);
		return;
	}
	s->owe_writable = false;
	if (s->events->on_writable)
		s->events->on_writable(s->arg);
}

static void report_closed(struct stream *s)
{
	if (must_defer(s) || s->owe_readable || s->owe_writable) { /* it is the last report */
		s->owe_closed = true;
		defer(s);
		return;
	}
	s->owe_closed = false;
	if (s->events->on_closed)
		s->events->on_closed(s->arg, s->failure);
}

/* One report per round: each may free the stream, which cancels the timer for the rest. */
static void on_defer(void *arg)
{
	struct stream *s = arg;

	if (s->owe_readable + s->owe_writable + s->owe_closed > 1)
		timer_set(s->defer, 0);
	if (s->owe_readable)
		report_readable(s);
	else if (s->owe_writable)
		report_writable(s);
	else if (s->owe_closed)
		report_closed(s);
}

void stream_init(struct stream *s, struct loop *loop, const struct stream_ops *ops)
{
	s->ops = ops;
	s->loop = loop;
	s->in = evbuffer_new();
	s->out = evbuffer_new();
	if (!s->in || !s->out)
		abort();
}

void stream_clear(struct stream *s)
{
	timer_free(&s->defer);
	error_free(&s->failure);
	evbuffer_free(s->in);
	evbuffer_free(s->out);
}

void stream_did_read(struct stream *s)
{
	if (!s->closed)
		report_readable(s);
}

void stream_did_eof(struct stream *s)
{
	if (s->eof || s->closed)
		return;
	s->eof = true;
	if (s->end_sent) {
		s->closed = true;
		s->owe_closed = true;
		defer(s);
	}
	report_readable(s);
}

void stream_did_write(struct stream *s)
{
	/* Half a window of room, so that writers work in large pieces. */
	if (s->closed || !s->was_full || evbuffer_get_length(s->out) > STREAM_WINDOW / 2)
		return;
	s->was_full = false;
	if (!s->end_requested)
		report_writable(s);
}

void stream_did_end(struct stream *s)
{
	if (s->end_sent || s->closed)
		return;
	s->end_sent = true;
	if (s->eof) {
		s->closed = true;
		report_closed(s);
	} else if (s->report_end) {
		report_writable(s);
	}
}

void stream_did_fail(struct stream *s, struct error *take)
{
	if (s->closed) {
		error_free(&take);
		return;
	}
	s->closed = true;
	s->failure = take;
	report_closed(s);
}

void stream_set_events(struct stream *s, const struct stream_events *events, void *arg)
{
	s->events = events;
	s->arg = arg;
	if (!events) {
		if (s->defer)
			timer_cancel(s->defer);
		return;
	}
	if (evbuffer_get_length(s->in) > 0 || s->eof)
		s->owe_readable = true;
	if (s->owe_readable || s->owe_writable || s->owe_closed)
		defer(s);
	if (events->on_readable)
		stream_resume(s); /* somebody reads now */
}

struct evbuffer *stream_input(struct stream *s)
{
	return s->in;
}

void stream_resume(struct stream *s)
{
	if (s->closed || s->eof)
		return;
	s->busy++;
	s->ops->resume(s);
	s->busy--;
}

bool stream_eof(const struct stream *s)
{
	return s->eof;
}

static void flush(struct stream *s)
{
	if (stream_full(s))
		s->was_full = true;
	s->busy++;
	s->ops->flush(s);
	s->busy--;
}

void stream_write(struct stream *s, const void *data, size_t n)
{
	assert(!s->end_requested);
	if (s->closed || n == 0)
		return;
	if (evbuffer_add(s->out, data, n) < 0)
		abort();
	flush(s);
}

enum { BUFFER_FEW = 1024 }; /* bytes: a quarter of the least that is read at once */

void buffer_move(struct evbuffer *to, struct evbuffer *from, size_t n)
{
	char few[BUFFER_FEW];
	ssize_t got;

	if (n >= sizeof(few) && evbuffer_get_length(from) >= sizeof(few)) {
		if (evbuffer_remove_buffer(from, to, n) < 0)
			abort();
		return;
	}
	got = evbuffer_remove(from, few, n);
	if (got < 0 || evbuffer_add(to, few, (size_t)got) < 0)
		abort();
}

void stream_write_buffer(struct stream *s, struct evbuffer *from, size_t n)
{
	assert(!s->end_requested);
	if (s->closed) {
		evbuffer_drain(from, n);
		return;
	}
	if (n == 0)
		return;
	buffer_move(s->out, from, n);
	flush(s);
}

bool stream_full(const struct stream *s)
{
	return s->closed || evbuffer_get_length(s->out) >= STREAM_WINDOW;
}

size_t stream_pending(const struct stream *s)
{
	return s->closed ? 0 : evbuffer_get_length(s->out);
}

void stream_end(struct stream *s)
{
	if (s->end_requested)
		return;
	s->end_requested = true;
	if (!s->closed)
		flush(s);
}

void stream_free(struct stream **s)
{
	struct stream *taken = TAKE_PTR(*s);

	if (taken)
		taken->ops->destroy(taken);
}
