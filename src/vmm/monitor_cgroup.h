/* SPDX-License-Identifier: MIT */
#ifndef SLICER_VMM_MONITOR_CGROUP_H
#define SLICER_VMM_MONITOR_CGROUP_H

#include "base/error.h"

/* Makes the control group at that absolute path, with those above it, and moves this process there: what it starts from now
 * on is in it too. */
int monitor_enter_cgroup(const char *path, struct error **err);

#endif
