/* SPDX-License-Identifier: MIT */
/* What nghttp2 tells us, and where it gets bodies from. Nothing here calls an owner; see
 * http2_impl.h. */
#include <assert.h>
#include "base/str.h"
#include "io/http2_impl.h"

enum { FRAME_HEAD_SIZE = 9 }; /* RFC 9113 §4.1 */

static struct h2_exchange *exchange_of(nghttp2_session *ng, int32_t id)
{
	return nghttp2_session_get_stream_user_data(ng, id); /* NULL once the owner freed it */
}

static void reset(struct http2_session *s, int32_t id, uint32_t code)
{
	nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, id, code);
}

/* ---- receiving ---- */

/* We forbid pushes, but until the peer acknowledges that (it may never) nghttp2 only ignores them.
 */
static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *arg)
{
	struct error *error = NULL;

	if (hd->type != NGHTTP2_PUSH_PROMISE)
		return 0;
	error_set(&error, ERR_PROTOCOL, "the peer pushed a response that nobody asked for");
	h2_break(arg, error);
	nghttp2_session_terminate_session(ng, NGHTTP2_PROTOCOL_ERROR);
	return 0;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct http2_session *s = arg;
	struct h2_exchange *x = exchange_of(ng, frame->hd.stream_id);

	if (s->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		x = h2_exchange_new(s, NULL);
		h2_exchange_opened(x, frame->hd.stream_id);
		nghttp2_session_set_stream_user_data(ng, x->id, x);
	}
	if (x && !x->final_head) { /* fields after the final head are trailers: of no use here */
		http_head_free(&x->head);
		x->head = http_head_new_response(0);
		x->head->content_length = -1;
		x->head_size = 0;
	}
	return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
		     const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	struct h2_exchange *x = exchange_of(ng, frame->hd.stream_id);

	if (x && !x->final_head)
		h2_head_add(x, (const char *)name, name_len, (const char *)value, value_len);
	return 0;
}

/* By default nghttp2 drops a field with bad characters and goes on; we refuse the message. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
			     const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	struct h2_exchange *x = exchange_of(ng, frame->hd.stream_id);

	if (x)
		x->refused = true;
	return 0;
}

static void refuse_request(struct http2_session *s, struct h2_exchange *x)
{
	struct stream *stream = &x->base.stream;

	nghttp2_session_set_stream_user_data(s->ng, x->id, NULL);
	reset(s, x->id, NGHTTP2_PROTOCOL_ERROR);
	x->open = false;
	s->open--;
	stream_free(&stream);
}

static void request_head_done(struct http2_session *s, struct h2_exchange *x, bool end)
{
	if (x->refused || !h2_head_is_request(x->head)) {
		refuse_request(s, x);
		return;
	}
	if (end && x->head->content_length < 0)
		x->head->content_length = 0;
	x->final_head = true;
	x->base.request = TAKE_PTR(x->head);
	x->discard = str_eq(x->base.request->method, "HEAD");
	h2_due(x, H2_DUE_REQUEST);
}

static void response_head_done(struct http2_session *s, struct h2_exchange *x)
{
	struct error *error = NULL;

	if (x->refused || x->head->status < 100) {
		error_set(&error, ERR_PROTOCOL, "the peer's response head is malformed or over %d bytes or %d fields",
			  HTTP_MAX_HEAD, HTTP_MAX_FIELDS);
		h2_exchange_fail(x, error);
		reset(s, x->id, NGHTTP2_PROTOCOL_ERROR);
	} else if (x->head->status >= 200) {
		x->final_head = true;
		h2_due(x, H2_DUE_RESPONSE);
	} else {
		http_head_free(&x->head); /* 1xx: the real one follows */
	}
}

static void on_pong(struct http2_session *s)
{
	if (!s->ping_sent)
		return;
	s->ping_sent = false;
	timer_set(s->ping, s->ping_interval_ms);
}

static int on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct http2_session *s = arg;
	struct h2_exchange *x;

	if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK)
		on_pong(s);
	if (frame->hd.type == NGHTTP2_GOAWAY)
		s->peer_goaway = true;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	x = exchange_of(ng, frame->hd.stream_id);
	if (x && frame->hd.type == NGHTTP2_HEADERS && !x->final_head && x->head) {
		if (s->server)
			request_head_done(s, x, frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
		else
			response_head_done(s, x);
	}
	x = exchange_of(ng, frame->hd.stream_id); /* a refused request is gone */
	if (x && frame->hd.flags & NGHTTP2_FLAG_END_STREAM && !x->failed) {
		x->peer_ended = true;
		h2_due(x, H2_DUE_EOF);
	}
	return 0;
}

