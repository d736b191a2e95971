/* SPDX-License-Identifier: MIT */
#ifndef SLICER_VMM_LAUNCH_SPEC_H
#define SLICER_VMM_LAUNCH_SPEC_H

#include "base/json.h"
#include "vmm/launch_fds.h"

/* What the monitor is told (docs/protocol.md §5); the result is the caller's. */
struct json_object *launch_spec_json(const struct vmm_spec *spec, const struct vmm_command *command,
				     const struct launch_fds *fds);
/* The same as a sealed memfd, added to `fds` as LAUNCH_FD_SPEC. */
int launch_add_spec(const struct vmm_spec *spec, const struct vmm_command *command,
		    struct launch_fds *fds, struct error **err);

#endif
