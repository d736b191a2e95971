/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_COMPLETE_H
#define SLICER_HOST_COMPLETE_H

#include "cli/command.h"

extern const struct command command_complete; /* words for tools/completion.bash; hidden */

#endif
