/* SPDX-License-Identifier: MIT */
/* HTTP/2 (RFC 9113, prior knowledge) over any stream, by nghttp2. Connection credit is returned on receipt, stream credit on
 * use, so that stalled streams stop nobody else. */
#ifndef SLICER_IO_HTTP2_H
#define SLICER_IO_HTTP2_H

#include "io/http.h"

struct http2_session;

enum { HTTP2_MAX_STREAMS = 1024 }; /* concurrent; the server refuses more (REFUSED_STREAM) */

/* done(arg, error): the session is over (transport ended, GOAWAY drained, protocol error, ping lost). All its exchanges have
 * failed by then; free the session. error is borrowed, NULL when it ended well. */
typedef void http2_done_fn(void *arg, const struct error *error);

/* Both own the transport. The client sends the preface at once. */
struct http2_session *http2_server_new(struct loop *loop, struct stream *take_transport, http_request_fn *request,
				       http2_done_fn *done, void *arg);
struct http2_session *http2_client_new(struct loop *loop, struct stream *take_transport, http2_done_fn *done,
				       void *arg);
void http2_session_free(struct http2_session **s); /* open exchanges fail with ERR_UNAVAILABLE */
struct http_exchange *http2_client_open(struct http2_session *s, struct http_head *take_request); /* never NULL */
void http2_session_goaway(struct http2_session *s); /* no new streams; done when the open ones have ended */
unsigned http2_session_streams(const struct http2_session *s);
/* Sends a PING now and then; when for deadline_ms neither an answer comes nor any byte moves in either direction, the session ends
 * with ERR_TIMEOUT. 0 turns it off. */
void http2_session_keepalive(struct http2_session *s, int64_t interval_ms, int64_t deadline_ms);

#endif
