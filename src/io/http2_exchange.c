/* SPDX-License-Identifier: MIT */
/* One HTTP/2 stream as an exchange: the owner's calls on one side, recorded events on the other. */
#include <assert.h>
#include "base/str.h"
#include "io/http2_impl.h"

enum { REPORT_TURNS = 4096 }; /* calls to owners in one round of the loop */

static struct h2_exchange *of_stream(struct stream *stream)
{
	return (struct h2_exchange *)stream;
}

void h2_due(struct h2_exchange *x, unsigned what)
{
	struct http2_session *s = x->session;

	if (!s)
		return;
	if (!x->due)
		TAILQ_INSERT_TAIL(&s->ready, x, ready);
	x->due |= what;
}

/* ---- what the owner calls ---- */

static void exchange_resume(struct stream *stream)
{
	struct h2_exchange *x = of_stream(stream);
	uint64_t used = x->received - evbuffer_get_length(stream->in);

	if (!x->open || used <= x->credited)
		return;
	nghttp2_session_consume_stream(x->session->ng, x->id, used - x->credited);
	x->credited = used;
	h2_tick(x->session);
}

static void discard_output(struct h2_exchange *x)
{
	struct stream *stream = &x->base.stream;
	size_t n = evbuffer_get_length(stream->out);

	if (n) {
		evbuffer_drain(stream->out, n);
		h2_due(x, H2_DUE_WROTE);
	}
	if (x->we_ended && stream->end_requested && !stream->end_sent)
		h2_due(x, H2_DUE_ENDED);
}

static void exchange_flush(struct stream *stream)
{
	struct h2_exchange *x = of_stream(stream);

	if (!x->session)
		return;
	if (x->discard && (x->base.response || x->we_ended))
		discard_output(x);
	if (x->deferred && x->open) {
		x->deferred = false;
		nghttp2_session_resume_data(x->session->ng, x->id);
	}
	h2_tick(x->session);
}

static void exchange_leave(struct h2_exchange *x)
{
	struct http2_session *s = x->session;

	if (x->open) {
		/* A server that has answered in full needs no more of the request; all else is an
		 * abort (RFC 9113 §8.1). */
		bool answered = s->server && x->we_ended;

		nghttp2_session_set_stream_user_data(s->ng, x->id, NULL);
		nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, x->id,
					  answered ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
		s->open--;
		h2_tick(s);
	}
	if (x->due)
		TAILQ_REMOVE(&s->ready, x, ready);
	TAILQ_REMOVE(&s->all, x, all);
}

static void exchange_destroy(struct stream *stream)
{
	struct h2_exchange *x = of_stream(stream);

	if (x->session)
		exchange_leave(x);
	timer_free(&x->orphan);
	http_head_free(&x->head);
	error_free(&x->failure);
	http_exchange_clear(&x->base);
	free(x);
}

static void exchange_respond(struct http_exchange *base)
{
	struct h2_exchange *x = (struct h2_exchange *)base;
	nghttp2_data_provider body = h2_body_provider(x);
	struct h2_nv nv;

	if (!x->open)
		return;
	if (!h2_status_has_body(base->response->status))
		x->discard = true;
	h2_nv_response(&nv, base->response);
	nghttp2_submit_response(x->session->ng, x->id, nv.nv, nv.n, x->discard ? NULL : &body);
	free(nv.nv);
	if (x->discard)
		discard_output(x);
	h2_tick(x->session);
}

static const struct stream_ops exchange_stream_ops = {
	.resume = exchange_resume,
	.flush = exchange_flush,
	.destroy = exchange_destroy,
};
static const struct http_exchange_ops exchange_ops = {.respond = exchange_respond};

struct h2_exchange *h2_exchange_new(struct http2_session *s, struct http_head *take_request)
{
	struct h2_exchange *x = NEW(struct h2_exchange);

	http_exchange_init(&x->base, s->loop, &exchange_stream_ops, &exchange_ops, take_request);
	x->session = s;
	x->server = s->server;
	x->handed = !s->server;
	TAILQ_INSERT_TAIL(&s->all, x, all);
	return x;
}

void h2_exchange_opened(struct h2_exchange *x, int32_t id)
{
	x->id = id;
	x->open = true;
	x->session->open++;
}

/* ---- what nghttp2 reported ---- */

bool h2_exchange_incomplete(const struct h2_exchange *x)
{
	return !x->failed && !(x->peer_ended && x->we_ended && x->base.stream.end_requested);
}

