/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"

#define ARGV(...) ((char *const[]){__VA_ARGS__, NULL})
#define SH(script) ARGV((char *)"sh", (char *)"-c", (char *)(script))

/* Runs a shell script with the given spec and returns what it wrote to fd 1; the caller's. */
static char *spawn_output(struct proc_spec *spec, const struct proc_fd *more, size_t nmore)
{
	struct proc_fd fds[16];
	char *text = NULL;
	int pipe_fds[2], status;
	pid_t pid;

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	if (nmore)
		memcpy(fds, more, nmore * sizeof(*more));
	fds[nmore] = (struct proc_fd){.from = pipe_fds[1], .to = 1};
	spec->fds = fds;
	spec->nfds = nmore + 1;
	pid = proc_spawn(spec, NULL, NULL);
	assert_true(pid > 0);
	close(pipe_fds[1]);
	assert_int_equal(fd_read_all(pipe_fds[0], 65536, &text, NULL, NULL), 0);
	close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return text;
}

static void test_overlapping_fds(void **state)
{
	int fds[3];
	struct proc_spec spec = {.argv = SH("cat /dev/fd/33 /dev/fd/34 /dev/fd/35 -")};
	cleanup_free char *text = NULL;

	for (int i = 0; i < 3; i++) {
		cleanup_free char *content = str_fmt("file%d;", i);
		int fd = fd_memfile("t", content, strlen(content), true, NULL);

		fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		close(fd);
	}
	/* Exchanged, kept in place, and one onto stdin: the numbers that the caller has are all in
	 * use as targets. */
	assert_int_equal(dup3(fds[0], 33, O_CLOEXEC), 33);
	assert_int_equal(dup3(fds[1], 34, O_CLOEXEC), 34);
	assert_int_equal(dup3(fds[2], 35, O_CLOEXEC), 35);
	text = spawn_output(&spec, (struct proc_fd[]){{33, 34}, {34, 33}, {35, 35}, {33, 0}}, 4);
	/* 0 and 34 are one open file; /dev/fd opens it afresh, so that its offset stays at the
	 * start for "-". */
	assert_string_equal(text, "file1;file0;file2;file0;");
	for (int i = 0; i < 3; i++) {
		assert_true(fcntl(33 + i, F_GETFD) & FD_CLOEXEC); /* the caller's stay as they were */
		close(33 + i);
		close(fds[i]);
	}
}

static void test_nothing_else_is_inherited(void **state)
{
	int leak = open("/dev/null", O_RDONLY), high = fcntl(leak, F_DUPFD, 500); /* not close-on-exec, on purpose */
	struct proc_spec spec = {.argv = SH("for f in /proc/self/fd/*; do echo ${f##*/}; done; "
					    "readlink /proc/$$/fd/0; readlink /proc/$$/fd/7")};
	cleanup_free char *text = spawn_output(&spec, (struct proc_fd[]){{leak, 7}}, 1);

	close(leak);
	close(high);
	/* The shell's glob has one fd of its own for the directory. */
	assert_true(str_eq(text, "0\n1\n2\n3\n7\n/dev/null\n/dev/null\n") ||
		    str_eq(text, "0\n1\n2\n7\n/dev/null\n/dev/null\n"));
}

static void test_bad_fds_are_refused(void **state)
{
	static const struct proc_fd twice[] = {{0, 5}, {1, 5}}, closed[] = {{987, 5}}, negative[] = {{0, -1}};
	struct proc_spec spec = {.argv = SH("true"), .fds = twice, .nfds = 2};
	cleanup_error struct error *err = NULL, *bad = NULL;

	assert_int_equal(proc_spawn(&spec, NULL, &err), -1);
	assert_int_equal(err->code, ERR_INVALID);
	spec.fds = closed;
	spec.nfds = 1;
	assert_int_equal(proc_spawn(&spec, NULL, &bad), -1);
	assert_int_equal(bad->sys_errno, EBADF);
	spec.fds = negative;
	assert_int_equal(proc_spawn(&spec, NULL, NULL), -1);
}

static void test_exec_failure_names_the_program(void **state)
{
	const struct {
		struct proc_spec spec;
		enum error_code code;
		const char *message;
	} cases[] = {
		{{.argv = ARGV((char *)"/nonexistent/prog")},
		 ERR_NOT_FOUND,
		 "cannot start /nonexistent/prog: No such file or directory"},
		{{.argv = ARGV((char *)"no-such-program-xyz")},
		 ERR_NOT_FOUND,
		 "program no-such-program-xyz is not installed (not in PATH)"},
		{{.argv = ARGV((char *)"x"), .exe = "/etc/passwd"},
		 ERR_FORBIDDEN,
		 "cannot start /etc/passwd: Permission denied"},
		{{.argv = SH("true"), .exe = "/bin/sh", .cwd = "/nonexistent"},
		 ERR_NOT_FOUND,
		 "cannot start /bin/sh: directory /nonexistent: No such file or directory"},
	};
	size_t before = fd_count_open();

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cleanup_error struct error *err = NULL;
		int pidfd = -7;

		assert_int_equal(proc_spawn(&cases[i].spec, &pidfd, &err), -1);
		assert_int_equal(err->code, cases[i].code);
		assert_string_equal(error_message(err), cases[i].message);
		assert_int_equal(pidfd, -7);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie */
	assert_int_equal(errno, ECHILD);
	assert_int_equal(fd_count_open(), before);
}

