/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/str.h"

static void test_wrap_puts_outermost_first(void **state)
{
	cleanup_error struct error *err = NULL;

	assert_int_equal(error_set(&err, ERR_CONFLICT, "port %d is taken", 80), -1);
	assert_int_equal(error_wrap(&err, "network %s", "web"), -1);
	assert_int_equal(error_wrap(&err, "cannot launch"), -1);
	assert_string_equal(error_message(err), "cannot launch: network web: port 80 is taken");
	assert_int_equal(err->code, ERR_CONFLICT);
	assert_int_equal(err->sys_errno, 0);
}

static void test_first_error_stays(void **state)
{
	cleanup_error struct error *err = NULL;

	error_set(&err, ERR_INVALID, "cause");
	error_set(&err, ERR_IO, "consequence");
	assert_string_equal(error_message(err), "cause");
	assert_int_equal(err->code, ERR_INVALID);
}

static void test_null_is_fine_everywhere(void **state)
{
	cleanup_error struct error *none = NULL;
	struct error *src = NULL;

	assert_int_equal(error_set(NULL, ERR_IO, "x"), -1);
	assert_int_equal(error_errno(NULL, ENOENT, "x"), -1);
	assert_int_equal(error_wrap(NULL, "x"), -1);
	assert_int_equal(error_wrap(&none, "x"), -1);
	assert_null(none);
	assert_null(error_copy(NULL));
	assert_string_equal(error_message(NULL), "unknown error");
	assert_int_equal(error_http_status(NULL), 500);
	assert_int_equal(error_exit_code(NULL), 1);
	error_free(NULL);
	error_set(&src, ERR_IO, "x");
	assert_int_equal(error_move(NULL, &src), -1);
	assert_null(src);
}

static void test_errno_decides_code(void **state)
{
	static const struct {
		int errnum;
		enum error_code code;
	} cases[] = {
		{ENOENT, ERR_NOT_FOUND},  {ENOSPC, ERR_NO_SPACE}, {EACCES, ERR_FORBIDDEN}, {EPERM, ERR_FORBIDDEN},
		{ETIMEDOUT, ERR_TIMEOUT}, {EIO, ERR_IO},	  {EEXIST, ERR_IO},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_error struct error *err = NULL;

		assert_int_equal(error_errno(&err, cases[i].errnum, "f"), -1);
		assert_int_equal(err->code, cases[i].code);
		assert_int_equal(err->sys_errno, cases[i].errnum);
	}
}

static void test_errno_text(void **state)
{
	cleanup_error struct error *known = NULL, *unknown = NULL;

	error_errno(&known, ENOENT, "cannot open %s", "/x");
	assert_string_equal(error_message(known), "cannot open /x: No such file or directory");
	error_errno(&unknown, 9999, "cannot open %s", "/x");
	assert_string_equal(error_message(unknown), "cannot open /x: error 9999");
}

static void test_move_and_copy(void **state)
{
	cleanup_error struct error *dst = NULL, *copy = NULL;
	struct error *src = NULL;

	error_errno(&src, EPERM, "a");
	copy = error_copy(src);
	assert_int_equal(error_move(&dst, &src), -1);
	assert_null(src);
	assert_int_equal(copy->sys_errno, EPERM);
	assert_string_equal(error_message(copy), error_message(dst));
	assert_ptr_not_equal(copy->message, dst->message);
}

static void test_every_code_has_its_status(void **state)
{
	static const int status[] = {0, 500, 400, 401, 403, 404, 408, 409, 410, 413, 507, 500, 502, 501, 503, 499};

	for (int code = ERR_INTERNAL; code <= ERR_CANCELLED; code++) {
		struct error err = {.code = (enum error_code)code};

		assert_int_equal(error_http_status(&err), status[code]);
		assert_int_equal(error_exit_code(&err), code == ERR_INVALID ? 2 : 1);
	}
}

static void test_take_and_cleanup(void **state)
{
	char *p = str_dup("x");
	cleanup_free char *q = TAKE_PTR(p);
	int fd = 7, taken = TAKE_FD(fd);

	assert_null(p);
	assert_string_equal(q, "x");
	assert_int_equal(fd, -1);
	assert_int_equal(taken, 7);
	errno = EBADMSG;
	fd = 1 << 20; /* not open: close fails, errno stays */
	fd_closep(&fd);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrap_puts_outermost_first),
		cmocka_unit_test(test_first_error_stays),
		cmocka_unit_test(test_null_is_fine_everywhere),
		cmocka_unit_test(test_errno_decides_code),
		cmocka_unit_test(test_errno_text),
		cmocka_unit_test(test_move_and_copy),
		cmocka_unit_test(test_every_code_has_its_status),
		cmocka_unit_test(test_take_and_cleanup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
