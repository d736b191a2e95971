/* SPDX-License-Identifier: MIT */
/* Exchanges of the server. */
#include <assert.h>
#include <string.h>

#include "base/str.h"
#include "base/units.h"
#include "io/http1_server.h"

static struct http1_exchange *of_stream(struct stream *s)
{
	return (struct http1_exchange *)s;
}

static void send_continue(struct http1_exchange *x)
{
	static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (!x->expects_continue)
		return;
	x->expects_continue = false;
	stream_write(x->conn->io, line, sizeof(line) - 1);
}

/* The request's body cannot be understood: what follows is lost, and the owner has nobody to
 * answer. */
static void reject_body(struct http1_exchange *x, const struct http1_reject *why)
{
	struct http1_conn *c = TAKE_PTR(x->conn);
	struct error *e = NULL;

	c->x = NULL;
	if (x->x.response)
		http1_conn_free(c);
	else
		http1_conn_reject(c, why->status, why->reason);
	error_set(&e, ERR_PROTOCOL, "bad request body: %s", why->reason);
	stream_did_fail(&x->x.stream, e);
}

/* The client has ended its side. Behind a whole request that may be all it does, so the answer gets
 * a moment. */
static void did_half_close(struct http1_exchange *x)
{
	struct http1_conn *c = x->conn;
	struct error *e = NULL;

	x->keep_alive = false;
	if (c->body_done) {
		if (!c->deadline)
			c->deadline = clock_ms() + HTTP1_HALF_CLOSE_MS;
		return;
	}
	x->conn = NULL;
	c->x = NULL;
	http1_conn_free(c);
	error_set(&e, ERR_CANCELLED, "the client left in the middle of the request");
	stream_did_fail(&x->x.stream, e);
}

/* Nothing more will come: is the rest of the body there? A complete chunked one ends with an empty
 * line. */
static bool is_cut_off(const struct http1_conn *c)
{
	struct evbuffer *in = stream_input(c->io);
	size_t n = evbuffer_get_length(in);
	struct evbuffer_ptr at;
	char tail[4];

	if (c->body.kind == HTTP1_BODY_LENGTH)
		return n < c->body.left;
	if (n < sizeof(tail))
		return false;
	evbuffer_ptr_set(in, &at, n - sizeof(tail), EVBUFFER_PTR_SET);
	evbuffer_copyout_from(in, &at, tail, sizeof(tail));
	return memcmp(tail, "\r\n\r\n", sizeof(tail)) != 0;
}

static size_t room(const struct http1_exchange *x)
{
	size_t held = evbuffer_get_length(x->x.stream.in);

	return held < STREAM_WINDOW ? STREAM_WINDOW - held : 0;
}

void http1_exchange_input(struct http1_exchange *x)
{
	struct http1_conn *c = x->conn;
	struct evbuffer *in = stream_input(c->io);
	struct http1_reject why;
	size_t moved = 0;
	enum http1_result rc = HTTP1_DONE;

	if (!c->body_done)
		rc = http1_body_decode(&c->body, in, x->x.stream.in, room(x), &moved, &why);
	if (moved > 0)
		x->expects_continue = false;
	if (rc == HTTP1_BAD) {
		reject_body(x, &why);
		return;
	}
	stream_resume(c->io);
	if (rc == HTTP1_DONE && !c->body_done) {
		c->body_done = true;
		if (stream_eof(c->io))
			timer_set(c->kick, 0);
		stream_did_eof(&x->x.stream);
		return;
	}
	if (stream_eof(c->io) && (c->body_done || (moved == 0 && room(x) > 0) || is_cut_off(c))) {
		did_half_close(x);
		return;
	}
	if (moved > 0) {
		if (stream_eof(c->io))
			timer_set(c->kick, 0);
		stream_did_read(&x->x.stream);
	}
}

