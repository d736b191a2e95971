/* SPDX-License-Identifier: MIT */
/* What a monitor is told to do (docs/protocol.md §5), checked. */
#ifndef SLICER_VMM_MONITOR_SPEC_H
#define SLICER_VMM_MONITOR_SPEC_H

#include <sys/types.h>
#include "base/error.h"
#include "vmm/jail_spec.h"

enum { MONITOR_FDS_MAX = 64, MONITOR_GROUPS_MAX = 32, MONITOR_HELPERS_MAX = 4, MONITOR_SPEC_MAX = 256 * 1024 };

struct monitor_program {
	char **argv; /* argv[0] is its absolute path */
	char **env;
	uid_t uid;
	gid_t gid;
	gid_t groups[MONITOR_GROUPS_MAX];
	size_t ngroups;
	int fds[MONITOR_FDS_MAX]; /* ascending */
	size_t nfds;
	bool kvm;	 /* gets access to /dev/kvm */
	bool privileged; /* keeps root's rights (the fake hypervisor of the tests) */
	bool jailed;	 /* else it sees what its user sees */
	struct jail_spec jail;
};

struct monitor_cgroup {
	char *path;			      /* of its own, to enter; NULL: none */
	uint64_t memory_bytes, cpus, threads; /* limits; 0: none */
};

struct monitor_spec {
	char *vm;
	struct monitor_program vmm;
	struct monitor_program helpers[MONITOR_HELPERS_MAX];
	size_t nhelpers;
	int console_fd;
	char *console_path;
	uint64_t console_limit; /* at least 4,096 */
	struct monitor_cgroup cgroup;
	char *exit_record;
	int control_fd;
	int ready_fd;
};
/* ERR_INVALID names the member. Unknown members are ignored, another version is refused. */
int monitor_spec_parse(const char *text, size_t n, struct monitor_spec *ret, struct error **err);
void monitor_spec_clear(struct monitor_spec *s);

#endif
