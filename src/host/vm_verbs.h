/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_VM_VERBS_H
#define SLICER_HOST_VM_VERBS_H

#include "cli/command.h"

extern const struct command command_vm; /* slicer vm ... */

#endif
