/* SPDX-License-Identifier: MIT */
/* The control group (version 2) of a VM, as the monitor makes and reads it. Names of files by the kernel's
 * Documentation/admin-guide/cgroup-v2.rst. */
#ifndef SLICER_VMM_MONITOR_CGROUP_H
#define SLICER_VMM_MONITOR_CGROUP_H

#include "vmm/monitor_spec.h"

/* Makes the group, and those above it, and enters it. */
int monitor_enter_cgroup(const char *path, struct error **err);
/* Sets the limits that are given; ERR_UNSUPPORTED names the controllers that this host does not have, the others hold. */
int monitor_limit_cgroup(const struct monitor_cgroup *c, struct error **err);
/* Has the kernel killed something in there because its memory was used up? */
bool monitor_cgroup_was_oom(const char *path);

#endif
