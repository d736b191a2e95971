/* SPDX-License-Identifier: MIT */
/* A WebSocket connection's life: pulling frames while the view wants them, pings, the closing
 * handshake. */
#include "base/str.h"
#include "io/ws_impl.h"

static const struct stream_events no_events = {0};

/* The last call to the view. Busy is held; on return the connection may be freed, but not its
 * memory. */
static void conn_finish(struct ws_conn *c, const struct error *transport_error)
{
	cleanup_error struct error *error = TAKE_PTR(c->failure);
	bool said_goodbye = c->close_received;

	if (c->over)
		return;
	c->over = true;
	timer_cancel(c->tick);
	timer_cancel(c->limit);
	stream_set_events(c->transport, &no_events, NULL);
	if (!error && !said_goodbye && transport_error)
		error = error_copy(transport_error);
	if (!error && !said_goodbye)
		error_set(&error, ERR_CANCELLED, "the peer left without closing the WebSocket");
	c->view->closed(c->arg, said_goodbye ? c->peer_code : WS_ABNORMAL, error);
}

static void answer_ping(struct ws_conn *c)
{
	if (!c->ping_due || stream_full(c->transport) || !ws_conn_sends(c))
		return;
	c->ping_due = false;
	ws_frames_send(&c->frames, WSLAY_PONG, c->ping, c->ping_n);
}

/* Both have said it: the transport may end. The peer ends it too, or the limit does. */
static void end_transport(struct ws_conn *c)
{
	stream_end(c->transport);
	if (!timer_pending(c->limit))
		timer_set_deadline(c->limit, WS_CLOSE_MS);
}

void ws_conn_close(struct ws_conn *c, unsigned code, const char *reason)
{
	if (!ws_conn_sends(c))
		return;
	ws_frames_send_close(&c->frames, code, reason);
	c->close_sent = true;
	timer_set_deadline(c->limit, WS_CLOSE_MS);
	if (c->close_received || c->broken)
		end_transport(c);
}

void ws_conn_fail(struct ws_conn *c, unsigned code, struct error *take)
{
	if (c->failure || c->over) {
		error_free(&take);
		return;
	}
	c->failure = take;
	c->broken = true;
	if (c->close_sent)
		end_transport(c);
	else
		ws_conn_close(c, code, take->message);
}

static void take_reason(struct ws_conn *c, const struct ws_piece *piece)
{
	if (piece->n > 2) {
		memcpy(c->peer_reason, piece->data + 2, piece->n - 2);
		c->peer_reason[piece->n - 2] = '\0';
	}
}

static void receive_close(struct ws_conn *c, const struct ws_piece *piece)
{
	struct error *error = NULL;
	unsigned code;

	if (ws_close_code(piece, &code, &error) < 0) {
		ws_conn_fail(c, WSLAY_CODE_PROTOCOL_ERROR, error);
		return;
	}
	c->close_received = true;
	c->peer_code = code;
	take_reason(c, piece);
	if (c->view->peer_closing)
		c->view->peer_closing(c->arg, code);
	if (c->freed)
		return;
	if (c->close_sent)
		end_transport(c);
	else
		ws_conn_close(c, code, NULL);
}

static void receive_control(struct ws_conn *c, const struct ws_piece *piece)
{
	if (piece->opcode == WSLAY_CONNECTION_CLOSE) {
		receive_close(c, piece);
	} else if (piece->opcode == WSLAY_PING) {
		memcpy(c->ping, piece->data, piece->n);
		c->ping_n = piece->n;
		c->ping_due = true;
		answer_ping(c);
	}
}

static bool reads_frames(const struct ws_conn *c)
{
	return !c->freed && !c->over && !c->broken && !c->close_received;
}

