/* SPDX-License-Identifier: MIT */
/* Starting a program. The caller may be one of many threads, so the child calls only what is
 * async-signal-safe: all allocation and all checks happen before the clone. */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/units.h"

#define EXEC_DEADLINE_MS 10000 /* a working directory or program on a dead network file system */
#define MAX_FD (1 << 20)

enum stage { STAGE_FDS, STAGE_SESSION, STAGE_PARENT, STAGE_CWD, STAGE_EXEC };

/* What the child says through the pipe when it cannot start the program. */
struct failure {
	enum stage stage;
	int errnum;
};

/* All that the child needs, made by the parent. */
struct plan {
	const struct proc_spec *spec;
	const char *exe;
	char *const *env;
	struct proc_fd *fds; /* sorted by `to`; 0–2 always there, but 2 not when it is inherited */
	size_t nfds;
	int report; /* write end of the pipe */
	pid_t parent;
	sigset_t mask; /* the caller's, to be restored in the parent */
};

/* -1 as `from` means /dev/null. */
static int compare_fds(const void *a, const void *b)
{
	const struct proc_fd *x = a, *y = b;

	return x->to < y->to ? -1 : x->to > y->to;
}

static bool has_target(const struct plan *p, int to)
{
	for (size_t i = 0; i < p->nfds; i++)
		if (p->fds[i].to == to)
			return true;
	return false;
}

static int plan_fds(struct plan *p, struct error **err)
{
	const struct proc_spec *spec = p->spec;

	p->fds = mem_alloc_array(spec->nfds + 3, sizeof(*p->fds));
	for (size_t i = 0; i < spec->nfds; i++) {
		const struct proc_fd *fd = &spec->fds[i];

		if (fd->to < 0 || fd->to >= MAX_FD || has_target(p, fd->to))
			return error_set(err, ERR_INVALID, "cannot start %s: fd %d is given twice or out of range",
					 p->exe, fd->to);
		if (fcntl(fd->from, F_GETFD) < 0)
			return error_errno(err, errno, "cannot start %s: fd %d", p->exe, fd->from);
		p->fds[p->nfds++] = *fd;
	}
	for (int to = 0; to <= 2; to++)
		if (!has_target(p, to) && (to < 2 || fcntl(2, F_GETFD) < 0))
			p->fds[p->nfds++] = (struct proc_fd){.from = -1, .to = to};
	qsort(p->fds, p->nfds, sizeof(*p->fds), compare_fds);
	return 0;
}

/* ---- in the child ---- */

static void __attribute__((noreturn)) give_up(const struct plan *p, enum stage stage)
{
	struct failure f = {.stage = stage, .errnum = errno};
	ssize_t n = write(p->report, &f, sizeof(f));

	(void)n; /* without it, the parent sees status 127 */
	_exit(127);
}

/* Signals that the caller handles or ignores are no business of the program. */
static void reset_signals(void)
{
	struct sigaction sa = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int sig = 1; sig < _NSIG; sig++)
		sigaction(sig, &sa, NULL); /* fails for SIGKILL, SIGSTOP and two of libc's */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_fds(int first, int last)
{
	struct rlimit limit;

	if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
		return;
	/* Kernels before 5.9 (in guests). All of our own fds are close-on-exec, so this is a second
	 * net only. */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > 65536)
		limit.rlim_cur = 65536;
	for (int fd = first; fd <= last && fd < (int)limit.rlim_cur; fd++)
		close(fd);
}

/* Numbers may overlap (3→4, 4→3): everything first moves above all targets, then into place. */
static void place_fds(struct plan *p)
{
	int above = p->fds[p->nfds - 1].to + 1, next = 3;

	if (above < 3)
		above = 3;
	p->report = fcntl(p->report, F_DUPFD_CLOEXEC, above);
	if (p->report < 0)
		_exit(127);
	for (size_t i = 0; i < p->nfds; i++) {
		int from = p->fds[i].from < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : p->fds[i].from;

		p->fds[i].from = from < 0 ? -1 : fcntl(from, F_DUPFD_CLOEXEC, above);
		if (p->fds[i].from < 0)
			give_up(p, STAGE_FDS);
	}
	for (size_t i = 0; i < p->nfds; i++)
		if (dup2(p->fds[i].from, p->fds[i].to) < 0)
			give_up(p, STAGE_FDS);
	for (size_t i = 0; i < p->nfds; i++) {
		if (p->fds[i].to < 3)
			continue;
		close_fds(next, p->fds[i].to - 1);
		next = p->fds[i].to + 1;
	}
	close_fds(next, p->report - 1);
	close_fds(p->report + 1, INT_MAX);
}

