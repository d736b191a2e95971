/* SPDX-License-Identifier: MIT */
/* WebSocket (RFC 6455) by wslay: handshake helpers and two views of an upgraded connection. No extensions. */
#ifndef SLICER_IO_WS_H
#define SLICER_IO_WS_H

#include "io/http.h"

/* Server: checks the upgrade request; NULL with ERR_INVALID (400; 426 when the version is not 13). Else the 101 head, to be
 * given to http1_upgrade(). */
struct http_head *ws_accept_head(const struct http_head *request, struct error **err);
int ws_refusal_status(const struct http_head *request); /* of a request that ws_accept_head refused: 426 or 400 */
/* Client: adds the upgrade fields to a request; *ret_key (the caller's) is for ws_check_response. */
void ws_request_fields(struct http_head *request, char **ret_key);
int ws_check_response(const struct http_head *response, const char *key, struct error **err);

struct ws;
struct ws_events {
	/* One whole binary or text message. */
	void (*on_message)(void *arg, bool binary, const void *data, size_t n);
	void (*on_writable)(void *arg);
	/* The last callback; code is the peer's close code, 1006 without one. */
	void (*on_closed)(void *arg, unsigned code, const struct error *error);
};
/* Message view; owns the transport. client: masks what it sends. Messages over max_message end the connection with 1009. A
 * paused reader (ws_pause) stops the peer by TCP's flow control. Answers pings. */
struct ws *ws_new(struct loop *loop, struct stream *take_transport, bool client, size_t max_message,
		  const struct ws_events *events, void *arg);
void ws_send(struct ws *w, const void *data, size_t n); /* one binary message */
bool ws_full(const struct ws *w);
const char *ws_reason(const struct ws *w); /* that the peer closed for, any bytes; borrowed; "": it gave none */
void ws_pause(struct ws *w, bool pause);
void ws_close(struct ws *w, unsigned code, const char *reason); /* flushes, says close, waits at most 2 s */
void ws_free(struct ws **w);					/* NULL-safe; drops the connection */

/* Byte view: message boundaries do not matter (forward). Reading concatenates binary payloads of any size; each write becomes
 * messages of at most 32 KiB. stream_end closes with 1000. */
struct stream *ws_stream_new(struct loop *loop, struct stream *take_transport, bool client);
/* Closes one with another code than 1000; on_closed follows, within 2 s. A peer that closes with 1011 is ERR_UNAVAILABLE and its
 * reason, escaped. */
void ws_stream_close(struct stream *s, unsigned code, const char *reason);

#endif
