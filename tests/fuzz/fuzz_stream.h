/* SPDX-License-Identifier: MIT */
/* A transport in memory for fuzz targets: what is fed is its input; what is written to it vanishes. */
#ifndef TESTS_FUZZ_STREAM_H
#define TESTS_FUZZ_STREAM_H

#include <event2/event.h>
#include "io/stream_impl.h"

static inline void sink_resume(struct stream *s)
{
}

static inline void sink_flush(struct stream *s)
{
	evbuffer_drain(s->out, evbuffer_get_length(s->out));
	stream_did_write(s);
	if (s->end_requested)
		stream_did_end(s);
}

struct sink {
	struct stream stream;
	bool *gone;
};

static inline void sink_destroy(struct stream *s)
{
	*((struct sink *)s)->gone = true;
	stream_clear(s);
	free(s);
}

static const struct stream_ops sink_ops = {sink_resume, sink_flush, sink_destroy};

static inline struct stream *sink_new(struct loop *loop, bool *gone)
{
	struct sink *s = NEW(struct sink);

	stream_init(&s->stream, loop, &sink_ops);
	s->gone = gone;
	return &s->stream;
}

static inline void turn(struct loop *loop)
{
	for (int i = 0; i < 3; i++)
		event_base_loop(loop_base(loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* Feeds the data in pieces of the given size, then the end. */
static inline void sink_feed(struct loop *loop, struct stream *s, const bool *gone, const uint8_t *data, size_t n,
			     size_t piece)
{
	turn(loop);
	while (n > 0 && !*gone && !s->closed) {
		size_t now = n < piece ? n : piece;

		evbuffer_add(s->in, data, now);
		data += now;
		n -= now;
		stream_did_read(s);
		turn(loop);
	}
	if (!*gone)
		stream_did_eof(s);
	turn(loop);
}

#endif
