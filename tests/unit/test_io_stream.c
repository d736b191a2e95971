/* SPDX-License-Identifier: MIT */
/* Streams on fds, and splices of them. */
#include "io_fixture.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <pty.h>
#include <termios.h>
#include "base/fs.h"
#include "io/stream_impl.h"

static double cpu_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Nothing happens on the loop for a while, and it costs nothing: no level-triggered spin. */
static void assert_quiet(void)
{
	double before = cpu_s();

	run_for(200);
	assert_true(cpu_s() - before < 0.05);
}

static void tcp_pair(int ret[2])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
	ret[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(ret[0], (struct sockaddr *)&a, sizeof(a)), 0);
	ret[1] = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(ret[1] >= 0);
	fd_set_nonblock(ret[0], true, NULL);
	fd_set_nonblock(ret[1], true, NULL);
	close(fd);
}

static void check_both_ways(struct stream *a, struct stream *b, uint64_t n)
{
	struct endpoint x = {.total = n}, y = {.total = n};

	endpoint_start(&x, a);
	endpoint_start(&y, b);
	wait_for(&x.closed);
	wait_for(&y.closed);
	assert_int_equal(x.code, 0);
	assert_int_equal(y.code, 0);
	assert_int_equal(x.received, n);
	assert_int_equal(y.received, n);
	assert_int_equal(x.closings + y.closings, 2);
}

