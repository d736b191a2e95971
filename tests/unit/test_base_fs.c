/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/str.h"

static int setup(void **state)
{
	char *dir = str_dup("/tmp/test_base_fs.XXXXXX");

	*state = dir;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	int r = fs_remove_tree(*state, NULL);

	free(*state);
	return r;
}

static void put(const char *path, const char *text)
{
	assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600, NULL), 0);
}

static void check_content(const char *path, const char *expected)
{
	cleanup_free char *text = NULL;
	size_t n;

	assert_int_equal(fs_read_file(path, 1 << 20, &text, &n, NULL), 0);
	assert_string_equal(text, expected);
	assert_int_equal(n, strlen(expected));
}

static void test_read_limits(void **state)
{
	cleanup_free char *path = fs_join(*state, "f"), *text = NULL;
	cleanup_error struct error *large = NULL, *absent = NULL;
	size_t n = 0;

	put(path, "12345");
	assert_int_equal(fs_read_file(path, 5, &text, &n, NULL), 0);
	assert_int_equal(n, 5);
	assert_string_equal(text, "12345");
	assert_int_equal(fs_read_file(path, 4, &text, &n, &large), -1);
	assert_int_equal(large->code, ERR_TOO_LARGE);
	assert_non_null(strstr(error_message(large), path));
	assert_int_equal(fs_read_file(path, 0, &text, &n, NULL), -1);
	assert_int_equal(fs_read_file("/nonexistent/x", 5, &text, &n, &absent), -1);
	assert_int_equal(absent->code, ERR_NOT_FOUND);
	assert_string_equal(error_message(absent), "cannot open /nonexistent/x: No such file or directory");
}

static void test_read_large(void **state)
{
	cleanup_free char *path = fs_join(*state, "f"), *data = mem_alloc(3000001), *back = NULL;
	size_t n;

	memset(data, 'x', 3000000);
	put(path, data);
	assert_int_equal(fs_read_file(path, SIZE_MAX, &back, &n, NULL), 0);
	assert_int_equal(n, 3000000);
	assert_string_equal(back, data);
}

