/* SPDX-License-Identifier: MIT */
/* The control group of a VM, version 2: ROOT/slicer/<daemon id>/<hostname>. It is outside of the group of the daemon's service,
 * so that what is done to that one spares VMs, and holds all that belongs to a VM, so that its end is the end of all of it.
 * The monitor makes and enters it (monitor_cgroup.h); where that is impossible VMs go on without. */
#ifndef SLICER_VMM_CGROUP_H
#define SLICER_VMM_CGROUP_H

#include "base/error.h"

/* Where version 2 is mounted, by the text of /proc/PID/mountinfo (proc(5)): /sys/fs/cgroup, or beside version 1
 * /sys/fs/cgroup/unified. NULL: nowhere. Constant. */
const char *cgroup_find_root(const char *mountinfo);
/* The absolute path for `name`, "<daemon id>/<hostname>"; the caller's. From now on cgroup_remove() finds it by the run
 * directory, whatever crashes. NULL when there can be none: ERR_UNSUPPORTED, ERR_FORBIDDEN (not root), ERR_INVALID. */
char *cgroup_reserve(const char *run_dir, const char *name, struct error **err);
/* Kills what is in the group that was reserved there, and removes it; success when there is none. Blocking up to 2 s;
 * ERR_TIMEOUT when something in it does not end. */
int cgroup_remove(const char *run_dir, struct error **err);
/* The same by name, for when there is no run directory any more. */
int cgroup_remove_named(const char *name, struct error **err);
/* The VMs that have one: names of the groups below ROOT/slicer/<daemon_id>; the caller's. NULL: none. */
char **cgroup_list(const char *daemon_id);

#endif
