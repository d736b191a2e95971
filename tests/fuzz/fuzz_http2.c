/* SPDX-License-Identifier: MIT */
/* Agent frames: bytes of a hostile guest into the daemon's HTTP/2 client, or of a client into the
 * agent's server. The first byte chooses the side (bit 0) and in what pieces the rest arrives. */
#include <stdlib.h>
#include <string.h>
#include "fuzz_stream.h"
#include "io/http2.h"

enum { EXCHANGES = 4 };

struct fuzz {
	struct http2_session *session;
	struct http_exchange *x[EXCHANGES];
	unsigned done, responses[EXCHANGES];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_done(void *arg, const struct error *error)
{
	struct fuzz *f = arg;

	if (f->done++ || http2_session_streams(f->session))
		abort();
	http2_session_free(&f->session);
}

static void on_body(void *arg, struct http_exchange *x, const char *body, size_t n, const struct error *error)
{
	if (error)
		http_reply_error(&x, error);
	else
		http_reply(&x, 200, NULL, body, n);
}

static void on_request(void *arg, struct http_exchange *x)
{
	const struct http_head *head = http_exchange_request(x);

	if (!head->method || !head->target || head->nfields > HTTP_MAX_FIELDS)
		abort();
	http_read_body(x, 1000, on_body, NULL);
}

static void on_response(void *arg, struct http_exchange *x, const struct error *error)
{
	unsigned *responses = arg;

	if ((*responses)++ || (!error && http_exchange_response(x)->status < 200))
		abort();
}

/* One reads, one stalls, one uploads, one leaves at the first byte. */
static void on_readable_take(void *arg)
{
	struct stream *s = http_exchange_stream(*(struct http_exchange **)arg);

	evbuffer_drain(stream_input(s), evbuffer_get_length(stream_input(s)));
	stream_resume(s);
}

static void on_readable_stall(void *arg)
{
	struct stream *s = http_exchange_stream(*(struct http_exchange **)arg);

	if (evbuffer_get_length(stream_input(s)) > STREAM_WINDOW)
		abort();
}

static void on_readable_leave(void *arg)
{
	http_exchange_free(arg);
}

static void on_closed(void *arg, const struct error *error)
{
	http_exchange_free(arg);
}

static void start_exchanges(struct fuzz *f)
{
	static const struct stream_events events[EXCHANGES] = {
		{.on_readable = on_readable_take, .on_closed = on_closed},
		{.on_readable = on_readable_stall, .on_closed = on_closed},
		{.on_readable = on_readable_take, .on_closed = on_closed},
		{.on_readable = on_readable_leave, .on_closed = on_closed},
	};
	static const char upload[100000];

	for (int i = 0; i < EXCHANGES; i++) {
		struct http_head *head = http_head_new_request(i == 2 ? "PUT" : i == 1 ? "HEAD" : "GET", "/");

		if (i == 2)
			head->content_length = -1;
		f->x[i] = http2_client_open(f->session, head);
		http_exchange_on_response(f->x[i], on_response, &f->responses[i]);
		stream_set_events(http_exchange_stream(f->x[i]), &events[i], &f->x[i]);
	}
	stream_write(http_exchange_stream(f->x[2]), upload, sizeof(upload));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	struct loop *loop = loop_new(NULL);
	struct fuzz f = {0};
	bool gone = false;
	struct stream *transport = sink_new(loop, &gone);
	unsigned mode = size > 0 ? data[0] : 0;

	if (mode & 1) {
		f.session = http2_server_new(loop, transport, on_request, on_done, &f);
		evbuffer_add(transport->in, preface, sizeof(preface) - 1);
	} else {
		f.session = http2_client_new(loop, transport, on_done, &f);
		start_exchanges(&f);
	}
	sink_feed(loop, transport, &gone, data + 1, size > 0 ? size - 1 : 0, mode & 2 ? (mode >> 2) + 1 : size);
	if (f.done > 1)
		abort();
	http2_session_free(&f.session);
	for (int i = 0; i < EXCHANGES; i++)
		http_exchange_free(&f.x[i]);
	for (int i = 0; i < 3; i++)
		turn(loop);
	loop_free(&loop);
	return 0;
}