/* Returns whether pieces were delivered; *starved: all input is used up. */
static bool pull_frames(struct ws_conn *c, bool input_ended, bool *starved)
{
	struct ws_piece piece;
	struct error *error = NULL;
	bool any = false;

	while (reads_frames(c) && c->view->wants(c->arg, input_ended)) {
		switch (ws_frames_pull(&c->frames, &piece, &error)) {
		case WS_PULL_NOTHING:
			*starved = true;
			return any;
		case WS_PULL_FAILED:
			ws_conn_fail(c, WSLAY_CODE_PROTOCOL_ERROR, error);
			break;
		case WS_PULL_CONTROL:
			receive_control(c, &piece);
			break;
		case WS_PULL_PAYLOAD:
			any = true;
			c->view->payload(c->arg, &piece);
		}
	}
	return any;
}

/* Busy is held. input_ended: the transport adds nothing more. */
static void receive(struct ws_conn *c, bool input_ended)
{
	bool starved = false, any;

	do {
		any = pull_frames(c, input_ended, &starved);
		if (any && !c->freed && c->view->pulled)
			c->view->pulled(c->arg);
	} while (any && !starved && reads_frames(c));
	if (c->freed || c->over)
		return;
	if (c->close_received || c->broken) { /* what comes after the end does not count */
		evbuffer_drain(stream_input(c->transport), evbuffer_get_length(stream_input(c->transport)));
		starved = true;
	}
	stream_resume(c->transport);
	if (input_ended && starved && !(c->close_received && stream_pending(c->transport) > 0))
		conn_finish(c, NULL);
}

static void conn_run(struct ws_conn *c)
{
	c->busy++;
	if (!c->over)
		receive(c, stream_eof(c->transport));
	if (--c->busy == 0 && c->freed)
		free(c);
}

static void on_run(void *arg)
{
	conn_run(arg);
}

void ws_conn_kick(struct ws_conn *c)
{
	if (!c->over && !c->busy && !timer_pending(c->tick))
		timer_set(c->tick, 0);
}

static void on_writable(void *arg)
{
	struct ws_conn *c = arg;

	answer_ping(c);
	if (ws_conn_sends(c))
		c->view->writable(c->arg);
}

static void on_transport_closed(void *arg, const struct error *error)
{
	struct ws_conn *c = arg;

	c->busy++;
	receive(c, true);
	if (!c->freed)
		conn_finish(c, error);
	if (--c->busy == 0 && c->freed)
		free(c);
}

/* The peer does not close, or takes nothing. As long as we are the ones who do not read, it is not
 * to blame. */
static void on_limit(void *arg)
{
	struct ws_conn *c = arg;

	if (reads_frames(c) && !c->view->wants(c->arg, false)) {
		timer_set_deadline(c->limit, WS_CLOSE_MS);
		return;
	}
	c->busy++;
	if (!c->failure && !c->close_received)
		error_set(&c->failure, ERR_TIMEOUT, "the peer did not close the WebSocket within %d ms", WS_CLOSE_MS);
	conn_finish(c, NULL);
	if (--c->busy == 0 && c->freed)
		free(c);
}

static const struct stream_events transport_events = {
	.on_readable = on_run,
	.on_writable = on_writable,
	.on_closed = on_transport_closed,
};

struct ws_conn *ws_conn_new(struct loop *loop, struct stream *take_transport, bool client, const struct ws_view *view,
			    void *arg)
{
	struct ws_conn *c = NEW(struct ws_conn);

	c->transport = take_transport;
	c->view = view;
	c->arg = arg;
	ws_frames_init(&c->frames, take_transport, client);
	c->tick = timer_new(loop, on_run, c);
	c->limit = timer_new(loop, on_limit, c);
	stream_set_events(c->transport, &transport_events, c);
	return c;
}

void ws_conn_free(struct ws_conn **cp)
{
	struct ws_conn *c = TAKE_PTR(*cp);

	if (!c)
		return;
	c->freed = c->over = true;
	timer_free(&c->tick);
	timer_free(&c->limit);
	stream_free(&c->transport);
	ws_frames_clear(&c->frames);
	error_free(&c->failure);
	if (!c->busy)
		free(c);
}