static int on_data_chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *arg)
{
	struct http2_session *s = arg;
	struct h2_exchange *x = exchange_of(ng, id);
	struct error *error = NULL;

	/* Connection credit at once: what a stalled stream holds must not count against the others.
	 */
	nghttp2_session_consume_connection(ng, n);
	if (!x || x->failed) {
		nghttp2_session_consume_stream(ng, id, n);
		return 0;
	}
	if (evbuffer_get_length(x->base.stream.in) + n > STREAM_WINDOW) {
		error_set(&error, ERR_PROTOCOL, "the peer sent more on stream %d than its window allows", id);
		h2_break(s, error);
		nghttp2_session_terminate_session(ng, NGHTTP2_FLOW_CONTROL_ERROR);
		return 0;
	}
	evbuffer_add(x->base.stream.in, data, n);
	x->received += n;
	h2_due(x, H2_DUE_READ);
	return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
	struct http2_session *s = arg;
	struct h2_exchange *x = exchange_of(ng, id);
	struct error *error = NULL;

	if (code == NGHTTP2_FLOW_CONTROL_ERROR) {
		error_set(&error, ERR_PROTOCOL, "flow control error on stream %d", id);
		h2_break(s, error);
	}
	if (x)
		h2_exchange_closed(x, code);
	return 0;
}

/* nghttp2's own account of what is wrong; it explains a session that ends. */
static int on_complaint(nghttp2_session *ng, int lib_error_code, const char *message, size_t n, void *arg)
{
	struct http2_session *s = arg;

	mem_freep(&s->complaint);
	s->complaint = str_escape(message, n < 200 ? n : 200);
	return 0;
}

/* ---- sending ---- */

static ssize_t body_read(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t length, uint32_t *flags,
			 nghttp2_data_source *source, void *arg)
{
	struct h2_exchange *x = exchange_of(ng, id);
	size_t have;

	if (!x)
		return NGHTTP2_ERR_DEFERRED; /* freed: its RST_STREAM is on the way */
	have = evbuffer_get_length(x->base.stream.out);
	if (!have && !x->base.stream.end_requested) {
		x->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (have <= length && x->base.stream.end_requested)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)(have < length ? have : length);
}

/* Called within nghttp2_session_mem_send, after all that it returned before. */
static int on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t n,
			nghttp2_data_source *source, void *arg)
{
	struct http2_session *s = arg;
	struct h2_exchange *x = exchange_of(ng, frame->hd.stream_id);

	if (!x || evbuffer_get_length(x->base.stream.out) < n)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	assert(frame->data.padlen == 0);
	evbuffer_add(s->batch, head, FRAME_HEAD_SIZE);
	buffer_move(s->batch, x->base.stream.out, n);
	if (n)
		h2_due(x, H2_DUE_WROTE);
	return evbuffer_get_length(s->batch) >= STREAM_WINDOW ? NGHTTP2_ERR_PAUSE : 0;
}

static int on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct http2_session *s = arg;
	struct h2_exchange *x;
	struct error *error = NULL;

	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
		error_set(&error, ERR_PROTOCOL, "the peer broke HTTP/2: %s",
			  s->complaint ? s->complaint : nghttp2_http2_strerror(frame->goaway.error_code));
		h2_break(s, error);
	}
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	x = exchange_of(ng, frame->hd.stream_id);
	if (x && frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		x->we_ended = true;
		if (x->base.stream.end_requested)
			h2_due(x, H2_DUE_ENDED);
	}
	return 0;
}

nghttp2_data_provider h2_body_provider(struct h2_exchange *x)
{
	return (nghttp2_data_provider){.source.ptr = x, .read_callback = body_read};
}

int h2_callbacks_new(nghttp2_session_callbacks **ret)
{
	if (nghttp2_session_callbacks_new(ret) != 0)
		return -1;
	nghttp2_session_callbacks_set_on_begin_frame_callback(*ret, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(*ret, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(*ret, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(*ret, on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(*ret, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(*ret, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(*ret, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(*ret, on_frame_send);
	nghttp2_session_callbacks_set_send_data_callback(*ret, on_send_data);
	nghttp2_session_callbacks_set_error_callback2(*ret, on_complaint);
	return 0;
}
