/* SPDX-License-Identifier: MIT */
#include <sys/resource.h>
#include "vmm/jail.h"

enum { OPEN_FILES = 1024, LOCKED_BYTES = 64 * 1024, MESSAGE_QUEUE_BYTES = 0 };

int jail_limits(const struct jail_spec *s)
{
	const struct {
		int resource;
		rlim_t value;
	} limits[] = {
		{RLIMIT_CORE, 0},	    {RLIMIT_NOFILE, OPEN_FILES},    {RLIMIT_FSIZE, s->file_bytes},
		{RLIMIT_NPROC, s->threads}, {RLIMIT_MEMLOCK, LOCKED_BYTES}, {RLIMIT_MSGQUEUE, MESSAGE_QUEUE_BYTES},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		const struct rlimit both = {.rlim_cur = limits[i].value, .rlim_max = limits[i].value};
		struct rlimit now;

		/* What is lower already stays so: who is not root may not raise it. */
		if (getrlimit((__rlimit_resource_t)limits[i].resource, &now) < 0)
			return -1;
		if (now.rlim_max > both.rlim_max && setrlimit((__rlimit_resource_t)limits[i].resource, &both) < 0)
			return -1;
	}
	return 0;
}
