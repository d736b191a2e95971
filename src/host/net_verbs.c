/* SPDX-License-Identifier: MIT */
#include "host/net_verbs.h"

#include "host/net_verbs_impl.h"

static const struct command *const net_commands[] = {&command_net_list, &command_net_check, NULL};

const struct command command_net = {
	.name = "net",
	.summary = "Look at slicer's networks on this host",
	.commands = net_commands,
	.local = true,
};
