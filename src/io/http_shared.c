/* SPDX-License-Identifier: MIT */
/* Bodies that many replies share. */
#include "io/http_impl.h"

struct http_shared {
	unsigned refs;
	size_t n;
	char *text;
};

struct http_shared *http_shared_new(char *take, size_t n)
{
	struct http_shared *s = NEW(struct http_shared);

	s->refs = 1;
	s->n = n;
	s->text = take;
	return s;
}

void http_shared_unref(struct http_shared **ps)
{
	struct http_shared *s = TAKE_PTR(*ps);

	if (!s || --s->refs > 0)
		return;
	free(s->text);
	free(s);
}

const char *http_shared_text(const struct http_shared *s)
{
	return s->text;
}

static void on_sent(const void *data, size_t n, void *arg)
{
	struct http_shared *s = arg;

	http_shared_unref(&s);
}

void http_reply_shared(struct http_exchange **x, int status, const char *content_type, struct http_shared *body)
{
	struct http_head *head = http_head_new_response(status);
	struct evbuffer *out = evbuffer_new();

	http_head_add(head, "content-type", content_type);
	body->refs++;
	if (!out || evbuffer_add_reference(out, body->text, body->n, on_sent, body) < 0)
		abort();
	http_reply_buffer(x, head, out);
	evbuffer_free(out);
}
