/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "base/str.h"
#include "base/utf8.h"
#include "agent/exec.h"
#include "agent/exec_output.h"

enum { PIECE = 32 * 1024, CARRY = 3 };

struct output {
	int fd;
	const char *name;
	struct watch *watch;
	struct stream *to;
	struct evbuffer *collected; /* when there is no stream */
	output_fn *fn;
	void *arg;
	size_t marked;	   /* bytes of the mark not yet read */
	char carry[CARRY]; /* the beginning of a character whose end was not read yet */
	size_t ncarry;
	bool base64, paused;
};

static void on_pipe(void *arg, int what);

struct output *output_new(struct loop *loop, int take_fd, const char *name, struct stream *to, bool base64)
{
	struct output *o = NEW(struct output);

	o->fd = take_fd;
	o->name = name;
	o->to = to;
	o->base64 = base64;
	o->collected = to ? NULL : evbuffer_new();
	o->watch = watch_new(loop, take_fd, on_pipe, o);
	return o;
}

void output_start(struct output *o, output_fn *fn, void *arg)
{
	o->fn = fn;
	o->arg = arg;
	watch_set(o->watch, WATCH_IN);
}

void output_free(struct output **o)
{
	if (!*o)
		return;
	watch_free(&(*o)->watch);
	fd_closep(&(*o)->fd);
	if ((*o)->collected)
		evbuffer_free((*o)->collected);
	free(*o);
	*o = NULL;
}

static void send_frame(struct output *o, const char *data, size_t n)
{
	cleanup_free char *now = time_now();
	cleanup_free char *line = NULL;
	size_t len;

	if (n == 0)
		return;
	line = frame_output(o->name, data, n, o->base64, now, &len);
	stream_write(o->to, line, len);
}

/* A frame holds whole characters; the rest of the last one waits for the next piece. */
static void send_piece(struct output *o, const char *piece, size_t n)
{
	size_t whole = o->base64 ? n : utf8_whole(piece, n);

	send_frame(o, piece, whole);
	o->ncarry = n - whole;
	memcpy(o->carry, piece + whole, o->ncarry);
}

void output_flush(struct output *o)
{
	if (!o->to)
		return;
	send_frame(o, o->carry, o->ncarry);
	o->ncarry = 0;
}

static void hang_up(struct output *o)
{
	watch_free(&o->watch);
	fd_closep(&o->fd);
	o->marked = 0;
	output_flush(o);
}

static void on_pipe(void *arg, int what)
{
	struct output *o = arg;
	char piece[PIECE];
	ssize_t n;

	if (o->to && stream_full(o->to)) {
		o->paused = true;
		watch_set(o->watch, 0);
		return;
	}
	memcpy(piece, o->carry, o->ncarry);
	n = read(o->fd, piece + o->ncarry, sizeof(piece) - o->ncarry);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		hang_up(o);
	} else {
		o->marked -= o->marked < (size_t)n ? o->marked : (size_t)n;
		if (o->to)
			send_piece(o, piece, o->ncarry + (size_t)n);
		else
			evbuffer_add(o->collected, piece, (size_t)n);
	}
	o->fn(o->arg, o);
}

void output_resume(struct output *o)
{
	o->paused = false;
	if (o->watch)
		watch_set(o->watch, WATCH_IN);
}

bool output_paused(const struct output *o)
{
	return o->paused;
}

bool output_ended(const struct output *o)
{
	return o->fd < 0;
}

size_t output_size(const struct output *o)
{
	return evbuffer_get_length(o->collected);
}

bool output_is_text(const struct output *o)
{
	const char *s = (const char *)evbuffer_pullup(o->collected, -1);
	size_t n = evbuffer_get_length(o->collected);

	while (n > 0) {
		size_t len = utf8_char(s, n, NULL);

		if (len == 0)
			return false;
		s += len;
		n -= len;
	}
	return true;
}

struct json_object *output_to_json(struct output *o, bool base64)
{
	const char *s = (const char *)evbuffer_pullup(o->collected, -1);
	size_t n = evbuffer_get_length(o->collected);
	cleanup_free char *text = NULL;

	if (!base64)
		return json_object_new_string_len(s ? s : "", (int)n);
	text = base64_encode(s ? s : "", n);
	return json_object_new_string(text);
}

void output_mark(struct output *o)
{
	int n = 0;

	if (o->fd >= 0 && ioctl(o->fd, FIONREAD, &n) == 0 && n > 0)
		o->marked = (size_t)n;
}

bool output_marked_done(const struct output *o)
{
	return o->marked == 0;
}
