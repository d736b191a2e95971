/* SPDX-License-Identifier: MIT */
/* vm logs */
#include <unistd.h>

#include "cli/output.h"
#include "cli/verbs.h"

static void print_log(const char *text, size_t n)
{
	cleanup_free char *clean = NULL;
	int state = 0;

	/* What a guest writes to its console must not reach into the terminal of its owner. */
	if (isatty(STDOUT_FILENO)) {
		clean = mem_alloc(n + 1);
		n = filter_terminal(text, n, clean, &state);
		text = clean;
	}
	fwrite(text, 1, n, stdout);
	if (n && text[n - 1] != '\n')
		fputc('\n', stdout);
}

static int run_logs(struct cli *cli, const struct parsed *args, struct error **err)
{
	cleanup_client struct client c = {0};
	cleanup_free char *vm = NULL;
	cleanup_free char *rest = str_fmt("/logs?lines=%llu", (unsigned long long)parsed_int(args, "lines", 20));
	cleanup_json struct json_object *answer = NULL;
	const char *content;

	if (client_open(&c, args, err))
		return -1;
	vm = vm_or_only(&c, args->nargs ? args->args[0] : NULL, err);
	if (!vm)
		return -1;
	answer = vm_json(&c, &vm, "GET", rest, NULL, CLIENT_TIMEOUT_MS, err);
	if (!answer)
		return -1;
	content = show_string(answer, "content");
	if (parsed_bool(args, "json", false))
		print_json(answer, stdout);
	else
		print_log(content, strlen(content));
	return 0;
}

static const struct option_spec logs_options[] = {
	{"lines", 'n', OPTION_INT, "N", "How many of the last lines (default 20); 0 for all", .max = 100000000},
	{"json", 0, OPTION_BOOL, NULL, "Print the API's JSON"},
	{0},
};

const struct command command_vm_logs = {
	.name = "logs",
	.summary = "Print a VM's console log",
	.usage = "[VM]",
	.options = logs_options,
	.run = run_logs,
	.max_args = 1,
};
