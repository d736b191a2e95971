/* SPDX-License-Identifier: MIT */
/* No two daemons of a host have a user in common. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "host/uids.h"
#include "vm/vm.h"

enum { FIRST = 300000, TWO_BLOCKS = FIRST + 2 * MANAGER_UIDS - 1 };

static char *run;

static int setup(void **state)
{
	char dir[] = "/tmp/test_host_uids_XXXXXX";

	run = mkdtemp(dir) ? str_dup(dir) : NULL;
	return run ? 0 : -1;
}

static int teardown(void **state)
{
	int rc = fs_remove_tree(run, NULL);

	mem_freep(&run);
	return rc;
}

static char *daemon_dir(const char *id)
{
	char *dir = fs_join(run, id);

	assert_int_equal(fs_mkdir_p(dir, 0700, NULL), 0);
	return dir;
}

static uid_t claim(const char *dir)
{
	cleanup_error struct error *err = NULL;
	uid_t got = 0;

	if (uids_claim(dir, FIRST, TWO_BLOCKS, &got, &err) < 0)
		assert_int_equal(err->code, ERR_UNAVAILABLE);
	return got;
}

static void test_each_has_its_own(void **state)
{
	cleanup_free char *a = daemon_dir("a-1"), *b = daemon_dir("b-1"), *c = daemon_dir("c-1");

	assert_int_equal(claim(a), FIRST);
	assert_int_equal(claim(b), FIRST + MANAGER_UIDS);
	assert_int_equal(claim(c), 0);
	/* Killed, and started again: what its VMs have. */
	assert_int_equal(claim(b), FIRST + MANAGER_UIDS);
	uids_release(a);
	assert_int_equal(claim(b), FIRST + MANAGER_UIDS);
	assert_int_equal(claim(c), FIRST);
	/* One that is gone with all its VMs left its claim behind. */
	assert_int_equal(rmdir(b), 0);
	assert_int_equal(claim(a), FIRST + MANAGER_UIDS);
}

static void test_nothing_is_left(void **state)
{
	cleanup_free char *a = daemon_dir("a-1"), *b = daemon_dir("b-1"), *blocks = fs_join(run, UIDS_DIR);

	claim(a);
	claim(b);
	uids_release(a);
	assert_true(fs_exists(blocks));
	uids_release(b);
	assert_false(fs_exists(blocks));
	uids_release(b);
}

static void test_a_narrow_range(void **state)
{
	cleanup_free char *a = daemon_dir("a-1");
	cleanup_error struct error *err = NULL;
	uid_t got;

	assert_int_equal(uids_claim(a, FIRST, FIRST + MANAGER_UIDS - 2, &got, &err), -1);
	assert_non_null(strstr(err->message, "8192 are needed"));
	error_free(&err);
	assert_int_equal(uids_claim(a, FIRST, FIRST - 1, &got, &err), -1);
	error_free(&err);
	assert_int_equal(uids_claim(a, UINT32_MAX - 10, UINT32_MAX - 2, &got, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_has_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_narrow_range, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
