/* SPDX-License-Identifier: MIT */
#include "io/stream.h"

struct splice {
	struct side {
		struct splice *splice;
		struct stream *stream; /* NULL once freed */
		bool closed;
	} a, b;
	uint64_t bytes;
	bool together;
	bool keep_first;
	const struct side *first; /* together: whose end ends both; NULL before */
	struct timer *linger;
	size_t unsent;	      /* when linger was set */
	struct timer *finish; /* done is called from here, never within a call of a stream's */
	struct error *error;
	splice_done_fn *done;
	void *arg;
};

static struct side *peer_of(struct side *side)
{
	return side == &side->splice->a ? &side->splice->b : &side->splice->a;
}

static size_t unsent(const struct splice *sp)
{
	return stream_pending(sp->a.stream) + stream_pending(sp->b.stream);
}

static void end_both(struct side *first)
{
	struct splice *sp = first->splice;

	sp->first = first;
	stream_end(peer_of(first)->stream);
	stream_end(first->stream);
	sp->unsent = unsent(sp);
	timer_set_deadline(sp->linger, SPLICE_LINGER_MS);
}

static void move(struct side *from)
{
	struct side *to = peer_of(from);
	struct evbuffer *in = stream_input(from->stream);
	size_t n;

	if (from->splice->first) { /* read on, so that the end is seen */
		evbuffer_drain(in, evbuffer_get_length(in));
		stream_resume(from->stream);
		return;
	}
	while ((n = evbuffer_get_length(in)) > 0 && !stream_full(to->stream)) {
		if (n > STREAM_WINDOW)
			n = STREAM_WINDOW;
		from->splice->bytes += n;
		stream_write_buffer(to->stream, in, n);
	}
	if (n > 0)
		return;
	if (stream_eof(from->stream) && from->splice->together)
		end_both(from);
	else if (stream_eof(from->stream))
		stream_end(to->stream);
	else
		stream_resume(from->stream);
}

static void on_readable(void *arg)
{
	move(arg);
}

static void on_writable(void *arg)
{
	move(peer_of(arg));
}

static void on_closed(void *arg, const struct error *error)
{
	struct side *side = arg;
	struct splice *sp = side->splice;

	side->closed = true;
	if (error && !sp->error)
		sp->error = error_copy(error);
	if (sp->error || (sp->a.closed && sp->b.closed))
		timer_set(sp->finish, 0);
}

static const struct stream_events side_events = {
	.on_readable = on_readable,
	.on_writable = on_writable,
	.on_closed = on_closed,
};

static void on_finish(void *arg)
{
	struct splice *sp = arg;
	struct error *e cleanup_error = TAKE_PTR(sp->error);

	timer_cancel(sp->linger);
	if (!sp->keep_first || !e || sp->a.closed || sp->first)
		stream_free(&sp->a.stream);
	stream_free(&sp->b.stream);
	sp->done(sp->arg, e);
}

static void on_linger(void *arg)
{
	struct splice *sp = arg;
	size_t left = unsent(sp);

	if (left < sp->unsent) {
		sp->unsent = left;
		timer_set_deadline(sp->linger, SPLICE_LINGER_MS);
		return;
	}
	if (!sp->error)
		error_set(&sp->error, ERR_TIMEOUT, "the other side did not end within %d s", SPLICE_LINGER_MS / 1000);
	timer_set(sp->finish, 0);
}

struct splice *splice_new(struct loop *loop, struct stream *take_a, struct stream *take_b, splice_done_fn *done,
			  void *arg)
{
	struct splice *sp = NEW(struct splice);

	sp->a.splice = sp->b.splice = sp;
	sp->a.stream = take_a;
	sp->b.stream = take_b;
	sp->done = done;
	sp->arg = arg;
	sp->finish = timer_new(loop, on_finish, sp);
	sp->linger = timer_new(loop, on_linger, sp);
	stream_set_events(take_a, &side_events, &sp->a);
	stream_set_events(take_b, &side_events, &sp->b);
	return sp;
}

void splice_end_together(struct splice *sp)
{
	sp->together = true;
}

void splice_keep_first(struct splice *sp)
{
	sp->keep_first = true;
}

struct stream *splice_take_first(struct splice *sp)
{
	static const struct stream_events none = {0};

	if (sp->a.stream)
		stream_set_events(sp->a.stream, &none, NULL);
	return TAKE_PTR(sp->a.stream);
}

void splice_free(struct splice **sp)
{
	if (!*sp)
		return;
	timer_free(&(*sp)->finish);
	timer_free(&(*sp)->linger);
	stream_free(&(*sp)->a.stream);
	stream_free(&(*sp)->b.stream);
	error_free(&(*sp)->error);
	free(TAKE_PTR(*sp));
}

uint64_t splice_bytes(const struct splice *sp)
{
	return sp->bytes;
}
