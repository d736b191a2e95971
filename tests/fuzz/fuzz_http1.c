/* SPDX-License-Identifier: MIT */
/* The HTTP/1.1 parser, fed with the same bytes as a server's and as a client's. The first byte says
 * how they are cut into pieces: what comes out must not depend on it. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "io/http1_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition))                                                                                      \
			abort();                                                                                       \
	} while (0)

struct outcome {
	enum http1_result rc;
	unsigned messages;
	uint64_t digest; /* of all heads and bodies */
	size_t left;
};

static void digest(struct outcome *o, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++) /* FNV-1a */
		o->digest = (o->digest ^ p[i]) * 0x100000001b3;
}

static void check_head(struct outcome *o, const struct http_head *h, bool request)
{
	if (request) {
		CHECK(http_is_token(h->method) && http_is_target(h->target));
		CHECK(strlen(h->target) <= HTTP_MAX_TARGET);
		digest(o, h->target, strlen(h->target));
	} else {
		CHECK(h->status >= 100 && h->status <= 999);
	}
	CHECK(h->nfields <= HTTP_MAX_FIELDS && h->content_length >= -1);
	for (size_t i = 0; i < h->nfields; i++) {
		CHECK(http_is_token(h->fields[i].name) && http_is_field_value(h->fields[i].value));
		CHECK(!str_eq(h->fields[i].name, "content-length"));
		CHECK(!str_eq(h->fields[i].name, "transfer-encoding"));
		CHECK(!str_eq(h->fields[i].name, "connection"));
		digest(o, h->fields[i].name, strlen(h->fields[i].name));
		digest(o, h->fields[i].value, strlen(h->fields[i].value));
	}
}

struct parser {
	bool request, in_body;
	struct http1_scan scan;
	struct http1_body body;
	struct evbuffer *in, *out;
	struct outcome o;
};

static void parse_head(struct parser *p, struct http1_reject *why)
{
	struct http_head *h = NULL;
	struct http1_framing f;

	p->o.rc = p->request ? http1_parse_request(p->in, &p->scan, &h, &f, why)
			     : http1_parse_response(p->in, &p->scan, &h, &f, why);
	CHECK((p->o.rc == HTTP1_DONE) == (h != NULL));
	if (!h)
		return;
	check_head(&p->o, h, p->request);
	p->o.messages++;
	p->in_body = true;
	if (p->request)
		http1_body_init_request(&p->body, &f);
	else
		http1_body_init_response(&p->body, &f, "GET", h->status);
	http_head_free(&h);
}

static void parse_body(struct parser *p, struct http1_reject *why)
{
	size_t moved = 0;

	p->o.rc = http1_body_decode(&p->body, p->in, p->out, 4096, &moved, why);
	CHECK(moved <= 4096 && moved == evbuffer_get_length(p->out));
	if (moved > 0)
		digest(&p->o, evbuffer_pullup(p->out, -1), moved);
	evbuffer_drain(p->out, moved);
	if (p->o.rc == HTTP1_MORE && moved == 4096)
		p->o.rc = HTTP1_DONE; /* there was no room: once more */
	else if (p->o.rc == HTTP1_DONE)
		p->in_body = false;
}

static void feed(struct parser *p, const uint8_t *data, size_t n)
{
	struct http1_reject why = {};

	evbuffer_add(p->in, data, n);
	do {
		if (p->in_body)
			parse_body(p, &why);
		else
			parse_head(p, &why);
	} while (p->o.rc == HTTP1_DONE);
	CHECK(p->o.rc != HTTP1_BAD || (why.reason && why.status >= 400 && why.status <= 599));
}

static struct outcome run(const uint8_t *data, size_t size, size_t step, bool request)
{
	struct parser p = {.request = request, .in = evbuffer_new(), .out = evbuffer_new()};

	p.o.rc = HTTP1_MORE;
	for (size_t at = 0; at < size && p.o.rc == HTTP1_MORE; at += step)
		feed(&p, data + at, size - at < step ? size - at : step);
	p.o.left = evbuffer_get_length(p.in);
	evbuffer_free(p.in);
	evbuffer_free(p.out);
	return p.o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step;

	if (size < 1)
		return 0;
	step = 1 + data[0] % 64;
	data++;
	size--;
	for (int request = 0; request < 2; request++) {
		struct outcome whole = run(data, size, size ? size : 1, request);
		struct outcome cut = run(data, size, step, request);

		CHECK(whole.rc == cut.rc && whole.messages == cut.messages);
		if (whole.rc == HTTP1_MORE)
			CHECK(whole.digest == cut.digest && whole.left == cut.left);
	}
	return 0;
}
