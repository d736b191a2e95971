/* SPDX-License-Identifier: MIT */
/* vm pause, resume, shutdown, reboot, relaunch */
#include "cli/output.h"
#include "cli/verbs.h"

enum { POWER_TIMEOUT_MS = 180 * 1000 };

static int run_power(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_free char *vm = NULL, *rest = str_fmt("/%s", cli->command->name);
	cleanup_reply struct reply reply = {0};

	if (client_open(&c, args, err))
		return -1;
	vm = vm_or_only(&c, args->nargs ? args->args[0] : NULL, err);
	if (!vm || vm_call(&c, &vm, "POST", rest, NULL, POWER_TIMEOUT_MS, &reply, err))
		return -1;
	printf("%s: %s\n", vm, str_eq(cli->command->name, "pause") ? "paused" :
			       str_eq(cli->command->name, "resume") ? "resumed" : "reboot requested");
	return 0;
}

static int run_shutdown(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_free char *vm = NULL;
	cleanup_reply struct reply reply = {0};

	if (client_open(&c, args, err))
		return -1;
	vm = vm_or_only(&c, args->nargs ? args->args[0] : NULL, err);
	if (!vm || vm_call(&c, &vm, "POST", "/shutdown?action=shutdown", NULL, POWER_TIMEOUT_MS, &reply, err))
		return -1;
	printf("%s: stopped\n", vm);
	return 0;
}

static int run_relaunch(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_free char *vm = NULL;
	cleanup_json struct json_object *answer = NULL;

	if (client_open(&c, args, err))
		return -1;
	vm = vm_or_only(&c, args->nargs ? args->args[0] : NULL, err);
	if (!vm)
		return -1;
	answer = vm_json(&c, &vm, "POST", "/relaunch", NULL, POWER_TIMEOUT_MS, err);
	if (!answer)
		return -1;
	if (parsed_bool(args, "json", false))
		print_json(answer, stdout);
	else
		printf("%s: relaunched, IP %s\n", vm, show_string(answer, "ip"));
	return 0;
}

static const struct option_spec relaunch_options[] = {
	{"json", 0, OPTION_BOOL, NULL, "Print the API's JSON"},
	{0},
};

#define POWER_COMMAND(name_, summary_) \
	{.name = name_, .summary = summary_, .usage = "[VM]", .run = run_power, .max_args = 1}

const struct command command_vm_pause = POWER_COMMAND("pause", "Stop a VM's CPUs, keeping its memory");
const struct command command_vm_resume = POWER_COMMAND("resume", "Let a paused VM go on");
const struct command command_vm_reboot = POWER_COMMAND("reboot", "Reboot a VM's operating system");

const struct command command_vm_shutdown = {
	.name = "shutdown", .aliases = "stop", .summary = "Shut a VM down", .usage = "[VM]", .run = run_shutdown,
	.max_args = 1,
};

const struct command command_vm_relaunch = {
	.name = "relaunch", .aliases = "start", .summary = "Start a stopped persistent VM again", .usage = "[VM]",
	.options = relaunch_options, .run = run_relaunch, .max_args = 1,
};
