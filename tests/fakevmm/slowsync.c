/* SPDX-License-Identifier: MIT */
/* Preloaded into a daemon: each fsync() takes SLOW_SYNC_MS longer, as on a disk that is busy. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int fsync(int fd)
{
	const char *text = getenv("SLOW_SYNC_MS");
	long ms = text ? atol(text) : 0;
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&pause, NULL);
	return (int)syscall(SYS_fsync, fd);
}
