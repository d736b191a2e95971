/* SPDX-License-Identifier: MIT */
/* The program: its root table. Nothing happens before a command is chosen. */
#include "cli/command.h"
#include "host/complete.h"
#include "host/doctor.h"
#include "host/image.h"
#include "host/net_verbs.h"
#include "host/new.h"
#include "host/service.h"
#include "host/reload.h"
#include "host/route.h"
#include "host/up.h"
#include "host/vm_verbs.h"

static const struct command *const commands[] = {
	&command_new, &command_up,     &command_reload, &command_vm,	  &command_image,    &command_service,
	&command_net, &command_doctor, &command_info,	&command_version, &command_complete, NULL,
};

static const struct command *const shortcuts[] = {
	&command_vm_list,     &command_vm_exec,	   &command_vm_shell, &command_vm_cp, &command_vm_logs,
	&command_vm_relaunch, &command_vm_forward, &command_vm_route, NULL,
};

static const struct command root = {
	.summary = "Run Linux microVMs",
	.details = "First steps:\n"
		   "  slicer new vm > vm.yaml\n"
		   "  sudo slicer up vm.yaml\n"
		   "  sudo slicer vm exec vm-1 -- uname -a\n",
	.commands = commands,
	.shortcuts = shortcuts,
	.later = "activate amp auto bg ca claude codex copilot disk fs install opencode pci pi proxy "
		 "secret update vm-state workspace worktree wt",
};

int main(int argc, char **argv)
{
	return command_main(&root, argc, argv);
}
