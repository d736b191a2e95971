/* SPDX-License-Identifier: MIT */
/* Help, generated from the tables. */
#include "cli/command.h"

#include <stdio.h>

enum { NAME_COLUMN = 26 };

static void print_option(FILE *out, const struct option_spec *o)
{
	cleanup_free char *letter = o->letter ? str_fmt("-%c, ", o->letter) : str_dup("    ");
	cleanup_free char *left =
		o->metavar ? str_fmt("%s--%s %s", letter, o->name, o->metavar) : str_fmt("%s--%s", letter, o->name);

	if (strlen(left) + 2 > NAME_COLUMN)
		fprintf(out, "  %s\n  %*s%s", left, NAME_COLUMN, "", o->help);
	else
		fprintf(out, "  %-*s%s", NAME_COLUMN, left, o->help);
	fputs(o->type == OPTION_STRINGS ? " (may be repeated)\n" : "\n", out);
}

static void print_options(FILE *out, const char *title, const struct option_spec *options)
{
	if (!options || !options->name)
		return;
	fprintf(out, "\n%s:\n", title);
	for (const struct option_spec *o = options; o->name; o++)
		print_option(out, o);
}

/* A list of words, wrapped at 90 columns. */
static void print_words(FILE *out, const char *title, char *const *words)
{
	size_t column = 0;

	if (!words || !*words)
		return;
	fprintf(out, "\n%s:\n", title);
	for (; *words; words++) {
		size_t n = strlen(*words) + 2;

		if (column + n > 90) {
			fputs("\n", out);
			column = 0;
		}
		fprintf(out, column ? ", %s" : "  %s", *words);
		column += n;
	}
	fputs("\n", out);
}

static void print_commands(FILE *out, const struct command *group)
{
	cleanup_strv char **shortcuts = NULL;
	cleanup_strv char **later = group->later ? strv_split(group->later, ' ') : NULL;

	fputs("\nCommands:\n", out);
	for (const struct command *const *c = group->commands; c && *c; c++)
		if (!(*c)->hidden)
			fprintf(out, "  %-*s%s\n", 16, (*c)->name, (*c)->summary);
	for (const struct command *const *c = group->shortcuts; c && *c; c++)
		strv_append(&shortcuts, (*c)->name);
	print_words(out, "Short for \"slicer vm ...\"", shortcuts);
	print_words(out, "Not in this version yet", later);
}

static void print_usage(FILE *out, const struct cli *cli)
{
	const struct command *c = cli->command;

	fprintf(out, "Usage: slicer%s%s", cli->path ? " " : "", cli->path ? cli->path : "");
	if (c->commands)
		fputs(" COMMAND", out);
	if (c->options)
		fputs(" [OPTIONS]", out);
	if (c->usage)
		fprintf(out, " %s", c->usage);
	fputs("\n", out);
	if (c->aliases)
		fprintf(out, "Also called: %s\n", c->aliases);
}

void command_help(const struct cli *cli, FILE *out)
{
	const struct command *c = cli->command;

	print_usage(out, cli);
	fprintf(out, "\n%s.\n", c->summary);
	if (c->details)
		fprintf(out, "\n%s", c->details);
	if (c->commands)
		print_commands(out, c);
	print_options(out, "Options", c->options);
	if (!c->local)
		print_options(out, "Connection", connection_options);
	if (c->commands)
		fprintf(out, "\n\"slicer%s%s COMMAND --help\" tells more about a command.\n", cli->path ? " " : "",
			cli->path ? cli->path : "");
}
