/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/str.h"
#include "vmm/monitor_frames.h"

/* A frame with its length before it; returns the size of both. */
static size_t put_frame(unsigned char *to, unsigned type, unsigned first, unsigned version, size_t n)
{
	memset(to, 0x5a, n + 4);
	to[0] = to[1] = 0;
	to[2] = (unsigned char)(n >> 8);
	to[3] = (unsigned char)n;
	if (n >= 14) {
		to[4 + 12] = (unsigned char)(type >> 8);
		to[4 + 13] = (unsigned char)type;
	}
	if (n >= 34) {
		to[4 + 14] = (unsigned char)(version << 4 | 5);
		to[4 + 30] = (unsigned char)first;
	}
	return n + 4;
}

static const struct {
	unsigned type, first, version;
	size_t n;
	bool passes;
} frames[] = {
	{0x0800, 192, 4, 60, true},    {0x0800, 127, 4, 60, false}, {0x0800, 0, 4, 60, false},
	{0x0800, 10, 4, 1514, true},   {0x0806, 0, 0, 42, true},    {0x86dd, 10, 6, 60, false},
	{0x8100, 127, 4, 60, false},   {0x0800, 10, 6, 60, false},  {0x0800, 10, 4, 33, false},
	{0x0800, 10, 4, 34, true},     {0, 0, 0, 13, false},	    {0, 0, 0, 0, false},
	{0x0800, 127, 4, 1514, false}, {0x0800, 255, 4, 34, true},  {0x0800, 10, 4, 65000, true},
};

static size_t put_all(unsigned char *all, unsigned char *passing, size_t *ret_passing)
{
	size_t n = 0;

	*ret_passing = 0;
	for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
		size_t size = put_frame(all + n, frames[i].type, frames[i].first, frames[i].version, frames[i].n);

		if (frames[i].passes) {
			memcpy(passing + *ret_passing, all + n, size);
			*ret_passing += size;
		}
		n += size;
	}
	return n;
}

static void test_pieces(void **state)
{
	cleanup_free unsigned char *all = mem_alloc(FRAME_BUFFER), *want = mem_alloc(FRAME_BUFFER);
	cleanup_free unsigned char *buf = mem_alloc(FRAME_BUFFER);
	size_t nwant, total = put_all(all, want, &nwant);
	static const size_t pieces[] = {1, 3, 4, 5, 17, 61, 1000, 70000, FRAME_BUFFER};

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		size_t n = 0;
		ssize_t done = 0;

		for (size_t at = 0; at < total; at += pieces[i]) {
			size_t part = total - at < pieces[i] ? total - at : pieces[i];

			memcpy(buf + n, all + at, part);
			n += part;
			done = frames_filter(buf, (size_t)done, &n);
			assert_true(done >= 0 && (size_t)done <= n);
		}
		assert_int_equal(done, nwant);
		assert_int_equal(n, nwant);
		assert_memory_equal(buf, want, nwant);
	}
}

static void test_too_long(void **state)
{
	unsigned char buf[4] = {0, 1, 8, 1}; /* FRAME_MAX + 1 */
	size_t n = 4;

	assert_int_equal(frames_filter(buf, 0, &n), -1);
	buf[3] = 0;
	assert_int_equal(frames_filter(buf, 0, &n), 0);
	memset(buf, 0xff, 4);
	assert_int_equal(frames_filter(buf, 0, &n), -1);
}

static void read_exactly(int fd, unsigned char *buf, size_t n)
{
	for (size_t have = 0; have < n;) {
		ssize_t got = read(fd, buf + have, n - have);

		assert_true(got > 0);
		have += (size_t)got;
	}
}

static void test_process(void **state)
{
	cleanup_free unsigned char *all = mem_alloc(FRAME_BUFFER), *want = mem_alloc(FRAME_BUFFER);
	cleanup_free unsigned char *got = mem_alloc(FRAME_BUFFER);
	size_t nwant, total = put_all(all, want, &nwant);
	int guest[2], network[2], status;
	pid_t pid;

	assert_int_equal(fd_socketpair(guest, NULL), 0);
	assert_int_equal(fd_socketpair(network, NULL), 0);
	pid = fork();
	if (pid == 0) {
		close(guest[0]);
		close(network[0]);
		_exit(frames_main(guest[1], network[1]));
	}
	close(guest[1]);
	close(network[1]);
	for (int round = 0; round < 20; round++) {
		assert_int_equal(fd_write_all(guest[0], all, total, NULL), 0);
		read_exactly(network[0], got, nwant);
		assert_memory_equal(got, want, nwant);
		/* The other way everything passes: the host is no danger to the guest. */
		assert_int_equal(fd_write_all(network[0], all, total, NULL), 0);
		read_exactly(guest[0], got, total);
		assert_memory_equal(got, all, total);
	}
	close(network[0]);
	assert_int_equal(read(guest[0], got, 1), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(guest[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
