/* SPDX-License-Identifier: MIT */
/* The message view: whole messages of bounded size. */
#include "base/str.h"
#include "io/ws_impl.h"

struct ws {
	struct ws_conn *conn;
	const struct ws_events *events;
	void *arg;
	unsigned char *message; /* what of it has arrived */
	size_t n, room, max;
	bool paused;
	bool leaving; /* ws_close was called: messages are of no use any more */
};

static bool ws_wants(void *arg, bool input_ended)
{
	const struct ws *w = arg;

	return w->leaving || !w->paused;
}

/* Grows with what arrives, not with what a header promises. */
static void append(struct ws *w, const struct ws_piece *piece)
{
	if (w->n + piece->n + 1 > w->room) {
		w->room = w->n + piece->n + 1 > 2 * w->room ? w->n + piece->n + 1 : 2 * w->room;
		w->message = mem_realloc(w->message, w->room);
	}
	if (piece->n)
		memcpy(w->message + w->n, piece->data, piece->n);
	w->n += piece->n;
}

static void ws_payload(void *arg, const struct ws_piece *piece)
{
	struct ws *w = arg;
	struct error *error = NULL;

	if (w->leaving)
		return;
	if (w->n + piece->n + piece->left > w->max) {
		error_set(&error, ERR_TOO_LARGE, "a WebSocket message is over %zu bytes", w->max);
		ws_conn_fail(w->conn, WSLAY_CODE_MESSAGE_TOO_BIG, error);
		return;
	}
	append(w, piece);
	if (piece->end) {
		cleanup_free unsigned char *message = TAKE_PTR(w->message);
		size_t n = w->n;

		w->n = w->room = 0;
		w->events->on_message(w->arg, piece->opcode == WSLAY_BINARY_FRAME, message, n);
	}
}

static void ws_writable(void *arg)
{
	struct ws *w = arg;

	if (w->events->on_writable)
		w->events->on_writable(w->arg);
}

static void ws_closed(void *arg, unsigned code, const struct error *error)
{
	struct ws *w = arg;

	if (w->events->on_closed)
		w->events->on_closed(w->arg, code, error);
}

static const struct ws_view message_view = {
	.wants = ws_wants,
	.payload = ws_payload,
	.writable = ws_writable,
	.closed = ws_closed,
};

struct ws *ws_new(struct loop *loop, struct stream *take_transport, bool client, size_t max_message,
		  const struct ws_events *events, void *arg)
{
	struct ws *w = NEW(struct ws);

	w->max = max_message;
	w->events = events;
	w->arg = arg;
	w->conn = ws_conn_new(loop, take_transport, client, &message_view, w);
	return w;
}

void ws_send(struct ws *w, const void *data, size_t n)
{
	if (ws_conn_sends(w->conn))
		ws_frames_send(&w->conn->frames, WSLAY_BINARY_FRAME, data, n);
}

bool ws_full(const struct ws *w)
{
	return stream_full(w->conn->transport);
}

const char *ws_reason(const struct ws *w)
{
	return w->conn->peer_reason;
}

void ws_pause(struct ws *w, bool pause)
{
	w->paused = pause;
	if (!pause)
		ws_conn_kick(w->conn);
}

void ws_close(struct ws *w, unsigned code, const char *reason)
{
	w->leaving = true;
	ws_conn_close(w->conn, code, reason);
	ws_conn_kick(w->conn);
}

void ws_free(struct ws **wp)
{
	struct ws *w = TAKE_PTR(*wp);

	if (!w)
		return;
	ws_conn_free(&w->conn);
	free(w->message);
	free(w);
}
