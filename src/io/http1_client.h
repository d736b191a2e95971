/* SPDX-License-Identifier: MIT */
/* Client and connection, for http1_client.c, http1_client_conn.c and the dialers. */
#ifndef SLICER_IO_HTTP1_CLIENT_H
#define SLICER_IO_HTTP1_CLIENT_H

#include "io/http1_impl.h"

enum { HTTP1_CONNECT_TIMEOUT_MS = 10 * 1000 };

struct http1_client;
struct http1_call;
struct http1_link;

/* Begins the attempt-th try to connect: a non-blocking socket, connected or connecting; -1 with
 * *err set when that fails, -1 without an error when there is no further address (the first attempt
 * always has one or fails). */
struct http1_dialer {
	int (*dial)(struct http1_client *client, unsigned attempt, struct error **err);
	void (*free)(struct http1_client *client); /* what dial keeps in `state`; may be NULL */
};

struct http1_client {
	struct loop *loop;
	const struct http1_dialer *dialer;
	char *name;	 /* path, host:port: for messages */
	char *authority; /* the Host field */
	char *host;
	uint16_t port;
	int fd;			 /* given connection, not used yet; else -1 */
	void *state;		 /* the dialer's */
	struct http1_link *idle; /* one connection kept */
	struct http1_call *calls;
};

/* An exchange of the client. */
struct http1_call {
	struct http_exchange x;
	struct http1_client *client; /* NULL once that is freed */
	struct http1_call *next, **prev;
	struct http1_link *link; /* NULL: failed, or all is received and sent */
	struct http1_encoder encoder;
	bool body_begun; /* of the request; cannot be sent again */
	bool retried;
};

/* A connection of the client, also before it is connected. */
struct http1_link {
	struct http1_client *client;
	struct http1_call *call; /* NULL: idle */
	int fd;			 /* while connecting */
	unsigned attempt;
	struct watch *connecting;
	struct timer *timeout;
	struct error *last_error; /* of the attempt before */
	struct stream *io;	  /* NULL while connecting */
	struct timer *kick;
	struct http1_scan scan;
	struct http1_body body;
	bool body_done, keep, reused, received;
	unsigned interim; /* 1xx responses of this exchange */
};

struct http1_client *http1_client_alloc(struct loop *loop, const struct http1_dialer *dialer, const char *name);
struct http1_link *http1_link_new(struct http1_client *client, struct http1_call *call);
void http1_link_free(struct http1_link *l);
void http1_link_start(struct http1_link *l);			/* sends the head of l->call */
void http1_link_output(struct http1_link *l);			/* may call the owner, last */
void http1_link_input(struct http1_link *l);			/* the same */
void http1_call_fail(struct http1_call *c, struct error *take); /* frees the link; may call the owner, last */
/* Connects anew for a call whose kept connection turned out to be dead; false when it must not. */
bool http1_call_retry(struct http1_call *c);

#endif
