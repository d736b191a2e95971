/* SPDX-License-Identifier: MIT */
/* The fake guest: process 1 of a pid namespace, which reaps, and below it the agent. When process 1
 * ends, the kernel ends all that ran there. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/units.h"
#include "fakevmm.h"

enum { EXIT_NOT_STARTED = 127, EXIT_CRASHED = 126, STAND_STILL_MS = 10000, STAT_MAX = 4096 };

static void agent_exec(const struct fake_guest *g, const sigset_t *mask)
{
	const char *const argv[] = {g->agent_program, "fake",	    "--root",	   "/",	       "--control",
				    g->control_path,  "--agent",    g->agent_path, "--config", g->config_path,
				    "--state",	      g->state_dir, NULL};

	sigprocmask(SIG_SETMASK, mask, NULL);
	execv(g->agent_program, (char *const *)argv);
	_exit(EXIT_NOT_STARTED);
}

/* Reaps; returns true and how the agent ended when it did. */
static bool init_reap(pid_t agent, int *ret_status)
{
	bool ended = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != agent)
			continue;
		ended = true;
		*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_CRASHED;
	}
	return ended;
}

/* In uninterruptible sleep (D, as who waits for a vfork(2)) it does no more than end that before it stops. */
static bool thread_stands_still(const char *process, const char *thread)
{
	cleanup_free char *path = str_fmt("/proc/%s/task/%s/stat", process, thread), *text = NULL;
	const char *end;
	size_t n;

	if (fs_read_file(path, STAT_MAX, &text, &n, NULL) < 0)
		return true; /* it has ended */
	end = strrchr(text, ')');
	return end && end[1] && strchr("TtDZX", end[2]);
}

static bool process_stands_still(const char *process)
{
	cleanup_free char *path = str_fmt("/proc/%s/task", process);
	cleanup_strv char **threads = NULL;
	bool still = true;

	if (fs_list_dirs(path, &threads, NULL) < 0)
		return true;
	for (char **t = threads; t && *t; t++)
		still = still && thread_stands_still(process, *t);
	return still;
}

/* All but us. */
static bool guest_stands_still(void)
{
	cleanup_strv char **names = NULL;
	bool still = true;

	if (fs_list_dirs("/proc", &names, NULL) < 0)
		return true;
	for (char **p = names; p && *p; p++) {
		if (**p >= '1' && **p <= '9' && !str_eq(*p, "1"))
			still = still && process_stands_still(*p);
	}
	return still;
}

/* Who was sent SIGSTOP goes on for a moment, and longer on a CPU that is busy. The byte back tells the hypervisor that it may
 * answer. */
static void init_command(int commands)
{
	int64_t deadline = clock_ms() + STAND_STILL_MS;
	char c;

	if (read(commands, &c, 1) != 1)
		_exit(EXIT_CRASHED); /* the hypervisor is gone */
	kill(-1, c == 's' ? SIGSTOP : SIGCONT);
	while (c == 's' && !guest_stands_still() && clock_ms() < deadline)
		poll(NULL, 0, 1);
	if (send(commands, &c, 1, MSG_NOSIGNAL) != 1)
		_exit(EXIT_CRASHED);
}

static void init_loop(pid_t agent, int signals, int commands)
{
	struct pollfd p[] = {{.fd = signals, .events = POLLIN}, {.fd = commands, .events = POLLIN}};
	struct signalfd_siginfo info;
	int status = EXIT_CRASHED;

	for (;;) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents)
			init_command(commands);
		if (p[0].revents && read(signals, &info, sizeof(info)) > 0 && init_reap(agent, &status))
			_exit(status);
	}
}

/* Keeps the console as stdout and stderr and the socket as fd 3: a listening socket or a connection
 * of the hypervisor that stayed open here would not be seen to close. */
static int init_close_fds(const struct fake_guest *g, int commands)
{
	if (dup2(g->console, 1) < 0 || dup2(g->console, 2) < 0 || (commands != 3 && dup3(commands, 3, O_CLOEXEC) < 0))
		_exit(EXIT_NOT_STARTED);
	syscall(SYS_close_range, 4U, UINT_MAX, 0);
	return 3;
}

static void init_main(const struct fake_guest *g, int commands)
{
	sigset_t chld, old;
	int signals;
	pid_t agent;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	commands = init_close_fds(g, commands);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_SETMASK, &chld, &old);
	sigdelset(&old, SIGCHLD);
	sigdelset(&old, SIGTERM);
	signals = signalfd(-1, &chld, SFD_CLOEXEC);
	if (signals < 0 || mount("proc", "/proc", "proc", 0, NULL) < 0)
		_exit(EXIT_NOT_STARTED);
	agent = fork();
	if (agent == 0)
		agent_exec(g, &old);
	if (agent < 0)
		_exit(EXIT_NOT_STARTED);
	init_loop(agent, signals, commands);
}

int guest_start(struct fake_guest *g, struct error **err)
{
	int fds[2];
	long pid;

	fd_closep(&g->commands);
	if (fd_socketpair(fds, err) < 0)
		return -1;
	pid = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0) {
		error_errno(err, errno, "cannot make the guest's namespaces (root is needed)");
		close(fds[0]);
		close(fds[1]);
		return -1;
	}
	if (pid == 0) {
		close(fds[1]);
		init_main(g, fds[0]);
	}
	close(fds[0]);
	g->commands = fds[1];
	g->init = (pid_t)pid;
	return 0;
}

void guest_command(struct fake_guest *g, char command)
{
	/* One that ended, also meanwhile, is about to be restarted. */
	if (send(g->commands, &command, 1, MSG_NOSIGNAL) == 1 && recv(g->commands, &command, 1, 0) < 0)
		return;
}
