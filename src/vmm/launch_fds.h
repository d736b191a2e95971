/* SPDX-License-Identifier: MIT */
/* Everything that a VM gets as an open fd, and the numbers that it has in monitor, helper and VMM.
 */
#ifndef SLICER_VMM_LAUNCH_FDS_H
#define SLICER_VMM_LAUNCH_FDS_H

#include "base/proc.h"
#include "vmm/vmm.h"

/* Fixed in the monitor (docs/protocol.md §5); what VMM and helper get begins at LAUNCH_FD_FIRST. */
enum {
	LAUNCH_FD_SPEC = 3,
	LAUNCH_FD_READY = 4,
	LAUNCH_FD_CONSOLE = 5,
	LAUNCH_FD_CONTROL = 6,
	LAUNCH_FD_FIRST = 10,
	LAUNCH_FDS_MAX = 24,
};
extern const char *const launch_sockets[]; /* names in the run directory, NULL-terminated */

struct launch_fds {
	struct proc_fd fds[LAUNCH_FDS_MAX]; /* owned */
	size_t n;
	struct vmm_fds vmm; /* numbers in the VMM */
	int helper;	    /* number of the helper's socket, or -1 */
	int frames[2];	    /* of the filter between VMM and helper: the VMM's side, the helper's */
	int ready;	    /* our end of the ready pipe; owned */
};
/* Opens all, the sockets first: ERR_CONFLICT means that a VM runs there. On failure nothing stays
 * open, but sockets may be left in the run directory. */
int launch_fds_open(const struct vmm_spec *spec, struct launch_fds *ret, struct error **err);
void launch_fds_add(struct launch_fds *l, int take_fd, int number);
void launch_fds_close_given(struct launch_fds *l); /* all but `ready`: the monitor has them now */
void launch_fds_clear(struct launch_fds *l);

#endif
