/* SPDX-License-Identifier: MIT */
/* Preloaded into a daemon: each fsync() takes SLOW_SYNC_MS longer, as on a disk that is busy; and that of the record of a VM that
 * runs as long as there is a file SLOW_SYNC_HOLD, or a minute. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { RECORD_MAX = 16 * 1024, HOLD_STEP_MS = 10, HOLD_STEPS = 6000 };

static void pause_ms(long ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&pause, NULL);
}

static int is_of_running_vm(int fd)
{
	char path[64], text[RECORD_MAX];
	ssize_t n;
	int in;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	in = open(path, O_RDONLY | O_CLOEXEC);
	n = in < 0 ? -1 : read(in, text, sizeof(text) - 1);
	if (in >= 0)
		close(in);
	text[n > 0 ? n : 0] = '\0';
	return strstr(text, "\"Running\"") != NULL;
}

int fsync(int fd)
{
	const char *ms = getenv("SLOW_SYNC_MS"), *hold = getenv("SLOW_SYNC_HOLD");

	if (ms)
		pause_ms(atol(ms));
	if (hold && is_of_running_vm(fd)) {
		for (int i = 0; i < HOLD_STEPS && access(hold, F_OK) == 0; i++)
			pause_ms(HOLD_STEP_MS);
	}
	return (int)syscall(SYS_fsync, fd);
}
