/* SPDX-License-Identifier: MIT */
#ifndef SLICER_VMM_LAUNCH_SPEC_H
#define SLICER_VMM_LAUNCH_SPEC_H

#include "base/json.h"
#include "vmm/launch_fds.h"

/* What the monitor is told (docs/protocol.md §5); the result is the caller's. `cgroup`: absolute path of the control
 * group that it enters; NULL: none. */
struct json_object *launch_spec_json(const struct vmm_spec *spec, const struct vmm_command *command,
				     const struct launch_fds *fds, const char *cgroup);
/* The same as a sealed memfd, added to `fds` as LAUNCH_FD_SPEC. */
int launch_add_spec(const struct vmm_spec *spec, const struct vmm_command *command, struct launch_fds *fds,
		    const char *cgroup, struct error **err);

#endif
