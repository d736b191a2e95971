/* SPDX-License-Identifier: MIT */
/* Writes heads and bodies (RFC 9112). */
#include "base/str.h"
#include "io/http1_impl.h"

/* A field from elsewhere must not end the head or change the framing. */
static bool may_write(const struct http_field *f)
{
	static const char *const framing[] = {"content-length", "transfer-encoding", "connection"};

	for (size_t i = 0; i < ARRAY_LEN(framing); i++) {
		if (str_eq(f->name, framing[i]))
			return false;
	}
	return http_is_token(f->name) && http_is_field_value(f->value);
}

/* Writes first line, fields, `last` and the empty line as one piece. */
static void write_head(struct stream *io, const char *first, const struct http_head *h, const char *last)
{
	size_t size = strlen(first) + strlen(last) + 3;
	char *text, *p;

	for (size_t i = 0; i < h->nfields; i++)
		size += strlen(h->fields[i].name) + strlen(h->fields[i].value) + 4;
	text = mem_alloc(size);
	p = stpcpy(text, first);
	for (size_t i = 0; i < h->nfields; i++) {
		const struct http_field *f = &h->fields[i];

		if (!may_write(f))
			continue;
		p = stpcpy(stpcpy(p, f->name), ": ");
		p = stpcpy(stpcpy(p, f->value), "\r\n");
	}
	p = stpcpy(stpcpy(p, last), "\r\n");
	stream_write(io, text, (size_t)(p - text));
	free(text);
}

static void format_last(char *ret, size_t size, int64_t length, bool chunked, const char *connection)
{
	size_t n = 0;

	ret[0] = '\0';
	if (chunked)
		n += (size_t)snprintf(ret, size, "transfer-encoding: chunked\r\n");
	else if (length >= 0)
		n += (size_t)snprintf(ret, size, "content-length: %lld\r\n", (long long)length);
	if (connection)
		snprintf(ret + n, size - n, "connection: %s\r\n", connection);
}

void http1_write_request(struct stream *io, const struct http_head *h, const char *host, const char *connection)
{
	char *first cleanup_free = NULL;
	char last[128];
	bool has_host = http_head_get(h, "host") != NULL;
	/* RFC 9110 §8.6: no length where the method gives a body no meaning. */
	bool no_body = h->content_length == 0 && !str_eq(h->method, "POST") && !str_eq(h->method, "PUT") &&
		       !str_eq(h->method, "PATCH");

	first = str_fmt("%s %s HTTP/1.1\r\n%s%s%s", h->method, h->target,
			has_host ? "" : "host: ", has_host ? "" : host, has_host ? "" : "\r\n");
	format_last(last, sizeof(last), no_body ? -1 : h->content_length, h->content_length < 0, connection);
	write_head(io, first, h, last);
}

void http1_write_response(struct stream *io, const struct http_head *h, const struct http1_encoder *e,
			  const char *connection)
{
	char first[64], last[128];
	bool bare = h->status < 200 || h->status == 204;

	snprintf(first, sizeof(first), "HTTP/1.1 %03d %s\r\n", h->status, http_reason(h->status));
	format_last(last, sizeof(last), bare ? -1 : h->content_length, e && e->kind == HTTP1_BODY_CHUNKED, connection);
	write_head(io, first, h, last);
}

static void write_chunk(struct evbuffer *from, struct stream *io, size_t n)
{
	char size[24];
	int len = snprintf(size, sizeof(size), "%zx\r\n", n);

	stream_write(io, size, (size_t)len);
	stream_write_buffer(io, from, n);
	stream_write(io, "\r\n", 2);
}

static void encode_some(struct http1_encoder *e, struct evbuffer *from, struct stream *io, size_t n)
{
	switch (e->kind) {
	case HTTP1_BODY_CHUNKED:
		write_chunk(from, io, n);
		break;
	case HTTP1_BODY_LENGTH:
		if (n > e->left)
			n = (size_t)e->left;
		e->left -= n;
		stream_write_buffer(io, from, n);
		if (e->left == 0)
			evbuffer_drain(from, evbuffer_get_length(from));
		break;
	case HTTP1_BODY_CLOSE:
		stream_write_buffer(io, from, n);
		break;
	default:
		evbuffer_drain(from, n);
	}
}

int http1_encode(struct http1_encoder *e, struct evbuffer *from, struct stream *io, bool end)
{
	size_t n;

	/* All that is there at once: it takes memory on either side, and a buffer that moves whole is not copied. */
	while ((n = evbuffer_get_length(from)) > 0 && !stream_full(io))
		encode_some(e, from, io, n);
	if (n > 0 || !end || e->done)
		return 0;
	if (e->kind == HTTP1_BODY_LENGTH && e->left > 0)
		return -1;
	if (e->kind == HTTP1_BODY_CHUNKED)
		stream_write(io, "0\r\n\r\n", 5);
	e->done = true;
	return 0;
}
