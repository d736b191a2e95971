/* SPDX-License-Identifier: MIT */
#ifndef SLICER_HOST_NET_VERBS_H
#define SLICER_HOST_NET_VERBS_H

#include "cli/command.h"

extern const struct command command_net; /* slicer net list|check */

#endif
