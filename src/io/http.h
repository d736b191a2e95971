/* SPDX-License-Identifier: MIT */
/* One HTTP request and its response, whatever the version and the side: HTTP/1.1 (RFC 9112) between clients and daemon,
 * HTTP/2 (RFC 9113) between daemon and agent. Bodies are streams; a response may begin while the request's body is still
 * coming, and both may go on at once. */
#ifndef SLICER_IO_HTTP_H
#define SLICER_IO_HTTP_H

#include "io/stream.h"

enum {
	/* Bytes of request or status line and fields. Below the 64 KiB that nghttp2 sends and takes, with what it adds. */
	HTTP_MAX_HEAD = 60 * 1024,
	HTTP_MAX_FIELDS = 100,
	HTTP_MAX_TARGET = 48 * 1024, /* exec has the whole command in it: clients send scripts in this way */
};

struct http_field {
	char *name, *value;
}; /* name in lower case */

struct http_head {
	char *method, *target;	   /* requests: "GET", "/vm/a-1/exec?cmd=ls" (origin form, still encoded) */
	int status;		   /* responses */
	struct http_field *fields; /* without framing fields (content-length, transfer-encoding, connection) */
	size_t nfields;
	int64_t content_length; /* -1: not known (chunked, or until the end) */
};

struct http_head *http_head_new_request(const char *method, const char *target);
struct http_head *http_head_new_response(int status);
void http_head_add(struct http_head *h, const char *name, const char *value);
const char *http_head_get(const struct http_head *h, const char *name); /* first of that name, any case; NULL */
void http_head_free(struct http_head **h);
#define cleanup_http_head __attribute__((cleanup(http_head_free)))
const char *http_reason(int status);

/* The target, taken apart. '+' is a space in the query, %XX is decoded, %00 and bad escapes are ERR_INVALID. */
struct http_query;
struct http_query *http_query_parse(const char *target, struct error **err); /* at most 1,000 parameters */
void http_query_free(struct http_query **q);
#define cleanup_query __attribute__((cleanup(http_query_free)))
const char *http_query_path(const struct http_query *q);      /* decoded segments joined by '/'; see segments */
char *const *http_query_segments(const struct http_query *q); /* decoded, NULL-terminated; none for "/" */
const char *http_query_get(const struct http_query *q, const char *key); /* first value; NULL if absent */
char **http_query_all(const struct http_query *q, const char *key);	 /* all values, in order; the caller's */
int http_query_bool(const struct http_query *q, const char *key, bool *ret, struct error **err); /* true 1 false 0 "" */
char *http_encode(const char *s); /* percent-encodes all but unreserved characters (RFC 3986 §2.3) */

/* One exchange. Its stream: what we read is the peer's body, what we write is ours. */
struct http_exchange;
struct stream *http_exchange_stream(struct http_exchange *x); /* borrowed */
/* Gives the stream to a new owner (a splice, say); the exchange goes on living under it and is freed by stream_free. */
struct stream *http_exchange_take_stream(struct http_exchange **x);
const struct http_head *http_exchange_request(const struct http_exchange *x);
const struct http_head *http_exchange_response(const struct http_exchange *x); /* NULL until sent or received */
void http_exchange_free(struct http_exchange **x); /* resets what is not complete; NULL-safe */

/* Server side. respond: sends the head (owned from here on), the body follows by stream_write, stream_end ends it. For HEAD
 * requests what is written is dropped. Responding twice is a bug (asserts). */
void http_exchange_respond(struct http_exchange *x, struct http_head *take_head);
/* A whole response; frees the exchange when it is sent. content_type may be NULL. *x becomes NULL. */
void http_reply(struct http_exchange **x, int status, const char *content_type, const void *body, size_t n);
void http_reply_head(struct http_exchange **x, struct http_head *take_head, const void *body,
		     size_t n); /* with fields */
/* The same with a body that many replies share and none copies: a serialisation that is kept. On the loop only. */
struct http_shared;
struct http_shared *http_shared_new(char *take, size_t n); /* `take` is NUL-terminated behind its n bytes */
void http_shared_unref(struct http_shared **s);		   /* replies that are being sent keep it alive; NULL-safe */
#define cleanup_http_shared __attribute__((cleanup(http_shared_unref)))
const char *http_shared_text(const struct http_shared *s); /* borrowed */
void http_reply_shared(struct http_exchange **x, int status, const char *content_type, struct http_shared *body);
void http_reply_error_status(struct http_exchange **x, int status, const struct error *error);
void http_reply_error(struct http_exchange **x, const struct error *error); /* {"error":"..."} with its status */
/* What such a document says: "" when it is JSON without an error, NULL when it is no JSON. Any bytes; the caller's. */
char *http_error_parse(const char *body, size_t n);
/* Reads the whole request body (ERR_TOO_LARGE beyond limit), then calls fn; body is NUL-terminated and borrowed. The error
 * is borrowed; x is again the callee's to answer and free. */
typedef void http_body_fn(void *arg, struct http_exchange *x, const char *body, size_t n, const struct error *error);
void http_read_body(struct http_exchange *take, size_t limit, http_body_fn *fn, void *arg);
typedef void http_request_fn(void *arg, struct http_exchange *take);

/* Client side: called once with the response head (borrowed via http_exchange_response), or with an error. The stream's
 * events are the caller's as always. */
typedef void http_response_fn(void *arg, struct http_exchange *x, const struct error *error);
void http_exchange_on_response(struct http_exchange *x, http_response_fn *fn, void *arg);

#endif
