/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>
#include "agent_host.h"
#include "base/fs.h"
#include "base/str.h"

enum { DEADLINE_MS = 20000, PIECE = 16384 };

void agent_host_run(struct agent_host *h, const bool *done)
{
	struct error *error = NULL;

	if (loop_run_until(h->loop, done, DEADLINE_MS, &error) < 0)
		fail_msg("%s", error_message(error));
}

void agent_host_listen(struct agent_host *h, struct loop *loop)
{
	*h = (struct agent_host){.loop = loop};
	strcpy(h->dir, "/tmp/slicer-agent-test-XXXXXX");
	assert_non_null(mkdtemp(h->dir));
	snprintf(h->control_path, sizeof(h->control_path), "%s/control.sock", h->dir);
	snprintf(h->agent_path, sizeof(h->agent_path), "%s/agent.sock", h->dir);
	h->listen_control = fd_listen_unix(h->control_path, 0600, NULL);
	h->listen_agent = fd_listen_unix(h->agent_path, 0600, NULL);
	assert_true(h->listen_control >= 0 && h->listen_agent >= 0);
}

static void on_line(struct agent_host *h, const char *text, size_t n)
{
	struct control_line line;

	assert_int_equal(control_parse(text, n, &line, NULL), 0);
	if (line.verb == CONTROL_HELLO_GUEST) {
		h->hello = line;
		h->hellos++;
	}
	if (line.verb == CONTROL_AWAIT)
		h->await = str_eq(line.nonce, h->nonce);
	if (line.verb == CONTROL_BYE)
		h->bye = true;
}

static void on_control(void *arg)
{
	struct agent_host *h = arg;
	struct evbuffer *in = stream_input(h->control);

	while (evbuffer_get_length(in) > 0) {
		size_t n = evbuffer_get_length(in), len, used;
		const char *line;
		bool bad;

		used = control_reader_push(&h->reader, (const char *)evbuffer_pullup(in, -1), n, &line, &len, &bad);
		evbuffer_drain(in, used);
		assert_false(bad);
		if (line)
			on_line(h, line, len);
	}
	stream_resume(h->control);
}

static const struct stream_events control_events = {.on_readable = on_control};

struct accepting {
	int listen_fd, fd;
	bool done;
};

