/* SPDX-License-Identifier: MIT */
/* The HTTP/1.1 codec (RFC 9112) that server and client share. It does no I/O: it takes bytes from
 * evbuffers. */
#ifndef SLICER_IO_HTTP1_IMPL_H
#define SLICER_IO_HTTP1_IMPL_H

#include "io/http1.h"
#include "io/http_impl.h"

enum http1_result { HTTP1_MORE, HTTP1_DONE, HTTP1_BAD };

struct http1_reject {
	int status;	    /* to answer with, when it was a request */
	const char *reason; /* static */
};

/* What the framing fields of a head say. */
struct http1_framing {
	int minor;    /* of the version: 0 or 1 */
	bool close;   /* Connection: close */
	bool upgrade; /* Connection: upgrade */
	bool chunked;
	bool expect_continue;
	int64_t length; /* -1: no Content-Length */
};

/* How far an incomplete head was looked at. Zero it for each head. */
struct http1_scan {
	size_t pos, line; /* next byte; where its line begins */
	bool first_done, skipped_empty;
};

/* Take a whole head off `in`, or nothing (HTTP1_MORE). After HTTP1_BAD the connection is of no
 * further use. */
enum http1_result http1_parse_request(struct evbuffer *in, struct http1_scan *scan, struct http_head **ret,
				      struct http1_framing *framing, struct http1_reject *why);
enum http1_result http1_parse_response(struct evbuffer *in, struct http1_scan *scan, struct http_head **ret,
				       struct http1_framing *framing, struct http1_reject *why);

struct http1_body {
	enum { HTTP1_BODY_NONE, HTTP1_BODY_LENGTH, HTTP1_BODY_CHUNKED, HTTP1_BODY_CLOSE } kind;
	enum { HTTP1_CHUNK_SIZE, HTTP1_CHUNK_DATA, HTTP1_CHUNK_END, HTTP1_TRAILER } state;
	uint64_t left;	 /* of the body, or of the chunk */
	size_t trailers; /* bytes seen */
};

void http1_body_init_request(struct http1_body *b, const struct http1_framing *f);
void http1_body_init_response(struct http1_body *b, const struct http1_framing *f, const char *method, int status);
/* Moves up to `room` decoded bytes from `in` to `out` (NULL: discards them). HTTP1_DONE: the body
 * is complete. A body that lasts until the connection closes is never done. *moved may be NULL. */
enum http1_result http1_body_decode(struct http1_body *b, struct evbuffer *in, struct evbuffer *out, size_t room,
				    size_t *moved, struct http1_reject *why);

/* The other direction. HTTP1_BODY_NONE drops what is written. */
struct http1_encoder {
	int kind;
	uint64_t left;
	bool done;
};

/* `connection`: the value of that field, or NULL. Fields that could break the framing are left out.
 */
void http1_write_request(struct stream *io, const struct http_head *h, const char *host, const char *connection);
void http1_write_response(struct stream *io, const struct http_head *h, const struct http1_encoder *e,
			  const char *connection);
/* Moves from `from` to `io` until that is full, and writes the end when `end` is set and all is
 * moved (e->done). -1: the body is shorter than its Content-Length says. What is beyond that length
 * is dropped. */
int http1_encode(struct http1_encoder *e, struct evbuffer *from, struct stream *io, bool end);

#endif
