/* SPDX-License-Identifier: MIT */
/* Where the programs are that slicer runs besides itself. */
#ifndef SLICER_BASE_HELPER_H
#define SLICER_BASE_HELPER_H

#include "base/error.h"

/* The path of slicer-agent, slicer-image, slicer-monitor or slicer-netns: in $SLICER_LIBEXECDIR, else beside a slicer that was not installed
 * (its build tree), else in the libexec directory of the installation. The caller's; an error says what is missing. */
char *helper_path(const char *name, struct error **err);

#endif
