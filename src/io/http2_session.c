/* SPDX-License-Identifier: MIT */
/* An HTTP/2 session at work: bytes between the transport and nghttp2, and how it ends. The rules
 * are in http2_impl.h. */
#include "base/str.h"
#include "io/http2_impl.h"

enum {
	MAX_QUEUED_FRAMES = 16384, /* a peer that asks and asks but reads no answer */
	DRAIN_STEP_MS = 10,
	DRAIN_MS = 2000,
};

static const struct stream_events no_events = {0};

void h2_tick(struct http2_session *s)
{
	if (!timer_pending(s->tick))
		timer_set(s->tick, 0);
}

void h2_break(struct http2_session *s, struct error *take_error)
{
	if (s->failure)
		error_free(&take_error);
	else
		s->failure = take_error;
}

/* ---- the end ---- */

/* Everything but the memory, which frames of ours on the stack may still look at. */
void h2_teardown(struct http2_session *s)
{
	struct h2_exchange *x, *next;

	for (x = TAILQ_FIRST(&s->all); x; x = next) {
		struct error *error = NULL;

		next = TAILQ_NEXT(x, all);
		error_set(&error, ERR_UNAVAILABLE, "the connection to the peer was closed");
		x->open = false;
		h2_exchange_orphan(x, error);
	}
	s->over = s->freed = true;
	s->open = 0;
	timer_free(&s->tick);
	timer_free(&s->ping);
	timer_free(&s->drain);
	stream_free(&s->transport);
	nghttp2_session_del(TAKE_PTR(s->ng));
	evbuffer_free(TAKE_PTR(s->batch));
	mem_freep(&s->complaint);
	error_free(&s->failure);
}

static void session_unbusy(struct http2_session *s)
{
	if (--s->busy == 0 && s->freed)
		free(s);
}

static void fail_exchanges(struct http2_session *s, const struct error *why)
{
	struct h2_exchange *x, *next;

	for (x = TAILQ_FIRST(&s->all); x; x = next) {
		struct stream *stream = &x->base.stream;
		struct error *error = NULL;

		next = TAILQ_NEXT(x, all);
		x->open = false;
		if (!x->handed) {
			stream_free(&stream);
		} else if (h2_exchange_incomplete(x)) {
			error_set(&error, ERR_UNAVAILABLE, "the connection to the peer ended%s%s", why ? ": " : "",
				  why ? error_message(why) : "");
			h2_exchange_fail(x, error);
		}
	}
	s->open = 0;
}

/* Called with busy held; the session may be freed (but not its memory) on return. */
static void session_finish(struct http2_session *s, struct error *take)
{
	cleanup_error struct error *error = take;

	s->over = true;
	timer_cancel(s->ping);
	timer_cancel(s->drain);
	stream_set_events(s->transport, &no_events, NULL);
	fail_exchanges(s, error);
	while (!s->freed && !TAILQ_EMPTY(&s->ready))
		h2_report(s);
	if (!s->freed)
		s->done(s->arg, error);
}

/* ---- bytes ---- */

static void break_by(struct http2_session *s, ssize_t lib_error)
{
	struct error *error = NULL;

	error_set(&error, ERR_PROTOCOL, "the peer broke HTTP/2: %s",
		  s->complaint ? s->complaint : nghttp2_strerror((int)lib_error));
	h2_break(s, error);
}

static void session_receive(struct http2_session *s)
{
	struct evbuffer *in = stream_input(s->transport);
	struct evbuffer_iovec v;
	struct error *error = NULL;

	while (!s->failure && evbuffer_get_length(in) > 0 && evbuffer_peek(in, 1, NULL, &v, 1) > 0) {
		ssize_t n = nghttp2_session_mem_recv(s->ng, v.iov_base, v.iov_len);

		if (n < 0) {
			break_by(s, n);
			break;
		}
		evbuffer_drain(in, (size_t)n);
		s->heard = true;
	}
	if (nghttp2_session_get_outbound_queue_size(s->ng) > MAX_QUEUED_FRAMES) {
		error_set(&error, ERR_PROTOCOL, "the peer lets more than %d answers wait", MAX_QUEUED_FRAMES);
		h2_break(s, error);
	}
	stream_resume(s->transport);
}

static size_t unsent(struct http2_session *s)
{
	return stream_pending(s->transport) + evbuffer_get_length(s->batch);
}

