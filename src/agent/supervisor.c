/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "base/units.h"
#include "agent/boot_steps.h"
#include "agent/supervisor.h"
#include "agent/userdata.h"

enum {
	BACKOFF_MIN_MS = 100,
	BACKOFF_MAX_MS = 5000,
	STABLE_MS = 10000,  /* a server that lived so long is started again at once */
	FAREWELL_MS = 2000, /* for the server to say bye */
	IDLE_MS = 3600 * 1000,
};

struct supervisor {
	const struct server_options *options;
	struct task_table *table;
	sigset_t signals;
	pid_t server;				     /* 0: not running */
	int64_t started_ms, restart_ms, farewell_ms; /* 0: not armed */
	int64_t backoff_ms;
	int farewell;	/* enum server_exit: what follows when farewell_ms is over */
	int going_down; /* enum server_exit; 0: no */
};

/* For the console and for those who signal the server (slicer-agent bye). */
static void announce_server(void)
{
	cleanup_free char *pid = str_fmt("%d\n", getpid());
	cleanup_error struct error *error = NULL;
	struct timespec up;

	clock_gettime(CLOCK_BOOTTIME, &up);
	console_reopen();
	console_print("ready after %.2f s", (double)up.tv_sec + (double)up.tv_nsec / 1e9);
	if (fs_write_replace(SERVER_PID_FILE, pid, strlen(pid), 0644, &error) < 0)
		console_print("%s", error_message(error));
}

static void start_server(struct supervisor *v)
{
	struct server_options options = *v->options;
	sigset_t none;
	pid_t parent = getpid();

	v->restart_ms = 0;
	v->started_ms = clock_ms();
	v->server = fork();
	if (v->server < 0) {
		v->server = 0;
		v->restart_ms = clock_ms() + BACKOFF_MAX_MS;
		return;
	}
	if (v->server > 0)
		return;
	prctl(PR_SET_NAME, "slicer-server");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (!options.fake)
		announce_server();
	options.table = v->table;
	exit(server_main(&options));
}

static void server_died(struct supervisor *v, int status)
{
	bool clean = WIFEXITED(status) &&
		     (WEXITSTATUS(status) == SERVER_EXIT_POWEROFF || WEXITSTATUS(status) == SERVER_EXIT_REBOOT);

	v->server = 0;
	task_table_kill(v->table);
	if (clean) {
		v->going_down = WEXITSTATUS(status);
		return;
	}
	if (clock_ms() - v->started_ms > STABLE_MS)
		v->backoff_ms = BACKOFF_MIN_MS;
	if (!v->options->fake)
		console_reopen();
	log_error("slicer-agent: the server ended with status 0x%x; starting it again in %d ms", (unsigned)status,
		  (int)v->backoff_ms);
	v->restart_ms = clock_ms() + v->backoff_ms;
	v->backoff_ms = v->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : v->backoff_ms * 2;
}

static void reap(struct supervisor *v)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == v->server)
			server_died(v, status);
	}
}

/* The server says bye and ends; without one there is nobody to wait for. */
static void go_down(struct supervisor *v, bool reboot)
{
	v->farewell = reboot ? SERVER_EXIT_REBOOT : SERVER_EXIT_POWEROFF;
	if (v->server <= 0) {
		v->going_down = v->farewell;
		return;
	}
	kill(v->server, reboot ? SIGTERM : SIGUSR2);
	v->farewell_ms = clock_ms() + FAREWELL_MS;
}

/* What busybox's, sysvinit's and systemd's tools send to PID 1. */
static void on_signal(struct supervisor *v, int signo)
{
	if (signo == SIGTERM || signo == SIGINT || signo == SIGRTMIN + 5)
		go_down(v, true);
	else if (signo == SIGUSR1 || signo == SIGUSR2 || signo == SIGPWR || signo == SIGRTMIN + 4)
		go_down(v, false);
}

static int64_t time_left(const struct supervisor *v)
{
	int64_t until = clock_ms() + IDLE_MS;

	if (v->restart_ms && v->restart_ms < until)
		until = v->restart_ms;
	if (v->farewell_ms && v->farewell_ms < until)
		until = v->farewell_ms;
	until -= clock_ms();
	return until > 0 ? until : 0;
}

static void check_timers(struct supervisor *v)
{
	int64_t now = clock_ms();

	if (v->restart_ms && now >= v->restart_ms)
		start_server(v);
	if (v->farewell_ms && now >= v->farewell_ms) {
		v->farewell_ms = 0;
		if (v->server > 0)
			kill(v->server, SIGKILL);
		v->going_down = v->farewell;
	}
}

static void block_signals(struct supervisor *v)
{
	const int list[] = {SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGPWR, SIGRTMIN + 4, SIGRTMIN + 5};

	sigemptyset(&v->signals);
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		sigaddset(&v->signals, list[i]);
	sigprocmask(SIG_BLOCK, &v->signals, NULL);
}

int supervisor_run(const struct server_options *options)
{
	struct supervisor v = {.options = options, .backoff_ms = BACKOFF_MIN_MS};

	v.table = mmap(NULL, sizeof(*v.table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (v.table == MAP_FAILED) {
		log_error("slicer-agent: no memory for the table of tasks");
		return SERVER_EXIT_POWEROFF;
	}
	block_signals(&v);
	start_server(&v);
	while (!v.going_down) {
		int64_t left = time_left(&v);
		struct timespec ts = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
		int signo = sigtimedwait(&v.signals, NULL, &ts);

		if (signo == SIGCHLD)
			reap(&v);
		else if (signo > 0)
			on_signal(&v, signo);
		check_timers(&v);
	}
	munmap(v.table, sizeof(*v.table));
	return v.going_down;
}
