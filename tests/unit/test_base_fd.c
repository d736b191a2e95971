/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"

static int setup(void **state)
{
	char *dir = str_dup("/tmp/test_base_fd.XXXXXX");

	*state = dir;
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	int r = fs_remove_tree(*state, NULL);

	free(*state);
	return r;
}

static bool is_cloexec(int fd)
{
	return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static void test_flags(void **state)
{
	cleanup_error struct error *err = NULL;
	int fds[2];

	assert_int_equal(fd_socketpair(fds, NULL), 0);
	assert_true(is_cloexec(fds[0]) && is_cloexec(fds[1]));
	assert_int_equal(fd_set_cloexec(fds[0], false, NULL), 0);
	assert_false(is_cloexec(fds[0]));
	assert_int_equal(fd_set_nonblock(fds[0], true, NULL), 0);
	assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_nonblock(fds[0], false, NULL), 0);
	assert_false(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(fd_set_nonblock(-1, true, &err), -1);
	assert_int_equal(err->sys_errno, EBADF);
}

static void test_memfile(void **state)
{
	cleanup_close int sealed = fd_memfile("t", "hello", 5, true, NULL),
			  open_fd = fd_memfile("t", "", 0, false, NULL);
	cleanup_free char *text = NULL;
	size_t n;

	assert_true(is_cloexec(sealed) && is_cloexec(open_fd));
	assert_int_equal(fd_read_all(sealed, 5, &text, &n, NULL), 0); /* from the beginning */
	assert_string_equal(text, "hello");
	assert_int_equal(pwrite(sealed, "x", 1, 0), -1);
	assert_int_equal(ftruncate(sealed, 6), -1);
	assert_int_equal(ftruncate(sealed, 4), -1);
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(pwrite(open_fd, "x", 1, 0), 1);
}

static void test_guest_memory_seals(void **state)
{
	const size_t size = 1 << 20;
	cleanup_close int fd = fd_guest_memory("ram", size, NULL), reopened = -1;
	cleanup_free char *path = str_fmt("/proc/self/fd/%d", fd);
	struct stat st;
	char *p;

	assert_true(fd >= 0 && is_cloexec(fd));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, size);
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, (off_t)size * 2), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
	assert_ptr_equal(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	/* What a hypervisor does: opens it read-write by path and maps it privately. */
	reopened = open(path, O_RDWR | O_CLOEXEC);
	assert_true(reopened >= 0);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, reopened, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	p[0] = 'x';
	munmap(p, size);
	assert_int_equal(fd_guest_memory("ram", 0, NULL), -1);
	assert_int_equal(fd_guest_memory("ram", UINT64_MAX, NULL), -1);
}

static void test_listen_and_connect(void **state)
{
	cleanup_free char *path = fs_join(*state, "s");
	cleanup_close int server = fd_listen_unix(path, 0660, NULL), client = -1, peer = -1;
	cleanup_error struct error *conflict = NULL, *gone = NULL, *absent = NULL;
	struct stat st;

	assert_true(server >= 0 && is_cloexec(server));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	client = fd_connect_unix(path, NULL);
	assert_true(client >= 0 && is_cloexec(client));
	assert_true(fcntl(client, F_GETFL) & O_NONBLOCK);
	peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(write(client, "hi", 2), 2);
	assert_int_equal(read(peer, (char[8]){0}, 8), 2);
	assert_int_equal(fd_listen_unix(path, 0600, &conflict), -1);
	assert_int_equal(conflict->code, ERR_CONFLICT);
	assert_int_equal(stat(path, &st), 0); /* and the first one is untouched */
	fd_closep(&server);
	assert_int_equal(fd_connect_unix(path, &gone), -1);
	assert_int_equal(gone->code, ERR_UNAVAILABLE);
	assert_int_equal(gone->sys_errno, ECONNREFUSED);
	assert_int_equal(fs_unlink(path, NULL), 0);
	assert_int_equal(fd_connect_unix(path, &absent), -1);
	assert_int_equal(absent->code, ERR_UNAVAILABLE);
}

