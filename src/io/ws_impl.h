/* SPDX-License-Identifier: MIT */
/* Inside WebSocket: a connection (ws_conn.c) reads frames (ws_frame.c) and feeds one of two views (ws.c, ws_stream.c).
 *
 *   open ──close sent──▶ saying goodbye: payload still arrives ──peer's close──▶ both said it ─┐
 *     └───peer's close───────────────────────────────────▶ ours is sent ───────────────────────┴▶ transport ended
 *     └───failure──▶ our close with its code, input discarded ─────────────────────────────────▶ by the peer or in 2 s
 * The transport's end is reported to the view, once, as the last call. */
#ifndef SLICER_IO_WS_IMPL_H
#define SLICER_IO_WS_IMPL_H

#include <wslay/wslay.h>
#include "io/stream.h"
#include "io/ws.h"

enum {
	WS_MAX_CONTROL = 125,	  /* RFC 6455 §5.5 */
	WS_MAX_FRAME = 32 * 1024, /* of the byte view's own */
	WS_CLOSE_MS = 2000,
	WS_NO_STATUS = 1005, /* RFC 6455 §7.4.1: a close frame without a code */
	WS_ABNORMAL = 1006,  /* no close frame at all */
};

enum ws_pull { WS_PULL_NOTHING, WS_PULL_PAYLOAD, WS_PULL_CONTROL, WS_PULL_FAILED };

struct ws_piece { /* of a message's payload, or a whole control frame */
	const uint8_t *data;
	size_t n;
	uint64_t left;	/* of this frame, after this piece */
	uint8_t opcode; /* a message's first frame's */
	bool end;	/* the message or control frame is complete */
};

struct ws_frames {
	wslay_frame_context_ptr context;
	struct stream *transport; /* borrowed */
	struct evbuffer *batch;
	bool client;
	uint64_t left;	 /* of the frame being received */
	uint8_t message; /* opcode of the message being received; 0 between messages */
	uint8_t opcode;
	bool in_frame, fin;
	uint8_t control[WS_MAX_CONTROL];
	size_t control_n;
};

void ws_frames_init(struct ws_frames *f, struct stream *transport, bool client);
void ws_frames_clear(struct ws_frames *f);
/* The next piece; the error is ERR_PROTOCOL, to be answered with 1002. */
enum ws_pull ws_frames_pull(struct ws_frames *f, struct ws_piece *ret, struct error **err);
void ws_frames_send(struct ws_frames *f, uint8_t opcode, const void *data, size_t n);
void ws_frames_send_close(struct ws_frames *f, unsigned code, const char *reason); /* WS_NO_STATUS: an empty one */
int ws_close_code(const struct ws_piece *close, unsigned *ret, struct error **err);

struct ws_view {
	/* More payload may come. input_ended: nothing will be added, what is there may go over the usual bound. */
	bool (*wants)(void *arg, bool input_ended);
	void (*payload)(void *arg, const struct ws_piece *piece); /* may call owners; may fail or free the connection */
	void (*pulled)(void *arg);				  /* after one or more pieces; may be NULL */
	void (*writable)(void *arg);
	void (*peer_closing)(void *arg, unsigned code); /* before ours is sent: write what is left; may be NULL */
	void (*closed)(void *arg, unsigned code, const struct error *error); /* the last one */
};

struct ws_conn {
	struct stream *transport;
	struct ws_frames frames;
	const struct ws_view *view;
	void *arg;
	struct timer *tick, *limit;
	struct error *failure;
	unsigned peer_code;
	char peer_reason[WS_MAX_CONTROL]; /* as text; "" when it gave none */
	uint8_t ping[WS_MAX_CONTROL]; /* the latest one not answered: the others need no answer (RFC 6455 §5.5.3) */
	size_t ping_n;
	bool ping_due;
	bool close_sent, close_received, broken, over, freed;
	unsigned busy;
};

struct ws_conn *ws_conn_new(struct loop *loop, struct stream *take_transport, bool client, const struct ws_view *view,
			    void *arg);
void ws_conn_free(struct ws_conn **c);
void ws_conn_kick(struct ws_conn *c); /* the view wants again: goes on in the next round, or in the running loop */
void ws_conn_close(struct ws_conn *c, unsigned code, const char *reason);
void ws_conn_fail(struct ws_conn *c, unsigned code, struct error *take);
static inline bool ws_conn_sends(const struct ws_conn *c)
{
	return !c->close_sent && !c->over;
}

#endif
