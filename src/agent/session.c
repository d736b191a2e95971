/* SPDX-License-Identifier: MIT */
#include <unistd.h>
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "io/control.h"
#include "io/http2.h"
#include "agent/session.h"

#define CAPABILITIES "exec,cp,shell,events,health,shutdown"

struct session {
	struct server *server;
	char instance[33];
	struct port *control_port, *agent_port;
	struct stream *control; /* NULL: nobody there */
	struct control_reader reader;
	bool wanted; /* a reset came: nonce is set */
	char nonce[CONTROL_NONCE_LEN + 1];
	struct stream *discard; /* the agent port, until the nonce was read */
	struct control_scan scan;
	struct http2_session *http; /* serving */
};

/* ---- the agent port ---- */

static void drop(struct session *n)
{
	stream_free(&n->discard);
	http2_session_free(&n->http); /* its exchanges fail, which ends what runs for them */
}

static void agent_lost(struct session *n)
{
	drop(n);
	port_lost(n->agent_port); /* a nonce still wanted is looked for when the port is there again */
}

static void on_http_done(void *arg, const struct error *error)
{
	struct session *n = arg;

	if (error)
		log_debug("session ended: %s", error_message(error));
	agent_lost(n);
}

static void on_request(void *arg, struct http_exchange *take)
{
	struct session *n = arg;

	route_request(n->server, take);
}

static void serve(struct session *n)
{
	stream_write(n->discard, n->scan.want, sizeof(n->scan.want));
	n->wanted = false;
	n->http = http2_server_new(n->server->loop, TAKE_PTR(n->discard), on_request, on_http_done, n);
}

static void on_discard_readable(void *arg)
{
	struct session *n = arg;
	struct evbuffer *in = stream_input(n->discard);
	bool found = false;

	while (!found && evbuffer_get_length(in) > 0) {
		size_t len = evbuffer_get_contiguous_space(in);
		const char *data = (const char *)evbuffer_pullup(in, (ssize_t)len);

		evbuffer_drain(in, control_scan_push(&n->scan, data, len, &found));
	}
	if (found) {
		serve(n);
		return;
	}
	if (stream_eof(n->discard))
		agent_lost(n);
	else
		stream_resume(n->discard);
}

static void on_discard_closed(void *arg, const struct error *error)
{
	agent_lost(arg);
}

static const struct stream_events discard_events = {
	.on_readable = on_discard_readable,
	.on_closed = on_discard_closed,
};

/* With a nonce wanted and the port there, reads on until it comes. A reset may come before the port is seen to be connected: what
 * reads already goes on then. */
static void begin_discard(struct session *n)
{
	int fd = n->wanted && !n->discard ? port_dup(n->agent_port) : -1;

	if (fd < 0)
		return;
	control_scan_init(&n->scan, n->nonce);
	n->discard = stream_fd_new(n->server->loop, fd, -1);
	stream_set_events(n->discard, &discard_events, n);
}

static void on_agent_ready(void *arg)
{
	begin_discard(arg);
}

/* ---- the control port ---- */

static void send_line(struct session *n, const struct control_line *line)
{
	cleanup_free char *text = control_format(line);

	if (n->control && !stream_full(n->control))
		stream_write(n->control, text, strlen(text));
}

static void send_hello(struct session *n)
{
	struct control_line line = {.verb = CONTROL_HELLO_GUEST, .protocol = CONTROL_PROTOCOL};

	snprintf(line.agent_version, sizeof(line.agent_version), "%s", SLICER_VERSION);
	memcpy(line.instance, n->instance, sizeof(line.instance));
	memcpy(line.boot_id, n->server->boot_id, sizeof(line.boot_id));
	snprintf(line.capabilities, sizeof(line.capabilities), "%s", CAPABILITIES);
	send_line(n, &line);
}

static void on_reset(struct session *n, const char *nonce)
{
	struct control_line line = {.verb = CONTROL_AWAIT};

	drop(n);
	memcpy(n->nonce, nonce, sizeof(n->nonce));
	memcpy(line.nonce, nonce, sizeof(line.nonce));
	n->wanted = true;
	begin_discard(n);
	send_line(n, &line);
}

static void on_line(struct session *n, const char *text, size_t len)
{
	struct control_line line;
	cleanup_error struct error *error = NULL;

	if (control_parse(text, len, &line, &error) < 0) {
		log_debug("%s", error_message(error));
		return;
	}
	if (line.verb == CONTROL_HELLO_HOST)
		send_hello(n);
	if (line.verb == CONTROL_RESET)
		on_reset(n, line.nonce);
}

static void control_lost(struct session *n)
{
	stream_free(&n->control);
	n->reader = (struct control_reader){0};
	port_lost(n->control_port);
}

static void on_control_readable(void *arg)
{
	struct session *n = arg;
	struct evbuffer *in = stream_input(n->control);

	while (evbuffer_get_length(in) > 0) {
		size_t len = evbuffer_get_contiguous_space(in), line_len, used;
		const char *data = (const char *)evbuffer_pullup(in, (ssize_t)len), *line;
		bool bad;

		used = control_reader_push(&n->reader, data, len, &line, &line_len, &bad);
		evbuffer_drain(in, used);
		if (line)
			on_line(n, line, line_len);
	}
	if (stream_eof(n->control))
		control_lost(n);
	else
		stream_resume(n->control);
}

static void on_control_closed(void *arg, const struct error *error)
{
	control_lost(arg);
}

static const struct stream_events control_events = {
	.on_readable = on_control_readable,
	.on_closed = on_control_closed,
};

static void on_control_ready(void *arg)
{
	struct session *n = arg;
	int fd = port_dup(n->control_port);

	if (fd < 0) {
		port_lost(n->control_port);
		return;
	}
	n->control = stream_fd_new(n->server->loop, fd, -1);
	stream_set_events(n->control, &control_events, n);
	send_hello(n);
}

void session_bye(struct session *n, bool reboot)
{
	send_line(n, &(struct control_line){.verb = CONTROL_BYE, .reboot = reboot});
}

struct session *session_new(struct server *s, struct error **err)
{
	struct session *n = NEW(struct session);

	n->server = s;
	if (control_new_nonce(n->instance, err) < 0) {
		free(n);
		return NULL;
	}
	n->control_port = port_new(s->loop, &s->options->control, on_control_ready, n);
	n->agent_port = port_new(s->loop, &s->options->agent, on_agent_ready, n);
	return n;
}

void session_free(struct session **session)
{
	struct session *n = TAKE_PTR(*session);

	if (!n)
		return;
	drop(n);
	stream_free(&n->control);
	port_free(&n->control_port);
	port_free(&n->agent_port);
	free(n);
}
