/* SPDX-License-Identifier: MIT */
/* Decodes message bodies (RFC 9112 §6, §7). */
#include "base/str.h"
#include "io/http1_impl.h"

enum {
	MAX_CHUNK_LINE = 256, /* size and extensions */
	MAX_TRAILER_LINE = 1024,
	MAX_TRAILERS = 8 * 1024,
};

static enum http1_result bad(struct http1_reject *why, const char *reason)
{
	why->status = 400;
	why->reason = reason;
	return HTTP1_BAD;
}

void http1_body_init_request(struct http1_body *b, const struct http1_framing *f)
{
	*b = (struct http1_body){};
	if (f->chunked) {
		b->kind = HTTP1_BODY_CHUNKED;
	} else if (f->length > 0) {
		b->kind = HTTP1_BODY_LENGTH;
		b->left = (uint64_t)f->length;
	}
}

void http1_body_init_response(struct http1_body *b, const struct http1_framing *f, const char *method, int status)
{
	*b = (struct http1_body){};
	if (str_eq(method, "HEAD") || status < 200 || status == 204 || status == 304)
		return;
	if (f->chunked || f->length >= 0)
		http1_body_init_request(b, f);
	else
		b->kind = HTTP1_BODY_CLOSE;
}

/* Takes a line off `in`; `line` becomes its text without CRLF. */
static enum http1_result take_line(struct evbuffer *in, char *line, size_t size, size_t *taken,
				   struct http1_reject *why)
{
	ssize_t got = evbuffer_copyout(in, line, size);
	char *lf = got > 0 ? memchr(line, '\n', (size_t)got) : NULL;

	for (char *c = line; c < (lf ? lf : line + got); c++) {
		bool cr = *c == '\r';

		if (cr && c + 1 < line + got && c + 1 != lf)
			return bad(why, "CR in the middle of a line");
		if (((unsigned char)*c < 0x20 && *c != '\t' && !cr) || *c == 0x7f)
			return bad(why, "control character in a chunk line or trailer");
	}
	if (!lf)
		return (size_t)got == size ? bad(why, "chunk line or trailer too long") : HTTP1_MORE;
	if (lf == line || lf[-1] != '\r')
		return bad(why, "a line ends without CR");
	lf[-1] = '\0';
	*taken = (size_t)(lf - line) + 1;
	evbuffer_drain(in, *taken);
	return HTTP1_DONE;
}

static enum http1_result chunk_size(struct http1_body *b, struct evbuffer *in, struct http1_reject *why)
{
	char line[MAX_CHUNK_LINE];
	size_t taken, digits;
	enum http1_result rc = take_line(in, line, sizeof(line), &taken, why);
	uint64_t size;

	if (rc != HTTP1_DONE)
		return rc;
	digits = strspn(line, "0123456789abcdefABCDEF");
	if (digits == 0 || digits > 16 || (line[digits] && line[digits] != ';'))
		return bad(why, "bad chunk size");
	size = strtoull(line, NULL, 16);
	if (size > INT64_MAX)
		return bad(why, "chunk too large");
	b->left = size;
	b->state = size > 0 ? HTTP1_CHUNK_DATA : HTTP1_TRAILER;
	return HTTP1_DONE;
}

static enum http1_result chunk_end(struct http1_body *b, struct evbuffer *in, struct http1_reject *why)
{
	char end[2];
	ssize_t got = evbuffer_copyout(in, end, sizeof(end));

	if ((got > 0 && end[0] != '\r') || (got > 1 && end[1] != '\n'))
		return bad(why, "a chunk is not followed by CRLF");
	if (got < 2)
		return HTTP1_MORE;
	evbuffer_drain(in, sizeof(end));
	b->state = HTTP1_CHUNK_SIZE;
	return HTTP1_DONE;
}

/* Trailer fields are checked and dropped: nothing here uses them. */
static enum http1_result trailer(struct http1_body *b, struct evbuffer *in, struct http1_reject *why)
{
	char line[MAX_TRAILER_LINE];
	char *colon;
	size_t taken;
	enum http1_result rc = take_line(in, line, sizeof(line), &taken, why);

	if (rc != HTTP1_DONE)
		return rc;
	if (!*line) {
		b->kind = HTTP1_BODY_NONE;
		return HTTP1_DONE;
	}
	b->trailers += taken;
	colon = strchr(line, ':');
	if (!colon || b->trailers > MAX_TRAILERS)
		return bad(why, "bad trailer");
	*colon = '\0';
	if (!http_is_token(line))
		return bad(why, "bad trailer");
	return HTTP1_DONE;
}

static size_t move_data(struct http1_body *b, struct evbuffer *in, struct evbuffer *out, size_t room)
{
	size_t n = evbuffer_get_length(in);

	if (n > room)
		n = room;
	if (b->kind != HTTP1_BODY_CLOSE) {
		if (n > b->left)
			n = (size_t)b->left;
		b->left -= n;
	}
	if (n > 0 && out)
		buffer_move(out, in, n);
	else
		evbuffer_drain(in, n);
	return n;
}

/* One step of a chunked body. HTTP1_MORE: needs bytes, or room. */
static enum http1_result step_chunked(struct http1_body *b, struct evbuffer *in, struct evbuffer *out, size_t *room,
				      struct http1_reject *why)
{
	switch (b->state) {
	case HTTP1_CHUNK_SIZE:
		return chunk_size(b, in, why);
	case HTTP1_CHUNK_DATA:
		*room -= move_data(b, in, out, *room);
		if (b->left > 0)
			return HTTP1_MORE;
		b->state = HTTP1_CHUNK_END;
		return HTTP1_DONE;
	case HTTP1_CHUNK_END:
		return chunk_end(b, in, why);
	case HTTP1_TRAILER:
		return trailer(b, in, why);
	}
	return bad(why, "bad state");
}

enum http1_result http1_body_decode(struct http1_body *b, struct evbuffer *in, struct evbuffer *out, size_t room,
				    size_t *moved, struct http1_reject *why)
{
	size_t left = room;
	enum http1_result rc = HTTP1_DONE;

	if (b->kind == HTTP1_BODY_CHUNKED) {
		while (rc == HTTP1_DONE && b->kind == HTTP1_BODY_CHUNKED)
			rc = step_chunked(b, in, out, &left, why);
	} else if (b->kind != HTTP1_BODY_NONE) {
		left -= move_data(b, in, out, room);
		if (b->kind == HTTP1_BODY_LENGTH && b->left == 0)
			b->kind = HTTP1_BODY_NONE;
		else
			rc = HTTP1_MORE;
	}
	if (moved)
		*moved = room - left;
	return rc;
}
