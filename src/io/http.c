/* SPDX-License-Identifier: MIT */
/* What both versions share: heads, the exchange's base object, validation. */
#include <assert.h>
#include <strings.h>

#include "base/str.h"
#include "io/http_impl.h"

struct http_head *http_head_new_request(const char *method, const char *target)
{
	struct http_head *h = NEW(struct http_head);

	h->method = str_dup(method);
	h->target = str_dup(target);
	return h;
}

struct http_head *http_head_new_response(int status)
{
	struct http_head *h = NEW(struct http_head);

	h->status = status;
	h->content_length = -1;
	return h;
}

void http_head_add(struct http_head *h, const char *name, const char *value)
{
	struct http_field *f;

	if ((h->nfields & (h->nfields + 1)) == 0) /* room for the next 2^n − 1 */
		h->fields = mem_realloc(h->fields, (h->nfields * 2 + 1) * sizeof(*f));
	f = &h->fields[h->nfields++];
	f->name = str_dup(name);
	f->value = str_dup(value);
	for (char *c = f->name; *c; c++) {
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	}
}

const char *http_head_get(const struct http_head *h, const char *name)
{
	for (size_t i = 0; i < h->nfields; i++) {
		if (strcasecmp(h->fields[i].name, name) == 0)
			return h->fields[i].value;
	}
	return NULL;
}

void http_head_free(struct http_head **ph)
{
	struct http_head *h = TAKE_PTR(*ph);

	if (!h)
		return;
	for (size_t i = 0; i < h->nfields; i++) {
		free(h->fields[i].name);
		free(h->fields[i].value);
	}
	free(h->fields);
	free(h->method);
	free(h->target);
	free(h);
}

const char *http_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{100, "Continue"},
		{101, "Switching Protocols"},
		{200, "OK"},
		{201, "Created"},
		{202, "Accepted"},
		{204, "No Content"},
		{206, "Partial Content"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{303, "See Other"},
		{304, "Not Modified"},
		{307, "Temporary Redirect"},
		{308, "Permanent Redirect"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{410, "Gone"},
		{411, "Length Required"},
		{412, "Precondition Failed"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{416, "Range Not Satisfiable"},
		{417, "Expectation Failed"},
		{422, "Unprocessable Content"},
		{426, "Upgrade Required"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{499, "Client Closed Request"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
		{507, "Insufficient Storage"},
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Unknown";
}

bool http_is_token(const char *s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	if (!*s)
		return false;
	for (; *s; s++) {
		bool alnum = (*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z');

		if (!alnum && !strchr(others, *s))
			return false;
	}
	return true;
}

bool http_is_field_value(const char *s)
{
	size_t n = strlen(s);

	if (n > 0 && (s[0] == ' ' || s[0] == '\t' || s[n - 1] == ' ' || s[n - 1] == '\t'))
		return false;
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

bool http_is_target(const char *s)
{
	if (*s != '/')
		return false;
	for (; *s; s++) {
		if (*s <= ' ' || *s >= 0x7f)
			return false;
	}
	return true;
}

static void on_response_owed(void *arg)
{
	struct http_exchange *x = arg;

	if (x->response_reported)
		return;
	x->response_reported = true;
	x->on_response(x->response_arg, x, x->response ? NULL : x->stream.failure);
}

void http_exchange_init(struct http_exchange *x, struct loop *loop, const struct stream_ops *sops,
			const struct http_exchange_ops *xops, struct http_head *take_request)
{
	stream_init(&x->stream, loop, sops);
	x->ops = xops;
	x->request = take_request;
}

void http_exchange_clear(struct http_exchange *x)
{
	timer_free(&x->response_defer);
	http_head_free(&x->request);
	http_head_free(&x->response);
	stream_clear(&x->stream);
}

static void owe_response(struct http_exchange *x)
{
	if (!x->response_defer)
		x->response_defer = timer_new(x->stream.loop, on_response_owed, x);
	timer_set(x->response_defer, 0);
}

static void report_response(struct http_exchange *x)
{
	if (x->response_reported || !x->on_response)
		return;
	if (x->stream.busy > 0)
		owe_response(x);
	else
		on_response_owed(x);
}

void http_exchange_did_respond(struct http_exchange *x, struct http_head *take_response)
{
	x->response = take_response;
	report_response(x);
}

void http_exchange_did_fail(struct http_exchange *x, struct error *take)
{
	bool early = !x->response && x->on_response;

	if (!early) {
		stream_did_fail(&x->stream, take);
		return;
	}
	x->stream.busy++; /* on_closed in a later round, if the exchange is still there */
	stream_did_fail(&x->stream, take);
	x->stream.busy--;
	report_response(x);
}

void http_exchange_on_response(struct http_exchange *x, http_response_fn *fn, void *arg)
{
	x->on_response = fn;
	x->response_arg = arg;
	if (fn && !x->response_reported && (x->response || x->stream.failure))
		owe_response(x);
}

struct stream *http_exchange_stream(struct http_exchange *x)
{
	return &x->stream;
}

struct stream *http_exchange_take_stream(struct http_exchange **x)
{
	return &TAKE_PTR(*x)->stream;
}

const struct http_head *http_exchange_request(const struct http_exchange *x)
{
	return x->request;
}

const struct http_head *http_exchange_response(const struct http_exchange *x)
{
	return x->response;
}

void http_exchange_free(struct http_exchange **x)
{
	struct http_exchange *taken = TAKE_PTR(*x);

	if (taken)
		taken->stream.ops->destroy(&taken->stream);
}

void http_exchange_respond(struct http_exchange *x, struct http_head *take_head)
{
	assert(!x->response);
	x->response = take_head;
	if (x->stream.closed)
		return;
	x->stream.busy++;
	x->ops->respond(x);
	x->stream.busy--;
}
