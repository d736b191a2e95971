/* SPDX-License-Identifier: MIT */
/* Exec requests, environments and frames, without a process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include "agent/exec.h"
#include "base/str.h"

static int parse(const char *target, struct exec_request *r)
{
	struct http_query *q = http_query_parse(target, NULL);
	int rc = exec_request_parse(q, r, NULL);

	http_query_free(&q);
	return rc;
}

static void assert_argv(const char *target, const char *want)
{
	cleanup_exec_request struct exec_request r = {0};
	char *joined;

	assert_int_equal(parse(target, &r), 0);
	joined = strv_join(r.argv, "|");
	assert_string_equal(joined, want);
	free(joined);
}

static void test_argv(void **state)
{
	assert_argv("/exec?cmd=ls", "ls");
	assert_argv("/exec?cmd=/bin/sh&args=-c&args=echo+%22a+b%22&args=", "/bin/sh|-c|echo \"a b\"|");
	assert_argv("/exec?cmd=ls&shell=", "ls");
	assert_argv("/exec?shell=/bin/bash&cmd=a+%26%26+b%7Cc", "/bin/bash|-lc|a && b|c");
	assert_argv("/exec?shell=/bin/bash&cmd=echo&args=a+b&args=it%27s&args=&args=$x",
		    "/bin/bash|-lc|echo 'a b' 'it'\\''s' '' '$x'");
}

static void test_flags(void **state)
{
	cleanup_exec_request struct exec_request r = {0};

	assert_int_equal(
		parse("/exec?cmd=x&stdin=true&stdio=base64&permissions=0644&stdout=true&uid=0&gid=4294967295", &r), 0);
	assert_true(r.with_stdin && r.base64 && !r.buffered);
	assert_int_equal(r.id.uid, 0);
	assert_int_equal(r.id.gid, USERS_DEFAULT_ID);
	exec_request_clear(&r);
	assert_int_equal(parse("/exec?cmd=x", &r), 0);
	assert_int_equal(r.id.uid, USERS_DEFAULT_ID);
	exec_request_clear(&r);
	assert_int_equal(parse("/exec?cmd=x&uid=4294967295&gid=0", &r), 0); /* a default left unset */
	assert_int_equal(r.id.gid, USERS_DEFAULT_ID);
	exec_request_clear(&r);
	assert_int_equal(parse("/exec?cmd=x&uid=1000&gid=0", &r), 0);
	assert_int_equal(r.id.gid, 0);
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"/exec",
		"/exec?cmd=",
		"/exec?cmd=x&uid=-1",
		"/exec?cmd=x&uid=4294967296",
		"/exec?cmd=x&gid=a",
		"/exec?cmd=x&stdio=hex",
		"/exec?cmd=x&stdin=maybe",
		"/exec?cmd=x&buffered=1&stdin=1",
		"/exec?cmd=x&background=1&stdin=1",
		"/exec?cmd=x&env=NOVALUE",
		"/exec?cmd=x&env==v",
	};
	struct exec_request r;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (parse(bad[i], &r) == 0)
			fail_msg("accepted: %s", bad[i]);
	}
}

static const char *value(char *const *env, const char *name)
{
	size_t n = strlen(name);
	const char *found = NULL;

	for (; *env; env++) {
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=') {
			assert_null(found); /* once only */
			found = *env + n + 1;
		}
	}
	return found;
}

static void test_environment(void **state)
{
	const struct user u = {.name = (char *)"ann", .home = (char *)"/home/ann", .shell = (char *)"/bin/zsh"};
	char *extra[] = {(char *)"B=2", (char *)"LANG=de_DE.UTF-8", (char *)"E=", NULL};
	cleanup_strv char **env =
		exec_environment(&u, "# x\nA=1\nB=1\nexport C=\"c c\"\nD='d'\n=x\nnothing\nLANG=C\n", extra);

	assert_string_equal(value(env, "HOME"), "/home/ann");
	assert_string_equal(value(env, "USER"), "ann");
	assert_string_equal(value(env, "LOGNAME"), "ann");
	assert_string_equal(value(env, "SHELL"), "/bin/zsh");
	assert_non_null(strstr(value(env, "PATH"), "/usr/bin:"));
	assert_string_equal(value(env, "A"), "1");
	assert_string_equal(value(env, "B"), "2");
	assert_string_equal(value(env, "C"), "c c");
	assert_string_equal(value(env, "D"), "d");
	assert_string_equal(value(env, "E"), "");
	assert_string_equal(value(env, "LANG"), "de_DE.UTF-8");
}

