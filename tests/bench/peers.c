/* SPDX-License-Identifier: MIT */
/* peers RUN-DIRECTORY HOSTNAME-PREFIX COUNT: what a daemon sees of so many running VMs, in one process: for each PREFIX-1,
 * PREFIX-2, … the sockets of its monitor, its hypervisor and its guest, with an agent's half of the handshake and an event
 * stream behind them (docs/protocol.md). A thousand real agents need more memory than a machine that measures has. It prints
 * "ready" when all listen, and ends with its stdin. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/json.h"
#include "base/str.h"
#include "io/control.h"
#include "io/http2.h"

struct peer {
	struct loop *loop;
	unsigned number;
	struct stream *control, *agent, *qmp, *monitor;
	struct http2_session *http;
	struct http_exchange *events;
	struct control_reader reader;
	struct control_scan scan;
};

struct listener {
	struct peer *peer;
	int fd;
	void (*connected)(struct peer *p, struct stream *take);
};

static void on_closed(void *arg, const struct error *error)
{
}

static void on_mute(void *arg)
{
}

/* ---- the agent's HTTP/2 ---- */

static void on_http_done(void *arg, const struct error *error)
{
}

static void on_request(void *arg, struct http_exchange *take)
{
	static const char ready[] = "{\"event\":\"ready\",\"agent_version\":\"peer\",\"boot_id\":"
				    "\"00000000-0000-4000-8000-000000000000\",\"user\":\"ubuntu\",\"uid\":1000}\n";
	static const struct stream_events events = {.on_closed = on_closed};
	struct peer *p = arg;
	struct http_head *head = http_head_new_response(200);

	http_exchange_free(&p->events);
	p->events = take;
	http_head_add(head, "content-type", "application/x-ndjson");
	http_exchange_respond(take, head);
	stream_set_events(http_exchange_stream(take), &events, p);
	stream_write(http_exchange_stream(take), ready, sizeof(ready) - 1);
}

/* ---- the handshake ---- */

static void send_line(struct peer *p, const struct control_line *line)
{
	cleanup_free char *text = control_format(line);

	stream_write(p->control, text, strlen(text));
}

static void send_hello(struct peer *p)
{
	struct control_line line = {.verb = CONTROL_HELLO_GUEST,
				    .protocol = CONTROL_PROTOCOL,
				    .agent_version = "peer",
				    .boot_id = "00000000-0000-4000-8000-000000000000",
				    .capabilities = "exec,events"};

	snprintf(line.instance, sizeof(line.instance), "%032x", p->number);
	send_line(p, &line);
}

static void on_agent_readable(void *arg)
{
	struct peer *p = arg;
	struct evbuffer *in = stream_input(p->agent);
	bool found = false;

	while (!found && evbuffer_get_length(in) > 0) {
		size_t n = evbuffer_get_contiguous_space(in);
		const char *data = (const char *)evbuffer_pullup(in, (ev_ssize_t)n);

		evbuffer_drain(in, control_scan_push(&p->scan, data, n, &found));
	}
	if (!found) {
		stream_resume(p->agent);
		return;
	}
	stream_write(p->agent, p->scan.want, sizeof(p->scan.want));
	p->http = http2_server_new(p->loop, TAKE_PTR(p->agent), on_request, on_http_done, p);
}

static const struct stream_events agent_events = {.on_readable = on_agent_readable, .on_closed = on_closed};

static void on_reset(struct peer *p, const char *nonce)
{
	struct control_line line = {.verb = CONTROL_AWAIT};

	memcpy(line.nonce, nonce, sizeof(line.nonce));
	control_scan_init(&p->scan, nonce);
	if (p->agent)
		stream_set_events(p->agent, &agent_events, p);
	send_line(p, &line);
}

static void on_control_readable(void *arg)
{
	struct peer *p = arg;
	struct evbuffer *in = stream_input(p->control);

	while (evbuffer_get_length(in) > 0) {
		size_t n = evbuffer_get_contiguous_space(in), len;
		const char *data = (const char *)evbuffer_pullup(in, (ev_ssize_t)n), *text;
		struct control_line line;
		bool bad;

		evbuffer_drain(in, control_reader_push(&p->reader, data, n, &text, &len, &bad));
		if (!text || control_parse(text, len, &line, NULL))
			continue;
		if (line.verb == CONTROL_HELLO_HOST)
			send_hello(p);
		else if (line.verb == CONTROL_RESET)
			on_reset(p, line.nonce);
	}
	stream_resume(p->control);
}

