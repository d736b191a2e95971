/* SPDX-License-Identifier: MIT */
#include "image/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/rights.h"
#include "base/str.h"
#include "image/confine.h"
#include "image/interrupt.h"

enum {
	ANSWER_MAX = 1024 * 1024,
	WATCH_MS = 200,
	NOBODY = 65534,
	CHILD_UID = CONFINE_UID_FIRST + NOBODY,
};

/* What the C library, libarchive and its decoders use to turn bytes into other bytes. */
static const int allowed[] = {
	SCMP_SYS(brk),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(close),
	SCMP_SYS(dup),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(fcntl),
	SCMP_SYS(fstat),
	SCMP_SYS(futex),
	SCMP_SYS(getpid),
	SCMP_SYS(getrandom),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(lseek),
	SCMP_SYS(madvise),
	SCMP_SYS(mmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	SCMP_SYS(newfstatat),
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigpending),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack), /* a build with AddressSanitizer, before it ends */
	SCMP_SYS(time),
	SCMP_SYS(write),
	SCMP_SYS(writev),
};

/* Opening is refused like on a host where nothing is there (the C library looks for character sets); all else ends it. */
static int filter_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = filter ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_LEN(allowed) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(openat), 0);
	if (r == 0)
		r = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	return r;
}

static int become(uid_t id)
{
	return setgroups(0, NULL) < 0 || setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0 ? -1 : 0;
}

/* A root of few users (unshare --map-root-user) has nobody to become: it gives up its capabilities. */
static int become_nobody(struct error **err)
{
	if (geteuid() != 0 || become(CHILD_UID) == 0 || become(NOBODY) == 0)
		return 0;
	return rights_keep(NULL, 0, err);
}

static int drop_privileges(int *keep, size_t n, pid_t parent, struct error **err)
{
	const struct rlimit none = {0, 0};
	int r;

	if (fd_close_others(keep, n) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return error_errno(err, errno, "confine the reading");
	if (become_nobody(err) < 0)
		return -1;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || getppid() != parent)
		return error_errno(err, errno, "confine the reading");
	r = filter_calls();
	return r < 0 ? error_errno(err, -r, "confine the reading") : 0;
}

static void __attribute__((noreturn)) run_child(child_fn *fn, void *arg, int answer, int *keep, size_t n, pid_t parent)
{
	struct json_object *said = json_object_new_object();
	struct error *error = NULL;
	char *text;

	keep[n++] = answer;
	if (drop_privileges(keep, n, parent, &error) < 0 || fn(arg, said, &error) < 0) {
		js_add_string(said, "error", error_message(error));
		js_add_u64(said, "code", error->code);
	}
	text = js_to_string(said);
	_exit(fd_write_all(answer, text, strlen(text), NULL) < 0);
}

/* Until it closes its end. */
static int read_answer(int fd, pid_t pid, char **ret, size_t *ret_len, struct error **err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char *text = mem_alloc(ANSWER_MAX + 1);
	size_t n = 0;

	*ret = text;
	for (;;) {
		ssize_t got;

		if (interrupt_check(err) < 0) {
			kill(pid, SIGKILL);
			return -1;
		}
		if (poll(&p, 1, WATCH_MS) <= 0)
			continue;
		if (n == ANSWER_MAX) {
			kill(pid, SIGKILL); /* or both would wait */
			return error_set(err, ERR_TOO_LARGE, "what is to be told of it is more than %d bytes",
					 ANSWER_MAX);
		}
		got = read(fd, text + n, ANSWER_MAX - n);
		if (got <= 0) {
			*ret_len = n;
			return 0;
		}
		n += (size_t)got;
	}
}

static int judge(const char *text, size_t n, int status, struct json_object **ret, struct error **err)
{
	cleanup_json struct json_object *said = NULL;
	const char *message = NULL;
	uint64_t code = 0;

	if (WIFSIGNALED(status))
		return error_set(err, ERR_IO, "the process that reads it was killed by signal %d", WTERMSIG(status));
	said = js_parse(text, n, err);
	if (!said || js_get_string(said, "error", &message, err) < 0 ||
	    js_get_u64(said, "code", ERR_CANCELLED, &code, err) < 0)
		return -1;
	if (message)
		return error_set(err, (enum error_code)code, "%s", message);
	*ret = TAKE_PTR(said);
	return 0;
}

int child_run(child_fn *fn, void *arg, const int *fds, size_t nfds, struct json_object **ret, struct error **err)
{
	cleanup_free int *keep = mem_alloc_array(nfds + 1, sizeof(*keep));
	cleanup_close int own = -1, theirs = -1;
	cleanup_free char *text = NULL;
	int ends[2], status = 0, r;
	pid_t parent, pid;
	size_t n = 0;

	memcpy(keep, fds, nfds * sizeof(*keep));
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, errno, "pipe");
	own = ends[0];
	theirs = ends[1];
	fflush(stdout); /* or both would say it */
	parent = getpid();
	pid = fork();
	if (pid < 0)
		return error_errno(err, errno, "fork");
	if (pid == 0)
		run_child(fn, arg, theirs, keep, nfds, parent);
	fd_closep(&theirs);
	r = read_answer(own, pid, &text, &n, err);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_errno(err, errno, "waitpid");
	return r < 0 ? -1 : judge(text, n, status, ret, err);
}
