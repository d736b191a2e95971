/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_UP_H
#define SLICER_HOST_UP_H

#include "cli/command.h"

extern const struct command command_up; /* slicer up [FILE]: the daemon */

#endif
