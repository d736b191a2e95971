/* SPDX-License-Identifier: MIT */
/* Inside slicer net: its verbs. */
#ifndef SLICER_HOST_NET_VERBS_IMPL_H
#define SLICER_HOST_NET_VERBS_IMPL_H

#include "cli/command.h"

extern const struct command command_net_list, command_net_check;

#endif
