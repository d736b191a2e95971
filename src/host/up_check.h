/* SPDX-License-Identifier: MIT */
/* What a configuration asks for and this version, host or user cannot give; found before anything is made. */
#ifndef SLICER_HOST_UP_CHECK_H
#define SLICER_HOST_UP_CHECK_H

#include "config/config.h"

#define SUSPEND_ON_SHUTDOWN_LATER                                                                                      \
	"--suspend-on-shutdown is not in this version yet: without it guests are shut down, and disks of persistent VMs are kept"

/* ERR_INVALID (exit status 2, after which systemd does not start it again) or ERR_FORBIDDEN says which group's what, and what to
 * write instead; or why its userdata_file cannot be read.
 * Warns of keys that have no effect yet. */
int up_check(const struct config *cfg, struct error **err);
/* Of that, what is not in this version, whatever the host and the user. */
int up_check_version(const struct config *cfg, struct error **err);
/* Of that, what VMs would be without for all that the host can do. */
int up_check_lacking(const struct config *cfg, struct error **err);

#endif
