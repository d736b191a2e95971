/* SPDX-License-Identifier: MIT */
/* Inside HTTP/2: what the session (http2.c, http2_session.c), nghttp2's callbacks (http2_callbacks.c), the exchanges
 * (http2_exchange.c) and the heads (http2_head.c) share.
 *
 * The rule that keeps this safe: nghttp2's callbacks only record what happened in the exchange's `due` bits and put it on
 * the session's ready list. Owners are called from h2_report() alone, with nothing of nghttp2 on the stack, so they may free
 * the exchange, other exchanges or the session. */
#ifndef SLICER_IO_HTTP2_IMPL_H
#define SLICER_IO_HTTP2_IMPL_H

#include <sys/queue.h>
#include <nghttp2/nghttp2.h>
#include "io/http2.h"
#include "io/http_impl.h"

enum h2_due {				/* in the order in which they are reported */
	      H2_DUE_REQUEST = 1 << 0,	/* server: a request is to be handed over */
	      H2_DUE_RESPONSE = 1 << 1, /* client: the response's head arrived */
	      H2_DUE_READ = 1 << 2,
	      H2_DUE_EOF = 1 << 3,
	      H2_DUE_WROTE = 1 << 4,
	      H2_DUE_ENDED = 1 << 5,
	      H2_DUE_FAILED = 1 << 6,
};

struct h2_exchange {
	struct http_exchange base;     /* first: stream, exchange and this are one address */
	struct http2_session *session; /* NULL once the session was freed */
	TAILQ_ENTRY(h2_exchange) all, ready;
	struct timer *orphan;	     /* reports what is due without a session */
	struct http_head *head;	     /* being received, or received and not yet reported */
	size_t head_size;	     /* RFC 9113 §6.5.2: names, values and 32 bytes per field */
	struct error *failure;	     /* for H2_DUE_FAILED */
	uint64_t received, credited; /* body bytes from the peer; those for which stream credit was returned */
	int32_t id;
	unsigned due; /* enum h2_due; on the ready list while not 0 */
	bool server;
	bool open;		   /* nghttp2 knows the stream */
	bool failed;		   /* its failure was or will be reported */
	bool handed;		   /* an owner has it (client: always) */
	bool refused;		   /* the head broke a limit or a rule */
	bool final_head;	   /* the request, or a response that is not 1xx, is complete */
	bool peer_ended, we_ended; /* END_STREAM received, sent */
	bool deferred;		   /* nghttp2 waits for nghttp2_session_resume_data */
	bool discard;		   /* what the owner writes goes nowhere (HEAD, 204, the peer wants no more) */
};

TAILQ_HEAD(h2_list, h2_exchange);

struct http2_session {
	struct loop *loop;
	struct stream *transport;
	nghttp2_session *ng;
	struct evbuffer *batch; /* frames on their way into the transport, so that many are one write */
	struct timer *tick;	/* next round: send, report */
	struct timer *ping;	/* next PING, or its deadline */
	struct timer *drain;	/* after GOAWAY: the transport takes the last bytes */
	http_request_fn *request;
	http2_done_fn *done;
	void *arg;
	struct h2_list all, ready;
	struct error *failure; /* why it must end; the first one counts */
	char *complaint;       /* nghttp2's last words on what the peer did wrong */
	int64_t ping_interval_ms, ping_deadline_ms, drain_left_ms;
	unsigned open; /* streams nghttp2 knows */
	unsigned busy; /* frames of ours on the stack: the memory must stay */
	bool server;
	uint64_t ping_sent_bytes; /* stream_fd_sent() when the deadline was set */
	bool ping_sent, we_goaway, peer_goaway;
	bool heard;    /* bytes came since the deadline was set */
	bool draining; /* the transport's end was requested */
	bool over;     /* no more frames; done was or is being called */
	bool freed;    /* http2_session_free was called while busy */
};

/* http2_session.c */
void h2_tick(struct http2_session *s); /* send and report in the next round */
void h2_break(struct http2_session *s,
	      struct error *take_error); /* the session must end; takes effect outside nghttp2 */

void h2_teardown(struct http2_session *s); /* all but the memory */
void h2_on_tick(void *arg);
void h2_on_ping(void *arg);
void h2_on_drain(void *arg);
void h2_on_transport_closed(void *arg, const struct error *error);

/* http2_exchange.c */
struct h2_exchange *h2_exchange_new(struct http2_session *s, struct http_head *take_request);
void h2_exchange_opened(struct h2_exchange *x, int32_t id);
void h2_exchange_closed(struct h2_exchange *x, uint32_t code);	    /* nghttp2 forgot the stream */
bool h2_exchange_incomplete(const struct h2_exchange *x);	    /* it fails if the session ends now */
void h2_exchange_fail(struct h2_exchange *x, struct error *take);   /* reported by h2_report */
void h2_exchange_orphan(struct h2_exchange *x, struct error *take); /* the session goes: reported by a timer */
void h2_due(struct h2_exchange *x, unsigned what);
void h2_report(struct http2_session *s); /* calls owners until nothing is due or the session was freed */

/* http2_callbacks.c */
int h2_callbacks_new(nghttp2_session_callbacks **ret);
nghttp2_data_provider h2_body_provider(struct h2_exchange *x);

/* http2_head.c */
struct h2_nv {
	nghttp2_nv *nv; /* points into the head; the caller frees the array */
	size_t n;
	char status[8], length[24];
};
void h2_nv_request(struct h2_nv *nv, const struct http_head *head);
void h2_nv_response(struct h2_nv *nv, const struct http_head *head);
void h2_head_add(struct h2_exchange *x, const char *name, size_t name_len, const char *value, size_t value_len);
bool h2_head_is_request(const struct http_head *head);
bool h2_status_has_body(int status);

#endif