static void test_write_atomic(void **state)
{
	cleanup_free char *path = fs_join(*state, "f"), *link = fs_join(*state, "link");
	cleanup_error struct error *err = NULL;
	mode_t old_umask = umask(077);
	struct stat st;

	put(path, "one");
	assert_int_equal(fs_write_atomic(path, "a\0b", 3, 0644, NULL), 0);
	umask(old_umask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(st.st_size, 3);
	/* A symlink is replaced, not followed. */
	assert_int_equal(symlink("f", link), 0);
	put(link, "two");
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(fs_write_atomic("/nonexistent/x", "", 0, 0600, &err), -1);
	assert_int_equal(err->code, ERR_NOT_FOUND);
}

static void test_write_replace(void **state)
{
	cleanup_free char *path = fs_join(*state, "f"), *link = fs_join(*state, "link"), *text = NULL;
	struct stat st;
	size_t n;

	put(path, "one");
	assert_int_equal(symlink("f", link), 0);
	assert_int_equal(fs_write_replace(link, "two", 3, 0640, NULL), 0);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(fs_read_file(path, 10, &text, &n, NULL), 0);
	assert_string_equal(text, "one");
	assert_int_equal(fs_write_replace("/nonexistent/x", "", 0, 0600, NULL), -1);
}

/* The directory must hold nothing but what it held before. */
static void test_failed_write_leaves_nothing(void **state)
{
	cleanup_free char *dir = fs_join(*state, "d"), *inside = fs_join(dir, "x");
	cleanup_error struct error *err = NULL;

	assert_int_equal(fs_mkdir_p(dir, 0700, NULL), 0);
	put(inside, "x");
	assert_int_equal(fs_write_atomic(dir, "y", 1, 0600, &err), -1); /* a directory is in the way */
	assert_non_null(err);
	fs_unlink(inside, NULL);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(rmdir(*state), 0); /* no temporary file beside it */
	assert_int_equal(mkdir(*state, 0700), 0);
}

static void test_mkdir_p(void **state)
{
	cleanup_free char *deep = fs_join(*state, "a//b/c/"), *file = fs_join(*state, "f"), *below = fs_join(file, "x");
	cleanup_error struct error *err = NULL;

	assert_int_equal(fs_mkdir_p(deep, 0700, NULL), 0);
	assert_int_equal(fs_mkdir_p(deep, 0700, NULL), 0);
	assert_true(fs_exists(deep));
	assert_int_equal(fs_mkdir_p("/", 0700, NULL), 0);
	put(file, "");
	assert_int_equal(fs_mkdir_p(file, 0700, NULL), -1);
	assert_int_equal(fs_mkdir_p(below, 0700, &err), -1);
	assert_int_equal(err->sys_errno, ENOTDIR);
}

static void test_mkdir_p_public(void **state)
{
	cleanup_free char *outer = fs_join(*state, "a"), *inner = fs_join(outer, "b");
	struct stat st;
	mode_t before = umask(077);

	assert_int_equal(fs_mkdir_p_public(inner, NULL), 0);
	umask(before);
	assert_int_equal(stat(outer, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(stat(inner, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	/* What is there already is somebody's decision. */
	assert_int_equal(chmod(outer, 0700), 0);
	assert_int_equal(fs_mkdir_p_public(inner, NULL), 0);
	assert_int_equal(stat(outer, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void test_write_first(void **state)
{
	cleanup_free char *path = fs_join(*state, "f"), *below = fs_join(path, "x");

	assert_int_equal(fs_write_first(path, "one", 3, 0600, NULL), 0);
	assert_int_equal(fs_write_first(path, "two", 3, 0644, NULL), 0);
	check_content(path, "one");
	assert_int_equal(fs_write_first(below, "x", 1, 0600, NULL), -1);
	fs_unlink(path, NULL);
	assert_int_equal(rmdir(*state), 0); /* no temporary file beside it */
	assert_int_equal(mkdir(*state, 0700), 0);
}

static void test_unlink(void **state)
{
	cleanup_free char *path = fs_join(*state, "f");

	put(path, "");
	assert_int_equal(fs_unlink(path, NULL), 0);
	assert_false(fs_exists(path));
	assert_int_equal(fs_unlink(path, NULL), 0);
	assert_int_equal(fs_unlink(*state, NULL), -1);
}

static void test_remove_tree_follows_no_symlink(void **state)
{
	cleanup_free char *outside = fs_join(*state, "outside"), *kept = fs_join(outside, "kept");
	cleanup_free char *tree = fs_join(*state, "tree"), *sub = fs_join(tree, "sub/deeper");
	cleanup_free char *to_dir = fs_join(sub, "dirlink"), *to_file = fs_join(tree, "filelink");
	cleanup_free char *top_link = fs_join(*state, "toplink"), *hidden = fs_join(sub, ".hidden");

	assert_int_equal(fs_mkdir_p(outside, 0700, NULL), 0);
	assert_int_equal(fs_mkdir_p(sub, 0700, NULL), 0);
	put(kept, "still here");
	put(hidden, "");
	assert_int_equal(symlink(outside, to_dir), 0);
	assert_int_equal(symlink(kept, to_file), 0);
	assert_int_equal(symlink(outside, top_link), 0);
	assert_int_equal(fs_remove_tree(tree, NULL), 0);
	assert_false(fs_exists(tree));
	assert_int_equal(fs_remove_tree(top_link, NULL), 0);
	check_content(kept, "still here");
	assert_int_equal(fs_remove_tree(tree, NULL), 0); /* nothing there */
	assert_int_equal(fs_remove_tree(kept, NULL), 0); /* a file */
	assert_false(fs_exists(kept));
}

static void remove_with_mount(const char *tree, const char *inner)
{
	cleanup_free char *mounted = fs_join(inner, "f");
	cleanup_error struct error *inside = NULL, *top = NULL;

	/* As root; else by a user namespace. A bind mount has the device number of the tree itself.
	 */
	if ((unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount(inner, inner, NULL, MS_BIND, NULL) < 0)
		_exit(2);
	if (fs_remove_tree(tree, &inside) == 0 || inside->code != ERR_CONFLICT || !fs_exists(mounted))
		_exit(3);
	if (fs_remove_tree(inner, &top) == 0 || top->code != ERR_CONFLICT || !fs_exists(mounted))
		_exit(4);
	_exit(0);
}

static void test_remove_tree_stops_at_mounts(void **state)
{
	cleanup_free char *tree = fs_join(*state, "tree"), *inner = fs_join(tree, "inner"), *file = fs_join(inner, "f");
	int status;
	pid_t pid;

	assert_int_equal(fs_mkdir_p(inner, 0700, NULL), 0);
	put(file, "on another mount");
	pid = fork();
	if (pid == 0)
		remove_with_mount(tree, inner);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	check_content(file, "on another mount");
}

/* Deeper than PATH_MAX and than the number of fds that a process may open. */
static void test_remove_tree_deep_and_wide(void **state)
{
	cleanup_free char *tree = fs_join(*state, "tree");
	cleanup_error struct error *err = NULL;
	size_t before = fd_count_open();
	int cwd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(mkdir(tree, 0700), 0);
	assert_int_equal(chdir(tree), 0);
	for (int i = 0; i < 300; i++) {
		cleanup_free char *name = str_fmt("file%d", i);

		put(name, "");
	}
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(mkdir("d", 0700), 0);
		assert_int_equal(mkdir(".removing-0", 0700), 0);
		assert_int_equal(chdir("d"), 0);
	}
	assert_int_equal(fchdir(cwd), 0);
	close(cwd);
	if (fs_remove_tree(tree, &err) < 0)
		fail_msg("%s", error_message(err));
	assert_false(fs_exists(tree));
	assert_int_equal(fd_count_open(), before);
}

static void test_list_dirs(void **state)
{
	static const char *const dirs[] = {"vm-10", "vm-9", ".hidden", "a"};
	cleanup_free char *link = fs_join(*state, "link"), *file = fs_join(*state, "file");
	cleanup_free char *absent = fs_join(*state, "absent");
	cleanup_strv char **names = NULL, **none = NULL;
	cleanup_free char *joined = NULL;
	cleanup_error struct error *error = NULL;

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		cleanup_free char *path = fs_join(*state, dirs[i]);

		assert_int_equal(fs_mkdir_p(path, 0700, NULL), 0);
	}
	put(file, "");
	assert_int_equal(symlink("a", link), 0);
	assert_int_equal(fs_list_dirs(*state, &names, NULL), 0);
	joined = strv_join(names, " ");
	assert_string_equal(joined, "a vm-9 vm-10");
	assert_int_equal(fs_list_dirs(absent, &none, NULL), 0);
	assert_null(none);
	assert_int_equal(fs_list_dirs(file, &none, &error), -1);
	assert_non_null(strstr(error_message(error), file));
}

static void test_copy_keeps_holes(void **state)
{
	cleanup_free char *from = fs_join(*state, "from"), *to = fs_join(*state, "to"), *back = NULL;
	cleanup_close int fd = open(from, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;
	size_t n;

	assert_int_equal(pwrite(fd, "start", 5, 0), 5);
	assert_int_equal(pwrite(fd, "middle", 6, 9000000), 6);
	assert_int_equal(ftruncate(fd, 20000000), 0);
	assert_int_equal(fs_copy_file(from, to, 0640, NULL), 0);
	assert_int_equal(stat(to, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_size, 20000000);
	assert_true(st.st_blocks * 512 < 4000000);
	assert_int_equal(fs_read_file(to, 20000000, &back, &n, NULL), 0);
	assert_memory_equal(back, "start", 5);
	assert_memory_equal(back + 9000000, "middle", 6);
	assert_int_equal(back[8999999], 0);
	assert_int_equal(fs_copy_file(to, to, 0600, NULL), 0); /* onto itself */
	assert_int_equal(stat(to, &st), 0);
	assert_int_equal(st.st_size, 20000000);
}

static void test_copy_failures(void **state)
{
	cleanup_free char *from = fs_join(*state, "from"), *to = fs_join(*state, "to");
	cleanup_error struct error *absent = NULL, *directory = NULL;

	put(to, "before");
	assert_int_equal(fs_copy_file(from, to, 0600, &absent), -1);
	assert_int_equal(absent->code, ERR_NOT_FOUND);
	assert_int_equal(fs_copy_file(*state, to, 0600, &directory), -1);
	assert_int_equal(directory->code, ERR_INVALID);
	check_content(to, "before");
	put(from, "");
	assert_int_equal(fs_copy_file(from, to, 0600, NULL), 0);
	check_content(to, "");
}

static void test_lock(void **state)
{
	cleanup_free char *path = fs_join(*state, "lock"), *expected = NULL, *pid = str_fmt("%d\n", (int)getpid());
	cleanup_error struct error *err = NULL;
	cleanup_close int fd = fs_lock(path, NULL), again = -1;
	struct stat st;

	assert_true(fd >= 0);
	check_content(path, pid);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(fs_lock(path, &err), -1);
	assert_int_equal(err->code, ERR_CONFLICT);
	expected = str_fmt("%s is locked by process %d", path, (int)getpid());
	assert_string_equal(error_message(err), expected);
	check_content(path, pid); /* the loser writes nothing */
	fd_closep(&fd);
	again = fs_lock(path, NULL);
	assert_true(again >= 0);
}

static void test_lock_follows_no_symlink(void **state)
{
	cleanup_free char *path = fs_join(*state, "lock"), *victim = fs_join(*state, "victim");

	put(victim, "precious");
	assert_int_equal(symlink(victim, path), 0);
	assert_int_equal(fs_lock(path, NULL), -1);
	check_content(victim, "precious");
}

static void check_path(char *(*f)(const char *), const char *in, const char *expected)
{
	cleanup_free char *out = f(in);

	assert_string_equal(out, expected);
}

static void check_join(const char *dir, const char *name, const char *expected)
{
	cleanup_free char *out = fs_join(dir, name);

	assert_string_equal(out, expected);
}

static void test_paths(void **state)
{
	cleanup_free char *cwd = getcwd(NULL, 0), *relative = fs_absolute("x/../y"), *expected = fs_join(cwd, "y");

	check_path(fs_dirname, "/a/b", "/a");
	check_path(fs_dirname, "/a", "/");
	check_path(fs_dirname, "/", "/");
	check_path(fs_dirname, "a", ".");
	check_path(fs_dirname, "a//b//", "a");
	check_path(fs_dirname, "", ".");
	check_path(fs_basename, "/a/b", "b");
	check_path(fs_basename, "/a/b//", "b");
	check_path(fs_basename, "a", "a");
	check_path(fs_basename, "/", "/");
	check_join("/a", "b", "/a/b");
	check_join("/a/", "/b", "/a/b");
	check_join("/", "b", "/b");
	check_join("", "b", "b");
	check_path(fs_absolute, "/a/./b//../c/", "/a/c");
	check_path(fs_absolute, "/../..", "/");
	check_path(fs_absolute, "/", "/");
	check_path(fs_absolute, "", cwd);
	check_path(fs_absolute, ".", cwd);
	assert_string_equal(relative, expected);
}

static void test_self_exe(void **state)
{
	cleanup_free char *path = fs_self_exe(), *name = fs_basename(path);

	assert_string_equal(name, "test_base_fs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_large, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_atomic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_replace, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed_write_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mkdir_p, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mkdir_p_public, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unlink, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_tree_follows_no_symlink, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_tree_stops_at_mounts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_tree_deep_and_wide, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list_dirs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copy_keeps_holes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copy_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lock_follows_no_symlink, setup, teardown),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_self_exe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
