/* SPDX-License-Identifier: MIT */
/* A network namespace of the test's own, and what independent programs say of it. Include after cmocka.h. */
#ifndef SLICER_TESTS_NETNS_FIXTURE_H
#define SLICER_TESTS_NETNS_FIXTURE_H

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"

/* The output of a shell command, which must succeed; the caller's. */
static inline char *say(const char *command)
{
	struct proc_result r;

	assert_int_equal(proc_run((char *const[]){(char *)"sh", (char *)"-c", (char *)command, NULL}, NULL, 65536,
				  20000, &r, NULL),
			 0);
	free(r.errout);
	return r.out;
}

/* A user namespace gives the same rights in a network of one's own; as its root, they last over exec. */
static inline int become_root_of_namespace(void)
{
	cleanup_free char *map = str_fmt("0 %d 1", (int)geteuid());
	cleanup_close int fd = -1;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return -1;
	fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -1 : fd_write_all(fd, map, strlen(map), NULL);
}

static inline int enter_network_namespace(void)
{
	return unshare(CLONE_NEWNET) < 0 && become_root_of_namespace() < 0 ? -1 : 0;
}

#endif