void http1_exchange_output(struct http1_exchange *x)
{
	struct stream *s = &x->x.stream;
	struct http1_conn *c = x->conn;
	struct error *e = NULL;

	if (!x->x.response)
		return;
	if (http1_encode(&x->encoder, s->out, c->io, s->end_requested) < 0) {
		error_set(&e, ERR_PROTOCOL, "the answer is shorter than its content-length");
		http1_conn_fail(c, e);
	} else if (x->encoder.done) {
		stream_did_end(s);
	} else {
		stream_did_write(s);
	}
}

static void exchange_resume(struct stream *s)
{
	struct http1_exchange *x = of_stream(s);

	if (!x->conn)
		return;
	if (!x->x.response)
		send_continue(x);
	http1_exchange_input(x);
}

static void exchange_flush(struct stream *s)
{
	struct http1_exchange *x = of_stream(s);

	if (x->conn)
		http1_exchange_output(x);
}

static void exchange_destroy(struct stream *s)
{
	struct http1_exchange *x = of_stream(s);

	if (x->conn)
		http1_conn_next(x->conn, x);
	http_exchange_clear(&x->x);
	free(x);
}

static int encoding_for(const struct http1_exchange *x, const struct http_head *h)
{
	if (str_eq(x->x.request->method, "HEAD") || h->status < 200 || h->status == 204 || h->status == 304)
		return HTTP1_BODY_NONE;
	if (h->content_length >= 0)
		return HTTP1_BODY_LENGTH;
	return x->minor > 0 ? HTTP1_BODY_CHUNKED : HTTP1_BODY_CLOSE;
}

static void exchange_respond(struct http_exchange *base)
{
	struct http1_exchange *x = (struct http1_exchange *)base;
	const struct http_head *h = base->response;

	if (!x->conn)
		return;
	/* A client that waits sends its body after a good answer only when it was told to go on. */
	if (h->status < 300)
		send_continue(x);
	if (x->expects_continue || !x->conn->server->acceptor)
		x->keep_alive = false;
	x->encoder.kind = encoding_for(x, h);
	x->encoder.left = h->content_length >= 0 ? (uint64_t)h->content_length : 0;
	http1_write_response(x->conn->io, h, &x->encoder, x->keep_alive ? NULL : "close");
	http1_exchange_output(x);
}

static const struct stream_ops exchange_stream_ops = {
	.resume = exchange_resume,
	.flush = exchange_flush,
	.destroy = exchange_destroy,
};

static const struct http_exchange_ops exchange_ops = {
	.respond = exchange_respond,
};

struct http1_exchange *http1_exchange_new(struct http1_conn *c, struct http_head *take_head,
					  const struct http1_framing *f)
{
	struct http1_exchange *x = NEW(struct http1_exchange);

	http_exchange_init(&x->x, c->server->loop, &exchange_stream_ops, &exchange_ops, take_head);
	x->conn = c;
	x->minor = f->minor;
	x->keep_alive = f->minor > 0 && !f->close;
	x->expects_continue = f->expect_continue && f->minor > 0 && !c->body_done;
	x->local = c->server->local;
	x->uid = c->uid;
	x->x.stream.eof = c->body_done;
	return x;
}

bool http1_exchange_is_local(const struct http_exchange *x)
{
	return ((const struct http1_exchange *)x)->local;
}

uid_t http1_exchange_peer_uid(const struct http_exchange *x)
{
	return ((const struct http1_exchange *)x)->uid;
}

struct stream *http1_upgrade(struct http_exchange **px, struct http_head *take_head)
{
	struct http_head *head cleanup_http_head = take_head;
	struct http1_exchange *x = (struct http1_exchange *)TAKE_PTR(*px);
	struct http1_conn *c = TAKE_PTR(x->conn);
	struct stream *io = NULL;

	assert(!x->x.response);
	if (c) {
		head->status = 101;
		http1_write_response(c->io, head, NULL, "Upgrade");
		io = TAKE_PTR(c->io);
		stream_set_events(io, NULL, NULL);
		stream_fd_fail_on_hangup(io, false);
		c->x = NULL;
		http1_conn_free(c);
	}
	exchange_destroy(&x->x.stream);
	return io;
}
