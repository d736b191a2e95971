/* SPDX-License-Identifier: MIT */
#include "cli/std_io.h"

#include <errno.h>
#include <event2/buffer.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_SIZE = 32 * 1024 };

/* Whether the loop can wait for it: regular files and some devices refuse epoll. */
static bool can_wait(int fd)
{
	cleanup_close int probe = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN};

	return probe >= 0 && epoll_ctl(probe, EPOLL_CTL_ADD, fd, &event) == 0;
}

struct input {
	int fd;
	input_fn *fn;
	void *arg;
	struct watch *watch; /* one of these two */
	struct timer *turn;
	bool running, ended;
	int failed;
	char buffer[READ_SIZE];
};

static void input_read(struct input *in)
{
	ssize_t n = read(in->fd, in->buffer, sizeof(in->buffer));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		n = -2;
	if (n == 0 || n == -1) {
		/* One that is not open for reading is none: nohup(1) leaves such. */
		in->failed = n < 0 && errno != EBADF ? errno : 0;
		in->ended = true;
		input_run(in, false);
		in->fn(in->arg, NULL, 0);
		return;
	}
	if (in->turn)
		timer_set(in->turn, 0);
	if (n > 0)
		in->fn(in->arg, in->buffer, (size_t)n);
}

static void input_on_watch(void *arg, int what)
{
	input_read(arg);
}

static void input_on_turn(void *arg)
{
	input_read(arg);
}

struct input *input_new(struct loop *loop, int fd, input_fn *fn, void *arg)
{
	struct input *in = NEW(struct input);

	in->fd = fd;
	in->fn = fn;
	in->arg = arg;
	if (can_wait(fd))
		in->watch = watch_new(loop, fd, input_on_watch, in);
	else
		in->turn = timer_new(loop, input_on_turn, in);
	return in;
}

void input_run(struct input *in, bool run)
{
	run = run && !in->ended;
	if (in->running == run)
		return;
	in->running = run;
	if (in->watch)
		watch_set(in->watch, run ? WATCH_IN : 0);
	else if (run)
		timer_set(in->turn, 0);
	else
		timer_cancel(in->turn);
}

int input_failed(const struct input *in)
{
	return in->failed;
}

void input_free(struct input **in)
{
	if (!*in)
		return;
	if ((*in)->watch)
		watch_free(&(*in)->watch);
	if ((*in)->turn)
		timer_free(&(*in)->turn);
	free(*in);
	*in = NULL;
}

struct output {
	int fd;
	loop_fn *fn;
	void *arg;
	struct evbuffer *pending;
	struct watch *watch; /* NULL: cannot be waited for */
	bool is_socket;
	int failed;
};

static ssize_t write_some(struct output *out, const void *data, size_t n)
{
	if (out->is_socket)
		return send(out->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* A pipe that is ready for writing takes this much without blocking (pipe(7)). */
	return write(out->fd, data, n < PIPE_BUF ? n : PIPE_BUF);
}

static bool is_ready(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	return poll(&p, 1, 0) > 0;
}

/* Writes while the fd takes it. */
static void output_flush(struct output *out)
{
	while (!out->failed && evbuffer_get_length(out->pending) > 0 && (!out->watch || is_ready(out->fd))) {
		size_t n = evbuffer_get_contiguous_space(out->pending);
		ssize_t done = write_some(out, evbuffer_pullup(out->pending, (ssize_t)n), n);

		if (done >= 0)
			evbuffer_drain(out->pending, (size_t)done);
		else if (errno != EINTR && errno != EAGAIN)
			out->failed = errno;
		else if (errno == EAGAIN)
			break;
	}
	if (out->failed)
		evbuffer_drain(out->pending, evbuffer_get_length(out->pending));
	if (out->watch)
		watch_set(out->watch, evbuffer_get_length(out->pending) ? WATCH_OUT : 0);
}

static void output_on_watch(void *arg, int what)
{
	struct output *out = arg;

	output_flush(out);
	if (evbuffer_get_length(out->pending) == 0)
		out->fn(out->arg);
}

struct output *output_new(struct loop *loop, int fd, loop_fn *fn, void *arg)
{
	struct output *out = NEW(struct output);
	struct stat st;

	out->fd = fd;
	out->fn = fn;
	out->arg = arg;
	out->pending = evbuffer_new();
	out->is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
	if (can_wait(fd))
		out->watch = watch_new(loop, fd, output_on_watch, out);
	return out;
}

void output_write(struct output *out, const void *data, size_t n)
{
	if (out->failed || n == 0)
		return;
	evbuffer_add(out->pending, data, n);
	output_flush(out);
}

bool output_full(const struct output *out)
{
	return evbuffer_get_length(out->pending) >= OUTPUT_WINDOW;
}

bool output_empty(const struct output *out)
{
	return evbuffer_get_length(out->pending) == 0;
}

int output_failed(const struct output *out)
{
	return out->failed;
}

void output_free(struct output **out)
{
	if (!*out)
		return;
	if ((*out)->watch)
		watch_free(&(*out)->watch);
	evbuffer_free((*out)->pending);
	free(*out);
	*out = NULL;
}
