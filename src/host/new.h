/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_NEW_H
#define SLICER_HOST_NEW_H

#include "cli/command.h"

extern const struct command command_new; /* slicer new NAME: prints a configuration */

#endif
