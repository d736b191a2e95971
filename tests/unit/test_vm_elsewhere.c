/* SPDX-License-Identifier: MIT */
/* Which daemon of a host has the name of a VM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "vm/manager_impl.h"

static char dir[] = "/tmp/slicer-elsewhere.XXXXXX";

static char *run_of(const char *daemon)
{
	return str_fmt("%s/%s/vm-1", dir, daemon);
}

static void announce(const char *daemon)
{
	cleanup_free char *path = str_fmt("%s/%s.json", dir, daemon), *state = str_fmt("%s/state-%s", dir, daemon),
			  *text = str_fmt("{\"config\": \"/etc/%s.yaml\", \"state\": \"%s\"}", daemon, state);

	assert_int_equal(fs_write_replace(path, text, strlen(text), 0600, NULL), 0);
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	announce("one");
	announce("two");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return fs_remove_tree(dir, NULL);
}

static void test_second_is_refused(void **state)
{
	cleanup_free char *one = run_of("one"), *two = run_of("two");
	cleanup_error struct error *err = NULL;
	bool taken = true;

	(void)state;
	assert_int_equal(vm_name_claim(one, false, &taken, NULL), 0);
	assert_false(taken);
	assert_int_equal(vm_name_claim(one, false, &taken, NULL), 0); /* its own again */
	assert_int_equal(vm_name_claim(two, false, &taken, &err), -1);
	assert_true(taken);
	assert_int_equal(err->code, ERR_CONFLICT);
	assert_non_null(strstr(error_message(err), "/etc/one.yaml"));
	assert_false(fs_exists(two));
	assert_int_equal(rmdir(one), 0);
	assert_int_equal(vm_name_claim(two, false, &taken, NULL), 0);
	assert_int_equal(rmdir(two), 0);
}

static void *claim(void *run_dir)
{
	bool taken;

	return vm_name_claim(run_dir, false, &taken, NULL) == 0 ? run_dir : NULL;
}

static void test_one_after_the_other(void **state)
{
	int lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_free char *one = run_of("one");
	pthread_t thread;
	void *done;

	(void)state;
	assert_int_equal(flock(lock, LOCK_EX), 0);
	assert_int_equal(pthread_create(&thread, NULL, claim, one), 0);
	usleep(100000); /* in which one that does not wait would be done */
	assert_false(fs_exists(one));
	close(lock);
	assert_int_equal(pthread_join(thread, &done), 0);
	assert_ptr_equal(done, one);
	assert_true(fs_exists(one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_is_refused),
		cmocka_unit_test(test_one_after_the_other),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
