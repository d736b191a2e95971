/* SPDX-License-Identifier: MIT */
/* vm pause, resume, shutdown, reboot, relaunch */
#include <time.h>

#include "base/units.h"
#include "cli/output.h"
#include "cli/verbs.h"

enum { POWER_TIMEOUT_MS = 180 * 1000, WAIT_STEP_NS = 200 * 1000 * 1000 };

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
	printf("%s: %s\n", vm,
	       str_eq(cli->command->name, "pause")    ? "paused"
	       : str_eq(cli->command->name, "resume") ? "resumed"
						      : "reboot requested");
	return 0;
}

static void wait_step(void)
{
	nanosleep(&(struct timespec){.tv_nsec = WAIT_STEP_NS}, NULL);
}

/* 1: its status begins with that, 0: it does not, -1: error. */
static int has_status(struct client *c, char **vm, const char *status, struct error **err)
{
	cleanup_json struct json_object *node = vm_json(c, vm, "GET", "", NULL, CLIENT_TIMEOUT_MS, err);

	return node ? str_starts(show_string(node, "status"), status) : -1;
}

/* A VM that is being launched cannot be stopped yet; one that is stopped will never be. */
static int shutdown_until(struct client *c, char **vm, int64_t deadline, bool if_running, struct error **err)
{
	for (;;) {
		cleanup_error struct error *why = NULL;
		cleanup_reply struct reply reply = {0};

		if (vm_call(c, vm, "POST", "/shutdown?action=shutdown", NULL, POWER_TIMEOUT_MS, &reply, &why) == 0)
			return 0;
		if (why->code == ERR_CONFLICT && has_status(c, vm, "Stopped", NULL) == 1) {
			if (if_running)
				return 0;
			deadline = 0;
		}
		if (why->code != ERR_CONFLICT || clock_ns() + WAIT_STEP_NS > deadline)
			return error_move(err, &why);
		wait_step();
	}
}

static int run_shutdown(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_free char *vm = NULL;
	int64_t deadline = clock_ns() + parsed_duration(args, "wait", 0);

	if (client_open(&c, args, err))
		return -1;
	vm = vm_or_only(&c, args->nargs ? args->args[0] : NULL, err);
	if (!vm || shutdown_until(&c, &vm, deadline, parsed_bool(args, "if-running", false), err))
		return -1;
	printf("%s: stopped\n", vm);
	return 0;
}

/* The daemon may have been started a moment ago. The first one of a host makes the token before it answers: what a client has read
 * before that is no good. */
static int wait_for_daemon(const struct parsed *args, int64_t deadline, struct error **err)
{
	cleanup_client struct client c = {0};

	if (client_open(&c, args, err))
		return -1;
	for (;;) {
		cleanup_error struct error *why = NULL;
		cleanup_reply struct reply reply = {0};

		if (client_call(&c, "GET", "/healthz", NULL, CLIENT_TIMEOUT_MS, &reply, &why) == 0)
			return 0;
		if (clock_ns() + WAIT_STEP_NS > deadline)
			return error_move(err, &why);
		wait_step();
	}
}

/* Whether there is something to start, once a launch or an end that is under way is over or the time is. */
static int wait_for_stopped(struct client *c, char **vm, int64_t deadline, struct error **err)
{
	for (;;) {
		cleanup_json struct json_object *node = vm_json(c, vm, "GET", "", NULL, CLIENT_TIMEOUT_MS, err);
		const char *status = node ? show_string(node, "status") : "";

		if (!node)
			return -1;
		if ((!str_eq(status, "Starting") && !str_eq(status, "Stopping")) ||
		    clock_ns() + WAIT_STEP_NS > deadline)
			return str_starts(status, "Stop"); /* stopping, too: the daemon's answer to that is right */
		wait_step();
	}
}

static int run_relaunch(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_free char *vm = NULL;
	cleanup_json struct json_object *answer = NULL;
	int64_t limit = parsed_duration(args, "wait", 0), deadline = clock_ns() + limit;
	int stopped;

	if ((limit && wait_for_daemon(args, deadline, err)) || client_open(&c, args, err))
		return -1;
	vm = vm_or_only(&c, args->nargs ? args->args[0] : NULL, err);
	if (!vm)
		return -1;
	stopped = parsed_bool(args, "if-stopped", false) ? wait_for_stopped(&c, &vm, deadline, err) : 1;
	if (stopped <= 0) {
		if (!stopped)
			printf("%s: runs already\n", vm);
		return stopped;
	}
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
	{"if-stopped", 0, OPTION_BOOL, NULL, "Do nothing when it runs already"},
	{"wait", 0, OPTION_DURATION, "TIME",
	 "How long to wait for a daemon that does not answer yet, or a launch under way (0)"},
	{0},
};

static const struct option_spec shutdown_options[] = {
	{"if-running", 0, OPTION_BOOL, NULL, "Do nothing when it is stopped already"},
	{"wait", 0, OPTION_DURATION, "TIME", "How long to wait for a launch that is under way (0)"},
	{0},
};

#define POWER_COMMAND(name_, summary_)                                                                                 \
	{                                                                                                              \
		.name = name_, .summary = summary_, .usage = "[VM]", .run = run_power, .max_args = 1                   \
	}

const struct command command_vm_pause = POWER_COMMAND("pause", "Stop a VM's CPUs, keeping its memory");
const struct command command_vm_resume = POWER_COMMAND("resume", "Let a paused VM go on");
const struct command command_vm_reboot = POWER_COMMAND("reboot", "Reboot a VM's operating system");

const struct command command_vm_shutdown = {
	.name = "shutdown",
	.aliases = "stop",
	.summary = "Shut a VM down",
	.usage = "[VM]",
	.options = shutdown_options,
	.run = run_shutdown,
	.max_args = 1,
};

const struct command command_vm_relaunch = {
	.name = "relaunch",
	.aliases = "start",
	.summary = "Start a stopped persistent VM again",
	.usage = "[VM]",
	.options = relaunch_options,
	.run = run_relaunch,
	.max_args = 1,
};
