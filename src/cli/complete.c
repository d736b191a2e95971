/* SPDX-License-Identifier: MIT */
/* complete: the words that may come next, one per line, for tools/completion.bash. */
#include "cli/command.h"

static void print_options(const struct option_spec *o)
{
	for (; o && o->name; o++)
		printf("--%s\n", o->name);
}

static int run_complete(struct cli *cli, const struct parsed *args, struct error **err)
{
	const struct command *c = cli->root;

	for (size_t i = 0; i < args->nargs && !c->run; i++) {
		const struct command *next = command_find(c, args->args[i]);

		if (next)
			c = next;
	}
	for (const struct command *const *sub = c->commands; sub && *sub; sub++)
		if (!(*sub)->hidden)
			printf("%s\n", (*sub)->name);
	for (const struct command *const *sub = c->shortcuts; sub && *sub; sub++)
		printf("%s\n", (*sub)->name);
	print_options(c->options);
	if (!c->local)
		print_options(connection_options);
	printf("--help\n");
	return 0;
}

const struct command command_complete = {
	.name = "complete", .summary = "Print the words that may follow the given ones", .usage = "-- [WORD...]",
	.run = run_complete, .max_args = COMMAND_ANY_ARGS, .local = true, .hidden = true,
};
