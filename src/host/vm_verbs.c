/* SPDX-License-Identifier: MIT */
/* The table of "vm": most verbs talk to the API, and one works on this host. */
#include "host/vm_verbs.h"

#include "cli/verbs.h"
#include "host/route.h"

static const struct command *const vm_commands[] = {
	&command_vm_list,     &command_vm_add,	    &command_vm_delete, &command_vm_exec,  &command_vm_shell,
	&command_vm_cp,	      &command_vm_logs,	    &command_vm_health, &command_vm_ready, &command_vm_describe,
	&command_vm_shutdown, &command_vm_relaunch, &command_vm_reboot, &command_vm_pause, &command_vm_resume,
	&command_vm_tag,      &command_vm_forward,  &command_vm_group,	&command_vm_route, NULL,
};

const struct command command_vm = {
	.name = "vm",
	.aliases = "v",
	.summary = "Create, use and remove VMs",
	.commands = vm_commands,
	.later = "bg top suspend restore commit fork stats",
};