static void assert_cwd(const char *cwd, const char *want)
{
	char *got = cwd_expand(cwd, "/usr", NULL);

	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
	free(got);
}

static void test_cwd(void **state)
{
	char *got;

	assert_cwd(NULL, "/usr");
	assert_cwd("", "/usr");
	assert_cwd("~", "/usr");
	assert_cwd("~/a/b", "/usr/a/b");
	assert_cwd("a", "/usr/a");
	assert_cwd("/var/..x", "/var/..x");
	assert_cwd("/var/../etc", NULL);
	assert_cwd("..", NULL);
	assert_cwd("~/..", NULL);
	got = cwd_expand(NULL, "/no/such/home", NULL);
	assert_string_equal(got, "/");
	free(got);
	got = path_expand("~user", "/h");
	assert_string_equal(got, "/h/~user");
	free(got);
}

static void test_frames(void **state)
{
	struct error e = {.code = ERR_NOT_FOUND, .sys_errno = ENOENT, .message = (char *)"x: \"gone\""};
	size_t n;
	char *f = frame_started(7, "T");

	assert_string_equal(
		f, "{\"timestamp\":\"T\",\"type\":\"started\",\"pid\":7,\"started_at\":\"T\",\"exit_code\":0}\n");
	free(f);
	f = frame_output("stdout", "a\"b\n\0\xc3\xa9", 7, false, "T", &n);
	assert_string_equal(
		f,
		"{\"timestamp\":\"T\",\"type\":\"stdout\",\"stdout\":\"a\\\"b\\n\\u0000\xc3\xa9\",\"exit_code\":0}\n");
	assert_int_equal(n, strlen(f));
	free(f);
	f = frame_output("stderr", "\xff", 1, false, "T", &n);
	assert_string_equal(
		f,
		"{\"timestamp\":\"T\",\"type\":\"stderr\",\"encoding\":\"base64\",\"stderr\":\"/w==\",\"exit_code\":0}\n");
	free(f);
	f = frame_exit(SIGKILL, "T");
	assert_string_equal(
		f,
		"{\"timestamp\":\"T\",\"type\":\"exit\",\"ended_at\":\"T\",\"signal\":\"SIGKILL\",\"exit_code\":137}\n");
	free(f);
	f = frame_exit(3 << 8, "T");
	assert_string_equal(f, "{\"timestamp\":\"T\",\"type\":\"exit\",\"ended_at\":\"T\",\"exit_code\":3}\n");
	free(f);
	f = frame_failed(&e, "T");
	assert_string_equal(
		f, "{\"timestamp\":\"T\",\"type\":\"exit\",\"error\":\"x: \\\"gone\\\"\",\"exit_code\":127}\n");
	free(f);
	e.sys_errno = EACCES;
	assert_int_equal(exit_code_of_error(&e), 126);
}

static void test_utf8_whole(void **state)
{
	assert_int_equal(utf8_whole("abc", 3), 3);
	assert_int_equal(utf8_whole("", 0), 0);
	assert_int_equal(utf8_whole("a\xc3", 2), 1);
	assert_int_equal(utf8_whole("a\xc3\xa9", 3), 3);
	assert_int_equal(utf8_whole("a\xf0\x9f\x98", 4), 1);
	assert_int_equal(utf8_whole("\xf0\x9f\x98\x80", 4), 4);
	assert_int_equal(utf8_whole("\x80\x80\x80\x80", 4), 4); /* no character at all: not kept back */
	assert_int_equal(utf8_whole("a\xff", 2), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_argv),	    cmocka_unit_test(test_flags), cmocka_unit_test(test_bad),
		cmocka_unit_test(test_environment), cmocka_unit_test(test_cwd),	  cmocka_unit_test(test_frames),
		cmocka_unit_test(test_utf8_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
