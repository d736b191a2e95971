/* SPDX-License-Identifier: MIT */
/* For tests of HTTP/1.1: a server with known paths, and raw connections to it. */
#ifndef TESTS_UNIT_IO_HTTP1_FIXTURE_H
#define TESTS_UNIT_IO_HTTP1_FIXTURE_H

#include "io_fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>
#include "base/fs.h"
#include "io/http1.h"

struct fixture {
	struct http1_server *server;
	char *unix_path;
	uint16_t port;
	struct http_exchange *held; /* the last request to /hold, /never and /free-later */
	struct error *held_error;
	bool held_closed;
	unsigned requests;
	char *last_target, *last_method;
	int echo_code;
	bool echo_closed;
	struct stream *upgraded;
	bool stop_in_request, free_in_request;
};

static struct fixture t;

static void on_held_closed(void *arg, const struct error *error)
{
	t.held_closed = true;
	t.held_error = error_copy(error);
	http_exchange_free(&t.held);
}

static void on_request_body(void *arg, struct http_exchange *x, const char *body, size_t n, const struct error *error)
{
	if (error)
		http_reply_error(&x, error);
	else
		http_reply(&x, 200, "text/plain", body, n);
}

static void hold(struct http_exchange *x)
{
	static const struct stream_events events = {.on_closed = on_held_closed};

	t.held = x;
	stream_set_events(http_exchange_stream(x), &events, NULL);
}

static void serve_echo(struct http_exchange *x)
{
	struct echo *e;

	http_exchange_respond(x, http_head_new_response(200));
	e = echo_start(http_exchange_take_stream(&x));
	e->code = &t.echo_code;
	e->closed = &t.echo_closed;
}

static void on_source_writable(void *arg)
{
	struct http_exchange *x = arg;
	struct stream *s = http_exchange_stream(x);
	static const char block[4096] = {'x'};

	while (!stream_full(s))
		stream_write(s, block, sizeof(block));
}

/* Answers without end. */
static void serve_source(struct http_exchange *x)
{
	static const struct stream_events events = {.on_writable = on_source_writable, .on_closed = on_held_closed};

	t.held = x;
	http_exchange_respond(x, http_head_new_response(200));
	stream_set_events(http_exchange_stream(x), &events, x);
	on_source_writable(x);
}

static void serve_big(struct http_exchange *x)
{
	char *body = mem_alloc(MIB);

	memset(body, 'b', MIB);
	http_reply(&x, 200, NULL, body, MIB);
	free(body);
}

static void serve(void *arg, struct http_exchange *x)
{
	const struct http_head *h = http_exchange_request(x);
	const char *path = h->target;
	struct http_head *head;

	t.requests++;
	free(t.last_target);
	free(t.last_method);
	t.last_target = str_dup(path);
	t.last_method = str_dup(h->method);
	if (t.stop_in_request)
		http1_server_stop_listening(t.server);
	if (t.free_in_request)
		http1_server_free(&t.server);
	if (str_eq(path, "/echo"))
		serve_echo(x);
	else if (str_eq(path, "/body"))
		http_read_body(x, 1000, on_request_body, NULL);
	else if (str_eq(path, "/hold"))
		hold(x);
	else if (str_eq(path, "/source"))
		serve_source(x);
	else if (str_eq(path, "/big"))
		serve_big(x);
	else if (str_eq(path, "/reset"))
		http_exchange_free(&x);
	else if (str_eq(path, "/upgrade") && http_head_get(h, "upgrade")) {
		head = http_head_new_response(101);
		http_head_add(head, "upgrade", "test");
		t.upgraded = http1_upgrade(&x, head);
		echo_start(t.upgraded);
	} else if (str_eq(path, "/short")) {
		head = http_head_new_response(200);
		head->content_length = 10;
		http_exchange_respond(x, head);
		stream_write(http_exchange_stream(x), "12345", 5);
		stream_end(http_exchange_stream(x));
		hold(x);
	} else
		http_reply(&x, 200, "text/plain", "hello\n", 6);
}

static inline int listen_tcp(uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static inline void start_tcp(const struct http1_limits *limits)
{
	int fd = listen_tcp(&t.port);

	t.server = http1_server_new(loop, fd, limits, serve, NULL);
}

static inline void start_unix(const struct http1_limits *limits)
{
	int fd;

	t.unix_path = str_fmt("/tmp/slicer-test-http1-%d.sock", getpid());
	fd = fd_listen_unix(t.unix_path, 0600, NULL);
	assert_true(fd >= 0);
	t.server = http1_server_new(loop, fd, limits, serve, NULL);
}

static inline int setup_http1(void **state)
{
	t = (struct fixture){};
	return setup_loop(state);
}

static inline int teardown_http1(void **state)
{
	http1_server_free(&t.server);
	http_exchange_free(&t.held);
	run_for(1);
	error_free(&t.held_error);
	free(t.last_target);
	free(t.last_method);
	if (t.unix_path)
		unlink(t.unix_path);
	free(t.unix_path);
	return teardown_loop(state);
}

static inline int connect_raw(void)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(t.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd;

	if (t.unix_path) {
		fd = fd_connect_unix(t.unix_path, NULL);
		assert_true(fd >= 0);
		return fd;
	}
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(fd_set_nonblock(fd, true, NULL), 0);
	return fd;
}

/* A connection on which everything received is kept. */
struct raw {
	struct stream *s;
	bool over; /* the peer ended, or it failed */
	bool failed;
};

static void raw_on_readable(void *arg)
{
	struct raw *r = arg;

	stream_resume(r->s);
	r->over |= stream_eof(r->s);
}

static void raw_on_closed(void *arg, const struct error *error)
{
	struct raw *r = arg;

	r->over = true;
	r->failed |= error != NULL;
}

static const struct stream_events raw_events = {.on_readable = raw_on_readable, .on_closed = raw_on_closed};

static inline void raw_open(struct raw *r)
{
	*r = (struct raw){.s = stream_fd_new(loop, connect_raw(), -1)};
	stream_set_events(r->s, &raw_events, r);
}

static inline void raw_send(struct raw *r, const char *text)
{
	stream_write(r->s, text, strlen(text));
}

static inline const char *raw_text(struct raw *r)
{
	evbuffer_add(stream_input(r->s), "", 1);
	return (const char *)evbuffer_pullup(stream_input(r->s), -1);
}

/* Runs until the connection is over; the text received (until raw_close). */
static inline const char *raw_finish(struct raw *r)
{
	wait_for(&r->over);
	return raw_text(r);
}

static inline void raw_close(struct raw *r)
{
	stream_free(&r->s);
}

/* Runs until `what` was received. */
static inline void raw_expect(struct raw *r, const char *what)
{
	double until = now_s() + 10;

	while (!evbuffer_get_length(stream_input(r->s)) ||
	       evbuffer_search(stream_input(r->s), what, strlen(what), NULL).pos < 0) {
		if (now_s() > until || r->over) {
			struct evbuffer_ptr p = evbuffer_search(stream_input(r->s), what, strlen(what), NULL);

			if (p.pos >= 0)
				return;
			fail_msg("no '%s' in '%s'", what, raw_text(r));
		}
		run_for(1);
	}
}

static inline void raw_drain(struct raw *r)
{
	evbuffer_drain(stream_input(r->s), evbuffer_get_length(stream_input(r->s)));
}

#endif
