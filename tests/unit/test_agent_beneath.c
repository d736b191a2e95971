/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>
#include "agent/beneath.h"
#include "base/fs.h"
#include "base/str.h"

struct fixture {
	char dir[64];
	int root;
};

static int setup(void **state)
{
	struct fixture *f = NEW(struct fixture);

	strcpy(f->dir, "/tmp/slicer-beneath-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->root = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->root);
	fs_remove_tree(f->dir, NULL);
	free(f);
	return 0;
}

static void test_parent(void **state)
{
	struct fixture *f = *state;
	const char *name;
	size_t before = fd_count_open();
	int fd = beneath_parent(f->root, "a/b/c", &name, NULL);
	struct stat st;

	assert_true(fd >= 0);
	assert_string_equal(name, "c");
	assert_int_equal(fstatat(f->root, "a/b", &st, 0), 0);
	assert_true(S_ISDIR(st.st_mode));
	close(fd);
	fd = beneath_parent(f->root, "top", &name, NULL);
	assert_string_equal(name, "top");
	close(fd);
	assert_int_equal(fd_count_open(), before);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {"",	    ".",  "..",	 "a/../b", "../x",   "a//b",
					  "/etc/x", "a/", "a/.", "link/x", "file/x", "deep/link/x"};
	struct fixture *f = *state;
	const char *name;
	size_t before;

	assert_int_equal(symlinkat("/tmp", f->root, "link"), 0);
	assert_int_equal(mkdirat(f->root, "deep", 0755), 0);
	assert_int_equal(symlinkat("..", f->root, "deep/link"), 0);
	close(openat(f->root, "file", O_CREAT | O_WRONLY, 0600));
	before = fd_count_open();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (beneath_parent(f->root, bad[i], &name, NULL) >= 0)
			fail_msg("accepted: %s", bad[i]);
	}
	assert_int_equal(beneath_mkdir(f->root, "link", NULL), -1);
	assert_int_equal(fd_count_open(), before);
}

static void test_temp_file(void **state)
{
	struct fixture *f = *state;
	struct temp_file t;
	struct stat st;
	char *text, *path = fs_join(f->dir, "target");
	size_t n;

	assert_int_equal(symlinkat("elsewhere", f->root, "target"), 0);
	assert_int_equal(temp_file_open(&t, f->root, NULL), 0);
	assert_int_equal(write(t.fd, "new", 3), 3);
	assert_int_equal(fstatat(f->root, "elsewhere", &st, 0), -1);
	assert_int_equal(temp_file_commit(&t, "target", 0751, 12345, NULL), 0);
	assert_int_equal(fstatat(f->root, "target", &st, AT_SYMLINK_NOFOLLOW),
			 0); /* the link was replaced, not followed */
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0751);
	assert_int_equal(st.st_mtime, 12345);
	assert_int_equal(fstatat(f->root, "elsewhere", &st, 0), -1);
	assert_int_equal(fs_read_file(path, 10, &text, &n, NULL), 0);
	assert_string_equal(text, "new");
	free(text);
	free(path);
}

static void test_temp_file_gone(void **state)
{
	struct fixture *f = *state;
	struct temp_file t;
	char name[32];

	assert_int_equal(temp_file_open(&t, f->root, NULL), 0);
	strcpy(name, t.name);
	assert_int_equal(faccessat(f->root, name, F_OK, 0), 0);
	temp_file_discard(&t);
	assert_int_equal(faccessat(f->root, name, F_OK, 0), -1);
	assert_int_equal(mkdirat(f->root, "dir", 0755), 0);
	assert_int_equal(temp_file_open(&t, f->root, NULL), 0);
	strcpy(name, t.name);
	assert_int_equal(temp_file_commit(&t, "dir", 0644, INT64_MIN, NULL), -1); /* onto a directory */
	assert_int_equal(faccessat(f->root, name, F_OK, 0), -1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_parent), T(test_refused), T(test_temp_file), T(test_temp_file_gone)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
