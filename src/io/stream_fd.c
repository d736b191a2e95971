/* SPDX-License-Identifier: MIT */
/* Streams on fds. The fds are registered edge-triggered: a paused stream then still hears of the
 * peer's reset or close, once, where level-triggered notification of an error would spin (libevent
 * passes EPOLLERR only to those who read or write). `readable` and `write_blocked` remember what
 * the last edge said. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>
#include <sys/socket.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "io/stream_impl.h"

enum {
	READ_MIN = 4 * 1024, /* the size of reads adapts between these */
	READ_MAX = 64 * 1024,
	WRITE_MAX = 256 * 1024,
	HANGUP_WINDOW = 1024 * 1024,
};

struct fd_stream {
	struct stream stream;
	int fd;	      /* -1: write only */
	int fd_write; /* -1: fd is also the writing side */
	struct event read_event, write_event;
	struct timer *pump;
	struct error *write_error; /* reported when the input has ended */
	bool *gone;		   /* set when the owner frees the stream in a callback */
	size_t read_size;
	uint64_t sent;
	bool socket;
	bool read_blocks, write_blocks; /* not O_NONBLOCK: poll first */
	bool readable;			/* the last edge is not used up */
	bool hangup;			/* the peer's end is behind the input: read up to it */
	bool write_blocked;		/* until the next edge */
	bool fail_on_hangup;
};

static struct fd_stream *to_fd_stream(struct stream *s)
{
	return (struct fd_stream *)s;
}

static int write_fd(const struct fd_stream *f)
{
	return f->fd_write >= 0 ? f->fd_write : f->fd;
}

static void pump(struct fd_stream *f)
{
	if (!timer_pending(f->pump))
		timer_set(f->pump, 0);
}

static bool wants_read(const struct fd_stream *f)
{
	const struct stream *s = &f->stream;
	/* A server wants to know whether the client has sent all before it ended its side, or has
	 * left. */
	size_t window = f->hangup && f->fail_on_hangup ? HANGUP_WINDOW : STREAM_WINDOW;

	return f->readable && !s->eof && !s->closed && evbuffer_get_length(s->in) < window;
}

static short poll_now(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, 0) > 0 ? p.revents : 0;
}

static ssize_t read_once(struct fd_stream *f)
{
	struct evbuffer_iovec vec;
	ssize_t n;

	if (f->read_blocks && !poll_now(f->fd, POLLIN)) {
		errno = EAGAIN;
		return -1;
	}
	if (evbuffer_reserve_space(f->stream.in, (ssize_t)f->read_size, &vec, 1) != 1)
		abort();
	do {
		n = read(f->fd, vec.iov_base, f->read_size);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		vec.iov_len = (size_t)n;
		evbuffer_commit_space(f->stream.in, &vec, 1);
	}
	return n;
}

/* Few large reads in bulk transfers, small buffers for the rest. */
static void adapt_read_size(struct fd_stream *f, size_t n)
{
	if (n == f->read_size && f->read_size < READ_MAX)
		f->read_size *= 4;
	else if (n < f->read_size / 4 && f->read_size > READ_MIN)
		f->read_size /= 4;
}

static void did_hang_up(struct fd_stream *f)
{
	struct error *e = NULL;

	error_set(&e, ERR_CANCELLED, "the peer closed the connection");
	stream_did_fail(&f->stream, e);
}

static void did_reach_eof(struct fd_stream *f)
{
	f->readable = false;
	if (f->write_error)
		stream_did_fail(&f->stream, TAKE_PTR(f->write_error));
	else if (f->fail_on_hangup && !f->stream.end_sent && (poll_now(f->fd, 0) & POLLHUP))
		did_hang_up(f);
	else
		stream_did_eof(&f->stream);
}

static void did_fail_reading(struct fd_stream *f, int errnum)
{
	struct error *e = NULL;

	f->readable = false;
	/* A pty's master says EIO when the last slave is closed. */
	if (errnum == EIO && isatty(f->fd)) {
		did_reach_eof(f);
		return;
	}
	if (f->write_error)
		e = TAKE_PTR(f->write_error);
	else
		error_errno(&e, errnum, "reading failed");
	stream_did_fail(&f->stream, e);
}

