/* SPDX-License-Identifier: MIT */
/* A client's connection: connecting, one exchange after the other. */
#include <errno.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/str.h"
#include "io/http1_client.h"

enum { MAX_INTERIM = 16 }; /* 1xx responses before the final one */

/* Ends the exchange of `l` with this error, or the idle connection. */
static void fail(struct http1_link *l, struct error *take)
{
	struct http1_client *client = l->client;

	if (l->call) {
		http1_call_fail(l->call, take);
		return;
	}
	error_free(&take);
	if (client->idle == l)
		client->idle = NULL;
	http1_link_free(l);
}

static void on_kick(void *arg)
{
	http1_link_input(arg);
}

static void on_readable(void *arg)
{
	http1_link_input(arg);
}

static void on_writable(void *arg)
{
	struct http1_link *l = arg;

	if (l->call)
		http1_link_output(l);
}

/* The server closed a kept connection just when it was used again: RFC 9112 §9.3.1 allows a second
 * try. */
static bool retry_stale(struct http1_link *l)
{
	return l->call && l->reused && !l->received && http1_call_retry(l->call);
}

static void on_closed(void *arg, const struct error *error)
{
	struct http1_link *l = arg;
	struct error *e = NULL;

	if (retry_stale(l))
		return;
	if (error)
		e = error_copy(error);
	else
		error_set(&e, ERR_PROTOCOL, "connection closed");
	error_wrap(&e, "HTTP connection to %s", l->client->name);
	fail(l, e);
}

static const struct stream_events io_events = {
	.on_readable = on_readable,
	.on_writable = on_writable,
	.on_closed = on_closed,
};

static void connect_next(struct http1_link *l);

static void try_next(struct http1_link *l, struct error *take)
{
	error_free(&l->last_error);
	l->last_error = take;
	watch_free(&l->connecting);
	fd_closep(&l->fd);
	l->attempt++;
	connect_next(l);
	if (!l->connecting)
		fail(l, TAKE_PTR(l->last_error));
}

static void on_connected(void *arg, int what)
{
	struct http1_link *l = arg;
	struct error *e = NULL;
	int errnum = 0;
	const int on = 1;
	socklen_t size = sizeof(errnum);

	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0)
		errnum = errno == ENOTSOCK ? 0 : errno;
	if (errnum) {
		error_errno(&e, errnum, "cannot connect to %s", l->client->name);
		e->code = ERR_UNAVAILABLE;
		try_next(l, e);
		return;
	}
	watch_free(&l->connecting);
	timer_free(&l->timeout);
	error_free(&l->last_error);
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* fails on Unix sockets */
	l->io = stream_fd_new(l->client->loop, TAKE_FD(l->fd), -1);
	stream_set_events(l->io, &io_events, l);
	http1_link_start(l);
}

static void on_timeout(void *arg)
{
	struct http1_link *l = arg;
	struct error *e = NULL;

	error_set(&e, ERR_TIMEOUT, "cannot connect to %s: no answer within %d s", l->client->name,
		  HTTP1_CONNECT_TIMEOUT_MS / 1000);
	fail(l, e);
}

/* The dialer's next address. When there is none, l->connecting stays NULL and the error of the last
 * one stands. */
static void connect_next(struct http1_link *l)
{
	for (;;) {
		struct error *e = NULL;

		l->fd = l->client->dialer->dial(l->client, l->attempt, &e);
		if (l->fd >= 0)
			break;
		if (!e)
			return;
		error_free(&l->last_error);
		l->last_error = e;
		l->attempt++;
	}
	l->connecting = watch_new(l->client->loop, l->fd, on_connected, l);
	watch_set(l->connecting, WATCH_OUT);
}

struct http1_link *http1_link_new(struct http1_client *client, struct http1_call *call)
{
	struct http1_link *l = NEW(struct http1_link);

	l->client = client;
	l->call = call;
	l->fd = -1;
	l->kick = timer_new(client->loop, on_kick, l);
	l->timeout = timer_new(client->loop, on_timeout, l);
	timer_set_deadline(l->timeout, HTTP1_CONNECT_TIMEOUT_MS);
	connect_next(l);
	return l;
}

void http1_link_free(struct http1_link *l)
{
	watch_free(&l->connecting);
	timer_free(&l->timeout);
	timer_free(&l->kick);
	stream_free(&l->io);
	fd_closep(&l->fd);
	error_free(&l->last_error);
	free(l);
}

void http1_link_start(struct http1_link *l)
{
	const struct http_head *h = l->call->x.request;

	l->scan = (struct http1_scan){};
	l->body_done = l->received = false;
	l->interim = 0;
	http1_write_request(l->io, h, l->client->authority, http_head_get(h, "upgrade") ? "Upgrade" : NULL);
	http1_link_output(l);
}

