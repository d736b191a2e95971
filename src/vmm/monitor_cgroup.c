/* SPDX-License-Identifier: MIT */
#include "vmm/monitor_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

enum { ENTER_TRIES = 10 };

/* The end of another VM removes the groups above this one whenever they are empty: then once more. */
static int make_and_enter(const char *path, struct error **err)
{
	cleanup_free char *procs = fs_join(path, "cgroup.procs");

	for (int tries = 0; tries < ENTER_TRIES; tries++) {
		cleanup_error struct error *error = NULL;
		cleanup_close int fd = -1;

		if (fs_mkdir_p(path, 0755, &error) < 0 && error->code != ERR_NOT_FOUND)
			return error_move(err, &error);
		fd = open(procs, O_WRONLY | O_CLOEXEC);
		if (fd >= 0 && write(fd, "0", 1) == 1)
			return 0;
		if (errno != ENOENT && errno != ENODEV)
			break;
	}
	return error_errno(err, errno, "cannot enter %s", path);
}

int monitor_enter_cgroup(const char *path, struct error **err)
{
	mode_t mask = umask(022); /* which processes a VM has is no secret */
	int rc = make_and_enter(path, err);

	umask(mask);
	return rc < 0 ? error_wrap(err, "no control group of its own") : 0;
}
