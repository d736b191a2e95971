/* SPDX-License-Identifier: MIT */
#include "cli/ws_open.h"

#include "io/ws.h"

enum { REFUSAL_MAX = 64 * 1024 };

struct ws_open {
	struct client *client;
	struct http_exchange *exchange;
	char *key;
	int status; /* of a refusal; 0: none yet */
	bool done;
	ws_open_fn *fn;
	void *arg;
};

static void ws_open_fail(struct ws_open *o, const struct error *error)
{
	if (o->done)
		return;
	o->done = true;
	o->fn(o->arg, NULL, o->status, error);
}

/* An answer that is no upgrade says why in its body. */
static void ws_open_readable(void *arg)
{
	struct ws_open *o = arg;
	struct stream *stream = http_exchange_stream(o->exchange);
	struct evbuffer *in = stream_input(stream);
	size_t n = evbuffer_get_length(in);
	cleanup_free char *body = NULL;
	cleanup_error struct error *error = NULL;

	if (!o->status)
		return;
	if (!stream_eof(stream) && n < REFUSAL_MAX) {
		stream_resume(stream);
		return;
	}
	body = mem_alloc(n + 1);
	evbuffer_remove(in, body, n);
	client_refused(o->client, o->status, body, &error);
	ws_open_fail(o, error);
}

static void ws_open_closed(void *arg, const struct error *why)
{
	struct ws_open *o = arg;
	cleanup_error struct error *error = NULL;

	if (o->status)
		client_refused(o->client, o->status, NULL, &error);
	else if (why)
		client_unreachable(o->client, why, &error);
	else
		error_set(&error, ERR_PROTOCOL, "the daemon closed the connection");
	ws_open_fail(o, error);
}

static const struct stream_events ws_open_events = {
	.on_readable = ws_open_readable,
	.on_closed = ws_open_closed,
};

static void ws_open_upgraded(struct ws_open *o)
{
	struct stream *raw = http1_client_upgraded(&o->exchange);
	cleanup_error struct error *error = NULL;

	if (!raw) {
		error_set(&error, ERR_UNAVAILABLE, "the daemon closed the connection");
		ws_open_fail(o, error);
		return;
	}
	o->done = true;
	o->fn(o->arg, raw, 101, NULL);
}

static void ws_open_answered(void *arg, struct http_exchange *x, const struct error *why)
{
	struct ws_open *o = arg;
	const struct http_head *response = http_exchange_response(x);
	cleanup_error struct error *error = NULL;

	if (why) {
		client_unreachable(o->client, why, &error);
		ws_open_fail(o, error);
	} else if (response->status >= 400) {
		o->status = response->status;
		ws_open_readable(o);
	} else if (ws_check_response(response, o->key, &error)) {
		error_wrap(&error, "the daemon opens no WebSocket");
		ws_open_fail(o, error);
	} else {
		ws_open_upgraded(o);
	}
}

struct ws_open *ws_open_new(struct client *c, struct http_head *take_head, ws_open_fn *fn, void *arg)
{
	struct ws_open *o = NEW(struct ws_open);

	o->client = c;
	o->fn = fn;
	o->arg = arg;
	ws_request_fields(take_head, &o->key);
	o->exchange = http1_client_open(c->http, take_head);
	http_exchange_on_response(o->exchange, ws_open_answered, o);
	stream_set_events(http_exchange_stream(o->exchange), &ws_open_events, o);
	return o;
}

void ws_open_free(struct ws_open **op)
{
	struct ws_open *o = TAKE_PTR(*op);

	if (!o)
		return;
	http_exchange_free(&o->exchange);
	free(o->key);
	free(o);
}