/* When both directions are through, the connection serves the next exchange. */
static void release(struct http1_link *l)
{
	struct http1_client *client = l->client;

	l->call->link = NULL;
	l->call = NULL;
	timer_cancel(l->kick);
	if (!l->keep || client->idle || stream_eof(l->io) || evbuffer_get_length(stream_input(l->io)) > 0) {
		http1_link_free(l);
		return;
	}
	client->idle = l;
	stream_resume(l->io); /* to see the server close it */
}

void http1_link_output(struct http1_link *l)
{
	struct http1_call *c = l->call;
	struct stream *s = &c->x.stream;
	struct error *e = NULL;

	if (evbuffer_get_length(s->out) > 0)
		c->body_begun = true;
	if (http1_encode(&c->encoder, s->out, l->io, s->end_requested) < 0) {
		error_set(&e, ERR_INTERNAL, "the request is shorter than its content-length");
		http1_call_fail(c, e);
		return;
	}
	if (!c->encoder.done) {
		stream_did_write(s);
		return;
	}
	if (l->body_done)
		release(l);
	stream_did_end(s);
}

static void did_end_early(struct http1_link *l)
{
	struct error *e = NULL;

	if (retry_stale(l))
		return;
	error_set(&e, l->received ? ERR_PROTOCOL : ERR_UNAVAILABLE, "%s closed the connection %s", l->client->name,
		  l->received ? "in the middle of a response" : "without a response");
	fail(l, e);
}

static void did_break_protocol(struct http1_link *l, const char *reason)
{
	struct error *e = NULL;

	error_set(&e, ERR_PROTOCOL, "bad HTTP response from %s: %s", l->client->name, reason);
	fail(l, e);
}

/* An interim response; 101 ends HTTP on this connection. */
static bool skip_interim(struct http1_link *l, struct http_head **head)
{
	if ((*head)->status >= 200 || (*head)->status == 101)
		return false;
	http_head_free(head);
	l->interim++;
	return true;
}

static void did_receive_head(struct http1_link *l, struct http_head *take_head, const struct http1_framing *f)
{
	struct http1_call *c = l->call;

	http1_body_init_response(&l->body, f, c->x.request->method, take_head->status);
	l->keep = f->minor > 0 && !f->close && l->body.kind != HTTP1_BODY_CLOSE;
	if (take_head->status != 101)
		timer_set(l->kick, 0); /* the body comes after the owner has seen the head */
	http_exchange_did_respond(&c->x, take_head);
}

static void read_head(struct http1_link *l)
{
	struct http_head *head cleanup_http_head = NULL;
	struct http1_framing framing;
	struct http1_reject why;

	l->received |= evbuffer_get_length(stream_input(l->io)) > 0;
	do {
		switch (http1_parse_response(stream_input(l->io), &l->scan, &head, &framing, &why)) {
		case HTTP1_MORE:
			if (stream_eof(l->io))
				did_end_early(l);
			else
				stream_resume(l->io);
			return;
		case HTTP1_BAD:
			did_break_protocol(l, why.reason);
			return;
		case HTTP1_DONE:
			break;
		}
	} while (skip_interim(l, &head) && l->interim < MAX_INTERIM);
	if (!head)
		did_break_protocol(l, "too many interim responses");
	else if (head->status == 101 && !http_head_get(l->call->x.request, "upgrade"))
		did_break_protocol(l, "an upgrade that was not asked for");
	else
		did_receive_head(l, TAKE_PTR(head), &framing);
}

static void read_body(struct http1_link *l)
{
	struct http1_call *c = l->call;
	struct stream *s = &c->x.stream;
	struct evbuffer *in = stream_input(l->io);
	size_t held = evbuffer_get_length(s->in);
	size_t room = held < STREAM_WINDOW ? STREAM_WINDOW - held : 0;
	struct http1_reject why;
	size_t moved;
	enum http1_result rc = http1_body_decode(&l->body, in, s->in, room, &moved, &why);

	if (rc == HTTP1_BAD) {
		did_break_protocol(l, why.reason);
		return;
	}
	stream_resume(l->io);
	if (rc == HTTP1_MORE && stream_eof(l->io) && moved == 0 && room > 0) {
		if (l->body.kind != HTTP1_BODY_CLOSE) {
			did_end_early(l);
			return;
		}
		rc = HTTP1_DONE;
	}
	if (rc == HTTP1_DONE) {
		l->body_done = true;
		if (c->encoder.done)
			release(l);
		stream_did_eof(s);
	} else if (moved > 0) {
		if (stream_eof(l->io))
			timer_set(l->kick, 0);
		stream_did_read(s);
	}
}

void http1_link_input(struct http1_link *l)
{
	struct http1_call *c = l->call;

	if (!c) { /* a kept connection: is it closed, or does it speak unasked? */
		if (stream_eof(l->io) || evbuffer_get_length(stream_input(l->io)) > 0)
			fail(l, NULL);
		return;
	}
	if (!c->x.response)
		read_head(l);
	else if (c->x.response->status != 101 && !l->body_done)
		read_body(l);
}
