/* SPDX-License-Identifier: MIT */
/* complete: the words that may come next, one per line, for tools/completion.bash. What it cannot find out it leaves out; where
 * it says nothing the shell offers files. */
#include "cli/client.h"
#include "host/complete.h"
#include "disk/store.h"

enum { DAEMON_MS = 2000 };

/* Where on the line the word is that is to be completed. */
struct place {
	const struct command *command;
	const struct option_spec *option; /* the word is its value; NULL: it is none's */
	bool of_daemon;			  /* that option says where the daemon is */
	size_t argument;		  /* how many arguments stand before the word */
	bool dashes;			  /* "--" stands before it */
	char **connection;		  /* the options that say where the daemon is, and their values */
};

/* ---- the words before it ---- */

static const struct option_spec *find_option(const struct option_spec *table, const char *word)
{
	size_t n = strcspn(word, "=");

	for (; table && table->name; table++) {
		bool is_long = str_starts(word, "--") && option_is_called(table, word + 2, n - 2);

		if (is_long || (table->letter && word[1] == table->letter && !word[2]))
			return table;
	}
	return NULL;
}

static void take_value(struct place *at, const char *word)
{
	if (at->of_daemon)
		strv_append(&at->connection, word);
	at->option = NULL;
}

static void take_option(struct place *at, const char *word)
{
	const struct option_spec *option = find_option(connection_options, word);

	at->of_daemon = option;
	if (at->of_daemon)
		strv_append(&at->connection, word);
	else
		option = find_option(at->command->options, word);
	if (option && option->type != OPTION_BOOL && !strchr(word, '='))
		at->option = option;
}

static void take_word(struct place *at, const char *word)
{
	const struct command *next = at->command->run ? NULL : command_find(at->command, word);

	if (at->option)
		take_value(at, word);
	else if (str_eq(word, "--"))
		at->dashes = true;
	else if (word[0] == '-' && word[1] && !at->dashes)
		take_option(at, word);
	else if (next)
		at->command = next;
	else
		at->argument++;
}

/* ---- names ---- */

/* Names come from a daemon and are given to a shell. */
static void print_name(const char *name, const char *suffix)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	if (*name && !name[strspn(name, plain)])
		printf("%s%s\n", name, suffix);
}

/* Nor does it wait for resolvers, which know no deadline: a shell stands still meanwhile. */
static struct json_object *ask_daemon(const struct place *at, const char *target)
{
	cleanup_parsed struct parsed p = {.dashes = -1, .tables = {connection_options, NULL}};
	cleanup_client struct client c = {0};
	size_t pos = 0;

	if (at->connection && options_parse(&p, at->connection, &pos, false, 0, NULL))
		return NULL;
	if (client_open(&c, &p, NULL) || endpoint_has_name(&c.endpoint))
		return NULL;
	return client_json(&c, "GET", target, NULL, DAEMON_MS, NULL);
}

static void print_of_daemon(const struct place *at, const char *target, const char *member, const char *suffix)
{
	cleanup_json struct json_object *list = ask_daemon(at, target);

	if (!list || !json_object_is_type(list, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		const char *name = NULL;

		if (json_object_is_type(item, json_type_object) && js_get_string(item, member, &name, NULL) == 0 &&
		    name)
			print_name(name, suffix);
	}
}

static void print_images(void)
{
	cleanup_free char *path = store_default_path(NULL);
	cleanup_store struct store *store = path ? store_open(path, NULL) : NULL;
	cleanup_strv char **names = NULL;

	if (store && store_image_names(store, &names, NULL) == 0)
		for (size_t i = 0; names && names[i]; i++)
			print_name(names[i], "");
	printf("debian\nmicro\n");
}

/* `kind`: how help and usage call the value. */
static void print_values(const struct place *at, const char *kind)
{
	if (str_eq(kind, "VM"))
		print_of_daemon(at, "/nodes", "hostname", "");
	else if (str_eq(kind, "GROUP"))
		print_of_daemon(at, "/hostgroup", "name", "");
	else if (str_eq(kind, "SRC") || str_eq(kind, "DST"))
		print_of_daemon(at, "/nodes", "hostname", ":");
	else if (str_eq(kind, "IMAGE"))
		print_images();
}

/* ---- what may come ---- */

/* "[VM] -- COMMAND [ARG...]": the word of the usage for the argument at this place; the caller's, NULL when there is none. */
static char *kind_of_argument(const struct place *at)
{
	cleanup_strv char **words = strv_split(at->command->usage ? at->command->usage : "", ' ');
	size_t n = 0;

	for (size_t i = 0; words[i]; i++) {
		const char *word = words[i] + strspn(words[i], "[");

		if (str_eq(word, "--"))
			return NULL;
		if (word[0] != '-' && n++ == at->argument)
			return str_ndup(word, strcspn(word, ".]"));
	}
	return NULL;
}

static void print_options(const struct option_spec *o)
{
	for (; o && o->name; o++)
		printf("--%s\n", o->name);
}

/* `word`: its beginning, as far as that decides what is asked. */
static void print_next(const struct place *at, const char *word)
{
	const struct command *c = at->command;
	cleanup_free char *kind = c->run && !at->dashes && word[0] != '-' ? kind_of_argument(at) : NULL;

	for (const struct command *const *sub = c->commands; sub && *sub; sub++)
		if (!(*sub)->hidden)
			printf("%s\n", (*sub)->name);
	for (const struct command *const *sub = c->shortcuts; sub && *sub; sub++)
		printf("%s\n", (*sub)->name);
	if (at->dashes)
		return;
	print_options(c->options);
	if (!c->local)
		print_options(connection_options);
	printf("--help\n");
	if (kind)
		print_values(at, kind);
}

static int run_complete(struct cli *cli, const struct parsed *args, struct error **err)
{
	const char *word = parsed_string(args, "word");
	struct place at = {.command = cli->root};

	for (size_t i = 0; i < args->nargs; i++)
		take_word(&at, args->args[i]);
	if (at.option)
		print_values(&at, at.option->metavar ? at.option->metavar : "");
	else
		print_next(&at, word ? word : "");
	strv_free(&at.connection);
	return 0;
}

static const struct option_spec complete_options[] = {
	{.name = "word", .type = OPTION_STRING, .metavar = "WORD", .help = "What of the next word is there already"},
	{0},
};

const struct command command_complete = {
	.name = "complete",
	.summary = "Print the words that may follow the given ones",
	.usage = "-- [WORD...]",
	.options = complete_options,
	.run = run_complete,
	.max_args = COMMAND_ANY_ARGS,
	.local = true,
	.hidden = true,
};
