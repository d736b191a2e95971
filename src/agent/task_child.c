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

enum { REPORT_FD = TASK_CTL_FD + 1 };
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

static void reset_signals(const sigset_t *ignored)
{
	struct sigaction sa = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int i = 1; i < NSIG; i++) {
		if (!ignored || sigismember(ignored, i) == 1)
			sigaction(i, &sa, NULL);
	}
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

/* Puts the spec's fds at 0, 1, 2 (and 3), and the report behind them. All others close at once, not only at exec: a directory or the
 * program may keep the child waiting, and what others read from is to end. */
static int place_fds(const struct task_spec *spec, int *report)
{
	int moved[4] = {-1, -1, -1, -1};

	if (*report >= 0)
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
	if (spec->ctl_fd <= 0)
		close(TASK_CTL_FD);
	if (*report < 0)
		close(REPORT_FD);
	else
		*report = dup3(*report, REPORT_FD, O_CLOEXEC);
	/* Since Linux 5.9; elsewhere it has to do that all fds of the agent are close-on-exec. */
	close_range(REPORT_FD + 1, ~0U, 0);
	return 0;
}

static void fail(struct task_start *s, enum step step)
{
	struct task_failure f = {.number = errno, .step = (int)step};

	s->failure = f;
	if (s->report >= 0 && write(s->report, &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

static void exec_program(struct task_start *s)
{
	const struct task_spec *spec = s->spec;

	s->program = task_find_program(spec->argv[0], spec->env);
	if (!s->program)
		return;
	execve(s->program, spec->argv, spec->env);
	if (errno == ENOEXEC) { /* a script without "#!": as execvp(3) does */
		strv_append(&s->script, "/bin/sh");
		strv_append(&s->script, s->program);
		for (char *const *a = spec->argv + 1; *a; a++)
			strv_append(&s->script, *a);
		execve("/bin/sh", s->script, spec->env);
	}
}

void task_start_clear(struct task_start *s)
{
	free(TAKE_PTR(s->program));
	strv_free(&s->script);
}

static void run_work(const struct task_start *s)
{
	close(s->report); /* the parent goes on */
	close_range(TASK_CTL_FD + 1, ~0U, 0);
	_exit(s->spec->work(s->spec->arg));
}

void task_child_run(void *start)
{
	struct task_start *s = start;
	const struct task_spec *spec = s->spec;

	setsid();
	reset_signals(s->ignored);
	if (s->procs)
		write_file(s->procs, "0");
	set_limits();
	umask(022);
	if (place_fds(spec, &s->report) < 0)
		fail(s, STEP_FDS);
	if (spec->tty && ioctl(0, TIOCSCTTY, 0) < 0)
		fail(s, STEP_TTY);
	errno = user_become(spec->user, spec->gid);
	if (errno)
		fail(s, STEP_USER);
	if (spec->work)
		run_work(s);
	/* After the change of identity, which clears it: ends the task if the server dies. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (spec->cwd && chdir(spec->cwd) < 0)
		fail(s, STEP_CWD);
	exec_program(s);
	fail(s, STEP_EXEC);
	_exit(127);
}
