/* SPDX-License-Identifier: MIT */
/* vm health, vm ready, vm describe */
#include <time.h>

#include "base/units.h"
#include "cli/output.h"
#include "cli/verbs.h"

enum { HEALTH_TIMEOUT_MS = 10 * 1000 }; /* the daemon itself gives a guest 5 s */
#define READY_TIMEOUT_NS (300LL * 1000000000)

static void print_health(struct json_object *health, const char *vm)
{
	static const char *const header[] = {"HOSTNAME",      "AGENT UPTIME", "SYSTEM UPTIME",
					     "AGENT VERSION", "USERDATA RAN", NULL};
	cleanup_table struct table *t = table_new(header);
	const char *hostname = show_string(health, "hostname");

	table_add(t, *hostname ? hostname : vm);
	table_add_take(t, show_uptime(show_u64(health, "agent_uptime")));
	table_add_take(t, show_uptime(show_u64(health, "system_uptime")));
	table_add(t, show_string(health, "agent_version"));
	table_add(t, show_bool(health, "userdata_ran") ? "1" : "0");
	table_print(t, stdout);
}

static int run_show(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_free char *vm = NULL;
	cleanup_json struct json_object *answer = NULL;
	bool health = str_eq(cli->command->name, "health");

	if (client_open(&c, args, err))
		return -1;
	vm = vm_or_only(&c, args->nargs ? args->args[0] : NULL, err);
	if (!vm)
		return -1;
	answer = vm_json(&c, &vm, "GET", health ? "/health" : "", NULL, CLIENT_TIMEOUT_MS, err);
	if (!answer)
		return -1;
	if (health && !parsed_bool(args, "json", false))
		print_health(answer, vm);
	else
		print_json(answer, stdout);
	return 0;
}

/* 1: ready, 0: not yet, -1: never. *answered: the daemon did. */
static int check_ready(struct client *c, char **vm, bool userdata, bool *answered, struct error **ret_why,
		       struct error **err)
{
	cleanup_reply struct reply reply = {0};
	cleanup_error struct error *why = NULL;
	cleanup_json struct json_object *health = NULL;

	error_free(ret_why);
	if (!vm_call(c, vm, "GET", "/health", NULL, HEALTH_TIMEOUT_MS, &reply, &why))
		health = vm_reply_json(&reply, *vm, &why);
	*answered = reply.status != 0;
	if (!health) {
		if (why->code == ERR_NOT_FOUND || why->code == ERR_UNAUTHORIZED || why->sys_errno)
			return error_move(err, &why);
		*ret_why = TAKE_PTR(why);
		return 0;
	}
	if (!userdata)
		return 1;
	if (!show_bool(health, "userdata_ran")) {
		error_set(ret_why, ERR_TIMEOUT, "its userdata has not run to its end");
		return 0;
	}
	warn_userdata(health, *vm);
	return 1;
}

static void sleep_ns(int64_t ns)
{
	struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	nanosleep(&t, NULL);
}

/* Who waits for one that is stopped waits for whoever starts it: said at once, with what went wrong. */
static void tell_stopped(struct client *c, char **vm)
{
	cleanup_json struct json_object *node = vm_json(c, vm, "GET", "", NULL, CLIENT_TIMEOUT_MS, NULL);
	const char *error = node ? show_string(node, "last_error") : "";

	if (node && str_eq(show_string(node, "status"), "Stopped"))
		fprintf(stderr, "slicer: waiting for %s to be started, it is Stopped%s%s\n", *vm, *error ? ": " : "",
			error);
}

/* check_ready() again and again. A daemon that does not answer is waited for, too, as it may still build an image; who waits is
 * told, since it may as well never come. */
static int wait_ready(struct client *c, char **vm, const struct parsed *args, bool *answered, struct error **ret_why,
		      struct error **err)
{
	bool userdata = parsed_bool(args, "userdata", false), said = false, looked = false;
	int64_t interval = parsed_duration(args, "interval", 100 * 1000000);
	int64_t deadline = clock_ns() + parsed_duration(args, "timeout", READY_TIMEOUT_NS);

	for (;;) {
		int rc = check_ready(c, vm, userdata, answered, ret_why, err);

		if (rc)
			return rc;
		if (!*answered && !said)
			fprintf(stderr, "slicer: waiting for the daemon: %s\n", error_message(*ret_why));
		if (*answered && !looked)
			tell_stopped(c, vm);
		said |= !*answered;
		looked |= *answered;
		if (clock_ns() + interval >= deadline)
			return 0;
		sleep_ns(interval);
	}
}

static int run_ready(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_free char *vm = NULL, *shown = NULL;
	cleanup_error struct error *why = NULL;
	bool answered = false;
	int rc;

	if (client_open(&c, args, err))
		return -1;
	vm = vm_or_only(&c, args->nargs ? args->args[0] : NULL, err);
	if (!vm)
		return -1;
	rc = wait_ready(&c, &vm, args, &answered, &why, err);
	if (rc < 0)
		return -1;
	shown = duration_format(parsed_duration(args, "timeout", READY_TIMEOUT_NS));
	if (rc == 0 && !answered)
		return error_set(err, ERR_TIMEOUT, "%s was not ready after %s: %s", vm, shown, error_message(why));
	if (rc == 0)
		return error_set(err, ERR_TIMEOUT, "%s was not ready after %s: %s; see: slicer vm logs %s", vm, shown,
				 error_message(why), vm);
	printf("%s is ready\n", vm);
	return 0;
}

static const struct option_spec show_options[] = {
	{"json", 0, OPTION_BOOL, NULL, "Print the API's JSON"},
	{0},
};

static const struct option_spec ready_options[] = {
	{"agent", 0, OPTION_BOOL, NULL, "Wait for the guest's agent (default)"},
	{"userdata", 0, OPTION_BOOL, NULL, "Wait until the userdata has run"},
	{"timeout", 0, OPTION_DURATION, "TIME", "How long to wait (default 5m)"},
	{"interval", 0, OPTION_DURATION, "TIME", "How often to ask (default 100ms)"},
	{0},
};

const struct command command_vm_health = {
	.name = "health",
	.summary = "Show how a VM's agent does",
	.usage = "[VM]",
	.options = show_options,
	.run = run_show,
	.max_args = 1,
};

const struct command command_vm_describe = {
	.name = "describe",
	.aliases = "show get",
	.summary = "Show all about a VM, as JSON",
	.usage = "[VM]",
	.options = show_options,
	.run = run_show,
	.max_args = 1,
};

const struct command command_vm_ready = {
	.name = "ready",
	.summary = "Wait until a VM is ready",
	.usage = "[VM]",
	.options = ready_options,
	.run = run_ready,
	.max_args = 1,
};
