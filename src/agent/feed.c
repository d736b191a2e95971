/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include "agent/feed.h"

struct feed {
	struct stream *from;
	struct watch *watch;
	loop_fn *done;
	void *arg;
	int fd;
	bool complete;
};

static void on_room(void *arg, int what)
{
	feed_run(arg);
}

struct feed *feed_new(struct loop *loop, struct stream *from, int take_fd, loop_fn *done, void *arg)
{
	struct feed *f = NEW(struct feed);

	f->from = from;
	f->fd = take_fd;
	f->done = done;
	f->arg = arg;
	if (take_fd >= 0)
		f->watch = watch_new(loop, take_fd, on_room, f);
	return f;
}

static void hang_up(struct feed *f)
{
	watch_free(&f->watch);
	fd_closep(&f->fd);
}

void feed_free(struct feed **f)
{
	if (!*f)
		return;
	hang_up(*f);
	free(*f);
	*f = NULL;
}

void feed_run(struct feed *f)
{
	struct evbuffer *in = stream_input(f->from);

	while (f->fd >= 0 && evbuffer_get_length(in) > 0) {
		int n = evbuffer_write_atmost(in, f->fd, STREAM_WINDOW);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0)
			hang_up(f); /* EPIPE: it reads no more */
	}
	if (f->fd < 0)
		evbuffer_drain(in, evbuffer_get_length(in));
	stream_resume(f->from);
	if (f->fd < 0)
		return;
	watch_set(f->watch, evbuffer_get_length(in) > 0 ? WATCH_OUT : 0);
	if (stream_eof(f->from) && evbuffer_get_length(in) == 0) {
		f->complete = true;
		hang_up(f);
		if (f->done)
			f->done(f->arg);
	}
}

bool feed_complete(const struct feed *f)
{
	return f->complete;
}