static void control_connected(struct peer *p, struct stream *take)
{
	static const struct stream_events events = {.on_readable = on_control_readable, .on_closed = on_closed};

	stream_free(&p->control);
	p->control = take;
	stream_set_events(take, &events, p);
}

static void agent_connected(struct peer *p, struct stream *take)
{
	http_exchange_free(&p->events);
	http2_session_free(&p->http);
	stream_free(&p->agent);
	p->agent = take;
	if (p->scan.want[0])
		stream_set_events(take, &agent_events, p);
}

/* ---- monitor and hypervisor ---- */

static void monitor_connected(struct peer *p, struct stream *take)
{
	static const struct stream_events events = {.on_readable = on_mute, .on_closed = on_closed};

	stream_free(&p->monitor);
	p->monitor = take;
	stream_set_events(take, &events, p);
}

static void qmp_answer(struct peer *p, const char *text, size_t n)
{
	cleanup_json struct json_object *command = js_parse(text, n, NULL);
	cleanup_free char *line = NULL;
	uint64_t id = 0;

	if (!command || js_get_u64(command, "id", UINT64_MAX, &id, NULL))
		return;
	line = str_fmt("{\"return\":{\"status\":\"running\",\"running\":true},\"id\":%" PRIu64 "}\n", id);
	stream_write(p->qmp, line, strlen(line));
}

static void on_qmp_readable(void *arg)
{
	struct peer *p = arg;
	size_t n;
	char *line;

	while ((line = evbuffer_readln(stream_input(p->qmp), &n, EVBUFFER_EOL_LF))) {
		qmp_answer(p, line, n);
		free(line);
	}
	stream_resume(p->qmp);
}

static void qmp_connected(struct peer *p, struct stream *take)
{
	static const char greeting[] = "{\"QMP\":{\"version\":{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":0},"
				       "\"package\":\"\"},\"capabilities\":[]}}\n";
	static const struct stream_events events = {.on_readable = on_qmp_readable, .on_closed = on_closed};

	stream_free(&p->qmp);
	p->qmp = take;
	stream_set_events(take, &events, p);
	stream_write(take, greeting, sizeof(greeting) - 1);
}

/* ---- listening ---- */

static void on_connection(void *arg, int what)
{
	struct listener *l = arg;
	int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		l->connected(l->peer, stream_fd_new(l->peer->loop, fd, -1));
}

static int listen_at(struct peer *p, const char *dir, size_t i, struct error **err)
{
	static const struct {
		const char *name;
		void (*connected)(struct peer *p, struct stream *take);
	} sockets[] = {{"control.sock", control_connected},
		       {"agent.sock", agent_connected},
		       {"monitor.sock", monitor_connected},
		       {"qmp.sock", qmp_connected}};
	cleanup_free char *path = fs_join(dir, sockets[i].name);
	struct listener *l = NEW(struct listener);

	l->peer = p;
	l->connected = sockets[i].connected;
	l->fd = fd_listen_unix(path, 0600, err);
	if (l->fd < 0)
		return -1;
	watch_set(watch_new(p->loop, l->fd, on_connection, l), WATCH_IN);
	return 0;
}

static int peer_start(struct loop *loop, const char *run, const char *prefix, unsigned number, struct error **err)
{
	cleanup_free char *dir = str_fmt("%s/%s-%u", run, prefix, number);
	struct peer *p = NEW(struct peer);

	p->loop = loop;
	p->number = number;
	if (fs_mkdir_p(dir, 0700, err))
		return -1;
	for (size_t i = 0; i < 4; i++)
		if (listen_at(p, dir, i, err))
			return -1;
	return 0;
}

static void on_stdin(void *arg, int what)
{
	loop_stop(arg);
}

static int run(char **argv, struct error **err)
{
	struct loop *loop = loop_new(err);
	uint64_t count;

	if (!loop || str_to_u64(argv[3], 1, 4096, "COUNT", &count, err))
		return -1;
	for (unsigned i = 1; i <= count; i++)
		if (peer_start(loop, argv[1], argv[2], i, err))
			return -1;
	watch_set(watch_new(loop, STDIN_FILENO, on_stdin, loop), WATCH_IN);
	puts("ready");
	fflush(stdout);
	return loop_run(loop, err);
}

int main(int argc, char **argv)
{
	cleanup_error struct error *error = NULL;

	if (argc == 4 && run(argv, &error) == 0)
		return 0;
	fprintf(stderr, "peers: %s\n", argc == 4 ? error_message(error) : "usage: peers RUN-DIRECTORY PREFIX COUNT");
	return 1;
}
