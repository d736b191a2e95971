/* SPDX-License-Identifier: MIT */
/* For those who implement exchanges (http1, http2): the base object, embedded as first member. Its stream is the first member
 * again, so stream ↔ exchange is a cast; stream_ops.destroy of the implementation frees the whole exchange. */
#ifndef SLICER_IO_HTTP_IMPL_H
#define SLICER_IO_HTTP_IMPL_H

#include "io/http.h"
#include "io/stream_impl.h"

struct http_exchange_ops {
	void (*respond)(struct http_exchange *x); /* server: x->response was set; send it before any of the body */
};

struct http_exchange {
	struct stream stream;
	const struct http_exchange_ops *ops;
	struct http_head *request;  /* owned */
	struct http_head *response; /* owned; NULL until sent or received */
	http_response_fn *on_response;
	void *response_arg;
	bool response_reported;
	struct timer *response_defer; /* on_response is owed */
};

void http_exchange_init(struct http_exchange *x, struct loop *loop, const struct stream_ops *sops,
			const struct http_exchange_ops *xops, struct http_head *take_request);
void http_exchange_clear(struct http_exchange *x); /* for destroy; calls stream_clear */
/* Client implementations report the head, or the failure before it: the first goes to on_response (deferred until that is
 * set). Failures go to the stream's on_closed too, if the exchange is still there. Touch nothing afterwards. */
void http_exchange_did_respond(struct http_exchange *x, struct http_head *take_response);
void http_exchange_did_fail(struct http_exchange *x, struct error *take);
/* http_reply_head with a body that is moved, not copied. */
void http_reply_buffer(struct http_exchange **x, struct http_head *take_head, struct evbuffer *body);
/* Validation shared by both versions (RFC 9110 §5.1, §5.5, §9.1). */
bool http_is_token(const char *s);
bool http_is_field_value(const char *s);
bool http_is_target(const char *s); /* origin form: begins with '/', visible ASCII only */

#endif
