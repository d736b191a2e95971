/* SPDX-License-Identifier: MIT */
/* A server's connection: one request after the other. */
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "base/json.h"
#include "base/units.h"
#include "io/http1_server.h"

static void on_kick(void *arg)
{
	http1_conn_input(arg);
}

static void on_readable(void *arg)
{
	http1_conn_input(arg);
}

static void on_writable(void *arg)
{
	struct http1_conn *c = arg;

	if (c->x)
		http1_exchange_output(c->x);
}

static void on_closed(void *arg, const struct error *error)
{
	struct http1_conn *c = arg;
	struct error *e = NULL;

	error_set(&e, ERR_CANCELLED, "the client left: %s", error ? error_message(error) : "connection closed");
	http1_conn_fail(c, e);
}

static const struct stream_events io_events = {
	.on_readable = on_readable,
	.on_writable = on_writable,
	.on_closed = on_closed,
};

static void set_socket_options(struct http1_conn *c, int fd)
{
	struct ucred peer = {};
	socklen_t size = sizeof(peer);
	const int on = 1;

	c->uid = (uid_t)-1;
	if (c->server->local) {
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
			c->uid = peer.uid;
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

struct http1_conn *http1_conn_new(struct http1_server *s, int take_fd)
{
	struct http1_conn *c = NEW(struct http1_conn);

	c->server = s;
	set_socket_options(c, take_fd);
	c->io = stream_fd_new(s->loop, take_fd, -1);
	stream_fd_fail_on_hangup(c->io, true);
	stream_set_events(c->io, &io_events, c);
	c->kick = timer_new(s->loop, on_kick, c);
	c->deadline = clock_ms() + s->limits.head_timeout_ms;
	c->next = s->conns;
	c->prev = &s->conns;
	if (c->next)
		c->next->prev = &c->next;
	s->conns = c;
	return c;
}

void http1_conn_free(struct http1_conn *c)
{
	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	if (c->refused)
		c->server->nrefused--;
	else
		c->server->nconns--;
	timer_free(&c->kick);
	stream_free(&c->io);
	free(c);
}

void http1_conn_fail(struct http1_conn *c, struct error *take)
{
	struct http1_exchange *x = TAKE_PTR(c->x);

	http1_conn_free(c);
	if (!x) {
		error_free(&take);
		return;
	}
	x->conn = NULL;
	x->x.stream.busy++; /* reported in the next round */
	stream_did_fail(&x->x.stream, take);
	x->x.stream.busy--;
}

void http1_conn_linger(struct http1_conn *c)
{
	c->state = HTTP1_CONN_LINGER;
	c->deadline = 0; /* runs from when all is sent */
	stream_end(c->io);
	timer_set(c->kick, 0);
}

void http1_conn_reject(struct http1_conn *c, int status, const char *reason)
{
	struct http_head *head cleanup_http_head = http_head_new_response(status);
	struct json_object *body cleanup_json = json_object_new_object();
	char *text cleanup_free = NULL;

	js_add_string(body, "error", reason);
	text = js_to_string(body);
	head->content_length = (int64_t)strlen(text);
	http_head_add(head, "content-type", "application/json");
	http1_write_response(c->io, head, NULL, "close");
	stream_write(c->io, text, strlen(text));
	http1_conn_linger(c);
}

static void reset(struct http1_conn *c)
{
	c->state = HTTP1_CONN_HEAD;
	c->head_begun = false;
	c->served = true;
	c->body_done = false;
	c->deadline = clock_ms() + c->server->limits.idle_timeout_ms;
	if (evbuffer_get_length(stream_input(c->io)) > 0 || stream_eof(c->io))
		timer_set(c->kick, 0);
	else
		stream_resume(c->io);
}

void http1_conn_next(struct http1_conn *c, const struct http1_exchange *ended)
{
	bool worth_it = c->body.kind != HTTP1_BODY_LENGTH || c->body.left <= HTTP1_DRAIN_MAX;

	c->x = NULL;
	if (!ended->encoder.done) {
		http1_conn_free(c); /* the client sees that the answer is not complete */
	} else if (!ended->keep_alive || !c->server->acceptor) {
		http1_conn_linger(c);
	} else if (c->body_done) {
		reset(c);
	} else if (ended->expects_continue || !worth_it) {
		http1_conn_linger(c);
	} else {
		c->state = HTTP1_CONN_DRAIN;
		c->drain_left = HTTP1_DRAIN_MAX;
		c->deadline = clock_ms() + c->server->limits.head_timeout_ms;
		timer_set(c->kick, 0);
	}
}

static void drain(struct http1_conn *c)
{
	struct http1_reject why;
	size_t moved;
	enum http1_result rc = http1_body_decode(&c->body, stream_input(c->io), NULL, c->drain_left, &moved, &why);

	c->drain_left -= moved;
	if (rc == HTTP1_DONE)
		reset(c);
	else if (rc == HTTP1_BAD || c->drain_left == 0 || stream_eof(c->io))
		http1_conn_linger(c);
	else
		stream_resume(c->io);
}

static void linger(struct http1_conn *c)
{
	evbuffer_drain(stream_input(c->io), evbuffer_get_length(stream_input(c->io)));
	stream_resume(c->io);
}

static void begin_head(struct http1_conn *c)
{
	if (c->head_begun)
		return;
	c->head_begun = true;
	if (c->served)
		c->deadline = clock_ms() + c->server->limits.head_timeout_ms;
}

static void read_head(struct http1_conn *c)
{
	struct http1_server *s = c->server;
	struct http1_framing framing;
	struct http1_reject why;
	struct http_head *head = NULL;
	struct http1_exchange *x;

	switch (http1_parse_request(stream_input(c->io), &c->scan, &head, &framing, &why)) {
	case HTTP1_MORE:
		if (stream_eof(c->io)) {
			http1_conn_linger(c);
			return;
		}
		if (evbuffer_get_length(stream_input(c->io)) > 0)
			begin_head(c);
		stream_resume(c->io);
		return;
	case HTTP1_BAD:
		http1_conn_reject(c, why.status, why.reason);
		return;
	case HTTP1_DONE:
		break;
	}
	c->state = HTTP1_CONN_REQUEST;
	c->deadline = 0;
	http1_body_init_request(&c->body, &framing);
	c->body_done = c->body.kind == HTTP1_BODY_NONE;
	x = http1_exchange_new(c, head, &framing);
	c->x = x;
	/* The body's first bytes may be here, or the client has half-closed behind this request. */
	if (stream_eof(c->io) || (!c->body_done && evbuffer_get_length(stream_input(c->io)) > 0))
		timer_set(c->kick, 0);
	stream_resume(c->io);
	s->request(s->arg, &x->x); /* may free all of these */
}

void http1_conn_input(struct http1_conn *c)
{
	switch (c->state) {
	case HTTP1_CONN_HEAD:
		read_head(c);
		break;
	case HTTP1_CONN_REQUEST:
		http1_exchange_input(c->x);
		break;
	case HTTP1_CONN_DRAIN:
		drain(c);
		break;
	case HTTP1_CONN_LINGER:
		linger(c);
		break;
	}
}

static void on_deadline(struct http1_conn *c)
{
	struct error *e = NULL;

	if (c->state == HTTP1_CONN_HEAD && (c->head_begun || !c->served)) {
		http1_conn_reject(c, 408, "the request's head did not arrive in time");
	} else if (c->state == HTTP1_CONN_HEAD || c->state == HTTP1_CONN_DRAIN) {
		http1_conn_linger(c);
	} else {
		error_set(&e, ERR_CANCELLED, "the client left: it closed the connection");
		http1_conn_fail(c, e);
	}
}

void http1_conn_tick(struct http1_conn *c, int64_t now)
{
	uint64_t sent = stream_fd_sent(c->io);
	struct error *e = NULL;

	if (stream_pending(c->io) == 0) {
		c->stalled_since = 0;
		if (c->state == HTTP1_CONN_LINGER && !c->deadline)
			c->deadline = now + HTTP1_LINGER_MS;
	} else if (!c->stalled_since || sent != c->sent) {
		c->stalled_since = now;
		c->sent = sent;
	} else if (now - c->stalled_since >= c->server->limits.write_timeout_ms) {
		error_set(&e, ERR_CANCELLED, "the client left: it takes no bytes of the answer");
		http1_conn_fail(c, e);
		return;
	}
	if (c->deadline && now >= c->deadline)
		on_deadline(c);
}
