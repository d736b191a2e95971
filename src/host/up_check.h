/* SPDX-License-Identifier: MIT */
/* What a configuration asks for and this version, host or user cannot give; found before anything is made. */
#ifndef SLICER_HOST_UP_CHECK_H
#define SLICER_HOST_UP_CHECK_H

#include "config/config.h"

/* ERR_UNSUPPORTED or ERR_FORBIDDEN says which group's what, and what to write instead; or why its userdata_file cannot be read.
 * Warns of keys that have no effect yet. */
int up_check(const struct config *cfg, struct error **err);

#endif