static void test_both_ways(void **state)
{
	struct stream *pair[2];
	int fd[2], back[2];

	stream_pair(pair);
	check_both_ways(pair[0], pair[1], 16 * MIB);
	stream_pair(pair);
	check_both_ways(pair[0], pair[1], 0);
	tcp_pair(fd);
	check_both_ways(stream_fd_new(loop, fd[0], -1), stream_fd_new(loop, fd[1], -1), 16 * MIB);
	assert_int_equal(pipe2(fd, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(pipe2(back, O_NONBLOCK | O_CLOEXEC), 0);
	check_both_ways(stream_fd_new(loop, fd[0], back[1]), stream_fd_new(loop, back[0], fd[1]), 16 * MIB);
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0); /* blocking ones do too */
	assert_int_equal(pipe2(back, O_CLOEXEC), 0);
	check_both_ways(stream_fd_new(loop, fd[0], back[1]), stream_fd_new(loop, back[0], fd[1]), MIB);
}

/* A reader that stops holds one window and one read, and the writer stops too. */
static void test_backpressure(void **state)
{
	struct stream *pair[2];
	struct endpoint x = {.total = 64 * MIB}, y = {.stalled = true};
	uint64_t sent;

	stream_pair(pair);
	endpoint_start(&x, pair[0]);
	endpoint_start(&y, pair[1]);
	run_for(100);
	sent = x.sent;
	assert_true(sent < MIB);
	assert_true(evbuffer_get_length(stream_input(pair[1])) <= 2 * STREAM_WINDOW);
	assert_true(stream_full(pair[0]));
	assert_quiet();
	assert_int_equal(x.sent, sent);
	y.stalled = false;
	endpoint_on_readable(&y);
	wait_for(&x.closed);
	wait_for(&y.closed);
	assert_int_equal(y.received, 64 * MIB);
}

/* All that was sent before a full close is still read, however slowly. */
static void test_close_behind_data(void **state)
{
	struct stream *pair[2];
	struct endpoint y = {.stalled = true, .keep = true, .total = 1};

	for (int tcp = 0; tcp < 2; tcp++) {
		int fd[2];

		tcp ? tcp_pair(fd) : socket_pair(fd);
		pair[1] = stream_fd_new(loop, fd[1], -1);
		assert_int_equal(write(fd[0], pattern_at(0), 60000), 60000);
		assert_int_equal(write(fd[0], pattern_at(60000), 60000), 60000);
		close(fd[0]);
		y = (struct endpoint){.stalled = true, .keep = true, .total = UINT64_MAX, .sent = UINT64_MAX};
		endpoint_start(&y, pair[1]);
		run_for(50);
		assert_false(y.closed);
		assert_quiet();
		y.stalled = false;
		endpoint_on_readable(&y);
		wait_for(&y.eof);
		assert_int_equal(y.received, 120000);
		stream_write(y.s, "x", 1); /* nobody is there: now it fails */
		run_for(20);
		stream_write(y.s, "x", 1);
		wait_for(&y.closed);
		assert_int_equal(y.code, ERR_IO);
		stream_free(&y.s);
	}
}

/* The writing fails first, the input is there all the same. */
static void test_write_fails_first(void **state)
{
	int fd[2];
	struct endpoint y = {.keep = true, .total = 1000};

	socket_pair(fd);
	assert_int_equal(write(fd[0], pattern_at(0), 1000), 1000);
	close(fd[0]);
	endpoint_start(&y, stream_fd_new(loop, fd[1], -1));
	wait_for(&y.closed);
	assert_int_equal(y.received, 1000);
	assert_int_equal(y.code, ERR_IO);
	stream_free(&y.s);
}

/* Nobody reads, and the peer resets: reported at once. */
static void test_reset_while_paused(void **state)
{
	const struct linger reset = {.l_onoff = 1};
	struct endpoint y = {.keep = true, .stalled = true, .sent = UINT64_MAX};
	int fd[2];
	char *data = mem_alloc(MIB);
	double begin;

	tcp_pair(fd);
	assert_true(write(fd[0], data, MIB) > 2 * STREAM_WINDOW);
	free(data);
	endpoint_start(&y, stream_fd_new(loop, fd[1], -1));
	run_for(50);
	assert_false(y.closed);
	setsockopt(fd[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd[0]);
	begin = now_s();
	wait_for(&y.closed);
	assert_true(now_s() - begin < 20);
	assert_int_equal(y.code, ERR_IO);
	assert_quiet();
	stream_free(&y.s);
}

static void test_fail_on_hangup(void **state)
{
	struct endpoint y = {.keep = true, .stalled = true, .sent = UINT64_MAX};
	int fd[2];
	char *data = mem_alloc(STREAM_WINDOW);

	socket_pair(fd);
	for (int i = 0; i < 4; i++)
		assert_true(write(fd[0], data, STREAM_WINDOW / 2) > 0);
	free(data);
	endpoint_start(&y, stream_fd_new(loop, fd[1], -1));
	stream_fd_fail_on_hangup(y.s, true);
	run_for(20);
	assert_false(y.closed);
	shutdown(fd[0], SHUT_WR); /* only half */
	run_for(20);
	assert_false(y.closed);
	close(fd[0]);
	wait_for(&y.closed);
	assert_int_equal(y.code, ERR_CANCELLED);
	stream_free(&y.s);
}

static void test_free_resets(void **state)
{
	struct stream *s;
	struct endpoint y = {.keep = true, .sent = UINT64_MAX};
	int fd[2];

	tcp_pair(fd);
	s = stream_fd_new(loop, fd[0], -1);
	endpoint_start(&y, stream_fd_new(loop, fd[1], -1));
	stream_write(s, "unsent", 6);
	stream_free(&s);
	stream_free(&s);
	wait_for(&y.closed);
	assert_int_equal(y.code, ERR_IO); /* not an end: a reset */
	stream_free(&y.s);
}

static void test_pty(void **state)
{
	struct endpoint y = {.keep = true, .stalled = true, .sent = UINT64_MAX};
	int master, slave;
	struct termios mode;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(slave, &mode), 0);
	cfmakeraw(&mode);
	assert_int_equal(tcsetattr(slave, TCSANOW, &mode), 0);
	fd_set_nonblock(master, true, NULL);
	endpoint_start(&y, stream_fd_new(loop, master, -1));
	assert_int_equal(write(slave, "abc", 3), 3);
	run_for(20);
	assert_int_equal(evbuffer_get_length(stream_input(y.s)), 3);
	assert_false(y.eof);
	assert_quiet();
	close(slave);
	wait_for(&y.eof); /* EIO */
	stream_end(y.s);
	wait_for(&y.closed);
	assert_int_equal(y.code, 0);
	stream_free(&y.s);
}

static void test_files(void **state)
{
	struct endpoint y = {.keep = true, .sent = UINT64_MAX};
	char path[] = "/tmp/slicer-test-stream-XXXXXX";
	int fd = mkstemp(path);
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, pattern_at(0), PATTERN, 0), PATTERN);
	endpoint_start(&y, stream_fd_new(loop, fd, -1));
	wait_for(&y.eof);
	assert_int_equal(y.received, PATTERN);
	stream_free(&y.s);
	y = (struct endpoint){.keep = true, .sent = UINT64_MAX};
	endpoint_start(&y, stream_fd_new(loop, open("/dev/null", O_RDONLY | O_CLOEXEC), -1));
	wait_for(&y.eof);
	stream_free(&y.s);
	/* Write only */
	y = (struct endpoint){.total = 300000};
	endpoint_start(&y, stream_fd_new(loop, -1, open(path, O_WRONLY | O_TRUNC | O_CLOEXEC)));
	wait_for(&y.closed);
	assert_int_equal(y.code, 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 300000);
	unlink(path);
}