static void __attribute__((noreturn)) run_child(struct plan *p)
{
	const struct proc_spec *spec = p->spec;

	place_fds(p);
	if (spec->new_session && setsid() < 0)
		give_up(p, STAGE_SESSION);
	if (spec->die_with_parent) {
		pid_t parent;

		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
			give_up(p, STAGE_PARENT);
		/* It may have died before. A parent in an outer pid namespace shows as 0. */
		parent = getppid();
		if (parent && parent != p->parent)
			_exit(127);
	}
	if (spec->cwd && chdir(spec->cwd) < 0)
		give_up(p, STAGE_CWD);
	reset_signals();
	execve(p->exe, spec->argv, p->env);
	give_up(p, STAGE_EXEC);
}

/* ---- in the parent ---- */

/* fork, but with the pidfd made by the same call (nobody can reap the child in between) and without
 * libc's fork handlers. Signals stay blocked until the child has dropped our handlers. */
static pid_t clone_child(struct plan *p, int *ret_pidfd)
{
	sigset_t all;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &p->mask);
	pid = (pid_t)syscall(SYS_clone, (unsigned long)(CLONE_PIDFD | SIGCHLD), NULL, ret_pidfd, NULL, NULL);
	if (pid == 0)
		run_child(p);
	pthread_sigmask(SIG_SETMASK, &p->mask, NULL);
	return pid;
}

static int report_failure(const struct plan *p, const struct failure *f, struct error **err)
{
	switch (f->stage) {
	case STAGE_FDS:
		return error_errno(err, f->errnum, "cannot start %s: passing its fds", p->exe);
	case STAGE_SESSION:
	case STAGE_PARENT:
		return error_errno(err, f->errnum, "cannot start %s: setting up its session", p->exe);
	case STAGE_CWD:
		return error_errno(err, f->errnum, "cannot start %s: directory %s", p->exe, p->spec->cwd);
	case STAGE_EXEC:
		break;
	}
	return error_errno(err, f->errnum, "cannot start %s", p->exe);
}

/* Returns when the program runs (the pipe closed on exec). */
static int await_exec(const struct plan *p, int pipe_fd, struct error **err)
{
	struct pollfd pfd = {.fd = pipe_fd, .events = POLLIN};
	struct deadline deadline = deadline_in(EXEC_DEADLINE_MS);
	struct failure f;
	int r = deadline_poll(&deadline, &pfd, 1);
	ssize_t n;

	if (r == 0)
		return error_set(err, ERR_TIMEOUT, "cannot start %s: no exec within %d ms", p->exe, EXEC_DEADLINE_MS);
	if (r < 0)
		return error_errno(err, errno, "cannot start %s", p->exe);
	n = read(pipe_fd, &f, sizeof(f));
	if (n == 0)
		return 0;
	if (n != (ssize_t)sizeof(f))
		return error_set(err, ERR_INTERNAL, "cannot start %s: short report from the child", p->exe);
	return report_failure(p, &f, err);
}

/* By the pidfd: a caller that reaps everything may have been faster. One that hangs in a system
 * call stays behind. */
static void reap_failed(int pidfd)
{
	struct pollfd pfd = {.fd = pidfd, .events = POLLIN};
	siginfo_t info;

	syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	while (poll(&pfd, 1, 1000) < 0 && errno == EINTR)
		;
	waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
}

static pid_t start(struct plan *p, int *ret_pidfd, struct error **err)
{
	cleanup_close int read_end = -1, write_end = -1, pidfd = -1;
	int pipe_fds[2];
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_errno(err, errno, "cannot start %s", p->exe);
	read_end = pipe_fds[0];
	p->report = write_end = pipe_fds[1];
	p->parent = getpid();
	pid = clone_child(p, &pidfd);
	if (pid < 0)
		return error_errno(err, errno, "cannot start %s", p->exe);
	fd_closep(&write_end);
	if (await_exec(p, read_end, err) < 0) {
		reap_failed(pidfd);
		return -1;
	}
	if (ret_pidfd)
		*ret_pidfd = TAKE_FD(pidfd);
	return pid;
}

pid_t proc_spawn(const struct proc_spec *spec, int *ret_pidfd, struct error **err)
{
	struct plan p = {.spec = spec, .env = spec->env ? spec->env : environ};
	cleanup_free char *found = NULL;
	pid_t pid = -1;

	if (spec->exe || strchr(spec->argv[0], '/')) {
		p.exe = spec->exe ? spec->exe : spec->argv[0];
	} else {
		found = proc_find_program(spec->argv[0]);
		if (!found)
			return error_set(err, ERR_NOT_FOUND, "program %s is not installed (not in PATH)",
					 spec->argv[0]);
		p.exe = found;
	}
	if (plan_fds(&p, err) == 0)
		pid = start(&p, ret_pidfd, err);
	free(p.fds);
	return pid;
}