static void session_send(struct http2_session *s)
{
	const uint8_t *data;

	if (s->draining)
		return;
	while (unsent(s) < STREAM_WINDOW) {
		size_t before = evbuffer_get_length(s->batch);
		ssize_t n = nghttp2_session_mem_send(s->ng, &data);

		if (n < 0) {
			break_by(s, n);
			break;
		}
		if (n > 0)
			evbuffer_add(s->batch, data, (size_t)n);
		if (evbuffer_get_length(s->batch) == before)
			break;
	}
	stream_write_buffer(s->transport, s->batch, evbuffer_get_length(s->batch));
}

/* ---- what follows from it ---- */

static bool may_end(const struct http2_session *s)
{
	return (s->we_goaway || s->peer_goaway) && s->open == 0;
}

/* The last frames must leave the transport before its owner frees it. */
static void session_drain(struct http2_session *s)
{
	if (s->draining)
		return;
	s->draining = true;
	s->drain_left_ms = DRAIN_MS;
	stream_end(s->transport);
	timer_set(s->drain, 0);
}

void h2_on_drain(void *arg)
{
	struct http2_session *s = arg;

	s->busy++;
	if (stream_pending(s->transport) > 0 && s->drain_left_ms > 0) {
		s->drain_left_ms -= DRAIN_STEP_MS;
		timer_set(s->drain, DRAIN_STEP_MS);
	} else {
		session_finish(s, NULL);
	}
	session_unbusy(s);
}

static void session_check(struct http2_session *s)
{
	struct error *error = NULL;

	if (s->failure) {
		session_finish(s, TAKE_PTR(s->failure));
	} else if (stream_eof(s->transport) && !evbuffer_get_length(stream_input(s->transport))) {
		if (!may_end(s))
			error_set(&error, ERR_UNAVAILABLE, "the peer closed the connection");
		session_finish(s, error);
	} else if (may_end(s) && !nghttp2_session_want_write(s->ng)) {
		session_drain(s);
	} else if (!nghttp2_session_want_read(s->ng) && !nghttp2_session_want_write(s->ng)) {
		error_set(&error, ERR_PROTOCOL, "the HTTP/2 session ended: %s", s->complaint ? s->complaint : "GOAWAY");
		session_finish(s, error);
	}
}

static void session_run(struct http2_session *s)
{
	s->busy++;
	if (!s->over)
		session_receive(s);
	h2_report(s);
	if (!s->freed && !s->over)
		session_send(s);
	if (!s->freed && !s->over)
		session_check(s);
	if (!s->freed && !TAILQ_EMPTY(&s->ready))
		h2_tick(s);
	session_unbusy(s);
}

void h2_on_tick(void *arg)
{
	session_run(arg);
}

void h2_on_transport_closed(void *arg, const struct error *error)
{
	struct http2_session *s = arg;
	struct error *why = NULL;

	session_receive(s); /* what had arrived still counts */
	if (error) {
		why = error_copy(error);
		h2_break(s, why);
	} else if (!may_end(s)) {
		error_set(&why, ERR_UNAVAILABLE, "the peer closed the connection");
		h2_break(s, why);
	}
	session_run(s);
}

/* ---- keepalive ---- */

static void set_ping_deadline(struct http2_session *s)
{
	s->heard = false;
	s->ping_sent_bytes = stream_fd_sent(s->transport);
	timer_set_deadline(s->ping, s->ping_deadline_ms);
}

/* The ping may wait behind what we have to send, and its answer behind what the peer has: where bytes move, somebody is there. */
static bool bytes_move(const struct http2_session *s)
{
	return s->heard || stream_fd_sent(s->transport) != s->ping_sent_bytes;
}

void h2_on_ping(void *arg)
{
	struct http2_session *s = arg;
	struct error *error = NULL;

	if (s->ping_sent && bytes_move(s)) {
		set_ping_deadline(s);
	} else if (s->ping_sent) {
		error_set(&error, ERR_TIMEOUT, "the peer did not answer a ping within %lld ms",
			  (long long)s->ping_deadline_ms);
		h2_break(s, error);
	} else {
		s->ping_sent = true;
		nghttp2_submit_ping(s->ng, NGHTTP2_FLAG_NONE, NULL);
		set_ping_deadline(s);
	}
	session_run(s);
}