static void test_write_only_pipe(void **state)
{
	struct endpoint y = {.keep = true, .total = MIB};
	int fd[2];

	assert_int_equal(pipe2(fd, O_NONBLOCK | O_CLOEXEC), 0);
	endpoint_start(&y, stream_fd_new(loop, fd[1], -1));
	run_for(20);
	assert_false(y.closed);
	assert_quiet();
	close(fd[0]);
	wait_for(&y.closed);
	assert_int_equal(y.code, ERR_IO);
	stream_free(&y.s);
}

/* Reports wait for the loop while the owner is in a call, and for events to be set. */
static void test_deferred(void **state)
{
	struct stream *pair[2];
	struct endpoint y = {.keep = true, .sent = UINT64_MAX};

	stream_pair(pair);
	stream_write(pair[0], pattern_at(0), 100);
	stream_end(pair[0]);
	run_for(20);
	assert_int_equal(evbuffer_get_length(stream_input(pair[1])), 100);
	endpoint_start(&y, pair[1]);
	assert_int_equal(y.received, 0);
	wait_for(&y.eof);
	assert_int_equal(y.received, 100);
	stream_end(y.s);
	assert_false(y.closed);
	wait_for(&y.closed);
	assert_true(stream_full(y.s)); /* a writer that goes on until it is full must not go on for ever */
	stream_free(&pair[0]);
	stream_free(&y.s);
}

struct victim {
	struct stream *s;
	bool done;
};

static void free_now(void *arg)
{
	struct victim *v = arg;

	v->done = true;
	stream_free(&v->s);
}

static void free_closed(void *arg, const struct error *error)
{
	free_now(arg);
}

static void test_free_in_callbacks(void **state)
{
	static const struct stream_events in_readable = {.on_readable = free_now};
	static const struct stream_events in_writable = {.on_writable = free_now};
	static const struct stream_events in_closed = {.on_closed = free_closed};
	struct victim v = {};
	struct stream *pair[2];
	char *data = mem_alloc(MIB);

	for (int i = 0; i < 3; i++) {
		stream_pair(pair);
		v = (struct victim){.s = pair[0]};
		stream_set_events(pair[0], &in_readable, &v);
		if (i == 0)
			stream_write(pair[1], "x", 1);
		else if (i == 1)
			stream_end(pair[1]);
		else {
			stream_write(pair[0], data, MIB); /* the pump still has to write */
			stream_write(pair[1], data, MIB);
		}
		wait_for(&v.done);
		stream_free(&pair[1]);
	}
	stream_pair(pair);
	v = (struct victim){.s = pair[0]};
	stream_set_events(pair[0], &in_writable, &v);
	stream_write(pair[0], data, STREAM_WINDOW);
	wait_for(&v.done);
	stream_free(&pair[1]);
	stream_pair(pair);
	v = (struct victim){.s = pair[0]};
	stream_set_events(pair[0], &in_closed, &v);
	stream_end(pair[0]);
	stream_end(pair[1]);
	wait_for(&v.done);
	stream_free(&pair[1]);
	free(data);
}

struct spliced {
	struct splice *splice;
	bool done;
	int code;
};

static void on_spliced(void *arg, const struct error *error)
{
	struct spliced *sp = arg;

	sp->done = true;
	sp->code = error ? (int)error->code : 0;
	splice_free(&sp->splice);
}

static void test_splice(void **state)
{
	struct stream *left[2], *right[2];
	struct endpoint x = {.total = 16 * MIB}, y = {.total = 5 * MIB};
	struct spliced sp = {};

	stream_pair(left);
	stream_pair(right);
	sp.splice = splice_new(loop, left[1], right[0], on_spliced, &sp);
	endpoint_start(&x, left[0]);
	endpoint_start(&y, right[1]);
	run_for(2);
	assert_true(splice_bytes(sp.splice) > 0);
	wait_for(&x.closed);
	wait_for(&y.closed);
	wait_for(&sp.done);
	assert_int_equal(sp.code, 0);
	assert_int_equal(x.received, 5 * MIB);
	assert_int_equal(y.received, 16 * MIB);
}

/* One side ends early; the other goes on. */
static void test_splice_half(void **state)
{
	struct stream *left[2], *right[2];
	struct endpoint x = {.total = 0}, y = {.keep = true, .sent = UINT64_MAX};
	struct spliced sp = {};

	stream_pair(left);
	stream_pair(right);
	sp.splice = splice_new(loop, left[1], right[0], on_spliced, &sp);
	endpoint_start(&x, left[0]);
	endpoint_start(&y, right[1]);
	wait_for(&y.eof);
	run_for(20);
	assert_false(sp.done);
	stream_write(y.s, pattern_at(0), 1000);
	stream_end(y.s);
	wait_for(&sp.done);
	wait_for(&x.closed);
	assert_int_equal(x.received, 1000);
	stream_free(&y.s);
}

