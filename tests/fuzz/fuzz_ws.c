/* SPDX-License-Identifier: MIT */
/* WebSocket frames into both views. The first byte: bit 0 the side, bit 1 the view, bit 2 pieces; the rest their size. Or the
 * handshake: the first byte is 8 or 9, and lines "name: value" follow, of a request or of a response. */
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "fuzz_stream.h"
#include "io/ws.h"

enum { MAX_MESSAGE = 4096, HANDSHAKE_REQUEST = 8, HANDSHAKE_RESPONSE = 9 };

struct fuzz {
	struct ws *ws;
	struct stream *bytes;
	unsigned closings;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_message(void *arg, bool binary, const void *data, size_t n)
{
	struct fuzz *f = arg;

	if (n > MAX_MESSAGE || f->closings)
		abort();
	ws_send(f->ws, data, n);
}

static void on_ws_closed(void *arg, unsigned code, const struct error *error)
{
	struct fuzz *f = arg;

	if (f->closings++ || (error && code != 1006))
		abort();
	ws_free(&f->ws);
}

static void on_readable(void *arg)
{
	struct fuzz *f = arg;

	evbuffer_drain(stream_input(f->bytes), evbuffer_get_length(stream_input(f->bytes)));
	stream_resume(f->bytes);
	if (stream_eof(f->bytes))
		stream_end(f->bytes);
}

static void on_closed(void *arg, const struct error *error)
{
	struct fuzz *f = arg;

	if (f->closings++)
		abort();
	stream_free(&f->bytes);
}

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void add_fields(struct http_head *head, const uint8_t *data, size_t n)
{
	cleanup_free char *text = str_ndup((const char *)data, n);
	cleanup_strv char **lines = strv_split(text, '\n');

	for (char **l = lines; *l && head->nfields < HTTP_MAX_FIELDS; l++) {
		char *value = strchr(*l, ':');

		if (value) {
			*value++ = '\0';
			http_head_add(head, *l, str_trim(value));
		}
	}
}

/* What is accepted, a client that sent that key agrees with; and nobody else's answer. */
static void try_request(const uint8_t *data, size_t n)
{
	cleanup_http_head struct http_head *request = http_head_new_request("GET", "/"), *response = NULL;
	cleanup_error struct error *err = NULL;
	int status;

	add_fields(request, data, n);
	response = ws_accept_head(request, &err);
	if (!response) {
		status = ws_refusal_status(request);
		require(err && err->code == ERR_INVALID && (status == 400 || status == 426));
		return;
	}
	require(!err && response->status == 101);
	require(ws_check_response(response, http_head_get(request, "sec-websocket-key"), NULL) == 0);
	require(ws_check_response(response, "AAAAAAAAAAAAAAAAAAAAAA==", NULL) < 0 ||
		str_eq(http_head_get(request, "sec-websocket-key"), "AAAAAAAAAAAAAAAAAAAAAA=="));
}

/* The one answer to a key of our own is accepted, with whatever fields come behind it but extensions. */
static void try_response(const uint8_t *data, size_t n)
{
	cleanup_http_head struct http_head *request = http_head_new_request("GET", "/"), *response = NULL, *any = NULL;
	cleanup_free char *key = NULL;

	ws_request_fields(request, &key);
	response = ws_accept_head(request, NULL);
	any = http_head_new_response(101);
	require(response != NULL);
	add_fields(response, data, n);
	add_fields(any, data, n);
	require((ws_check_response(response, key, NULL) == 0) == !http_head_get(response, "sec-websocket-extensions"));
	require(ws_check_response(any, key, NULL) < 0); /* the key is random */
	if (ws_check_response(any, "dGhlIHNhbXBsZSBub25jZQ==", NULL) == 0)
		require(str_eq(http_head_get(any, "sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

static void try_frames(const uint8_t *data, size_t size)
{
	static const struct ws_events ws_events = {.on_message = on_message, .on_closed = on_ws_closed};
	static const struct stream_events events = {.on_readable = on_readable, .on_closed = on_closed};
	struct loop *loop = loop_new(NULL);
	struct fuzz f = {0};
	bool gone = false;
	struct stream *transport = sink_new(loop, &gone);
	unsigned mode = size > 0 ? data[0] : 0;

	if (mode & 2) {
		f.bytes = ws_stream_new(loop, transport, mode & 1);
		stream_set_events(f.bytes, &events, &f);
	} else {
		f.ws = ws_new(loop, transport, mode & 1, MAX_MESSAGE, &ws_events, &f);
	}
	sink_feed(loop, transport, &gone, data + 1, size > 0 ? size - 1 : 0, mode & 4 ? (mode >> 3) + 1 : size);
	ws_free(&f.ws);
	stream_free(&f.bytes);
	turn(loop);
	loop_free(&loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] == HANDSHAKE_REQUEST)
		try_request(data + 1, size - 1);
	else if (size > 0 && data[0] == HANDSHAKE_RESPONSE)
		try_response(data + 1, size - 1);
	else
		try_frames(data, size);
	return 0;
}
