/* SPDX-License-Identifier: MIT */
/* WebSocket frames into both views. The first byte: bit 0 the side, bit 1 the view, bit 2 pieces;
 * the rest their size. */
#include <stdlib.h>
#include <string.h>
#include "fuzz_stream.h"
#include "io/ws.h"

enum { MAX_MESSAGE = 4096 };

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
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
	return 0;
}
