/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include "base/fs.h"
#include "base/kept.h"
#include "base/str.h"

static char dir[64], path[96], program[96];

static int setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/slicer-kept-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/kept.json", dir);
	snprintf(program, sizeof(program), "%s/program", dir);
	assert_int_equal(fs_write_atomic(program, "one", 3, 0755, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	return fs_remove_tree(dir, NULL);
}

static char *stamp(void)
{
	return kept_stamp((const char *const[]){program, NULL});
}

static void test_kept_until_the_file_changes(void **state)
{
	cleanup_free char *before = stamp(), *after = NULL;
	cleanup_kept struct kept *k = kept_load(path);

	assert_null(kept_get(k, "version", before));
	kept_set(k, "version", before, "7.2");
	kept_set(k, "other", before, "x \"y\"\n");
	assert_string_equal(kept_get(k, "version", before), "7.2");
	assert_int_equal(kept_save(k, NULL), 0);
	kept_free(&k);
	k = kept_load(path);
	assert_string_equal(kept_get(k, "version", before), "7.2");
	assert_string_equal(kept_get(k, "other", before), "x \"y\"\n");
	assert_null(kept_get(k, "unknown", before));
	/* The same length, in its place: what an upgrade does. */
	assert_int_equal(fs_write_atomic(program, "two", 3, 0755, NULL), 0);
	after = stamp();
	assert_string_not_equal(before, after);
	assert_null(kept_get(k, "version", after));
	kept_set(k, "version", after, "8.0");
	assert_string_equal(kept_get(k, "version", after), "8.0");
	assert_null(kept_get(k, "version", before));
}

/* Written in place, its modification time put back: the time of the change of the inode still tells. */
static void test_written_in_place(void **state)
{
	cleanup_free char *before = stamp(), *after = NULL;
	struct stat st;
	FILE *f;

	assert_int_equal(stat(program, &st), 0);
	f = fopen(program, "r+");
	assert_non_null(f);
	fputs("ONE", f);
	fclose(f);
	assert_int_equal(utimensat(0, program, (struct timespec[]){st.st_atim, st.st_mtim}, 0), 0);
	after = stamp();
	assert_string_not_equal(before, after);
}

static void test_nothing_there(void **state)
{
	cleanup_kept struct kept *k = kept_load(path);

	assert_null(kept_stamp((const char *const[]){program, "/nonexistent", NULL}));
	kept_set(k, "version", NULL, "1");
	assert_null(kept_get(k, "version", NULL));
	assert_null(kept_get(NULL, "version", "x"));
	kept_set(NULL, "version", "x", "1");
	assert_int_equal(kept_save(k, NULL), 0);
	assert_false(fs_exists(path)); /* nothing was set */
}

static void test_damaged_file(void **state)
{
	static const char *const texts[] = {
		"", "{", "[1]", "{\"a\":1}", "{\"a\":{\"stamp\":1,\"value\":\"x\"}}", "{\"a\":{\"stamp\":\"s\"}}"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		cleanup_kept struct kept *k = NULL;

		assert_int_equal(fs_write_atomic(path, texts[i], strlen(texts[i]), 0600, NULL), 0);
		k = kept_load(path);
		assert_null(kept_get(k, "a", "s"));
		kept_set(k, "a", "s", "v");
		assert_string_equal(kept_get(k, "a", "s"), "v");
		assert_int_equal(kept_save(k, NULL), 0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_kept_until_the_file_changes),
		TEST(test_written_in_place),
		TEST(test_nothing_there),
		TEST(test_damaged_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