static void test_environment_cwd_and_session(void **state)
{
	struct proc_spec spec = {.argv = SH("echo $A $HOME; pwd; ps -o sid= -p $$ | tr -d ' '; echo $$"),
				 .env = ARGV((char *)"A=b", (char *)"PATH=/usr/bin:/bin"),
				 .cwd = "/usr",
				 .new_session = true};
	cleanup_free char *text = spawn_output(&spec, NULL, 0);
	cleanup_strv char **lines = strv_split(text, '\n');

	assert_string_equal(lines[0], "b");
	assert_string_equal(lines[1], "/usr");
	assert_string_equal(lines[2], lines[3]); /* its own session leader */
}

static void test_signals_are_reset(void **state)
{
	struct proc_spec spec = {.argv = SH("grep -E '^Sig(Blk|Ign)' /proc/self/status")};
	cleanup_free char *text = NULL;
	sigset_t blocked, old;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &old);
	signal(SIGPIPE, SIG_IGN);
	text = spawn_output(&spec, NULL, 0);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	assert_true(sigismember(&blocked, SIGTERM)); /* the caller's mask is as before */
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_string_equal(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void test_pidfd_and_identity(void **state)
{
	struct proc_spec spec = {.argv = SH("exec sleep 60")};
	cleanup_close int pidfd = -1, again = -1;
	cleanup_error struct error *other = NULL, *gone = NULL;
	pid_t pid = proc_spawn(&spec, &pidfd, NULL);
	uint64_t start = proc_start_time(pid);
	struct pollfd pfd = {.fd = pidfd, .events = POLLIN};

	assert_true(pid > 0 && pidfd >= 0 && start > 0);
	assert_true(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
	assert_true(proc_is_alive(pid, start));
	assert_false(proc_is_alive(pid, start + 1));
	assert_int_equal(proc_pidfd(pid, start + 1, &other), -1);
	assert_int_equal(other->code, ERR_NOT_FOUND);
	again = proc_pidfd(pid, start, NULL);
	assert_true(again >= 0 && (fcntl(again, F_GETFD) & FD_CLOEXEC));
	assert_int_equal(poll(&pfd, 1, 0), 0);
	kill(pid, SIGKILL);
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	assert_false(proc_is_alive(pid, start)); /* a zombie, still with its start time */
	assert_true(proc_start_time(pid) == start);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(proc_start_time(pid) == 0);
	assert_int_equal(proc_pidfd(pid, start, &gone), -1);
	assert_int_equal(gone->code, ERR_NOT_FOUND);
}

static void test_identity_of_nobody(void **state)
{
	assert_true(proc_start_time(0) == 0);
	assert_true(proc_start_time(-1) == 0);
	assert_false(proc_is_alive(-1, 0));
	assert_int_equal(proc_pidfd(0, 0, NULL), -1);
	assert_true(proc_is_alive(getpid(), proc_start_time(getpid())));
}

/* A name with spaces and parentheses must not shift the fields of /proc/PID/stat. */
static void test_start_time_with_hostile_name(void **state)
{
	char old[16];
	uint64_t start = proc_start_time(getpid());

	prctl(PR_GET_NAME, old);
	prctl(PR_SET_NAME, "a) Z 1 (b 99");
	assert_true(proc_start_time(getpid()) == start);
	assert_true(proc_is_alive(getpid(), start));
	prctl(PR_SET_NAME, old);
}

static void middle_process(int fd)
{
	struct proc_spec spec = {.argv = SH("exec sleep 60"), .die_with_parent = true};
	pid_t pid = proc_spawn(&spec, NULL, NULL);

	if (write(fd, &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
		_exit(1);
	for (;;)
		pause();
}

static void test_die_with_parent(void **state)
{
	int pipe_fds[2];
	pid_t middle, child = 0;
	struct pollfd pfd = {.events = POLLIN};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	middle = fork();
	if (middle == 0)
		middle_process(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &child, sizeof(child)), sizeof(child));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	assert_true(child > 0);
	pfd.fd = proc_pidfd(child, proc_start_time(child), NULL);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	kill(middle, SIGKILL);
	assert_int_equal(waitpid(middle, NULL, 0), middle);
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(pfd.fd);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void test_find_program(void **state)
{
	cleanup_free char *sh = proc_find_program("sh"), *absolute = proc_find_program("/bin/sh"), *sbin = NULL;
	cleanup_free char *old = str_dup(getenv("PATH")), *boot = host_boot_id(NULL);

	assert_true(sh && sh[0] == '/' && str_ends(sh, "/sh"));
	assert_string_equal(absolute, "/bin/sh");
	assert_null(proc_find_program("no-such-program-xyz"));
	assert_null(proc_find_program(""));
	assert_null(proc_find_program("/etc/passwd"));
	assert_null(proc_find_program("/usr"));
	setenv("PATH", "::.", 1);
	assert_null(proc_find_program("sh"));
	sbin = proc_find_program("ldconfig");
	setenv("PATH", old, 1);
	assert_true(sbin && str_ends(sbin, "/sbin/ldconfig"));
	assert_int_equal(strlen(boot), 36);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_overlapping_fds),
		cmocka_unit_test(test_nothing_else_is_inherited),
		cmocka_unit_test(test_bad_fds_are_refused),
		cmocka_unit_test(test_exec_failure_names_the_program),
		cmocka_unit_test(test_environment_cwd_and_session),
		cmocka_unit_test(test_signals_are_reset),
		cmocka_unit_test(test_pidfd_and_identity),
		cmocka_unit_test(test_identity_of_nobody),
		cmocka_unit_test(test_start_time_with_hostile_name),
		cmocka_unit_test(test_die_with_parent),
		cmocka_unit_test(test_find_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
