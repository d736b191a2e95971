/* SPDX-License-Identifier: MIT */
/* For tests of src/io: a loop, joined streams, and endpoints that send, check and echo a known pattern. */
#ifndef TESTS_UNIT_IO_FIXTURE_H
#define TESTS_UNIT_IO_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/str.h"
#include "io/stream.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifndef WITH_ASAN
#define WITH_ASAN 0
#endif

enum { MIB = 1024 * 1024, PATTERN = 65521, WAIT_MS = 30000, TURNS = 20 };

static struct loop *loop;

static inline int setup_loop(void **state)
{
	loop = loop_new(NULL);
	return loop ? 0 : -1;
}

static inline int teardown_loop(void **state)
{
	loop_free(&loop);
	return 0;
}

static inline void socket_pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

static inline void stream_pair(struct stream *ret[2])
{
	int fd[2];

	socket_pair(fd);
	ret[0] = stream_fd_new(loop, fd[0], -1);
	ret[1] = stream_fd_new(loop, fd[1], -1);
}

static inline void wait_for(const bool *done)
{
	cleanup_error struct error *error = NULL;

	if (loop_run_until(loop, done, WAIT_MS, &error) < 0)
		fail_msg("%s", error_message(error));
}

/* For that long, and for what follows from what is ready by then: a busy machine may have let all of the time pass at once. */
static inline void run_for(int64_t ms)
{
	bool never = false;

	loop_run_until(loop, &never, ms, NULL);
	for (int i = 0; i < TURNS; i++)
		loop_run_until(loop, &never, 0, NULL);
}

/* Position n of the endless pattern; a prime period, so that a lost or doubled block shows. */
static inline const unsigned char *pattern_at(uint64_t n)
{
	static unsigned char bytes[PATTERN * 3];

	if (!bytes[1])
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (unsigned char)((i % PATTERN) * 2654435761u >> 13);
	return bytes + n % PATTERN;
}

static inline long rss_kib(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static inline double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Takes what a stream has and compares it with the pattern. */
static inline uint64_t check_input(struct stream *s, uint64_t at)
{
	struct evbuffer *in = stream_input(s);
	size_t n;

	while ((n = evbuffer_get_length(in)) > 0) {
		n = n < PATTERN ? n : PATTERN;
		assert_memory_equal(evbuffer_pullup(in, (ssize_t)n), pattern_at(at), n);
		evbuffer_drain(in, n);
		at += n;
	}
	stream_resume(s);
	return at;
}

/* Sends `total` bytes, ends, and expects to receive `expect` bytes, then the end. Frees its stream when closed. */
struct endpoint {
	struct stream *s;
	uint64_t total, sent, received;
	bool stalled; /* reads nothing */
	bool closed, eof, keep;
	int code; /* of the failure, 0 if it closed well */
	unsigned closings;
};

static inline void endpoint_write(struct endpoint *e)
{
	if (e->sent == UINT64_MAX)
		return;
	while (e->sent < e->total && !stream_full(e->s)) {
		uint64_t n = e->total - e->sent < 32768 ? e->total - e->sent : 32768;

		stream_write(e->s, pattern_at(e->sent), n);
		e->sent += n;
	}
	if (e->sent >= e->total) {
		e->sent = UINT64_MAX;
		stream_end(e->s);
	}
}

static inline void endpoint_on_readable(void *arg)
{
	struct endpoint *e = arg;

	if (!e->stalled)
		e->received = check_input(e->s, e->received);
	if (stream_eof(e->s))
		e->eof = true;
}

static inline void endpoint_on_writable(void *arg)
{
	endpoint_write(arg);
}

static inline void endpoint_on_closed(void *arg, const struct error *error)
{
	struct endpoint *e = arg;

	e->closed = true;
	e->closings++;
	e->code = error ? (int)error->code : 0;
	if (!e->keep)
		stream_free(&e->s);
}

static const struct stream_events endpoint_events = {endpoint_on_readable, endpoint_on_writable, endpoint_on_closed};

static inline void endpoint_start(struct endpoint *e, struct stream *take)
{
	e->s = take;
	stream_set_events(e->s, &endpoint_events, e);
	endpoint_write(e);
}

/* Sends back what it gets, with backpressure; frees itself when closed. */
struct echo {
	struct stream *s;
	int *code; /* where the end is noted, may be NULL: 0 when well */
	bool *closed;
};

static inline void echo_move(void *arg)
{
	struct echo *e = arg;
	struct evbuffer *in = stream_input(e->s);

	if (!stream_full(e->s)) {
		stream_write_buffer(e->s, in, evbuffer_get_length(in));
		stream_resume(e->s);
	}
	if (stream_eof(e->s) && evbuffer_get_length(in) == 0)
		stream_end(e->s);
}

static inline void echo_on_closed(void *arg, const struct error *error)
{
	struct echo *e = arg;

	if (e->code)
		*e->code = error ? (int)error->code : 0;
	if (e->closed)
		*e->closed = true;
	stream_free(&e->s);
	free(e);
}

static inline struct echo *echo_start(struct stream *take)
{
	static const struct stream_events events = {echo_move, echo_move, echo_on_closed};
	struct echo *e = NEW(struct echo);

	e->s = take;
	stream_set_events(take, &events, e);
	return e;
}

#endif
