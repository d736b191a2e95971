/* SPDX-License-Identifier: MIT */
/* The API's token: daemons that start at the same time on a new host have the same one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "host/token.h"

enum { DAEMONS = 8, ROUNDS = 20, DIGITS = 64 };

static int setup(void **state)
{
	char dir[] = "/tmp/test_host_token_XXXXXX";

	*state = mkdtemp(dir) ? str_dup(dir) : NULL;
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	int rc = fs_remove_tree(*state, NULL);

	free(*state);
	return rc;
}

/* A daemon that starts when the other end of `start` is closed, and writes its token to `out`. */
static pid_t start_daemon(const char *path, const int start[2], int out)
{
	pid_t pid = fork();
	char byte;

	if (pid)
		return pid;
	close(start[1]);
	if (read(start[0], &byte, 1) != 0)
		_exit(1);
	cleanup_free char *token = token_load(path, NULL);
	_exit(token && write(out, token, strlen(token)) == DIGITS ? 0 : 1);
}

static void check_round(const char *path)
{
	char first[DIGITS], next[DIGITS];
	int start[2], out[2], status;

	assert_int_equal(pipe(start), 0);
	assert_int_equal(pipe(out), 0);
	for (int i = 0; i < DAEMONS; i++)
		assert_true(start_daemon(path, start, out[1]) > 0);
	close(start[0]);
	close(start[1]);
	for (int i = 0; i < DAEMONS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
		assert_int_equal(read(out[0], i ? next : first, DIGITS), DIGITS);
		if (i)
			assert_memory_equal(next, first, DIGITS);
	}
	close(out[0]);
	close(out[1]);
}

static void test_one_token_for_all(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		cleanup_free char *dir = str_fmt("%s/%d", (const char *)*state, i), *path = fs_join(dir, "token");

		check_round(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_token_for_all, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
