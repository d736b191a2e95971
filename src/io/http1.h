/* SPDX-License-Identifier: MIT */
/* HTTP/1.1 server and client (RFC 9112): strict, full duplex, keep-alive, no pipelining of answers out of order. */
#ifndef SLICER_IO_HTTP1_H
#define SLICER_IO_HTTP1_H

#include "io/http.h"

struct http1_limits {
	unsigned max_connections; /* further ones are answered 503 and closed; 0: 1024 */
	int64_t head_timeout_ms;  /* from the first byte (or accept) to a whole head; 0: 10 s. Then 408 and close. */
	int64_t idle_timeout_ms;  /* keep-alive without a request; 0: 120 s */
	int64_t write_timeout_ms; /* bytes to send and the peer takes none; 0: 120 s */
};

struct http1_server;
/* Serves connections of a listening socket (owned from here on). `request` gets every exchange. `local` says in the
 * exchange that it came by a Unix socket. A malformed request is answered 400, 414, 417, 431, 501 or 505, then closed.
 * A client that leaves fails its exchange with ERR_CANCELLED; one that only ends its side behind a whole request (TCP cannot
 * tell the two apart) gets one second for the answer. */
struct http1_server *http1_server_new(struct loop *loop, int take_listen_fd, const struct http1_limits *limits,
				      http_request_fn *request, void *arg);
void http1_server_stop_listening(struct http1_server *s); /* answers what is under way */
void http1_server_free(struct http1_server **s);	  /* closes all connections */
unsigned http1_server_connections(const struct http1_server *s);
/* Whether the exchange came over a Unix socket; peer credentials are SO_PEERCRED's uid, -1 if unknown. */
bool http1_exchange_is_local(const struct http_exchange *x);
uid_t http1_exchange_peer_uid(const struct http_exchange *x);

/* Server: answers 101 with these fields and turns the exchange into the raw connection; *x becomes NULL. The input holds
 * what the client has sent already. NULL when the client has left meanwhile. The request's field "upgrade" is there only
 * when the client asked for an upgrade in due form: HTTP/1.1, "Connection: upgrade", no body. */
struct stream *http1_upgrade(struct http_exchange **x, struct http_head *take_head);

/* Client. Connects per exchange or reuses one idle connection. The request head goes out at once; content_length -1 sends
 * the body chunked, 0 sends none. */
struct http1_client;
struct http1_client *http1_client_new_unix(struct loop *loop, const char *path);
struct http1_client *http1_client_new_tcp(struct loop *loop, const char *host, uint16_t port); /* host: IPv4 or name */
struct http1_client *http1_client_new_fd(struct loop *loop, int take_connected_fd);	       /* one connection only */
void http1_client_free(struct http1_client **c); /* exchanges still open fail */
/* Never NULL; failures come through on_response and on_closed. Owns the head. connect_timeout 10 s. */
struct http_exchange *http1_client_open(struct http1_client *c, struct http_head *take_request);
/* After a 101: the raw connection with bytes already received in its input; *x becomes NULL. NULL if it has failed. */
struct stream *http1_client_upgraded(struct http_exchange **x);

#endif