/* Reads up to READ_MAX bytes and reports once. The owner may free the stream in that. */
static void do_read(struct fd_stream *f)
{
	size_t total = 0;
	ssize_t n = 0;
	int errnum = 0;

	if (!wants_read(f))
		return;
	while (total < READ_MAX && wants_read(f)) {
		size_t asked = f->read_size;

		n = read_once(f);
		if (n <= 0) {
			errnum = n < 0 ? errno : 0;
			break;
		}
		total += (size_t)n;
		adapt_read_size(f, (size_t)n);
		/* A socket that gives less than asked is empty and an edge will tell of more. */
		if (f->socket && !f->hangup && (size_t)n < asked)
			f->readable = false;
	}
	if (errnum == EAGAIN)
		f->readable = false;
	if (total > 0) {
		if (wants_read(f))
			pump(f);
		stream_did_read(&f->stream);
	} else if (n == 0) {
		did_reach_eof(f);
	} else if (errnum != EAGAIN) {
		did_fail_reading(f, errnum);
	}
}

/* Reading goes on behind a failed write: a server that refuses an upload has sent its reason. */
static void did_fail_writing(struct fd_stream *f, int errnum)
{
	struct stream *s = &f->stream;
	struct error *e = NULL;

	error_errno(&e, errnum, "writing failed");
	evbuffer_drain(s->out, evbuffer_get_length(s->out));
	if (s->eof || f->fail_on_hangup) {
		stream_did_fail(s, e);
		return;
	}
	f->write_error = e;
	f->readable = true;
	f->hangup = true;
	pump(f);
	stream_did_write(s);
}

static void do_end(struct fd_stream *f)
{
	if (f->fd_write >= 0) {
		event_del(&f->write_event);
		fd_closep(&f->fd_write);
	} else if (f->socket) {
		shutdown(f->fd, SHUT_WR);
	}
	stream_did_end(&f->stream);
}

static void wait_writable(struct fd_stream *f)
{
	f->write_blocked = true;
	if (!event_pending(&f->write_event, EV_WRITE, NULL))
		event_add(&f->write_event, NULL);
}

static int write_once(struct fd_stream *f)
{
	int n;

	if (f->write_blocks && !poll_now(write_fd(f), POLLOUT)) {
		errno = EAGAIN;
		return -1;
	}
	do {
		n = evbuffer_write_atmost(f->stream.out, write_fd(f), f->write_blocks ? PIPE_BUF : WRITE_MAX);
	} while (n < 0 && errno == EINTR);
	return n;
}

static void do_write(struct fd_stream *f)
{
	struct stream *s = &f->stream;
	int n;

	if (s->closed || s->end_sent || f->write_blocked)
		return;
	if (f->write_error)
		evbuffer_drain(s->out, evbuffer_get_length(s->out));
	if (evbuffer_get_length(s->out) > 0) {
		n = write_once(f);
		if (n < 0 && errno == EAGAIN) {
			wait_writable(f);
			return;
		}
		if (n < 0) {
			did_fail_writing(f, errno);
			return;
		}
		f->sent += (uint64_t)n;
	}
	if (evbuffer_get_length(s->out) > 0)
		pump(f);
	else if (s->end_requested) {
		do_end(f);
		return;
	}
	stream_did_write(s);
}

static void on_pump(void *arg)
{
	struct fd_stream *f = arg;
	bool gone = false;

	f->gone = &gone;
	do_write(f);
	if (gone)
		return;
	f->gone = NULL;
	do_read(f);
}

