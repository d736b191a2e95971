/* SPDX-License-Identifier: MIT */
/* Server and connection, for http1_server.c, http1_conn.c and http1_exchange.c. */
#ifndef SLICER_IO_HTTP1_SERVER_H
#define SLICER_IO_HTTP1_SERVER_H

#include "io/acceptor.h"
#include "io/http1_impl.h"

enum {
	HTTP1_DRAIN_MAX = 256 * 1024, /* of a request's body, behind its answer, to keep the connection */
	HTTP1_LINGER_MS = 1000,	      /* for the client to read the last answer before the close */
	HTTP1_HALF_CLOSE_MS = 1000,   /* for an answer after the client has ended its side */
};

struct http1_server {
	struct loop *loop;
	struct acceptor *acceptor; /* NULL: stopped */
	struct timer *tick;	   /* looks at all deadlines: cheaper than timers per request */
	int64_t tick_ms, tick_at;  /* the next one, by clock_ms() */
	struct http1_limits limits;
	http_request_fn *request;
	void *arg;
	struct http1_conn *conns;
	unsigned nconns, nrefused;
	bool local;
};

/*   HEAD ──head complete──▶ REQUEST ──exchange freed, all sent──▶ DRAIN ──body over──▶ HEAD
 *     └─bad, timeout─▶ LINGER ◀──cannot be kept────┴───────────────┘                      any
 * ──failure──▶ freed */
enum http1_conn_state { HTTP1_CONN_HEAD, HTTP1_CONN_REQUEST, HTTP1_CONN_DRAIN, HTTP1_CONN_LINGER };

struct http1_conn {
	struct http1_server *server;
	struct http1_conn *next, **prev;
	struct stream *io;
	struct timer *kick;	  /* go on in the next round */
	struct http1_exchange *x; /* in state REQUEST; borrowed */
	enum http1_conn_state state;
	struct http1_scan scan;
	struct http1_body body; /* of the request */
	bool body_done;
	bool head_begun;
	bool served;  /* a request before this one */
	bool refused; /* over the limit of connections */
	size_t drain_left;
	int64_t deadline;      /* clock_ms(); 0: none */
	int64_t stalled_since; /* of writing */
	uint64_t sent;
	uid_t uid;
};

/* A request on a server's connection. */
struct http1_exchange {
	struct http_exchange x;
	struct http1_conn *conn; /* NULL once the connection is gone */
	struct http1_encoder encoder;
	int minor;
	bool keep_alive;
	bool expects_continue; /* "100 Continue" was not sent yet */
	bool local;
	uid_t uid;
};

/* http1_conn.c. None of these calls anybody back at once, except http1_conn_input. */
struct http1_conn *http1_conn_new(struct http1_server *s, int take_fd);
void http1_conn_free(struct http1_conn *c);
void http1_conn_input(struct http1_conn *c);
void http1_conn_reject(struct http1_conn *c, int status, const char *reason); /* answers and lingers */
void http1_conn_fail(struct http1_conn *c, struct error *take);		      /* frees it; its exchange fails */
void http1_conn_linger(struct http1_conn *c);
void http1_conn_next(struct http1_conn *c, const struct http1_exchange *ended);
void http1_conn_tick(struct http1_conn *c, int64_t now);

/* http1_exchange.c */
struct http1_exchange *http1_exchange_new(struct http1_conn *c, struct http_head *take_head,
					  const struct http1_framing *f);
void http1_exchange_input(struct http1_exchange *x);  /* decodes what came; may call the owner, last */
void http1_exchange_output(struct http1_exchange *x); /* the connection has room; may call the owner, last */

#endif
