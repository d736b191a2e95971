/* SPDX-License-Identifier: MIT */
/* The verbs below "vm", and what they share. */
#ifndef SLICER_CLI_VERBS_H
#define SLICER_CLI_VERBS_H

#include "cli/command.h"
#include "cli/vm_name.h"

extern const struct command command_vm_add, command_vm_delete, command_vm_health, command_vm_ready, command_vm_group,
	command_vm_pause, command_vm_resume, command_vm_shutdown, command_vm_reboot, command_vm_tag,
	command_vm_describe;

/* What `vm shell` and `vm add --shell` open. uid and gid: -1 for the guest's default user. */
struct shell_options {
	int64_t uid, gid;
	const char *shell, *cwd; /* NULL: the user's */
	const char *bootstrap;	 /* typed first; NULL: nothing */
};
/* Runs until the shell ends or the user detaches; *vm as in vm_call(). Returns the exit code or -1. */
int shell_session(struct client *c, char **vm, const struct shell_options *options, struct error **err);

/* Adds uid, gid of a verb's --uid, --gid to a target, when given. */
void target_add_user(char **target, const struct parsed *args);

#endif