static void on_accept(void *arg, int what)
{
	struct accepting *a = arg;

	a->fd = accept4(a->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	a->done = a->fd >= 0;
}

static int accept_one(struct agent_host *h, int listen_fd)
{
	struct accepting a = {.listen_fd = listen_fd};
	struct watch *w = watch_new(h->loop, listen_fd, on_accept, &a);

	watch_set(w, WATCH_IN);
	agent_host_run(h, &a.done);
	watch_free(&w);
	return a.fd;
}

void agent_host_accept(struct agent_host *h)
{
	h->control = stream_fd_new(h->loop, accept_one(h, h->listen_control), -1);
	stream_set_events(h->control, &control_events, h);
	h->raw = stream_fd_new(h->loop, accept_one(h, h->listen_agent), -1);
}

void agent_host_connect(struct agent_host *h, const char *control_path, const char *agent_path)
{
	int control = fd_connect_unix(control_path, NULL), agent = fd_connect_unix(agent_path, NULL);

	assert_true(control >= 0 && agent >= 0);
	h->control = stream_fd_new(h->loop, control, -1);
	stream_set_events(h->control, &control_events, h);
	h->raw = stream_fd_new(h->loop, agent, -1);
}

static void on_done(void *arg, const struct error *error)
{
	((struct agent_host *)arg)->ended = true;
}

struct echo {
	struct agent_host *h;
	struct control_scan scan;
	bool found;
};

static void on_raw(void *arg)
{
	struct echo *e = arg;
	struct evbuffer *in = stream_input(e->h->raw);
	size_t n = evbuffer_get_length(in);

	if (n > 0 && !e->found)
		evbuffer_drain(in, control_scan_push(&e->scan, (const char *)evbuffer_pullup(in, -1), n, &e->found));
	stream_resume(e->h->raw);
}

void agent_host_session(struct agent_host *h)
{
	static const struct stream_events events = {.on_readable = on_raw};
	struct control_line line = {.verb = CONTROL_RESET};
	struct echo echo = {.h = h};
	char *text;

	assert_int_equal(control_new_nonce(h->nonce, NULL), 0);
	memcpy(line.nonce, h->nonce, sizeof(line.nonce));
	h->await = h->ended = false;
	text = control_format(&line);
	stream_write(h->control, text, strlen(text));
	free(text);
	agent_host_run(h, &h->await);
	control_scan_init(&echo.scan, h->nonce);
	stream_set_events(h->raw, &events, &echo);
	stream_write(h->raw, h->nonce, CONTROL_NONCE_LEN);
	stream_write(h->raw, "\n", 1);
	agent_host_run(h, &echo.found);
	stream_set_events(h->raw, NULL, NULL);
	h->http = http2_client_new(h->loop, TAKE_PTR(h->raw), on_done, h);
}

void agent_host_hang_up(struct agent_host *h)
{
	http2_session_free(&h->http);
	stream_free(&h->raw);
	stream_free(&h->control);
	h->reader = (struct control_reader){0};
	h->hellos = 0;
}

void agent_host_free(struct agent_host *h)
{
	agent_host_hang_up(h);
	close(h->listen_control);
	close(h->listen_agent);
	unlink(h->control_path);
	unlink(h->agent_path);
	rmdir(h->dir);
}

/* ---- requests ---- */

static void call_readable(void *arg)
{
	struct agent_call *c = arg;
	struct stream *s = http_exchange_stream(c->x);
	struct evbuffer *in = stream_input(s);

	if (c->limit && c->received >= c->limit)
		return;
	c->received += evbuffer_get_length(in);
	while (c->discard && evbuffer_get_length(in) > 0) {
		unsigned char buf[4096];
		int n = evbuffer_remove(in, buf, sizeof(buf));

		for (int i = 0; i < n; i++)
			c->sum += buf[i];
	}
	evbuffer_add_buffer(c->body, in);
	stream_resume(s);
}

static void call_writable(void *arg)
{
	struct agent_call *c = arg;
	struct stream *s = http_exchange_stream(c->x);
	unsigned char piece[PIECE];

	while (c->to_send > 0 && !stream_full(s)) {
		size_t n = c->to_send < sizeof(piece) ? c->to_send : sizeof(piece);

		memset(piece, 'x', n);
		stream_write(s, piece, n);
		c->to_send -= n;
		if (c->to_send == 0)
			stream_end(s);
	}
}

static void call_closed(void *arg, const struct error *error)
{
	struct agent_call *c = arg;

	c->closed = true;
	c->failed = error != NULL;
}

static void call_response(void *arg, struct http_exchange *x, const struct error *error)
{
	struct agent_call *c = arg;

	if (error) {
		c->closed = c->failed = true;
		return;
	}
	c->head = http_exchange_response(x);
	c->status = c->head->status;
}

void agent_call_open(struct agent_call *c, struct agent_host *h, const char *method, const char *target)
{
	static const struct stream_events events = {
		.on_readable = call_readable, .on_writable = call_writable, .on_closed = call_closed};
	struct http_head *head = http_head_new_request(method, target);

	*c = (struct agent_call){.host = h, .body = evbuffer_new()};
	head->content_length = -1;
	c->x = http2_client_open(h->http, head);
	http_exchange_on_response(c->x, call_response, c);
	stream_set_events(http_exchange_stream(c->x), &events, c);
}

void agent_call_send(struct agent_call *c, const void *data, size_t n, bool end)
{
	stream_write(http_exchange_stream(c->x), data, n);
	if (end)
		stream_end(http_exchange_stream(c->x));
}

void agent_call_send_pattern(struct agent_call *c, size_t n)
{
	c->to_send = n;
	call_writable(c);
}

void agent_call_wait(struct agent_call *c)
{
	agent_host_run(c->host, &c->closed);
}

void agent_call_wait_status(struct agent_call *c)
{
	for (int i = 0; c->status == 0 && !c->closed && i < 2000; i++) {
		bool never = false;

		loop_run_until(c->host->loop, &never, 10, NULL);
	}
	assert_int_not_equal(c->status, 0);
}

const char *agent_call_text(struct agent_call *c)
{
	evbuffer_add(c->body, "", 1);
	return (const char *)evbuffer_pullup(c->body, -1);
}

void agent_call_free(struct agent_call *c)
{
	http_exchange_free(&c->x);
	evbuffer_free(c->body);
}

void agent_call_get(struct agent_call *c, struct agent_host *h, const char *method, const char *target)
{
	agent_call_open(c, h, method, target);
	agent_call_send(c, "", 0, true);
	agent_call_wait(c);
}
