/* SPDX-License-Identifier: MIT */
#include "api/shell.h"

#include "api/gateway.h"
#include "api/loss.h"
#include "api/upgrade.h"
#include "base/str.h"
#include "io/ws.h"

enum {
	FRAME_HEADER = 5,
	FRAME_MAX = 32 * 1024,	   /* with its header: what clients' libraries take */
	MESSAGE_MAX = 1024 * 1024, /* from a client */
};

struct shell {
	struct loop *loop;
	struct manager *manager;
	char *vm;
	struct http_exchange *agent;
	struct loss *loss; /* of it, that is being found out */
	struct ws *ws;
};

static void shell_free(struct shell *s)
{
	http_exchange_free(&s->agent);
	loss_free(&s->loss);
	ws_free(&s->ws);
	free(s->vm);
	free(s);
}

static uint32_t shell_frame_length(const unsigned char *header)
{
	return (uint32_t)header[1] << 24 | (uint32_t)header[2] << 16 | (uint32_t)header[3] << 8 | header[4];
}

/* A short message is dropped, and what trails a frame is cut off: behind the frame's end the agent would read a new one. */
static void shell_on_message(void *arg, bool binary, const void *data, size_t n)
{
	struct shell *s = arg;
	struct stream *to;
	uint32_t length;

	if (!s->agent || !binary || n < FRAME_HEADER)
		return;
	to = http_exchange_stream(s->agent);
	length = shell_frame_length(data);
	if (length > n - FRAME_HEADER)
		return;
	stream_write(to, data, FRAME_HEADER + length);
	if (stream_full(to))
		ws_pause(s->ws, true);
}

static void shell_agent_writable(void *arg)
{
	struct shell *s = arg;

	ws_pause(s->ws, false);
}

static void shell_end(struct shell *s)
{
	http_exchange_free(&s->agent);
	ws_close(s->ws, 1000, "session ended");
}

static void shell_agent_readable(void *arg)
{
	struct shell *s = arg;
	struct stream *from = http_exchange_stream(s->agent);
	struct evbuffer *in = stream_input(from);
	unsigned char header[FRAME_HEADER];

	while (!ws_full(s->ws) && evbuffer_copyout(in, header, FRAME_HEADER) == FRAME_HEADER) {
		uint32_t length = shell_frame_length(header);

		if (length > FRAME_MAX - FRAME_HEADER) {
			http_exchange_free(&s->agent);
			ws_close(s->ws, 1011, "the agent sent a frame that is too long");
			return;
		}
		if (evbuffer_get_length(in) < FRAME_HEADER + length)
			break;
		ws_send(s->ws, evbuffer_pullup(in, FRAME_HEADER + (ev_ssize_t)length), FRAME_HEADER + length);
		evbuffer_drain(in, FRAME_HEADER + length);
	}
	if (stream_eof(from) && !ws_full(s->ws))
		shell_end(s);
	else
		stream_resume(from);
}

static void shell_explained(void *arg, const struct error *error)
{
	struct shell *s = arg;

	ws_close(s->ws, 1011, error_message(error));
}

static void shell_agent_closed(void *arg, const struct error *error)
{
	struct shell *s = arg;

	if (error)
		s->loss = loss_new(s->loop, s->manager, s->vm, error, shell_explained, s);
	else
		ws_close(s->ws, 1000, "session ended");
	http_exchange_free(&s->agent);
}

static void shell_ws_writable(void *arg)
{
	struct shell *s = arg;

	if (s->agent)
		shell_agent_readable(s);
}

static void shell_ws_closed(void *arg, unsigned code, const struct error *error)
{
	shell_free(arg);
}

static const struct stream_events shell_agent_events = {
	.on_readable = shell_agent_readable,
	.on_writable = shell_agent_writable,
	.on_closed = shell_agent_closed,
};

static const struct ws_events shell_ws_events = {
	.on_message = shell_on_message,
	.on_writable = shell_ws_writable,
	.on_closed = shell_ws_closed,
};

static void shell_upgraded(const struct upgrade_of *of, struct stream *take_raw, struct http_exchange *take_agent)
{
	struct shell *s = NEW(struct shell);

	s->loop = of->loop;
	s->manager = of->manager;
	s->vm = str_dup(of->vm);
	s->agent = take_agent;
	s->ws = ws_new(of->loop, take_raw, false, MESSAGE_MAX, &shell_ws_events, s);
	stream_set_events(http_exchange_stream(s->agent), &shell_agent_events, s);
}

void shell_start(struct vm *vm, struct http_exchange *take_client)
{
	struct http_head *request = gateway_request(http_exchange_request(take_client), "GET");

	upgrade_start(vm, take_client, request, shell_upgraded);
}