void h2_exchange_fail(struct h2_exchange *x, struct error *take)
{
	if (x->failed) {
		error_free(&take);
		return;
	}
	x->failed = true;
	x->failure = take;
	x->discard = false;
	h2_due(x, H2_DUE_FAILED);
}

static struct error *reset_error(uint32_t code)
{
	struct error *error = NULL;

	switch (code) {
	case NGHTTP2_CANCEL:
	case NGHTTP2_NO_ERROR:
		error_set(&error, ERR_CANCELLED, "the peer cancelled the exchange");
		break;
	case NGHTTP2_REFUSED_STREAM:
		error_set(&error, ERR_UNAVAILABLE, "the peer takes no more streams now");
		break;
	default:
		error_set(&error, ERR_PROTOCOL, "the peer or its messages failed: %s", nghttp2_http2_strerror(code));
	}
	return error;
}

void h2_exchange_closed(struct h2_exchange *x, uint32_t code)
{
	struct stream *stream = &x->base.stream;

	x->open = false;
	x->session->open--;
	if (!x->handed) {
		stream_free(&stream); /* no owner has seen it */
		return;
	}
	if (x->peer_ended && x->we_ended)
		return;
	if (!x->session->server && x->peer_ended && x->final_head && code == NGHTTP2_NO_ERROR) {
		/* The whole answer is here and the server wants no more of the request. */
		x->discard = x->we_ended = true;
		discard_output(x);
		return;
	}
	h2_exchange_fail(x, reset_error(code));
}

/* ---- telling the owner ---- */

static void hand_over(struct h2_exchange *x)
{
	struct http2_session *s = x->session;

	x->handed = true;
	s->request(s->arg, &x->base);
}

static void report_failure(struct h2_exchange *x)
{
	struct error *error = TAKE_PTR(x->failure);

	if (x->server)
		stream_did_fail(&x->base.stream, error);
	else
		http_exchange_did_fail(&x->base, error);
}

static void report_one(struct h2_exchange *x, unsigned what)
{
	struct stream *stream = &x->base.stream;

	switch (what) {
	case H2_DUE_REQUEST:
		hand_over(x);
		return;
	case H2_DUE_RESPONSE:
		http_exchange_did_respond(&x->base, TAKE_PTR(x->head));
		return;
	case H2_DUE_READ:
		stream_did_read(stream);
		return;
	case H2_DUE_EOF:
		stream_did_eof(stream);
		return;
	case H2_DUE_WROTE:
		stream_did_write(stream);
		return;
	case H2_DUE_ENDED:
		stream_did_end(stream);
		return;
	default:
		report_failure(x);
	}
}

/* One event per turn, because each may free anything: this exchange, others, the session. */
void h2_report(struct http2_session *s)
{
	struct h2_exchange *x;

	s->busy++;
	for (unsigned turns = 0; !s->freed && (x = TAILQ_FIRST(&s->ready)); turns++) {
		unsigned what = x->due & -x->due;

		if (turns == REPORT_TURNS) { /* others on the loop come first */
			h2_tick(s);
			break;
		}
		x->due &= ~what;
		if (!x->due)
			TAILQ_REMOVE(&s->ready, x, ready);
		report_one(x, what);
	}
	s->busy--;
}

/* The same without a session: one event per round of the loop. */
static void orphan_report(void *arg)
{
	struct h2_exchange *x = arg;
	unsigned what = x->due & -x->due;

	x->due &= ~what;
	if (x->due)
		timer_set(x->orphan, 0);
	report_one(x, what);
}

/* The session is being freed, perhaps by the owner itself: what is still to report waits for the
 * next round. */
void h2_exchange_orphan(struct h2_exchange *x, struct error *take)
{
	struct stream *stream = &x->base.stream;

	if (!x->handed) {
		error_free(&take);
		stream_free(&stream); /* no owner has seen it */
		return;
	}
	if (h2_exchange_incomplete(x))
		h2_exchange_fail(x, take);
	else
		error_free(&take);
	if (x->due)
		TAILQ_REMOVE(&x->session->ready, x, ready);
	TAILQ_REMOVE(&x->session->all, x, all);
	x->session = NULL;
	if (!x->due)
		return;
	x->orphan = timer_new(stream->loop, orphan_report, x);
	timer_set(x->orphan, 0);
}
