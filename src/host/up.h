/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_UP_H
#define SLICER_HOST_UP_H

#include "cli/command.h"

enum { UP_OPEN_FILES = 65536 }; /* to which it raises its own limit, as far as the hard limit lets it */

extern const struct command command_up; /* slicer up [FILE]: the daemon */

#endif