static void test_splice_fails(void **state)
{
	struct stream *right[2];
	struct endpoint y = {.total = 64 * MIB};
	struct spliced sp = {};
	const struct linger reset = {.l_onoff = 1};
	int fd[2];

	tcp_pair(fd);
	stream_pair(right);
	sp.splice = splice_new(loop, stream_fd_new(loop, fd[1], -1), right[0], on_spliced, &sp);
	endpoint_start(&y, right[1]);
	run_for(50);
	setsockopt(fd[0], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd[0]);
	wait_for(&sp.done);
	assert_int_equal(sp.code, ERR_IO);
	wait_for(&y.closed);
	assert_int_equal(y.code, ERR_IO);
}

/* The first end ends both: what came before it arrives, the other side goes on sending in vain. */
static void test_splice_end_together(void **state)
{
	struct stream *left[2], *right[2];
	struct endpoint x = {.total = 5 * MIB}, y = {.keep = true, .sent = UINT64_MAX};
	struct spliced sp = {};

	stream_pair(left);
	stream_pair(right);
	sp.splice = splice_new(loop, left[1], right[0], on_spliced, &sp);
	splice_end_together(sp.splice);
	endpoint_start(&x, left[0]);
	endpoint_start(&y, right[1]);
	wait_for(&y.eof);
	wait_for(&x.closed);
	assert_int_equal(y.received, 5 * MIB);
	assert_false(sp.done); /* the other side has its time */
	stream_write(y.s, pattern_at(0), 1000);
	stream_end(y.s);
	wait_for(&sp.done);
	assert_int_equal(sp.code, 0);
	assert_int_equal(x.received, 0);
	stream_free(&y.s);
}

static void test_splice_cancel(void **state)
{
	struct stream *left[2], *right[2];
	struct spliced sp = {};

	stream_pair(left);
	stream_pair(right);
	sp.splice = splice_new(loop, left[1], right[0], on_spliced, &sp);
	stream_end(left[0]);
	stream_end(right[1]);
	splice_free(&sp.splice);
	splice_free(&sp.splice);
	run_for(10);
	assert_false(sp.done);
	stream_free(&left[0]);
	stream_free(&right[1]);
}

/* Few bytes, each of which came in a block of its own, are put together; many are moved. */
static void test_buffer_move(void **state)
{
	struct evbuffer *from = evbuffer_new(), *to = evbuffer_new();
	struct evbuffer_iovec vec;
	char many[4096];
	size_t n = 50000;

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(evbuffer_reserve_space(from, sizeof(many), &vec, 1), 1);
		*(char *)vec.iov_base = (char)('a' + i % 26);
		vec.iov_len = 1;
		evbuffer_commit_space(from, &vec, 1);
		buffer_move(to, from, 1);
	}
	assert_int_equal(evbuffer_get_length(to), n);
	assert_true(evbuffer_peek(to, -1, NULL, NULL, 0) < 100);
	memset(many, '.', sizeof(many));
	evbuffer_add(from, many, sizeof(many));
	evbuffer_add(from, "rest", 4);
	buffer_move(to, from, sizeof(many));
	buffer_move(to, from, 100); /* more than there is */
	assert_int_equal(evbuffer_get_length(from), 0);
	assert_int_equal(evbuffer_get_length(to), n + sizeof(many) + 4);
	for (size_t i = 0; i < n; i++) {
		evbuffer_remove(to, many, 1);
		assert_int_equal(many[0], 'a' + i % 26);
	}
	evbuffer_drain(to, sizeof(many));
	assert_memory_equal(evbuffer_pullup(to, -1), "rest", 4);
	evbuffer_free(from);
	evbuffer_free(to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup_loop, teardown_loop)
		T(test_both_ways),
		T(test_backpressure),
		T(test_close_behind_data),
		T(test_write_fails_first),
		T(test_reset_while_paused),
		T(test_fail_on_hangup),
		T(test_free_resets),
		T(test_pty),
		T(test_files),
		T(test_write_only_pipe),
		T(test_deferred),
		T(test_free_in_callbacks),
		T(test_splice),
		T(test_splice_half),
		T(test_splice_fails),
		T(test_splice_end_together),
		T(test_splice_cancel),
		T(test_buffer_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