/* Nobody reads at present, or there is nothing more to read: has the peer gone? */
static void check_paused(struct fd_stream *f)
{
	struct error *e = NULL;
	int errnum = 0;
	socklen_t size = sizeof(errnum);
	short got;

	if (!f->socket || f->stream.closed || (f->stream.eof && !f->fail_on_hangup))
		return;
	got = poll_now(f->fd, 0);
	if ((got & POLLERR) && getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &errnum, &size) == 0 && errnum) {
		error_errno(&e, errnum, "the connection failed");
		stream_did_fail(&f->stream, e);
	} else if ((got & POLLHUP) && f->fail_on_hangup) {
		did_hang_up(f);
	}
}

static void on_read_event(evutil_socket_t fd, short what, void *arg)
{
	struct fd_stream *f = arg;

	f->readable = true;
	if (what & EV_CLOSED)
		f->hangup = true;
	if (wants_read(f))
		do_read(f);
	else
		check_paused(f);
}

static void on_write_event(evutil_socket_t fd, short what, void *arg)
{
	struct fd_stream *f = arg;

	f->write_blocked = false;
	do_write(f);
}

static void fd_stream_resume(struct stream *s)
{
	struct fd_stream *f = to_fd_stream(s);

	if (wants_read(f))
		pump(f);
}

static void fd_stream_flush(struct stream *s)
{
	struct fd_stream *f = to_fd_stream(s);

	if (!f->write_blocked)
		pump(f);
}

static void fd_stream_destroy(struct stream *s)
{
	struct fd_stream *f = to_fd_stream(s);
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};

	if (f->gone)
		*f->gone = true;
	event_del(&f->read_event);
	event_del(&f->write_event);
	timer_free(&f->pump);
	/* The peer must not take a close in the middle for an end. */
	if (f->socket && !s->end_sent && !s->closed)
		setsockopt(f->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	fd_closep(&f->fd);
	fd_closep(&f->fd_write);
	error_free(&f->write_error);
	stream_clear(s);
	free(f);
}

static const struct stream_ops fd_stream_ops = {
	.resume = fd_stream_resume,
	.flush = fd_stream_flush,
	.destroy = fd_stream_destroy,
};

static void start_reading(struct fd_stream *f, int flags)
{
	struct event_base *base = loop_base(f->stream.loop);

	event_assign(&f->read_event, base, f->fd, EV_READ | EV_CLOSED | EV_ET | EV_PERSIST, on_read_event, f);
	if (f->fd < 0 || (flags & O_ACCMODE) == O_WRONLY) {
		f->stream.eof = true;
		return;
	}
	/* epoll refuses regular files and /dev/null (EPERM), which are always ready. */
	if (event_add(&f->read_event, NULL) < 0) {
		f->readable = true;
		f->hangup = true;
		pump(f);
	}
}

struct stream *stream_fd_new(struct loop *loop, int take_fd, int take_fd_write)
{
	struct fd_stream *f = NEW(struct fd_stream);
	int flags = take_fd >= 0 ? fcntl(take_fd, F_GETFL) : 0;
	int type;
	socklen_t size = sizeof(type);

	stream_init(&f->stream, loop, &fd_stream_ops);
	f->fd = take_fd;
	f->fd_write = take_fd_write == take_fd ? -1 : take_fd_write;
	f->read_size = READ_MIN;
	f->socket = take_fd >= 0 && getsockopt(take_fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
	f->read_blocks = !(flags & O_NONBLOCK);
	f->write_blocks = !(fcntl(write_fd(f), F_GETFL) & O_NONBLOCK);
	f->pump = timer_new(loop, on_pump, f);
	event_assign(&f->write_event, loop_base(loop), write_fd(f), EV_WRITE | EV_ET | EV_PERSIST, on_write_event, f);
	start_reading(f, flags);
	return &f->stream;
}

int stream_fd(const struct stream *s)
{
	return s->ops == &fd_stream_ops ? ((const struct fd_stream *)s)->fd : -1;
}

void stream_fd_fail_on_hangup(struct stream *s, bool on)
{
	if (s->ops == &fd_stream_ops)
		to_fd_stream(s)->fail_on_hangup = on;
}

uint64_t stream_fd_sent(const struct stream *s)
{
	return s->ops == &fd_stream_ops ? ((const struct fd_stream *)s)->sent : 0;
}
