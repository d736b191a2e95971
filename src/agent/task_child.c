/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/close_range.h>
#include "base/str.h"
#include "agent/task_child.h"

enum { NOFILE_SOFT = 65536, NOFILE_HARD = 1048576 };
enum step { STEP_NONE, STEP_FDS, STEP_TTY, STEP_USER, STEP_CWD, STEP_EXEC };

const char *task_failure_text(const struct task_failure *f, const struct task_spec *spec)
{
	switch (f->step) {
	case STEP_USER:
		return "cannot become the user";
	case STEP_CWD:
		return spec->cwd;
	case STEP_EXEC:
		return spec->argv[0];
	case STEP_TTY:
		return "cannot take the terminal";
	default:
		return "cannot prepare the process";
	}
}

static const char *env_value(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; env && *env; env++) {
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	}
	return NULL;
}

char *task_find_program(const char *name, char *const *env)
{
	const char *path = env_value(env, "PATH");
	cleanup_strv char **dirs = NULL;
	int why = ENOENT;

	if (*name == '\0') {
		errno = ENOENT;
		return NULL;
	}
	if (strchr(name, '/'))
		return str_dup(name);
	dirs = strv_split(path ? path : "/bin:/usr/bin", ':');
	for (char **d = dirs; d && *d; d++) {
		cleanup_free char *full = str_fmt("%s/%s", **d ? *d : ".", name);
		struct stat st;

		if (stat(full, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (access(full, X_OK) == 0)
			return TAKE_PTR(full);
		why = EACCES;
	}
	errno = why;
	return NULL;
}

static void reset_signals(void)
{
	struct sigaction sa = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		sigaction(i, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		errno = 0; /* not all that is asked for is possible everywhere; the task runs without it */
	close(fd);
}

static void set_limits(void)
{
	struct rlimit limit = {NOFILE_SOFT, NOFILE_HARD};

	write_file("/proc/self/oom_score_adj", "0");
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max < NOFILE_SOFT ? limit.rlim_max : NOFILE_SOFT;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Puts the spec's fds at 0, 1, 2 (and 3); everything else closes at exec, or now when there is none. */
static int place_fds(const struct task_spec *spec, int *report)
{
	int moved[4] = {-1, -1, -1, -1};

	*report = fcntl(*report, F_DUPFD_CLOEXEC, 10);
	for (int i = 0; i < 3; i++) {
		int from = spec->fds[i] >= 0 ? spec->fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC);

		moved[i] = fcntl(from, F_DUPFD_CLOEXEC, 10);
		if (moved[i] < 0)
			return -1;
	}
	if (spec->ctl_fd > 0)
		moved[TASK_CTL_FD] = fcntl(spec->ctl_fd, F_DUPFD_CLOEXEC, 10);
	for (int i = 0; i <= TASK_CTL_FD; i++) {
		if (moved[i] >= 0 && dup2(moved[i], i) < 0)
			return -1;
	}
	/* Since Linux 5.11; elsewhere it has to do that all fds of the agent are close-on-exec. */
	close_range((unsigned)(spec->ctl_fd > 0 ? TASK_CTL_FD + 1 : 3), ~0U, CLOSE_RANGE_CLOEXEC);
	return 0;
}

static void fail(int report, enum step step)
{
	struct task_failure f = {.number = errno, .step = (int)step};

	if (write(report, &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

static void exec_program(const struct task_spec *spec)
{
	char *program = task_find_program(spec->argv[0], spec->env);

	if (!program)
		return;
	execve(program, spec->argv, spec->env);
	if (errno == ENOEXEC) { /* a script without "#!": as execvp(3) does */
		cleanup_strv char **argv = NULL;

		strv_append(&argv, "/bin/sh");
		strv_append(&argv, program);
		for (char *const *a = spec->argv + 1; *a; a++)
			strv_append(&argv, *a);
		execve("/bin/sh", argv, spec->env);
	}
}

static void run_work(const struct task_spec *spec, int report)
{
	close(report); /* the parent goes on */
	close_range(TASK_CTL_FD + 1, ~0U, 0);
	_exit(spec->work(spec->arg));
}

void task_child_run(const struct task_spec *spec, const char *procs, int report)
{
	setsid();
	reset_signals();
	if (procs)
		write_file(procs, "0");
	set_limits();
	umask(022);
	if (place_fds(spec, &report) < 0)
		fail(report, STEP_FDS);
	if (spec->tty && ioctl(0, TIOCSCTTY, 0) < 0)
		fail(report, STEP_TTY);
	errno = user_become(spec->user, spec->gid);
	if (errno)
		fail(report, STEP_USER);
	if (spec->work)
		run_work(spec, report);
	/* After the change of identity, which clears it: ends the task if the server dies. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (spec->cwd && chdir(spec->cwd) < 0)
		fail(report, STEP_CWD);
	exec_program(spec);
	fail(report, STEP_EXEC);
	_exit(127);
}
