/* SPDX-License-Identifier: MIT */
/* Whole bodies: replies, and requests read into memory. */
#include "base/json.h"
#include "base/str.h"
#include "io/http_impl.h"

/* What remains of the request's body when the answer is sent is the connection's business. */
static void on_reply_readable(void *arg)
{
	struct http_exchange *x = arg;
	struct evbuffer *in = x->stream.in;

	evbuffer_drain(in, evbuffer_get_length(in));
	if (x->stream.end_sent)
		http_exchange_free(&x);
	else
		stream_resume(&x->stream);
}

static void on_reply_writable(void *arg)
{
	struct http_exchange *x = arg;

	if (x->stream.end_sent)
		http_exchange_free(&x);
}

static void on_reply_closed(void *arg, const struct error *error)
{
	struct http_exchange *x = arg;

	http_exchange_free(&x);
}

void http_reply_buffer(struct http_exchange **px, struct http_head *take_head, struct evbuffer *body)
{
	static const struct stream_events events = {
		.on_readable = on_reply_readable,
		.on_writable = on_reply_writable,
		.on_closed = on_reply_closed,
	};
	struct http_exchange *x = TAKE_PTR(*px);

	take_head->content_length = (int64_t)evbuffer_get_length(body);
	http_exchange_respond(x, take_head);
	stream_write_buffer(&x->stream, body, evbuffer_get_length(body));
	stream_end(&x->stream);
	if (x->stream.end_sent || x->stream.closed) {
		http_exchange_free(&x);
		return;
	}
	x->stream.report_end = true;
	stream_set_events(&x->stream, &events, x);
}

void http_reply_head(struct http_exchange **x, struct http_head *take_head, const void *body, size_t n)
{
	struct evbuffer *out = evbuffer_new();

	if (!out || evbuffer_add(out, body, n) < 0)
		abort();
	http_reply_buffer(x, take_head, out);
	evbuffer_free(out);
}

void http_reply(struct http_exchange **x, int status, const char *content_type, const void *body, size_t n)
{
	struct http_head *head = http_head_new_response(status);

	if (content_type)
		http_head_add(head, "content-type", content_type);
	http_reply_head(x, head, body, n);
}

void http_reply_error_status(struct http_exchange **x, int status, const struct error *error)
{
	cleanup_json struct json_object *body = json_object_new_object();
	cleanup_free char *text = NULL;

	js_add_string(body, "error", error_message(error));
	text = js_to_string(body);
	http_reply(x, status, "application/json", text, strlen(text));
}

void http_reply_error(struct http_exchange **x, const struct error *error)
{
	http_reply_error_status(x, error_http_status(error), error);
}

char *http_error_parse(const char *body, size_t n)
{
	cleanup_json struct json_object *doc = js_parse(body, n, NULL);
	const char *text = "";

	if (!doc)
		return NULL;
	js_get_string(doc, "error", &text, NULL); /* fails for what is no object, and no string */
	return str_dup(text);
}

struct body_reader {
	struct http_exchange *x;
	size_t limit;
	struct evbuffer *body;
	struct timer *refuse;
	http_body_fn *fn;
	void *arg;
};

static void body_reader_end(struct body_reader *r, const struct error *error)
{
	size_t n = evbuffer_get_length(r->body);
	const char *text;

	stream_set_events(&r->x->stream, NULL, NULL);
	timer_free(&r->refuse);
	if (error) {
		r->fn(r->arg, r->x, NULL, 0, error);
	} else {
		evbuffer_add(r->body, "", 1);
		text = (const char *)evbuffer_pullup(r->body, -1);
		r->fn(r->arg, r->x, text, n, NULL);
	}
	evbuffer_free(r->body);
	free(r);
}

static void refuse_body(void *arg)
{
	struct body_reader *r = arg;
	struct error *e cleanup_error = NULL;

	error_set(&e, ERR_TOO_LARGE, "the request's body is larger than %zu bytes", r->limit);
	body_reader_end(r, e);
}

static void on_body_readable(void *arg)
{
	struct body_reader *r = arg;
	struct stream *s = &r->x->stream;

	buffer_move(r->body, s->in, evbuffer_get_length(s->in));
	if (evbuffer_get_length(r->body) > r->limit)
		refuse_body(r);
	else if (s->eof)
		body_reader_end(r, NULL);
	else
		stream_resume(s);
}

static void on_body_closed(void *arg, const struct error *error)
{
	body_reader_end(arg, error);
}

void http_read_body(struct http_exchange *take, size_t limit, http_body_fn *fn, void *arg)
{
	static const struct stream_events events = {
		.on_readable = on_body_readable,
		.on_closed = on_body_closed,
	};
	static const struct stream_events refused = {
		.on_closed = on_body_closed,
	};
	struct body_reader *r = NEW(struct body_reader);
	int64_t length = take->request->content_length;

	r->x = take;
	r->limit = limit;
	r->fn = fn;
	r->arg = arg;
	r->body = evbuffer_new();
	if (!r->body)
		abort();
	if (length > 0 && (uint64_t)length > limit) {
		/* Nothing is read, so a client that waits for "100 Continue" sends nothing. */
		r->refuse = timer_new(take->stream.loop, refuse_body, r);
		timer_set(r->refuse, 0);
		stream_set_events(&take->stream, &refused, r);
		return;
	}
	stream_set_events(&take->stream, &events, r);
}
