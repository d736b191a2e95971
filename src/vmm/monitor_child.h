/* SPDX-License-Identifier: MIT */
/* Starting VMM and helpers with no more rights and fds than they need. */
#ifndef SLICER_VMM_MONITOR_CHILD_H
#define SLICER_VMM_MONITOR_CHILD_H

#include "vmm/jail.h"
#include "vmm/monitor_spec.h"

/* Starts it, its stdout and stderr on `message_fd` (stays the caller's); it dies with the calling
 * thread. Own uid, gid and groups (when root), no capability, no_new_privs, core 0, umask 077;
 * nothing open but what it is given; in its jail (jail.h) when it has one. Returns the pid once the
 * program runs, or -1: the error says which step failed. *ret_keeper is to be ended with the program. */
pid_t monitor_child_start(const struct monitor_program *p, int message_fd, struct jail_keeper *ret_keeper,
			  struct error **err);

#endif
