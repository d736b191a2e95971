/* SPDX-License-Identifier: MIT */
#include "cli/command.h"

#include <errno.h>

#include "base/fs.h"

const struct option_spec connection_options[] = {
	{"url", 0, OPTION_STRING, "URL", "Daemon to talk to: http://HOST:PORT or the path of a Unix socket", "api"},
	{"token", 0, OPTION_STRING, "TOKEN", "API token; \"\" for none"},
	{"token-file", 0, OPTION_STRING, "FILE", "File that holds the API token"},
	{0},
};

static bool has_name(const struct command *c, const char *name)
{
	cleanup_strv char **aliases = c->aliases ? strv_split(c->aliases, ' ') : NULL;

	return str_eq(c->name, name) || strv_contains(aliases, name);
}

const struct command *command_find(const struct command *group, const char *name)
{
	for (const struct command *const *c = group->commands; c && *c; c++)
		if (has_name(*c, name))
			return *c;
	for (const struct command *const *c = group->shortcuts; c && *c; c++)
		if (has_name(*c, name))
			return *c;
	return NULL;
}

bool command_is_later(const struct command *group, const char *name)
{
	cleanup_strv char **names = group->later ? strv_split(group->later, ' ') : NULL;

	return *name && strv_contains(names, name);
}

static void enter(struct cli *cli, const struct command *c)
{
	char *path = cli->path ? str_fmt("%s %s", cli->path, c->name) : str_dup(c->name);

	free(cli->path);
	cli->path = path;
	cli->command = c;
}

static int unknown_command(const struct cli *cli, const char *name, struct error **err)
{
	cleanup_strv char **names = NULL;
	cleanup_free char *path = cli->path ? str_fmt("%s %s", cli->path, name) : str_dup(name);
	const char *near;

	/* Not ERR_INVALID: the call is right, and will work one day. */
	if (command_is_later(cli->command, name))
		return error_set(err, ERR_UNSUPPORTED, "\"%s\" is not in this version yet", path);
	for (const struct command *const *c = cli->command->commands; c && *c; c++)
		if (!(*c)->hidden)
			strv_append(&names, (*c)->name);
	for (const struct command *const *c = cli->command->shortcuts; c && *c; c++)
		strv_append(&names, (*c)->name);
	near = nearest_word(name, names);
	if (near)
		return error_set(err, ERR_INVALID, "unknown command \"%s\"; did you mean \"%s\"?", path, near);
	return error_set(err, ERR_INVALID, "unknown command \"%s\"", path);
}

static int check_args(const struct command *c, const struct parsed *p, struct error **err)
{
	if (p->nargs < c->min_args)
		return error_set(err, ERR_INVALID, "missing argument: expected %s", c->usage ? c->usage : "none");
	if (p->nargs > c->max_args)
		return error_set(err, ERR_INVALID, "unexpected argument \"%s\"", p->args[c->max_args]);
	return 0;
}

static bool is_version_option(const struct cli *cli, const char *word)
{
	return cli->command == cli->root && str_eq(word, "--version");
}

/* Follows the words of argv down to a verb, or to a group when there are no more words or help is wanted. */
static int find_verb(struct cli *cli, struct parsed *p, char *const *argv, size_t *pos, struct error **err)
{
	bool want_help = false; /* "slicer help vm exec", "slicer vm help exec" */

	while (!cli->command->run) {
		const struct command *next;

		if (!is_version_option(cli, argv[*pos]) && options_parse(p, argv, pos, true, 0, err))
			return -1;
		if (p->help || !argv[*pos])
			break;
		if (!want_help && str_eq(argv[*pos], "help")) {
			want_help = true;
			++*pos;
			continue;
		}
		next = command_find(cli->command, is_version_option(cli, argv[*pos]) ? "version" : argv[*pos]);
		if (!next)
			return unknown_command(cli, argv[*pos], err);
		++*pos;
		enter(cli, next);
	}
	p->help = p->help || want_help;
	return 0;
}

static int show_help(const struct cli *cli, const struct parsed *p, struct error **err)
{
	if (p->help) {
		command_help(cli, stdout);
		return 0;
	}
	command_help(cli, stderr);
	return 2;
}

static int dispatch(struct cli *cli, char *const *argv, struct error **err)
{
	cleanup_parsed struct parsed p = {.dashes = -1, .tables = {connection_options, NULL}};
	size_t pos = 1;

	if (find_verb(cli, &p, argv, &pos, err))
		return -1;
	if (!cli->command->run || p.help)
		return show_help(cli, &p, err);
	p.tables[1] = cli->command->options;
	if (options_parse(&p, argv, &pos, false, cli->command->stop_after, err))
		return -1;
	if (p.help)
		return show_help(cli, &p, err);
	if (check_args(cli->command, &p, err))
		return -1;
	cli->runs = true;
	return cli->command->run(cli, &p, err);
}

/* What is longer than the buffer is written at once; when that failed, nothing is left that would fail once more now. */
static void flush_output(struct error **err)
{
	bool failed = ferror(stdout);

	if (fflush(stdout))
		error_errno(err, errno, "cannot write to standard output");
	else if (failed)
		error_set(err, ERR_IO, "cannot write to standard output");
}

int command_main(const struct command *root, int argc, char *const *argv)
{
	struct cli cli = {.root = root, .command = root};
	cleanup_error struct error *err = NULL;
	int rc = 2;

	if (argc > 0)
		rc = fd_fill_stdio(&err) < 0 ? -1 : dispatch(&cli, argv, &err);
	flush_output(err ? NULL : &err);
	if (err) {
		fprintf(stderr, "slicer: error: %s\n", error_message(err));
		if (err->code == ERR_INVALID && !(cli.runs && cli.command->reads_file))
			fprintf(stderr, "See \"slicer%s%s --help\".\n", cli.path ? " " : "", cli.path ? cli.path : "");
		if (rc <= 0)
			rc = error_exit_code(err);
	}
	free(cli.path);
	return rc;
}
