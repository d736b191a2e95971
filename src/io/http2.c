/* SPDX-License-Identifier: MIT */
/* What owners of HTTP/2 sessions call. */
#include "base/str.h"
#include "io/http2_impl.h"

enum { CONNECTION_WINDOW = 16 * 1024 * 1024 }; /* returned on receipt, so large costs no memory */

static void make_nghttp2(struct http2_session *s)
{
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;

	/* These fail for want of memory only. */
	if (h2_callbacks_new(&callbacks) < 0 || nghttp2_option_new(&option) != 0)
		abort();
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_peer_max_concurrent_streams(option, HTTP2_MAX_STREAMS);
	if ((s->server ? nghttp2_session_server_new2 : nghttp2_session_client_new2)(&s->ng, callbacks, s, option) != 0)
		abort();
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
}

static void submit_settings(struct http2_session *s)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_MAX_HEAD},
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, s->server ? HTTP2_MAX_STREAMS : 0},
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, /* a client's setting only */
	};

	nghttp2_submit_settings(s->ng, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings) - (s->server ? 1 : 0));
	nghttp2_session_set_local_window_size(s->ng, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
}

static const struct stream_events transport_events = {
	.on_readable = h2_on_tick,
	.on_writable = h2_on_tick,
	.on_closed = h2_on_transport_closed,
};

static struct http2_session *session_new(struct loop *loop, struct stream *take_transport, bool server,
					 http_request_fn *request, http2_done_fn *done, void *arg)
{
	struct http2_session *s = NEW(struct http2_session);

	s->loop = loop;
	s->transport = take_transport;
	s->server = server;
	s->request = request;
	s->done = done;
	s->arg = arg;
	s->batch = evbuffer_new();
	s->tick = timer_new(loop, h2_on_tick, s);
	s->ping = timer_new(loop, h2_on_ping, s);
	s->drain = timer_new(loop, h2_on_drain, s);
	TAILQ_INIT(&s->all);
	TAILQ_INIT(&s->ready);
	make_nghttp2(s);
	submit_settings(s);
	stream_set_events(s->transport, &transport_events, s);
	h2_tick(s);
	return s;
}

struct http2_session *http2_server_new(struct loop *loop, struct stream *take_transport, http_request_fn *request,
				       http2_done_fn *done, void *arg)
{
	return session_new(loop, take_transport, true, request, done, arg);
}

struct http2_session *http2_client_new(struct loop *loop, struct stream *take_transport, http2_done_fn *done, void *arg)
{
	return session_new(loop, take_transport, false, NULL, done, arg);
}

static int client_submit(struct http2_session *s, struct h2_exchange *x, struct error **err)
{
	const struct http_head *head = x->base.request;
	nghttp2_data_provider body = h2_body_provider(x);
	bool no_body = head->content_length == 0;
	struct h2_nv nv;
	int32_t id;

	if (s->over || s->failure || s->we_goaway || s->peer_goaway)
		return error_set(err, ERR_UNAVAILABLE, "the connection to the peer is ending");
	if (s->open >= HTTP2_MAX_STREAMS)
		return error_set(err, ERR_UNAVAILABLE, "%d exchanges with the peer are under way already",
				 HTTP2_MAX_STREAMS);
	if (!h2_head_is_request(head))
		return error_set(err, ERR_INVALID, "the request's head is malformed or too large");
	h2_nv_request(&nv, head);
	id = nghttp2_submit_request(s->ng, NULL, nv.nv, nv.n, no_body ? NULL : &body, x);
	free(nv.nv);
	if (id < 0)
		return error_set(err, ERR_UNAVAILABLE, "cannot begin an exchange: %s", nghttp2_strerror(id));
	h2_exchange_opened(x, id);
	if (no_body) {
		x->discard = true;
		stream_end(&x->base.stream);
	}
	return 0;
}

struct http_exchange *http2_client_open(struct http2_session *s, struct http_head *take_request)
{
	struct h2_exchange *x = h2_exchange_new(s, take_request);
	struct error *error = NULL;

	if (client_submit(s, x, &error) < 0)
		h2_exchange_orphan(x, error);
	else
		h2_tick(s);
	return &x->base;
}

void http2_session_goaway(struct http2_session *s)
{
	if (s->over || s->we_goaway)
		return;
	s->we_goaway = true;
	nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(s->ng),
			      NGHTTP2_NO_ERROR, NULL, 0);
	h2_tick(s);
}

unsigned http2_session_streams(const struct http2_session *s)
{
	return s->open;
}

void http2_session_keepalive(struct http2_session *s, int64_t interval_ms, int64_t deadline_ms)
{
	s->ping_interval_ms = interval_ms;
	s->ping_deadline_ms = deadline_ms;
	s->ping_sent = false;
	if (interval_ms > 0 && deadline_ms > 0 && !s->over)
		timer_set(s->ping, interval_ms);
	else
		timer_cancel(s->ping);
}

void http2_session_free(struct http2_session **sp)
{
	struct http2_session *s = TAKE_PTR(*sp);

	if (!s)
		return;
	h2_teardown(s);
	if (!s->busy)
		free(s);
}
