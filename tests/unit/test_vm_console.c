/* SPDX-License-Identifier: MIT */
/* What a guest's console said last: only of this run, and also across a rotation of its log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "vm/manager_impl.h"

static char dir[] = "/tmp/slicer-console.XXXXXX";

static char *path_of(const char *name)
{
	return str_fmt("%s/%s", dir, name);
}

static void put(const char *name, size_t filler, const char *text)
{
	cleanup_free char *path = path_of(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (size_t i = 0; i < filler; i++)
		fputc(i % 80 ? '.' : '\n', f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void expect(off_t from, const char *want)
{
	cleanup_free char *path = path_of("vm.txt"), *got = console_find_last(path, "panic", from);

	if (!want)
		assert_null(got);
	else
		assert_string_equal(got, want);
}

static int remove_logs(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		cleanup_free char *path = path_of(i ? "vm.txt.1" : "vm.txt");

		unlink(path);
	}
	return 0;
}

static void test_last_line(void **state)
{
	(void)state;
	expect(0, NULL);
	put("vm.txt", 0, "a panic: one\r\nb panic: two\x1b\r\nwell");
	expect(0, "panic: two\\x1b");
	expect(5, "panic: two\\x1b");
	expect(20, NULL);
}

static void test_only_the_end(void **state)
{
	(void)state;
	put("vm.txt", 100000, "\npanic: here");
	expect(0, "panic: here");
	expect(100000, "panic: here");
	expect(100005, NULL);
}

static void test_rotated(void **state)
{
	(void)state;
	put("vm.txt.1", 50000, "\npanic: there\n");
	put("vm.txt", 0, "Rebooting in 1 second\n");
	expect(40000, "panic: there"); /* the log is smaller than it was */
	expect(0, NULL);	       /* the one before is of an earlier run */
	put("vm.txt", 0, "panic: here\n");
	expect(40000, "panic: here");
}

static void test_cut_by_the_rotation(void **state)
{
	(void)state;
	put("vm.txt.1", 50000, "\npan");
	put("vm.txt", 0, "ic: there\n");
	expect(40000, "panic: there");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_last_line, remove_logs),
		cmocka_unit_test_teardown(test_only_the_end, remove_logs),
		cmocka_unit_test_teardown(test_rotated, remove_logs),
		cmocka_unit_test_teardown(test_cut_by_the_rotation, remove_logs),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
