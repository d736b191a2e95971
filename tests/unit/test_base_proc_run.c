/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/units.h"

#define ARGV(...) ((char *const[]){__VA_ARGS__, NULL})
#define SH(script) ARGV((char *)"sh", (char *)"-c", (char *)(script))

static void test_run_output_and_input(void **state)
{
	struct proc_result r;

	assert_int_equal(proc_run(SH("cat; printf 'a\\0b'; echo warn >&2"), "in\n", 6, 10000, &r, NULL), 0);
	assert_int_equal(r.status, 0);
	assert_int_equal(r.out_len, 6);
	assert_memory_equal(r.out, "in\na\0b", 7);
	assert_string_equal(r.errout, "warn\n");
	proc_result_clear(&r);
	assert_int_equal(proc_run(SH("cat"), NULL, 10, 10000, &r, NULL), 0);
	assert_string_equal(r.out, "");
	proc_result_clear(&r);
	assert_int_equal(proc_run(SH("true"), "unread", 0, 10000, NULL, NULL), 0);
}

static void test_run_failure_tells_last_line(void **state)
{
	cleanup_error struct error *failed = NULL, *killed = NULL, *silent = NULL, *absent = NULL;
	struct proc_result r;

	assert_int_equal(
		proc_run(SH("echo one >&2; printf 'two\\033\\n\\n' >&2; exit 3"), NULL, 10, 10000, &r, &failed), -1);
	assert_int_equal(failed->code, ERR_IO);
	assert_string_equal(error_message(failed), "sh failed with status 3: two\\x1b");
	assert_int_equal(WEXITSTATUS(r.status), 3);
	assert_string_equal(r.errout, "one\ntwo\033\n\n");
	proc_result_clear(&r);
	assert_int_equal(proc_run(SH("kill -9 $$"), NULL, 10, 10000, NULL, &killed), -1);
	assert_string_equal(error_message(killed), "sh was killed by signal 9");
	assert_int_equal(proc_run(SH("exit 1"), NULL, 10, 10000, NULL, &silent), -1);
	assert_string_equal(error_message(silent), "sh failed with status 1");
	assert_int_equal(proc_run(ARGV((char *)"/nonexistent/p"), NULL, 10, 10000, &r, &absent), -1);
	assert_int_equal(absent->code, ERR_NOT_FOUND);
	assert_null(r.out);
	proc_result_clear(&r);
}

static void test_run_limits(void **state)
{
	cleanup_error struct error *large = NULL, *late = NULL;
	struct proc_result r;
	size_t before = fd_count_open();
	int64_t start = clock_ms();

	assert_int_equal(proc_run(SH("yes"), NULL, 100000, 30000, &r, &large), -1);
	assert_int_equal(large->code, ERR_TOO_LARGE);
	assert_null(r.out);
	assert_int_equal(proc_run(SH("sleep 60 & wait"), NULL, 10, 300, NULL, &late), -1);
	assert_int_equal(late->code, ERR_TIMEOUT);
	assert_string_equal(error_message(late), "sh: no end within 300 ms");
	assert_true(clock_ms() - start < 20000);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(fd_count_open(), before);
}

/* A laptop's lid, kill -STOP: who ended while we stood still has ended, and what it said is there. */
static void test_run_while_stopped(void **state)
{
	cleanup_error struct error *error = NULL;
	struct proc_result r;

	proc_run(SH("(sleep 5; kill -CONT $PPID) & echo said; kill -STOP $PPID"), NULL, 100, 4000, &r, &error);
	if (error)
		fail_msg("%s", error_message(error));
	assert_string_equal(r.out, "said\n");
	proc_result_clear(&r);
}

static void test_run_keeps_the_end_of_stderr(void **state)
{
	struct proc_result r;

	assert_int_equal(proc_run(SH("i=0; while [ $i -lt 3000 ]; do echo line$i >&2; i=$((i+1)); done"), NULL, 0,
				  20000, &r, NULL),
			 0);
	assert_int_equal(strlen(r.errout), 4096);
	assert_true(str_ends(r.errout, "line2998\nline2999\n"));
	proc_result_clear(&r);
}

static void test_run_does_not_wait_for_grandchildren(void **state)
{
	int64_t start = clock_ms();
	struct proc_result r;
	uint64_t pid = 0;

	assert_int_equal(proc_run(SH("sleep 60 & echo $!"), NULL, 100, 30000, &r, NULL), 0);
	assert_true(clock_ms() - start < 20000);
	assert_int_equal(str_to_u64(str_trim(r.out), 2, INT32_MAX, "pid", &pid, NULL), 0);
	kill((pid_t)pid, SIGKILL);
	proc_result_clear(&r);
}

static void *spawn_many(void *arg)
{
	int *failures = arg;

	for (int i = 0; i < 20; i++) {
		struct proc_result r;
		cleanup_free char *expected = str_fmt("%p-%d", arg, i), *script = str_fmt("printf %s", expected);

		if (proc_run(SH(script), NULL, 100, 30000, &r, NULL) < 0 || !str_eq(r.out, expected))
			++*failures;
		proc_result_clear(&r);
	}
	return NULL;
}

static void test_many_threads(void **state)
{
	size_t before = fd_count_open();
	pthread_t threads[4];
	int failures[4] = {0};

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, spawn_many, &failures[i]), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(failures[i], 0);
	}
	assert_int_equal(fd_count_open(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run_output_and_input),
		cmocka_unit_test(test_run_failure_tells_last_line),
		cmocka_unit_test(test_run_limits),
		cmocka_unit_test(test_run_while_stopped),
		cmocka_unit_test(test_run_keeps_the_end_of_stderr),
		cmocka_unit_test(test_run_does_not_wait_for_grandchildren),
		cmocka_unit_test(test_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