static void test_stale_socket_is_replaced(void **state)
{
	cleanup_free char *path = fs_join(*state, "s");
	cleanup_close int first = fd_listen_unix(path, 0600, NULL), second = -1, client = -1;
	mode_t old_umask;
	struct stat st;

	fd_closep(&first);
	old_umask = umask(0777);
	second = fd_listen_unix(path, 0666, NULL);
	umask(old_umask);
	assert_true(second >= 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);
	client = fd_connect_unix(path, NULL);
	assert_true(client >= 0);
}

static void test_busy_socket_is_no_stale_one(void **state)
{
	cleanup_free char *path = fs_join(*state, "s");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	cleanup_close int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), first = -1, second = -1;
	cleanup_error struct error *err = NULL;

	strcpy(addr.sun_path, path);
	assert_int_equal(bind(server, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(server, 0), 0);
	first = fd_connect_unix(path, NULL);
	second = fd_connect_unix(path, NULL); /* the queue is full from here on */
	assert_int_equal(fd_listen_unix(path, 0600, &err), -1);
	assert_int_equal(err->code, ERR_CONFLICT);
	assert_true(fs_exists(path));
}

static void test_listen_refuses(void **state)
{
	cleanup_free char *file = fs_join(*state, "f"), *text = NULL;
	cleanup_error struct error *conflict = NULL, *absent = NULL;
	char longest[109];

	assert_int_equal(fs_write_atomic(file, "keep", 4, 0600, NULL), 0);
	assert_int_equal(fd_listen_unix(file, 0600, &conflict), -1);
	assert_int_equal(conflict->code, ERR_CONFLICT);
	assert_int_equal(fs_read_file(file, 10, &text, NULL, NULL), 0);
	assert_string_equal(text, "keep");
	assert_int_equal(fd_listen_unix("/nonexistent/s", 0600, &absent), -1);
	assert_int_equal(absent->code, ERR_NOT_FOUND);
	memset(longest, 'x', sizeof(longest));
	for (size_t n = 107; n <= 108; n++) {
		cleanup_error struct error *err = NULL;
		int fd;

		memcpy(longest, *state, strlen(*state));
		longest[strlen(*state)] = '/';
		longest[n] = '\0';
		fd = fd_listen_unix(longest, 0600, &err);
		assert_int_equal(fd >= 0, n == 107);
		assert_true(fd >= 0 || err->code == ERR_INVALID);
		fd_closep(&fd);
		longest[n] = 'x';
	}
	assert_int_equal(fd_connect_unix("", NULL), -1);
}

static void test_count_open(void **state)
{
	size_t before = fd_count_open();
	cleanup_close int fd = fd_memfile("t", "", 0, false, NULL);

	assert_true(before >= 3 && fd >= 0);
	assert_int_equal(fd_count_open(), before + 1);
}

/* What log_write prints with SLICER_LOG set to `level`; the caller's. */
static char *logged(const char *level)
{
	int keep = dup(2), fd = fd_memfile("log", "", 0, false, NULL);
	char *text;
	size_t n;

	if (level)
		setenv("SLICER_LOG", level, 1);
	else
		unsetenv("SLICER_LOG");
	dup2(fd, 2);
	errno = EBADMSG;
	log_error("e%d\nx", 1);
	log_warn("w");
	log_info("i");
	log_debug("d");
	assert_int_equal(errno, EBADMSG);
	dup2(keep, 2);
	close(keep);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(fd_read_all(fd, 4096, &text, &n, NULL), 0);
	close(fd);
	return text;
}

static void test_log(void **state)
{
	static const struct {
		const char *level, *expected;
	} cases[] = {
		{NULL, "error: e1\\x0ax\nwarn: w\ninfo: i\n"},
		{"error", "error: e1\\x0ax\n"},
		{"warn", "error: e1\\x0ax\nwarn: w\n"},
		{"debug", "error: e1\\x0ax\nwarn: w\ninfo: i\ndebug: d\n"},
		{"nonsense", "error: e1\\x0ax\nwarn: w\ninfo: i\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_free char *text = logged(cases[i].level);

		assert_string_equal(text, cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_memfile),
		cmocka_unit_test(test_guest_memory_seals),
		cmocka_unit_test_setup_teardown(test_listen_and_connect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stale_socket_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_busy_socket_is_no_stale_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listen_refuses, setup, teardown),
		cmocka_unit_test(test_count_open),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
