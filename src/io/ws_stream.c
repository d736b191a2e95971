/* SPDX-License-Identifier: MIT */
/* The byte view: a WebSocket as a stream. Message boundaries are dropped on the way in, so that a
 * message of any size passes through a window. */
#include "base/str.h"
#include "io/stream_impl.h"
#include "io/ws_impl.h"

struct ws_stream {
	struct stream base;
	struct ws_conn *conn;
};

static bool closed_well(unsigned code)
{
	return code == WSLAY_CODE_NORMAL_CLOSURE || code == WSLAY_CODE_GOING_AWAY || code == WS_NO_STATUS;
}

/* ---- what the owner calls ---- */

static void send_output(struct ws_stream *ws, bool all)
{
	struct evbuffer *out = ws->base.out;
	size_t n;

	while ((n = evbuffer_get_length(out)) > 0 && (all || !stream_full(ws->conn->transport))) {
		if (n > WS_MAX_FRAME)
			n = WS_MAX_FRAME;
		if (ws_conn_sends(ws->conn))
			ws_frames_send(&ws->conn->frames, WSLAY_BINARY_FRAME, evbuffer_pullup(out, (ssize_t)n), n);
		evbuffer_drain(out, n);
	}
}

static void ws_stream_flush(struct stream *stream)
{
	struct ws_stream *ws = (struct ws_stream *)stream;

	send_output(ws, false);
	if (stream->end_requested && evbuffer_get_length(stream->out) == 0)
		ws_conn_close(ws->conn, WSLAY_CODE_NORMAL_CLOSURE, NULL);
	stream_did_write(stream);
}

static void ws_stream_resume(struct stream *stream)
{
	ws_conn_kick(((struct ws_stream *)stream)->conn);
}

static void ws_stream_destroy(struct stream *stream)
{
	struct ws_stream *ws = (struct ws_stream *)stream;

	ws_conn_free(&ws->conn);
	stream_clear(stream);
	free(ws);
}

static const struct stream_ops ws_stream_ops = {
	.resume = ws_stream_resume,
	.flush = ws_stream_flush,
	.destroy = ws_stream_destroy,
};

/* ---- what the connection calls ---- */

static bool view_wants(void *arg, bool input_ended)
{
	struct ws_stream *ws = arg;

	return input_ended || evbuffer_get_length(ws->base.in) < STREAM_WINDOW;
}

static void view_payload(void *arg, const struct ws_piece *piece)
{
	struct ws_stream *ws = arg;
	struct error *error = NULL;

	if (piece->opcode != WSLAY_BINARY_FRAME) {
		error_set(&error, ERR_PROTOCOL, "the peer sent text where only binary messages are allowed");
		ws_conn_fail(ws->conn, WSLAY_CODE_UNSUPPORTED_DATA, error);
	} else {
		evbuffer_add(ws->base.in, piece->data, piece->n);
	}
}

static void view_pulled(void *arg)
{
	struct ws_stream *ws = arg;

	/* We have ended, the peer still sends what it had: that is no refusal to close. */
	if (ws->conn->close_sent && !ws->conn->close_received && !ws->conn->broken)
		timer_set_deadline(ws->conn->limit, WS_CLOSE_MS);
	stream_did_read(&ws->base);
}

static void view_writable(void *arg)
{
	struct ws_stream *ws = arg;

	ws_stream_flush(&ws->base);
}

static void view_peer_closing(void *arg, unsigned code)
{
	struct ws_stream *ws = arg;

	send_output(ws, true);
	if (closed_well(code))
		stream_did_eof(&ws->base);
}

static void view_closed(void *arg, unsigned code, const struct error *error)
{
	struct ws_stream *ws = arg;
	struct error *why = error_copy(error);
	const char *said = ws->conn->peer_reason;
	cleanup_free char *reason = str_escape(said, strlen(said));
	bool had_eof = ws->base.eof;

	if (!why && code == WSLAY_CODE_INTERNAL_SERVER_ERROR && reason[0])
		error_set(&why, ERR_UNAVAILABLE, "%s", reason);
	if (!why && !closed_well(code))
		error_set(&why, ERR_PROTOCOL, "the peer closed the WebSocket with code %u", code);
	if (why) {
		stream_did_fail(&ws->base, why);
		return;
	}
	stream_did_end(&ws->base); /* the last call if eof was reported before: it may free us */
	if (!had_eof)
		stream_did_eof(&ws->base);
}

static const struct ws_view byte_view = {
	.wants = view_wants,
	.payload = view_payload,
	.pulled = view_pulled,
	.writable = view_writable,
	.peer_closing = view_peer_closing,
	.closed = view_closed,
};

void ws_stream_close(struct stream *stream, unsigned code, const char *reason)
{
	struct ws_stream *ws = (struct ws_stream *)stream;

	send_output(ws, true);
	ws_conn_close(ws->conn, code, reason);
	ws_conn_kick(ws->conn);
}

struct stream *ws_stream_new(struct loop *loop, struct stream *take_transport, bool client)
{
	struct ws_stream *ws = NEW(struct ws_stream);

	stream_init(&ws->base, loop, &ws_stream_ops);
	ws->conn = ws_conn_new(loop, take_transport, client, &byte_view, ws);
	return &ws->base;
}
