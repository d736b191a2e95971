/* SPDX-License-Identifier: MIT */
/* The end of the system: by the image's init, or by ourselves as PID 1. */
#include <errno.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/units.h"
#include "agent/supervisor.h"

enum { TERM_MS = 3000, KILL_MS = 1000, POLL_MS = 20 };

void shutdown_by_init(bool reboot)
{
	const char *const argv[] = {reboot ? "/sbin/reboot" : "/sbin/poweroff", NULL};
	pid_t pid;

	/* systemd(1), "Signals": starts poweroff.target or reboot.target. */
	if (fs_exists("/run/systemd/system")) {
		kill(1, SIGRTMIN + (reboot ? 5 : 4));
		return;
	}
	pid = fork();
	if (pid == 0) {
		if (fork() == 0)
			execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(0); /* the grandchild is init's */
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* Reaps until there is nobody left or the time is over. */
static void wait_for_all(int64_t ms)
{
	int64_t deadline = clock_ms() + ms;

	while (clock_ms() < deadline) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0 && errno == ECHILD)
			return;
		if (pid == 0)
			usleep(POLL_MS * 1000);
	}
}

void system_down(bool reboot_it)
{
	kill(-1, SIGTERM);
	kill(-1, SIGCONT);
	wait_for_all(TERM_MS);
	kill(-1, SIGKILL);
	wait_for_all(KILL_MS);
	sync();
	mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	sync();
	reboot(reboot_it ? RB_AUTOBOOT : RB_POWER_OFF);
	reboot(RB_AUTOBOOT); /* a machine without a power switch: the VMM ends at a reset as well */
	for (;;)
		pause();
}
